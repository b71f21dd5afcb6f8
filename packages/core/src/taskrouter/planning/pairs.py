"""Which two models to ask at once: cheap, of different houses, and both able, by their cards alone."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Sequence
from itertools import combinations
from typing import Final, NamedTuple

from taskrouter.catalog.card import GENERAL, ModelCard
from taskrouter.catalog.names import parse
from taskrouter.decision import Loss, QualityEstimate
from taskrouter.planning.checks import Check
from taskrouter.planning.measured import ABILITY, figures_of
from taskrouter.planning.quality import QualityModel

TOKENS_IN, TOKENS_OUT = 1000, 250
"""A usual step, by which pairs are compared; its price at hand is told for the step itself."""
DEAREST: Final = 0.4
"""Share of the incumbent's price that both calls together may cost: above it there is too little left to save."""
ABLE: Final = 0.3
"""How far a model's expected quality may lie below the incumbent's."""
LEAST_SAVING: Final = 0.1
"""Expected saving below which two more calls are not worth their time."""
MOST_PAIRS: Final = 64
"""Pairs that are remembered for each kind of comparison, best first."""


class Pair(NamedTuple):
    """Two models at their positions in the pool, the better one first."""

    first: int
    second: int
    agree: float
    """Expected share of the steps on which they agree: at least those on which both are right."""
    saving: float
    """Expected saving against the incumbent alone, as a share."""
    loss: Loss
    """What their agreement is expected to lose against the incumbent."""


class PairBook:
    """The pairs of a pool, best expected saving first, made once for each kind of comparison.

    Two models of the qualities q1 and q2 would both be right on q1 q2 of the steps by chance; how often they agree, as
    a function of that, was measured. With the prices c1 and c2 (as shares of the incumbent's) a pair saves that share
    less c1 + c2. For the order qualities are taken at the lower end of what is believed, so that a known model comes
    before one that is guessed at. Both must be priced, able, and of different houses: siblings make the same mistakes.
    """

    def __init__(self, cards: Sequence[ModelCard], incumbent: int, quality: QualityModel) -> None:
        self._cards = tuple(cards)
        self._incumbent = incumbent
        self._quality = quality
        self._houses = [house(card) for card in self._cards]
        self._ranked: dict[Check, tuple[Pair, ...]] = {}

    def best(
        self, check: Check, allowed: Collection[int] | None = None, *, accept: Callable[[Pair], bool]
    ) -> Pair | None:
        """Return the best pair that is accepted of the models at the positions `allowed` (None: all), or None."""
        ranked = self._ranked.get(check)
        if ranked is None:
            ranked = self._ranked[check] = self._rank(check)
        for pair in ranked:
            if (allowed is None or (pair.first in allowed and pair.second in allowed)) and accept(pair):
                return pair
        return None

    def _rank(self, check: Check) -> tuple[Pair, ...]:
        reference = self._cards[self._incumbent].cost_usd(TOKENS_IN, TOKENS_OUT)
        figures = figures_of(check)
        if not reference or figures is None:
            return ()
        estimates = self._quality.column(ABILITY[check]).estimates
        quality = [estimate.low for estimate in estimates]
        floor = estimates[self._incumbent].mean - ABLE
        shares = {
            i: cost / reference
            for i, card in enumerate(self._cards)
            if i != self._incumbent and (cost := card.cost_usd(TOKENS_IN, TOKENS_OUT)) is not None
        }
        able = [i for i, share in shares.items() if share < DEAREST and estimates[i].mean >= floor]
        able.sort(key=lambda i: (-quality[i], shares[i], i))
        found = []
        for one, other in combinations(able, 2):
            if self._houses[one] == self._houses[other] or shares[one] + shares[other] > DEAREST:
                continue
            agree = figures.agreeing(estimates[one].mean * estimates[other].mean)
            calls = shares[one] + shares[other]
            saving = figures.agreeing(quality[one] * quality[other]) - calls
            if saving > 0.0 and agree - calls >= LEAST_SAVING:
                found.append(Pair(one, other, agree, saving, figures.expected(*self._gap(one, other))))
        found.sort(key=lambda pair: -pair.saving)
        return tuple(found[:MOST_PAIRS])

    def _gap(self, one: int, other: int) -> tuple[float, float]:
        """Return how far the pair lies below the incumbent in general, and how little is known of that."""
        general = self._quality.column(GENERAL).estimates
        incumbent, first, second = general[self._incumbent], general[one], general[other]
        doubt = _guessed(incumbent) + (_guessed(first) + _guessed(second)) / 4
        return incumbent.mean - (first.mean + second.mean) / 2, math.sqrt(doubt)


def _guessed(quality: QualityEstimate) -> float:
    """Variance of a figure that is not published; the doubt about those that are was in what was measured."""
    return 0.0 if quality.cited else quality.variance


def house(card: ModelCard) -> str:
    """Return who trained a model: the first word of its name's stem, or the family of its card."""
    stem = parse(card.model).stem
    line = stem.split("-", 1)[0]
    return _HOUSES.get(line, card.family or line)


_HOUSES: Final = {
    "chatgpt": "openai", "gpt": "openai", "o1": "openai", "o3": "openai", "o4": "openai",
    "gemini": "google", "gemma": "google", "codegemma": "google",
    "llama": "meta", "codellama": "meta",
    "mistral": "mistral", "mixtral": "mistral", "ministral": "mistral", "codestral": "mistral", "magistral": "mistral",
    "mathstral": "mistral", "pixtral": "mistral", "devstral": "mistral",
    "qwen": "alibaba", "qwq": "alibaba", "qvq": "alibaba",
    "command": "cohere", "aya": "cohere",
}  # fmt: skip
"""Lines of models with several names in one house; any other line is a house of its own."""
