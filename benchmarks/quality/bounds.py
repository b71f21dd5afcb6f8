"""Upper bounds on a share that was counted in a sample, and rules that such a bound can certify."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable

import numpy as np
from benchmarks.quality.data import Array, Grid
from scipy.stats import beta, norm

FIT_SHARE = 0.25
"""Of the sample, to choose the three cheap models by; the rest certifies."""
CHEAPEST, VOTERS = 5, 3


def binomial(harmed: int, n: int, confidence: float) -> float:
    """The exact bound (Clopper and Pearson 1934)."""
    return 1.0 if harmed >= n else float(beta.ppf(confidence, harmed + 1, n - harmed))


def clt(harmed: int, n: int, confidence: float) -> float:
    """The normal approximation."""
    share = harmed / n
    return share + float(norm.ppf(confidence)) * math.sqrt(share * (1 - share) / n)


def empirical_bernstein(harmed: int, n: int, confidence: float) -> float:
    """The bound of Maurer and Pontil (2009), which holds for any distribution on 0 to 1."""
    share = harmed / n
    logs = math.log(2 / (1 - confidence))
    variance = n / (n - 1) * share * (1 - share)
    return share + math.sqrt(2 * variance * logs / n) + 7 * logs / (3 * (n - 1))


BOUNDS: dict[str, Callable[[int, int, float], float]] = {
    "binomial": binomial,
    "CLT": clt,
    "empirical Bernstein": empirical_bernstein,
}


class Votes:
    """Rules by how many of three cheap models agree, from strict to lax, on every prompt of a recording.

    The first model of the largest agreeing group answers where the group is large enough, else the incumbent does;
    every call is charged. The last rule takes the cheapest of the three at its word.
    """

    def __init__(self, grid: Grid, incumbent: int, sample: Array) -> None:
        prices = grid.costs_usd[sample].mean(axis=0)
        cheap = [m for m in np.argsort(prices) if m != incumbent][:CHEAPEST]
        voters = sorted(cheap, key=lambda m: -grid.scores[sample, m].mean())[:VOTERS]
        ballots = [self._ballot(grid, row, voters) for row in range(len(grid))]
        votes = np.array([size for size, _ in ballots])
        winner = np.array([model for _, model in ballots])
        every = np.arange(len(grid))
        paid = grid.costs_usd[:, voters].sum(axis=1)
        self.scores: list[Array] = []
        self.costs_usd: list[Array] = []
        for enough in range(VOTERS, 1, -1):
            agreed = votes >= enough
            costs = paid + np.where(agreed, 0.0, grid.costs_usd[:, incumbent])
            saves = self._saves(grid, incumbent, sample, costs)
            kept = np.where(saves, costs, grid.costs_usd[:, incumbent])
            self.scores.append(np.where(agreed & saves, grid.scores[every, winner], grid.scores[:, incumbent]))
            self.costs_usd.append(kept)
        cheapest = min(voters, key=lambda m: prices[m])
        self.scores.append(grid.scores[:, cheapest])
        self.costs_usd.append(grid.costs_usd[:, cheapest])

    @staticmethod
    def _saves(grid: Grid, incumbent: int, sample: Array, costs_usd: Array) -> Array:
        """Whether a rule costs less than the incumbent on prompts of the same task; on other tasks nobody votes."""
        tasks = grid.tasks[sample]
        good = [
            task
            for task in np.unique(tasks)
            if costs_usd[sample[tasks == task]].sum() < grid.costs_usd[sample[tasks == task], incumbent].sum()
        ]
        return np.isin(grid.tasks, good)

    @staticmethod
    def _ballot(grid: Grid, row: int, voters: list[int]) -> tuple[int, int]:
        outcomes = [grid.recording.prompts[row].outcomes[grid.models[m]] for m in voters]
        said = [o.answer if o.valid is not False else None for o in outcomes]
        counted = Counter(answer for answer in said if answer is not None)
        if not counted:
            return 0, voters[0]
        answer, size = counted.most_common(1)[0]
        return size, voters[said.index(answer)]
