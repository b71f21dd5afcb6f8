"""The embedded rule-based classifier: what it hears and how it weighs it can be read in one sitting."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from operator import itemgetter
from string import digits
from typing import Final, NamedTuple

from taskrouter.ports import Classification
from taskrouter.profile import TASK_TYPES
from taskrouter.profiling.lexicon import NAMES, REQUESTS, ROLES, STEMS, Lexicon, compiled, pieces
from taskrouter.profiling.text import split, words
from taskrouter.step import StepContext, StepView

TEMPERATURE: Final = 1.8
"""Weight that multiplies odds by e; chosen where the calibration error on mixed public prompts was least."""

ROLE_WORDS: Final = 60
"""Words at the start of a system prompt that count in full; the rest count half: roles are stated first."""
LEAD_WORDS, TAIL_WORDS = 45, 20
"""Words of a user message that are searched for a request. What lies between is mostly material to work on."""
AGAIN: Final = 0.5
"""What a further phrase for the same task type counts in a request: ten question words are not ten questions."""
CHAT_WORDS: Final = 40
"""Longer messages are no small talk, however they are worded."""

DECISIVE: Final = 0.6
"""Probability from which the name and the system prompt decide without the user's text."""
LISTED: Final = 0.005
"""Less probable task types are left out of the alternatives."""

_ROLE_OPENINGS = (["you", "are"], ["act", "as"], ["your", "task"], ["your", "role"], ["your", "job"])
_ACT_AS = ["i", "want", "you", "to"]
_NEGATIONS = frozenset({"not", "never", "dont", "without", "avoid", "cannot", "cant"})
_NAME_PART = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")
_CODE_SIGNS = "`{;=_<"
"""Most prose has none of these and is not searched for the marks of code."""
_CODE_MARKS = (
    "```", "def ", "import ", "#include", "return ", "();", "{\n", "};", "</", "public ", "const ", " => ", "SELECT ",
    "function ", "class ", "self.", "==", "Traceback", ");",
)  # fmt: skip
_ASCII_MATH_SIGNS = "$^\\="
_MATH_SIGNS = f"{_ASCII_MATH_SIGNS}∀∃∫√≤≥²∑"
_OPTION_SIGNS = (")", "B.", "B:")
_OPTION_MARKS = (("A)", "B)"), ("A.", "B."), ("A:", "B:"), ("1)", "2)"), ("(a)", "(b)"), ("a)", "b)"))

_SPEAKS: Final = {t: t.replace("_", " ").replace(" qa", " question answering") for t in TASK_TYPES}


class Score(NamedTuple):
    """Weight for each task type that something speaks for, and what spoke."""

    weights: dict[str, float]
    signals: list[str]


class Look(NamedTuple):
    """What can be seen of a user's text without reading it."""

    code: int
    """Different marks of source code."""
    formulas: int
    """Different signs of mathematics."""
    numbers: int
    """Whole numbers among the first words."""
    asks: bool
    """Whether there is a question mark."""
    options: bool
    """Whether options such as A) and B) are listed."""


class RuleClassifier:
    """Weighs words of the names, the system prompt and the last request, and the shape of the user's text.

    The names of the agent and node and the system prompt are heard first: where they settle the matter the user's text
    is not consulted, because it is mostly raw material, and the result holds for the whole step identity. That tools
    are offered is no evidence: it would make every step of an agent a `tool_use`.

    The probabilities are a softmax over the sums of weights, with task types nothing speaks for at zero.
    """

    name = "rules"

    def classify(self, view: StepView, context: StepContext) -> Classification:
        """Return the task types that fit, best first; none when nothing speaks."""
        text = words(view)
        score = hear_identity(context, text.system)
        alternatives = _probabilities(score.weights)
        if alternatives and alternatives[0][1] >= DECISIVE:
            return Classification(alternatives, tuple(score.signals), of_identity=True)
        hear_user(score, view, text.user, look_at(view.user, text.user))
        return Classification(_probabilities(score.weights), tuple(score.signals))


def hear_identity(context: StepContext, system: list[str]) -> Score:
    """Hear what holds for every step of an identity: the names of agent and node, and the system prompt."""
    score = Score({}, [])
    for name, kind in ((context.agent, "agent"), (context.node, "node")):
        if name:
            _add(score, dict(_name_weights(name)), f"the {kind}'s name suggests")
    if system:
        _add(score, _hear_role(system), "system prompt speaks of")
    return score


@lru_cache(maxsize=1024)
def _name_weights(name: str) -> tuple[tuple[str, float], ...]:
    heard: dict[str, float] = {}
    _weigh(_NAMES, split(" ".join(_NAME_PART.findall(name))), heard)
    return tuple(heard.items())


def _hear_role(text: list[str]) -> dict[str, float]:
    heard: dict[str, float] = {}
    _weigh(_ROLES, text[:ROLE_WORDS], heard)
    _weigh(_ROLES, text[ROLE_WORDS:], heard, 0.5)
    return heard


def hear_user(score: Score, view: StepView, user: list[str], look: Look) -> None:
    """Hear what the user's text asks for and what its form says."""
    _hear_request(score, view, user)
    _hear_shape(score, view, len(user), look)


def _hear_request(score: Score, view: StepView, user: list[str]) -> None:
    if user[:2] in _ROLE_OPENINGS or user[:4] == _ACT_AS:
        _add(score, _hear_role(user), "user text gives a role of")
    heard: dict[str, float] = {}
    _weigh(_REQUESTS, user[:LEAD_WORDS], heard, again=AGAIN)
    _weigh(_REQUESTS, user[LEAD_WORDS:][-TAIL_WORDS:], heard, 0.5, again=AGAIN)
    if not view.user.isascii():
        head = view.user[:240].lower()
        for piece, task_type, weight in _PIECES:
            if piece in head:
                heard[task_type] = max(heard.get(task_type, 0.0), weight)
    if len(user) > CHAT_WORDS:
        heard.pop("chat", None)
    _add(score, heard, "user text asks for")


def look_at(text: str, words: Sequence[str]) -> Look:
    """See what the form of a user's text says without reading it.

    Single characters are looked for one by one, which is faster than any regular expression.
    """
    has = text.__contains__
    plain = text.isascii()
    return Look(
        sum(map(has, _CODE_MARKS)) if any(map(has, _CODE_SIGNS)) else 0,
        sum(map(has, _ASCII_MATH_SIGNS if plain else _MATH_SIGNS)),
        0 if plain and not any(map(has, digits)) else sum(map(str.isdigit, words[:80])),
        "?" in text,
        any(map(has, _OPTION_SIGNS)) and any(second in text and first in text for first, second in _OPTION_MARKS),
    )


def _hear_shape(score: Score, view: StepView, length: int, look: Look) -> None:
    """Hear what the form of the user's text says: code, formulas, numbers, options, a question after a passage."""
    weights, signals = score
    code, marks, numbers, asks, _ = look
    if code >= 2:
        _raise(weights, "code_generation", min(2 + code, 6))
        signals.append("user text contains code")
    elif marks + min(numbers, 3) >= 3 or (asks and numbers >= 2):
        _raise(weights, "reasoning", 5 if asks else 4)
        signals.append("user text holds numbers or formulas")
    if asks:
        _hear_question(score, length, look)
    if view.last_role == "tool":
        _raise(weights, "tool_use", 4)
        _raise(weights, "reasoning", 1)
        signals.append("the last message is a tool result")


def _hear_question(score: Score, length: int, look: Look) -> None:
    weights, signals = score
    if length > 90 and look.code < 2 and look.numbers < 6:
        _raise(weights, "closed_qa", 3)
        signals.append("user text puts a question to a passage")
    elif length <= 25 and not look.code and look.numbers < 2:
        _raise(weights, "open_qa", 2)
        signals.append("user text is a short question")
    if look.options:
        _raise(weights, "open_qa", 3)
        signals.append("user text lists options")


def _weigh(lexicon: Lexicon, text: list[str], heard: dict[str, float], factor: float = 1.0, again: float = 1.0) -> None:
    """Add the weights of the phrases found in a text: the longest at each place, each once, none behind a negation.

    The strongest phrase of a task type counts in full, each further one by the share `again`.
    """
    begun = [(i, entry) for i, entry in enumerate(map(lexicon.get, text)) if entry is not None]
    if not begun:
        return
    negated = not _NEGATIONS.isdisjoint(text)
    said: set[int] = set()
    best: dict[str, int] = {}
    for i, (alone, followed) in begun:
        weights = alone
        if followed and (rests := followed.get(text[i + 1] if i + 1 < len(text) else "")):
            weights = next((w for rest, w in rests if text[i + 2 : i + 2 + len(rest)] == rest), weights)
        if not weights or id(weights) in said:
            continue
        if negated and not _NEGATIONS.isdisjoint(text[max(0, i - 3) : i]):
            continue
        said.add(id(weights))
        for task_type, weight in weights:
            so_far = best.get(task_type, 0)
            if weight > so_far:
                best[task_type] = weight
                counts = weight + so_far * (again - 1.0)
            else:
                counts = weight * again
            heard[task_type] = heard.get(task_type, 0.0) + counts * factor


def _add(score: Score, heard: Mapping[str, float], says: str) -> None:
    """Add what one voice says, and put its strongest word into the signals."""
    if not heard:
        return
    for task_type, weight in heard.items():
        _raise(score.weights, task_type, weight)
    task_type, weight = max(heard.items(), key=itemgetter(1))
    if weight >= 2:
        score.signals.append(f"{says} {_SPEAKS[task_type]}")


def _raise(weights: dict[str, float], task_type: str, weight: float) -> None:
    weights[task_type] = weights.get(task_type, 0.0) + weight


def _probabilities(weights: Mapping[str, float]) -> tuple[tuple[str, float], ...]:
    if not weights:
        return ()
    odds = {task_type: math.exp(weight / TEMPERATURE) for task_type, weight in weights.items()}
    total = sum(odds.values()) + len(TASK_TYPES) - len(odds)
    ranked = sorted(odds.items(), key=itemgetter(1), reverse=True)
    return tuple((task_type, o / total) for task_type, o in ranked if o >= LISTED * total)


_NAMES = compiled(NAMES)
_ROLES = compiled(ROLES)
_REQUESTS = compiled(REQUESTS)
_PIECES = pieces(STEMS)
