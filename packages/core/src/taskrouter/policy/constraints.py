"""Hard constraints: which models can take a step at all, and why the others cannot."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from taskrouter.catalog.card import ModelCard
from taskrouter.decision import Rejection
from taskrouter.profile import Requirements, TaskProfile

_MANY = 512
"""Distinct sets of demands that are remembered; an application has a handful."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Demands:
    """What a step demands of a model beside its size. Hashable: equal demands are checked once."""

    requirements: Requirements = Requirements()
    use: frozenset[str] | None = None
    """Only these models; None: any."""
    avoid: frozenset[str] = frozenset()
    regions: frozenset[str] | None = None
    """Only models served in one of these regions; None: any."""
    tags: frozenset[str] = frozenset()
    """Only models that carry all these tags."""

    def only(self, models: frozenset[str]) -> Demands:
        """Return the same demands, further narrowed to some models."""
        return replace(self, use=models if self.use is None else self.use & models)


class _Checked(NamedTuple):
    eligible: tuple[int, ...]
    rejected: tuple[Rejection, ...]
    smallest_window: float


class Eligibility:
    """Checks a fixed pool of models against the demands of steps.

    Args:
        cards: the pool.
        margin: factor on the token estimate before it is compared with a window.
    """

    def __init__(self, cards: Sequence[ModelCard], *, margin: float) -> None:
        self._cards = tuple(cards)
        self._margin = margin
        self._checked: dict[Demands, _Checked] = {}

    def check(
        self, profile: TaskProfile, demands: Demands, *, max_cost_usd: float | None = None
    ) -> tuple[tuple[int, ...], tuple[Rejection, ...]]:
        """Return the positions of the eligible models, and a rejection for each other one."""
        checked = self._checked.get(demands) or self._remember(demands)
        needed = profile.input_tokens * self._margin + profile.output_tokens
        if needed <= checked.smallest_window and max_cost_usd is None:
            return checked.eligible, checked.rejected
        return self._check_size(profile, checked, needed, max_cost_usd)

    def _remember(self, demands: Demands) -> _Checked:
        eligible, rejected = [], []
        for position, card in enumerate(self._cards):
            rejection = next(_rejections(card, demands), None)
            if rejection is None:
                eligible.append(position)
            else:
                rejected.append(rejection)
        windows = (self._cards[i].context_tokens for i in eligible)
        smallest = min((w for w in windows if w is not None), default=float("inf"))
        checked = _Checked(tuple(eligible), tuple(rejected), smallest)
        if len(self._checked) < _MANY:
            self._checked[demands] = checked
        return checked

    def _check_size(
        self, profile: TaskProfile, checked: _Checked, needed: float, max_cost_usd: float | None
    ) -> tuple[tuple[int, ...], tuple[Rejection, ...]]:
        eligible, rejected = [], list(checked.rejected)
        for position in checked.eligible:
            card = self._cards[position]
            if card.context_tokens is not None and needed > card.context_tokens:
                rejected.append(_too_long(card, profile, self._margin))
            elif max_cost_usd is not None and (reason := _too_dear(card, profile, max_cost_usd)):
                rejected.append(Rejection(model=card.id, code="max_cost", detail=reason))
            else:
                eligible.append(position)
        return tuple(eligible), tuple(rejected)


def _rejections(card: ModelCard, demands: Demands) -> Iterator[Rejection]:
    def rejection(code: str, detail: str) -> Rejection:
        return Rejection(model=card.id, code=code, detail=detail)

    if demands.use is not None and card.id not in demands.use:
        yield rejection("rule", f"a rule or the caller allows only {', '.join(sorted(demands.use)) or 'none'}")
    if card.id in demands.avoid:
        yield rejection("rule", "a rule avoids it")
    for code in ("tools", "vision", "json_schema"):
        if getattr(demands.requirements, code):
            able = getattr(card.capabilities, code)
            if able is False:
                yield rejection(code, f"the step needs {_WORDS[code]} and it has none")
            elif able is None:
                yield rejection(code, f"nobody says whether it has {_WORDS[code]}: set capabilities.{code} in its card")
    if demands.regions is not None and not (card.regions or frozenset()) & demands.regions:
        served = f"is served in {', '.join(sorted(card.regions))}" if card.regions else "has no `regions` in its card"
        yield rejection("region", f"must be served in {', '.join(sorted(demands.regions))}; it {served}")
    if missing := demands.tags - card.tags:
        yield rejection("tags", f"lacks the tags {', '.join(sorted(missing))}")


_WORDS = {"tools": "tool calling", "vision": "image input", "json_schema": "structured output"}


def _too_long(card: ModelCard, profile: TaskProfile, margin: float) -> Rejection:
    return Rejection(
        model=card.id,
        code="context_window",
        detail=(
            f"the step has about {profile.input_tokens:,} tokens (x {margin:g} margin + {profile.output_tokens:,} for "
            f"the answer); its window is {card.context_tokens:,}"
        ),
    )


def _too_dear(card: ModelCard, profile: TaskProfile, max_cost_usd: float) -> str | None:
    cost = card.cost_usd(profile.input_tokens, profile.output_tokens)
    if cost is None:
        return f"its price is unknown, and a rule allows at most ${max_cost_usd:g} for the step"
    if cost > max_cost_usd:
        return f"the step would cost about ${cost:.6f}, and a rule allows at most ${max_cost_usd:g}"
    return None
