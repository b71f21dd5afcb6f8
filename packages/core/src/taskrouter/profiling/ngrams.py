"""The embedded trained classifier: a linear model over n-grams, the shape of the text and the evidence of the rules."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import repeat
from math import exp, sqrt
from operator import itemgetter
from struct import Struct
from typing import Final, NamedTuple

from taskrouter.ports import Classification
from taskrouter.profile import TASK_TYPES
from taskrouter.profiling.grams import (
    NO_USER_SHAPE,
    Gram,
    Voice,
    spelt,
    system_shape,
    system_voice,
    user_shape,
    user_voice,
)
from taskrouter.profiling.rules import Score, hear_identity, hear_user, look_at
from taskrouter.profiling.text import words
from taskrouter.profiling.weights import FEWEST, LANE_BYTES, LEAD, ZERO, Table, Weights, current
from taskrouter.step import StepContext, StepView

DECISIVE: Final = 0.7
"""Probability from which the names and the system prompt decide without the user's text."""
LISTED: Final = 0.005
"""Less probable task types are left out of the alternatives."""
SHOWN: Final = 3
"""N-grams that are shown for the winning task type."""
SYSTEM_SAYS, USER_SAYS = "name or system prompt says", "user text says"

_LANES = Struct(f"<{len(TASK_TYPES)}I{LANE_BYTES}x")
_TOP: Final = 8 * LANE_BYTES * len(TASK_TYPES)
_ZEROS: Final = repeat(0)
_LANE_OF: Final = {task_type: 8 * LANE_BYTES * place for place, task_type in enumerate(TASK_TYPES)}


class _Sum(NamedTuple):
    """What the n-grams of one voice say together."""

    known: int
    """How many of the lead the table knows."""
    lanes: Sequence[int]
    """Sum of weights for each task type, all shifted by one amount, which a softmax does not see."""
    factor: float
    """What a unit of `lanes` is worth."""
    telling: Sequence[int]
    """The rows of those of the lead that are worth showing."""


class NgramClassifier:
    """Adds up weights of words, pairs of words, shape and rules, learnt from labelled prompts.

    The names of the agent and node and the system prompt are heard first: where they settle the matter the user's text
    is not consulted, because it is mostly raw material, and the result holds for the whole step identity. That tools
    are offered is no evidence: it would make every step of an agent a `tool_use`.

    The probabilities are calibrated on sources that were left out of the training; `docs/classifier.md` has figures.
    The weights are read at the first classification and shared by the process.
    """

    name = "ngrams"

    def classify(self, view: StepView, context: StepContext) -> Classification:
        """Return the task types that fit, best first; none when nothing speaks.

        Raises:
            ConfigurationError: the file of weights is missing or damaged.
        """
        weights = current()
        text = words(view)
        role, system = _UNSAID, _NOTHING
        if view.system or context.agent or context.node:
            role = hear_identity(context, text.system)
            system = _hear(weights.system, system_voice(view, text, context))
        if system.known or role.weights:
            seen = _see(weights.shape, system_shape(view), NO_USER_SHAPE[bool(view.system)])
            ranked = _rank(weights, (system, _NOTHING, seen), (role, _UNSAID), weights.sharpness[0])
            if ranked[0][1] >= DECISIVE:
                signals = _signals(ranked[0][0], weights, system, _NOTHING)
                return Classification(ranked, (*signals, *role.signals), of_identity=True)
        look = look_at(view.user, text.user)
        request = Score({}, [])
        hear_user(request, view, text.user, look)
        user = _hear(weights.user, user_voice(view, text))
        if not (system.known or user.known or role.weights or request.weights):
            return _NO_VERDICT
        seen = _see(weights.shape, system_shape(view), user_shape(view, look))
        ranked = _rank(weights, (system, user, seen), (role, request), weights.sharpness[1])
        signals = _signals(ranked[0][0], weights, system, user)
        return Classification(ranked, (*signals, *role.signals, *request.signals))


def _hear(table: Table, voice: Voice) -> _Sum:
    """Add up what a voice says: each n-gram once, those of the lead in full."""
    row, mark = table.rows.get, table.mark
    lead = set(map(row, voice.lead, _ZEROS))  # rows, not n-grams: each is looked up once, and most pairs are dropped
    lead.discard(0)
    total, count = sum(lead) * LEAD, float(len(lead))
    if voice.rest:
        rest = set(map(row, voice.rest, _ZEROS))
        rest.discard(0)
        rest -= lead
        total += sum(rest)
        count += len(rest) / LEAD**2
    if not total:
        return _NOTHING
    telling = [row for row in lead if row >= mark]
    return _Sum(len(lead), _lanes(total), table.scale / (LEAD * sqrt(max(count, FEWEST))), telling)


def _see(table: Table, system: str, user: Iterable[str]) -> _Sum:
    """Add up what the shape says."""
    row = table.rows.get
    return _Sum(0, _lanes(sum(map(row, user, _ZEROS), row(system, 0))), table.scale, ())


def _lanes(total: int) -> tuple[int, ...]:
    return _LANES.unpack(total.to_bytes(_LANES.size, "little"))


def _rank(
    weights: Weights, sums: tuple[_Sum, _Sum, _Sum], scores: tuple[Score, Score], sharpness: float
) -> tuple[tuple[str, float], ...]:
    """Return the task types that are worth listing with their probabilities, best first."""
    logits: Iterable[float] = weights.bias
    for one in sums:
        if one is not _NOTHING:
            factor = one.factor
            logits = [logit + factor * lane for logit, lane in zip(logits, one.lanes, strict=True)]
    logits = [*logits]
    for score, counts in zip(scores, weights.rules, strict=True):
        for task_type, weight in score.weights.items():
            logits[_PLACE[task_type]] += counts[task_type] * weight
    most = max(logits)
    odds = [exp((logit - most) * sharpness) for logit in logits]
    total = sum(odds)
    least = LISTED * total
    listed = [(name, odd / total) for name, odd in zip(TASK_TYPES, odds, strict=True) if odd >= least]
    listed.sort(key=itemgetter(1), reverse=True)
    return tuple(listed)


def _signals(task_type: str, weights: Weights, system: _Sum, user: _Sum) -> tuple[str, ...]:
    """Name the n-grams that speak most for a task type. They are words of the public vocabulary, not of the prompt."""
    lane = _LANE_OF[task_type]
    found: list[tuple[float, str, Gram]] = []
    for table, heard, says in ((weights.system, system, SYSTEM_SAYS), (weights.user, user, USER_SAYS)):
        for row in heard.telling:
            weight = (row >> lane & 255) - ZERO
            if weight >= table.least:
                found.append((-weight * heard.factor, says, table.grams[row >> _TOP]))
    if len(found) > SHOWN:  # spelling costs more than finding, so only what may be shown is spelt
        found.sort(key=itemgetter(0))
        last = found[SHOWN - 1][0]
        found = [one for one in found if one[0] <= last]
    spelled = sorted([(weight, f"{says} {spelt(gram)!r}") for weight, says, gram in found])
    return tuple([signal for _, signal in spelled[:SHOWN]])


_PLACE: Final = {task_type: place for place, task_type in enumerate(TASK_TYPES)}
_NOTHING: Final = _Sum(0, (0,) * len(TASK_TYPES), 0.0, ())
_UNSAID: Final = Score({}, [])
_NO_VERDICT: Final = Classification(())
