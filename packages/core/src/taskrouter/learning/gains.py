"""What plans have gained or lost against the incumbent per step identity, and what is to be believed of it.

Two plans on the same prompt share its difficulty, so the *difference* of their scores says more than the scores do:
where a row has a score of the incumbent too, the gain is what counts. Labels of one plan alone, as a running agent
gives them, count as the difference of two means, which is worth fewer pairs.

Twenty labels say little of one kind of step. What is believed is the parametric empirical Bayes estimate (Efron and
Morris, "Data analysis using Stein's estimator and its generalizations", JASA 1975): an identity borrows from its task
type, and that from all work, the more so the less the identities differ beyond the noise of single labels.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final, NamedTuple, TypeAlias

from taskrouter.learning.identity import Identity

DEFAULT_STRENGTH: Final = 20.0
"""Labels that the level above is worth while there are too few identities to measure how much they differ."""
MIN_STRENGTH, MAX_STRENGTH = 1.0, 1000.0
ROOT_LABELS: Final = 2.0
"""Labels' worth of belief that a plan neither gains nor loses."""
NOISE: Final = 0.25
"""Variance that single labels are believed to have before the first was seen; it counts as one label."""
UNPAIRED: Final = 0.5
"""What a difference of two means is worth beside the same number of pairs: the prompts were not the same."""


class Scored(NamedTuple):
    """What a plan made of one step."""

    score: float
    """0 to 1."""
    cost_usd: float | None = None


class Estimate(NamedTuple):
    """What is believed of a plan on one kind of step."""

    gain: float
    """Expected score minus the incumbent's."""
    variance: float
    """Variance of that expectation."""
    labels: float
    """Labels that this identity itself has of the plan."""
    cost_usd: float | None
    """Mean cost, US dollars; None where none was recorded."""


class Cell:
    """Sums over the labels of one plan on one identity."""

    __slots__ = ("cost_sum_usd", "costs", "gain_squares", "gain_sum", "labels", "pairs", "score_squares", "score_sum")

    def __init__(self) -> None:
        self.pairs = 0.0
        self.gain_sum = 0.0
        self.gain_squares = 0.0
        self.labels = 0.0
        self.score_sum = 0.0
        self.score_squares = 0.0
        self.costs = 0.0
        self.cost_sum_usd = 0.0

    def add(self, other: Cell) -> None:
        """Take in the labels of another cell."""
        self.pairs += other.pairs
        self.gain_sum += other.gain_sum
        self.gain_squares += other.gain_squares
        self.labels += other.labels
        self.score_sum += other.score_sum
        self.score_squares += other.score_squares
        self.costs += other.costs
        self.cost_sum_usd += other.cost_sum_usd


_Sums: TypeAlias = tuple[float, float, float]
"""Number of pairs, their gains and the squares of these. Bare, as there is one for each plan of each identity."""

_NO_SUMS: Final[_Sums] = (0.0, 0.0, 0.0)


class GainTable:
    """Labels of plans per step identity. Recording is cheap; `estimates` takes one pass over all cells.

    Args:
        incumbent: name of the plan that gains are counted against.
    """

    def __init__(self, incumbent: str) -> None:
        self.incumbent = incumbent
        self._cells: dict[str, dict[str, Cell]] = {}
        self._types: dict[str, Counter[str]] = {}

    @property
    def identities(self) -> tuple[str, ...]:
        """The identities that have labels, in the order of their first."""
        return tuple(self._cells)

    def steps(self, identity: str) -> int:
        """Number of labelled steps of an identity."""
        return self._types[identity].total() if identity in self._types else 0

    def task_type(self, identity: str) -> str:
        """The task type that most of an identity's steps were taken for."""
        return self._types[identity].most_common(1)[0][0]

    def record(self, identity: Identity, scores: Mapping[str, Scored], weight: float = 1.0) -> None:
        """Add the labels of one step: of one plan, or of several on the same prompt.

        Args:
            identity: of the step.
            scores: by name of the plan.
            weight: what the label is worth beside one that a user or a test gave.

        Raises:
            ValueError: a score is outside 0 to 1, a cost is negative, or the weight is not above 0.
        """
        _check(scores, weight)
        self._types.setdefault(identity.key, Counter())[identity.task_type] += 1
        cells = self._cells.setdefault(identity.key, {})
        base = scores.get(self.incumbent) if len(scores) > 1 else None
        base_score = 0.0 if base is None else base.score
        for name, (score, cost_usd) in scores.items():
            cell = cells.get(name)
            if cell is None:
                cell = cells[name] = Cell()
            if base is not None:
                gain = score - base_score
                weighted = weight * gain
                cell.pairs += weight
                cell.gain_sum += weighted
                cell.gain_squares += weighted * gain
            else:
                cell.labels += weight
                cell.score_sum += weight * score
                cell.score_squares += weight * score * score
            if cost_usd is not None:
                cell.costs += weight
                cell.cost_sum_usd += weight * cost_usd

    def merge(self, other: GainTable) -> None:
        """Take in all labels of another table."""
        for key, cells in other._cells.items():
            self._take(key, cells, other._types[key])

    def regrouped(self, group: Callable[[str], str]) -> GainTable:
        """Return a table of the same labels in which the identities that `group` gives one key are one."""
        made = GainTable(self.incumbent)
        for key, cells in self._cells.items():
            made._take(group(key), cells, self._types[key])
        return made

    def _take(self, key: str, cells: Mapping[str, Cell], types: Counter[str]) -> None:
        own = self._cells.setdefault(key, {})
        for name, cell in cells.items():
            mine = own.get(name)
            if mine is None:
                mine = own[name] = Cell()
            mine.add(cell)
        self._types.setdefault(key, Counter()).update(types)

    def estimates(self, plans: Iterable[str]) -> dict[str, dict[str, Estimate]]:
        """Return what is believed of each plan, for each identity."""
        names = list(plans)
        of_type: dict[str, list[str]] = defaultdict(list)
        for key in self._cells:
            of_type[self.task_type(key)].append(key)
        families = list(of_type.values())
        sums = {name: [[self._sums(self._cells[key], name) for key in keys] for keys in families] for name in names}
        upper = {name: [_total(children) for children in sums[name]] for name in names}
        strength = _strength([sums[name] for name in names])
        type_strength = _strength([[upper[name]] for name in names])
        found: dict[str, dict[str, Estimate]] = {key: {} for key in self._cells}
        for name in names:
            noise = _noise(sums[name])
            root_n, root_total, _ = _total(upper[name])
            root_gain = root_total / (root_n + ROOT_LABELS)
            mean_cost = self._mean_cost(name)
            for keys, children, (kind_n, kind_gain, _) in zip(families, sums[name], upper[name], strict=True):
                above = (type_strength * root_gain + kind_gain) / (type_strength + kind_n)
                above = above if len(families) > 1 else root_gain
                for key, (n, gain, _) in zip(keys, children, strict=True):
                    cell = self._cells[key].get(name)
                    cost = cell.cost_sum_usd / cell.costs if cell is not None and cell.costs else mean_cost
                    if name == self.incumbent:
                        found[key][name] = Estimate(0.0, 0.0, n, cost)
                    else:
                        mean = (strength * above + gain) / (strength + n)
                        found[key][name] = Estimate(mean, noise / (strength + n), n, cost)
        return found

    def _sums(self, cells: Mapping[str, Cell], name: str) -> _Sums:
        """The gains of a plan on an identity; single labels count as a difference of two means."""
        cell = cells.get(name)
        if cell is None or name == self.incumbent:
            return _NO_SUMS
        if not cell.labels or (base := cells.get(self.incumbent)) is None or not base.labels:
            return cell.pairs, cell.gain_sum, cell.gain_squares
        worth = UNPAIRED / (1.0 / cell.labels + 1.0 / base.labels)
        gain = cell.score_sum / cell.labels - base.score_sum / base.labels
        squares = worth * (gain * gain + NOISE)
        return cell.pairs + worth, cell.gain_sum + worth * gain, cell.gain_squares + squares

    def _mean_cost(self, name: str) -> float | None:
        cells = [cell for of in self._cells.values() if (cell := of.get(name)) is not None and cell.costs]
        return sum([cell.cost_sum_usd for cell in cells]) / sum([cell.costs for cell in cells]) if cells else None


def _noise(families: Sequence[Sequence[_Sums]]) -> float:
    """Variance of a single gain within an identity."""
    spread = sum([_spread(cell) for children in families for cell in children])
    free = sum([cell[0] - 1.0 for children in families for cell in children if cell[0] > 1.0])
    return (spread + NOISE) / (free + 1.0)


def _spread(sums: _Sums) -> float:
    """Sum of the squared differences from the mean."""
    n, gain, squares = sums
    return max(0.0, squares - gain * gain / n) if n else 0.0


def _check(scores: Mapping[str, Scored], weight: float) -> None:
    if not weight > 0.0:
        raise ValueError(f"weight is {weight!r}; it must be above 0")
    for name, (score, cost_usd) in scores.items():
        if not 0.0 <= score <= 1.0:
            raise ValueError(f"score of {name!r} is {score!r}; a score lies between 0 and 1")
        if cost_usd is not None and not cost_usd >= 0.0:
            raise ValueError(f"cost_usd of {name!r} is {cost_usd!r}; a cost is not negative")


def _total(parts: Sequence[_Sums]) -> _Sums:
    if not parts:
        return _NO_SUMS
    n, gain, squares = zip(*parts, strict=True)
    return sum(n), sum(gain), sum(squares)


def _strength(plans: Sequence[Sequence[Sequence[_Sums]]]) -> float:
    """Return how many labels the level above is worth: within-cell over between-cell variance.

    By the method of moments, as one-way analysis of variance with unequal group sizes, pooled over plans and parents: a
    single plan has too few siblings to tell.

    Args:
        plans: for each plan, for each parent, the sums of its children.
    """
    within = between = 0.0
    for parents in plans:
        families = [[cell for cell in children if cell[0] > 0.0] for children in parents]
        families = [children for children in families if len(children) > 1]
        free = sum([n - 1.0 for children in families for n, _, _ in children if n > 1.0])
        if free <= 0.0:
            continue
        noise = sum([_spread(cell) for children in families for cell in children]) / free
        scatter = expected = size = 0.0
        for children in families:
            total, gain, _ = _total(children)
            mean = gain / total
            scatter += sum([n * (gain / n - mean) ** 2 for n, gain, _ in children])
            expected += (len(children) - 1) * noise
            size += total - sum([n * n for n, _, _ in children]) / total
        if size > 0.0:
            within += noise
            between += (scatter - expected) / size
    if within <= 0.0:
        return DEFAULT_STRENGTH
    return MAX_STRENGTH if between <= 0.0 else min(max(within / between, MIN_STRENGTH), MAX_STRENGTH)
