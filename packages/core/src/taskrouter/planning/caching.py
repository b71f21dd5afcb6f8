"""Prompt caches in the price of a step: the model that served a conversation is cheaper to stay with than to leave."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import NamedTuple

from taskrouter.decision import ScorePart
from taskrouter.planning.selectors import Balanced, Economy, Safe, Weighted
from taskrouter.ports import Choice, Selector, Slate


class Cached(NamedTuple):
    """What a provider's cache takes off the price of a step."""

    tokens: int
    cost_usd: float
    """Price of the step with these tokens read from the cache."""
    saved_usd: float


def caches(slate: Slate, expected: Mapping[str, int]) -> dict[int, Cached]:
    """Return what each model of the slate saves, by position; nothing where the price of cached input is unknown."""
    found: dict[int, Cached] = {}
    if not expected:
        return found
    sent, answered = slate.profile.input_tokens, slate.profile.output_tokens
    for position, card in enumerate(slate.cards):
        tokens = min(expected.get(card.id, 0), sent)
        full_usd = slate.costs[position]
        if tokens <= 0 or full_usd is None or card.cached_input_usd_per_million is None:
            continue
        cost_usd = card.cost_usd(sent, answered, tokens)
        if cost_usd is not None and cost_usd < full_usd:
            found[position] = Cached(tokens, cost_usd, full_usd - cost_usd)
    return found


def choose(selector: Selector, slate: Slate, cached: Mapping[int, Cached]) -> tuple[Slate, Choice]:
    """Let a selector choose with the caches in the costs, and say what they changed.

    The built-in policies are pure, so they are asked again without the caches to see the difference. A plugin's policy
    may explore or count what it is asked: it is asked once, and the effect on its scores stays unknown.
    """
    costs = list(slate.costs)
    for position, cache in cached.items():
        costs[position] = cache.cost_usd
    priced = replace(slate, costs=costs)
    choice = selector.choose(priced)
    if not isinstance(selector, Safe | Balanced | Economy | Weighted):
        return priced, choice._replace(parts=_parts(choice, None, cached))
    without = selector.choose(slate)
    detail = choice.detail
    best, other = _best(choice), _best(without)
    if best != other:
        detail = f"{detail}; {_words(priced, cached, other)}"
    return priced, choice._replace(detail=detail, parts=_parts(choice, without, cached))


def _best(choice: Choice) -> int:
    return max(range(len(choice.scores)), key=choice.scores.__getitem__)


def _parts(choice: Choice, without: Choice | None, cached: Mapping[int, Cached]) -> list[tuple[ScorePart, ...]]:
    """Add a term to each row that has a cache; the other terms of such a row are those at the full price."""
    parts = list(choice.parts) or [()] * len(choice.scores)
    for position, cache in cached.items():
        effect = None
        if without is not None:
            effect = choice.scores[position] - without.scores[position]
            parts[position] = without.parts[position] if without.parts else ()
        parts[position] = (*parts[position], ScorePart("prompt_cache", cache.saved_usd, 1.0, effect))
    return parts


def _words(slate: Slate, cached: Mapping[int, Cached], other: int) -> str:
    saved = ", ".join(
        f"{slate.cards[i].id} is expected to read {c.tokens:,} tokens from its prompt cache, which saves "
        f"${c.saved_usd:.6f} of ${c.cost_usd + c.saved_usd:.6f}"
        for i, c in cached.items()
    )
    return f"{saved}; without that it would be {slate.cards[other].id}"
