"""The named policies: each scores the eligible models of a step, and the highest score wins.

All but `weighted` put the incumbent at 0. A model that may take its place scores the share of money it saves, above 0;
one that may not scores its expected loss of quality, below 0, which is also the order in which models are tried when
the chosen one fails.
"""

from __future__ import annotations

from collections.abc import Sequence

from taskrouter.catalog.priors import is_published
from taskrouter.config import PolicyConfig, Weights
from taskrouter.decision import QualityEstimate, ScorePart
from taskrouter.hookspecs import hookimpl
from taskrouter.ports import Choice, SelectorFactory, Slate
from taskrouter.profile import UNKNOWN

_EVIDENCE_WEIGHT = 5.0
"""Estimates below this weight are guesses: `economy` does not build on them."""


_SAME = 0.005
"""Published figures that differ by no more are the same: a benchmark of a thousand questions cannot tell them apart."""


class Safe:
    """The incumbent, always: no harm without evidence. Other models serve when it cannot."""

    name = "safe"

    def __init__(self, config: PolicyConfig) -> None:
        del config  # nothing to set

    def choose(self, slate: Slate) -> Choice:
        """Keep the incumbent on top and order the rest by expected quality."""
        return _stay(slate, "incumbent", "policy `safe` keeps every step that no check covers with the incumbent")


class Balanced:
    """The cheapest model whose cited quality stays within `max_loss` of the incumbent's on this kind of task.

    A single benchmark flatters some models, so where a general figure of both models is known the same must hold of
    that: doing better on one kind of test and worse on the rest is no evidence for the next prompt. And what a model
    loses on the next task lies some 10 points beside what benchmarks say, so by published figures it must be expected
    to lose nothing; `max_loss` is for figures of the user's own.
    """

    name = "balanced"

    def __init__(self, config: PolicyConfig) -> None:
        self._max_loss = config.max_loss
        self._demanding = config.demanding
        self._of_whole_pool: dict[str, list[int]] = {}

    def choose(self, slate: Slate) -> Choice:
        """Stay with the incumbent on unknown or demanding steps and where no figure is cited; else save."""
        profile = slate.profile
        if profile.task_type == UNKNOWN:
            return _stay(slate, "incumbent_unknown_task", "the task type is unknown, so the step stays safe")
        if profile.complexity >= self._demanding:
            return _stay(
                slate,
                "incumbent_demanding",
                f"complexity {profile.complexity:.2f} reaches the limit of {self._demanding:g} for demanding steps",
            )
        if not slate.incumbent_quality.cited:
            return _stay(slate, "incumbent_no_evidence", f"no figure is cited for the incumbent on {profile.task_type}")
        return _cheapest(
            slate,
            self._admitted(slate),
            reason="cheaper_within_loss",
            words=f"its cited loss on {profile.task_type} is within {self._max_loss * 100:g} points of the incumbent",
        )

    def _admitted(self, slate: Slate) -> list[int]:
        task_type = slate.profile.task_type
        if not slate.whole_pool:
            return self._within(slate)
        if task_type not in self._of_whole_pool:
            self._of_whole_pool[task_type] = self._within(slate)
        return self._of_whole_pool[task_type]

    def _within(self, slate: Slate) -> list[int]:
        own, general = slate.incumbent_quality, slate.incumbent_general
        within = [i for i, quality in enumerate(slate.quality) if quality.cited and self._near(quality, own)]
        if general.cited:
            within = [i for i in within if not slate.general[i].cited or self._near(slate.general[i], general)]
        return within

    def _near(self, quality: QualityEstimate, incumbent: QualityEstimate) -> bool:
        loss = min(self._max_loss, _SAME) if is_published(quality.source) else self._max_loss
        return quality.mean >= incumbent.mean - loss


class Economy:
    """The cheapest model whose quality reaches `quality_floor` even if its figures flatter it.

    What counts is the lower end of what is believed, one standard deviation below the mean: few benchmarks are easy
    enough for that, and on the others a figure of a model tells little of how it does on the next task.
    """

    name = "economy"

    def __init__(self, config: PolicyConfig) -> None:
        self._floor = config.quality_floor

    def choose(self, slate: Slate) -> Choice:
        """Stay with the incumbent on unknown steps; else take the cheapest model above the floor."""
        task_type, floor = slate.profile.task_type, self._floor
        if task_type == UNKNOWN:
            return _stay(slate, "incumbent_unknown_task", "the task type is unknown, so the step stays safe")
        return _cheapest(
            slate,
            [i for i, q in enumerate(slate.quality) if q.weight >= _EVIDENCE_WEIGHT and q.low >= floor],
            reason="cheapest_above_floor",
            words=f"the lower end of its expected quality on {task_type} reaches the floor of {self._floor:g}",
        )


class Weighted:
    """The best weighted sum of quality, cost, latency and carbon."""

    name = "weighted"

    def __init__(self, config: PolicyConfig) -> None:
        self._weights = config.weights or Weights(quality=1.0)

    def choose(self, slate: Slate) -> Choice:
        """Score each model; what is unknown of a model counts as the worst that is known of any."""
        weights = self._weights
        if weights.quality and slate.profile.task_type == UNKNOWN:
            return _stay(slate, "incumbent_unknown_task", "the task type is unknown, and the weights ask for quality")
        output_tokens = slate.profile.output_tokens
        columns = [
            _costs("cost", weights.cost, slate.costs),
            _costs("latency", weights.latency, latencies(slate)),
            _costs("carbon", weights.carbon, [card.carbon_g(output_tokens) for card in slate.cards]),
        ]
        parts = [
            (ScorePart("quality", quality.mean, weights.quality, weights.quality * quality.mean), *terms)
            for quality, *terms in zip(slate.quality, *columns, strict=True)
        ]
        scores = [sum(part.contribution or 0.0 for part in row) for row in parts]
        best = max(range(len(scores)), key=scores.__getitem__)
        leading = max(parts[best], key=lambda part: abs(part.contribution or 0.0))
        return Choice(scores, "best_weighted", f"it has the best weighted sum; {leading.name} weighs most in it", parts)


def latencies(slate: Slate) -> list[float | None]:
    """Return the expected seconds of each model: as observed lately, else by its card, else None."""
    output_tokens = slate.profile.output_tokens
    observed = slate.latency_s
    if observed is None:
        return [card.latency_s(output_tokens) for card in slate.cards]
    return [observed[card.id] if card.id in observed else card.latency_s(output_tokens) for card in slate.cards]


def _costs(name: str, weight: float, values: Sequence[float | None]) -> list[ScorePart]:
    worst = max((value for value in values if value is not None), default=0.0)
    scale = worst or 1.0
    return [
        ScorePart(name, value, weight, -weight * (1.0 if value is None else value / scale) if weight else 0.0)
        for value in values
    ]


def _losses(slate: Slate) -> list[float]:
    scores = list(slate.losses)
    if slate.incumbent is not None:
        scores[slate.incumbent] = 0.0
    return scores


def _stay(slate: Slate, reason: str, detail: str) -> Choice:
    if slate.incumbent is None and len(slate.cards) == 1:
        return Choice(_losses(slate), "only_eligible", "no other model can take this step, or may")
    if slate.incumbent is None:
        return Choice(
            _losses(slate), "incumbent_ineligible", "the incumbent cannot take this step; the best of the others does"
        )
    return Choice(_losses(slate), reason, detail)


def _cheapest(slate: Slate, admitted: Sequence[int], *, reason: str, words: str) -> Choice:
    scores = _losses(slate)
    own = None if slate.incumbent is None else slate.costs[slate.incumbent]
    reference = own if own is not None else max((c for c in slate.costs if c is not None), default=None)
    if reference is None:
        return _stay(slate, "incumbent_no_price", "no price is known, so nothing can be shown to be cheaper")
    for position in admitted:
        cost = slate.costs[position]
        if position != slate.incumbent and cost is not None and cost < reference:
            scores[position] = 1.0 - cost / reference
    best = max(range(len(scores)), key=scores.__getitem__)
    if scores[best] <= 0:
        return _stay(slate, "incumbent_no_cheaper", "no cheaper model is known to be good enough for this step")
    return Choice(scores, reason, f"{words}, and it costs {scores[best] * 100:.0f} % less")


OWN: dict[str, SelectorFactory] = {policy.name: policy for policy in (Safe, Balanced, Economy, Weighted)}


@hookimpl
def taskrouter_selectors() -> dict[str, SelectorFactory]:
    """Offer the policies of `taskrouter`."""
    return OWN
