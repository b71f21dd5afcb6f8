"""What labels say of models and identities, and what was expected where there are none."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Final

from taskrouter.calibration.report import quality_of
from taskrouter.learning import Option, hull
from taskrouter.learning.evidence import WEIGHTS
from taskrouter.learning.mixing import FEWEST
from taskrouter.learning.online import WARM
from taskrouter.ledger import Label, Record
from taskrouter.reporting.amounts import Alone
from taskrouter.reporting.groups import MOST, OTHERS
from taskrouter.reporting.judged import Coverage, Labelled, Point

ENOUGH: Final = int(FEWEST)
"""Labels below which a model is placed by what was expected of it, and is no best one."""
COVERED: Final = 0.5
"""Share of the steps whose identities a model needs labels of, before it can be called the best."""
ROUTED: Final = "as routed"


class _Mean:
    def __init__(self) -> None:
        self.count = 0
        self.total = 0.0

    def add(self, value: float) -> None:
        self.count += 1
        self.total += value

    @property
    def mean(self) -> float | None:
        return self.total / self.count if self.count else None


class _Of:
    """Steps of an identity, and the scores of those that were labelled, by the model that answered."""

    def __init__(self) -> None:
        self.steps = 0
        self.by_model: dict[str, list[float]] = defaultdict(list)

    @property
    def scores(self) -> list[float]:
        return [score for scores in self.by_model.values() for score in scores]


class Grades:
    """Joins labels to the steps that they are of.

    Args:
        labels: all of the window and later: a label comes after its step.
    """

    def __init__(self, labels: Iterable[Label]) -> None:
        self._labels: dict[str, tuple[float, float]] = {}
        """For each decision, weight and weighted score of its labels: a person's counts more than a judge's."""
        for label in labels:
            weight, score = self._labels.get(label.decision_id, (0.0, 0.0))
            share = label.share * WEIGHTS.get(label.source, 1.0)
            self._labels[label.decision_id] = weight + share, score + share * label.score
        self._identities: dict[str, _Of] = {}
        self._models: dict[str, list[float]] = defaultdict(list)
        self._expected: dict[str, _Mean] = defaultdict(_Mean)
        self._steps = 0

    def add(self, record: Record) -> None:
        """Add a step that was answered."""
        self._steps += 1
        self._announced(record)
        name = record.identity
        if name not in self._identities and len(self._identities) >= MOST:
            name = OTHERS
        identity = self._identities.setdefault(name, _Of())
        identity.steps += 1
        weight, total = self._labels.get(record.id, (0.0, 0.0))
        if weight > 0.0 and record.outcome.model is not None:
            identity.by_model[record.outcome.model].append(total / weight)
            self._models[record.outcome.model].append(total / weight)

    def best_single(self, mean_usd: Mapping[str, float]) -> str | None:
        """Return the model with the best labels, of equal ones the cheaper; None: none has enough.

        A model that was only given easy steps looks better than it is. So its labels must be of kinds of steps that
        make up half of the work, and each kind counts by its steps.

        Args:
            mean_usd: what a step costs with it.
        """
        known = {
            model: self._weighed(model)
            for model, scores in self._models.items()
            if len(scores) >= ENOUGH and model in mean_usd and self._covered(model) >= COVERED
        }
        return min(known, key=lambda model: (-known[model], mean_usd[model], model), default=None)

    def coverage(self) -> Coverage:
        """Return what is labelled, by identity."""
        every = [score for identity in self._identities.values() for score in identity.scores]
        found = [
            Labelled(
                identity=name,
                steps=of.steps,
                labelled=len(of.scores),
                score=quality_of(of.scores),
                needed=max(0, ENOUGH - len(of.scores)),
            )
            for name, of in self._identities.items()
        ]
        return Coverage(
            steps=self._steps,
            labelled=len(every),
            score=quality_of(every),
            identities=tuple(sorted(found, key=lambda one: (-one.steps, one.identity))),
            enough=ENOUGH,
            warm=int(WARM),
        )

    def frontier(self, alone: Iterable[Alone], incumbents: tuple[str, ...], routed_usd: float | None) -> list[Point]:
        """Return every model and the steps as they went, each with its cost and quality.

        Args:
            alone: every model by itself.
            incumbents: the incumbents of the steps, most frequent first.
            routed_usd: mean cost per step, as it went.
        """
        points = [
            Point(
                name=one.model,
                standing="incumbent" if one.model in incumbents[:1] else "model",
                cost_usd=one.mean_usd,
                labels=len(self._models.get(one.model, ())),
                score=quality_of(self._models.get(one.model, ())),
                expected=self._expected[one.model].mean if one.model in self._expected else None,
                measured=len(self._models.get(one.model, ())) >= ENOUGH,
                covered=self._covered(one.model),
            )
            for one in alone
        ]
        coverage = [score for scores in self._models.values() for score in scores]
        if self._steps:
            routed = Point(
                name=ROUTED,
                standing="routed",
                cost_usd=routed_usd,
                labels=len(coverage),
                score=quality_of(coverage),
                expected=self._expected[""].mean if "" in self._expected else None,
                measured=len(coverage) >= ENOUGH,
                covered=sum(of.steps for of in self._identities.values() if of.scores) / self._steps,
            )
            points.append(routed)
        return points

    def _covered(self, model: str) -> float:
        """Share of the steps whose identity has labels of the model."""
        return sum(of.steps for of in self._identities.values() if of.by_model.get(model)) / max(1, self._steps)

    def _weighed(self, model: str) -> float:
        """Mean score, each identity counted by its steps."""
        known = [(of.steps, of.by_model[model]) for of in self._identities.values() if of.by_model.get(model)]
        return sum(steps * sum(scores) / len(scores) for steps, scores in known) / sum(steps for steps, _ in known)

    def _announced(self, record: Record) -> None:
        """Take what was expected of each model, and under no name of what was chosen."""
        for place, row in enumerate(record.explained.ranking):
            if place == 0:
                self._expected[""].add(row.quality)
            if row.plan.kind == "single":
                self._expected[row.plan.models[0]].add(row.quality)


def hull_of(points: Iterable[Point]) -> tuple[str, ...]:
    """Return the models on the upper hull of quality over cost, cheapest first: no mixture of others beats them."""
    options = {
        point.name: Option(point.quality, point.cost_usd)
        for point in points
        if point.standing != "routed" and point.quality is not None and point.cost_usd is not None
    }
    return tuple(hull(options))
