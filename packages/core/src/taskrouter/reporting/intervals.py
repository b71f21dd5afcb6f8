"""How sure a sum of money is: 95 % intervals by a bootstrap over runs, without any library.

Steps of a run depend on each other, so runs are drawn, not steps. Of many runs blocks are drawn: a run belongs to one
of a thousand by its name, which keeps memory and time bounded however long the ledger is. Draws are seeded: two reports
of the same ledger are equal.

Plain percentiles of the draws promise too much where runs are few or unequal, and mostly a saving that is too large. So
they are corrected for bias and skew (BCa), and widened as Student's t widens the normal distribution. In simulations of
20 unequal runs the interval held the truth in 87 to 96 of 100 cases, and percentiles did in 83 to 89.
"""

from __future__ import annotations

import math
import random
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from operator import mul
from statistics import NormalDist
from typing import Final, TypeAlias
from zlib import crc32

from taskrouter.reporting.amounts import Range

BLOCKS: Final = 1000
RESAMPLES: Final = 1000
FEWEST: Final = 20
"""Blocks below which no interval is given: it would be too narrow."""
SEED: Final = 20260
_NORMAL: Final = NormalDist()

Sums: TypeAlias = Mapping[str, float]
"""Totals of a resample, by column."""


class Blocks:
    """Adds up amounts by run, in columns."""

    def __init__(self) -> None:
        self._amounts: dict[int, dict[str, float]] = defaultdict(dict)

    def add(self, run: str, amounts: Mapping[str, float]) -> None:
        """Add what a step of a run comes to.

        Args:
            run: what its steps share; of a step without a run, what it shares with its trials.
            amounts: by column.
        """
        block = self._amounts[crc32(run.encode(errors="surrogatepass")) % BLOCKS]
        for column, amount in amounts.items():
            block[column] = block.get(column, 0.0) + amount

    @property
    def count(self) -> int:
        """Blocks with a run in them."""
        return len(self._amounts)

    def total(self, column: str) -> float:
        """Return the sum of a column."""
        return sum(self._amounts[block].get(column, 0.0) for block in sorted(self._amounts))

    def values(self, figures: Mapping[str, Callable[[Sums], float | None]]) -> dict[str, Range | None]:
        """Return figures without intervals, which take no time."""
        whole = _Totals(_Table(self._amounts), [1] * self.count)
        return {name: None if (v := figure(whole)) is None else Range(value=v) for name, figure in figures.items()}

    def intervals(self, figures: Mapping[str, Callable[[Sums], float | None]]) -> dict[str, Range | None]:
        """Return figures with their intervals.

        Args:
            figures: each computes one from the totals of its columns; None where it has no value.
        """
        table = _Table(self._amounts)
        whole = _Totals(table, [1] * self.count)
        drawn: dict[str, list[float]] = {name: [] for name in figures}
        for weights in _draws(self.count) if self.count >= FEWEST else ():
            sums = _Totals(table, weights)
            for name, figure in figures.items():
                if (value := figure(sums)) is not None:
                    drawn[name].append(value)
        without = [_Without(whole, table, place) for place in range(self.count)] if self.count >= FEWEST else []
        return {
            name: _range(figure(whole), drawn[name], [figure(sums) for sums in without])
            for name, figure in figures.items()
        }


class _Table(dict[str, list[float]]):
    """The blocks' amounts by column, put together when they are asked for."""

    def __init__(self, amounts: Mapping[int, Mapping[str, float]]) -> None:
        super().__init__()
        self._blocks = [amounts[block] for block in sorted(amounts)]

    def __missing__(self, column: str) -> list[float]:
        self[column] = [block.get(column, 0.0) for block in self._blocks]
        return self[column]


class _Totals(dict[str, float]):
    """Totals of columns, added up when they are asked for."""

    def __init__(self, table: _Table, weights: Sequence[int]) -> None:
        super().__init__()
        self._table, self._weights = table, weights

    def __missing__(self, column: str) -> float:
        self[column] = sum(map(mul, self._weights, self._table[column]))
        return self[column]


class _Without(dict[str, float]):
    """Totals without one block, reckoned when they are asked for."""

    def __init__(self, whole: _Totals, table: _Table, place: int) -> None:
        super().__init__()
        self._whole, self._table, self._place = whole, table, place

    def __missing__(self, column: str) -> float:
        return self._whole[column] - self._table[column][self._place]


def _draws(count: int) -> Sequence[Sequence[int]]:
    """Return how often each block is drawn, in each resample."""
    rng = random.Random(SEED)
    found = []
    for _ in range(RESAMPLES):
        weights = [0] * count
        for block in rng.choices(range(count), k=count):
            weights[block] += 1
        found.append(weights)
    return found


def _range(value: float | None, drawn: list[float], without: list[float | None]) -> Range | None:
    if value is None:
        return None
    if len(drawn) < RESAMPLES // 2:
        return Range(value=value)
    drawn.sort()
    low, high = (drawn[round(share * (len(drawn) - 1))] for share in _shares(value, drawn, without))
    return Range(value=value, low=min(low, value), high=max(high, value))


def _shares(value: float, drawn: Sequence[float], without: Sequence[float | None]) -> tuple[float, float]:
    """Return where in the ordered draws a 95 % interval begins and ends.

    Args:
        value: the figure.
        drawn: what it was in each resample.
        without: what it is without each block.
    """
    below = sum(one < value for one in drawn) + 0.5 * sum(one == value for one in drawn)
    bias = _NORMAL.inv_cdf(min(max(below / len(drawn), 0.001), 0.999))
    left = [one for one in without if one is not None]
    mean = math.fsum(left) / len(left)
    spread = math.fsum((mean - one) ** 2 for one in left)
    skew = math.fsum((mean - one) ** 3 for one in left) / (6 * spread**1.5) if spread > 0.0 else 0.0
    wide = math.sqrt(len(without) / (len(without) - 1)) * _student(len(without) - 1)

    def corrected(z: float) -> float:
        return _NORMAL.cdf(bias + (bias + z) / max(1 - skew * (bias + z), 0.01))

    return corrected(-wide), corrected(wide)


def _student(freedom: int) -> float:
    """Return the 97.5 % quantile of Student's t; of 19 degrees of freedom or more to three digits."""
    z = _NORMAL.inv_cdf(0.975)
    return z + (z**3 + z) / (4 * freedom) + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * freedom**2)
