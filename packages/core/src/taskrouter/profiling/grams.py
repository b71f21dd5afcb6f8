"""What the n-gram classifier reads of a step: words, pairs of words, pieces of unspaced scripts, the text's shape.

Training reads steps through the same functions, so what is learnt is what is heard.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from functools import lru_cache
from itertools import chain, pairwise
from typing import Final, NamedTuple, TypeAlias

from taskrouter.profiling.rules import Look, look_at
from taskrouter.profiling.text import Words, split
from taskrouter.step import StepContext, StepView

Gram: TypeAlias = str | tuple[str, ...]
"""A word, the beginning of one, a pair of neighbouring words, or one to three neighbouring characters of a script
without blanks."""

SYSTEM_LEAD: Final = 40
"""Words at the start of a system prompt that count in full, the rest counts less: roles are stated first."""
USER_LEAD, USER_TAIL = 40, 20
"""Words at both ends of the user's text that count in full: a request stands before or behind its material."""
STEM: Final = 5
"""Letters of a beginning."""
CUT: Final = "…"
PIECE_CHARS: Final = 120
"""Characters of scripts without blanks that are cut into pieces."""

SYSTEM_STEPS: Final = (1, 100, 400, 1500)
USER_STEPS: Final = (1, 30, 80, 200, 500, 1200)
"""Characters from which a text counts as one step longer."""
NUMBER_STEPS: Final = (1, 2, 4, 8)
LINE_STEPS: Final = (1, 3, 10)
NEWLINE: Final = "\n"


def _steps(says: str, thresholds: tuple[int, ...]) -> list[str]:
    return [f"{says} {step}" for step in range(len(thresholds) + 1)]


_SYSTEM = _steps("system of length", SYSTEM_STEPS)
_CODE, _FORMULAS = _steps("code", (1, 2, 3, 4)), _steps("formulas", (1, 2, 3))
_NUMBERS, _LINES = _steps("numbers", NUMBER_STEPS), _steps("lines", LINE_STEPS)
_ASKS, _TELLS = _steps("question of length", USER_STEPS), _steps("no question of length", USER_STEPS)
_WITH_SYSTEM, _ALONE = _steps("system, user of length", USER_STEPS), _steps("no system, user of length", USER_STEPS)

_UNSPACED = re.compile("[\u0e00-\u0e7f\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af]+")
_NAME_PART = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")


class Voice(NamedTuple):
    """The n-grams of one speaker, in two parts of unequal weight."""

    lead: Iterable[Gram]
    rest: Iterable[Gram]


def system_voice(view: StepView, text: Words, context: StepContext) -> Voice:
    """Return the n-grams of the names of agent and node and of the system prompt."""
    words = text.system
    names = [grams(name_words(name)) for name in (context.agent, context.node) if name]
    return Voice(
        chain(*names, grams(words[:SYSTEM_LEAD]), stems(words[:SYSTEM_LEAD]), pieces(view.system)),
        grams(words[SYSTEM_LEAD:]),
    )


def user_voice(view: StepView, text: Words) -> Voice:
    """Return the n-grams of the user's text."""
    words = text.user
    if len(words) <= USER_LEAD + USER_TAIL:
        return Voice(chain(grams(words), stems(words), pieces(view.user)), ())
    lead, rest, tail = words[:USER_LEAD], words[USER_LEAD:-USER_TAIL], words[-USER_TAIL:]
    return Voice(chain(grams(lead), grams(tail), stems(lead), stems(tail), pieces(view.user)), grams(rest))


def grams(words: list[str]) -> Iterable[Gram]:
    """Return the words and the pairs of neighbours."""
    return chain(words, pairwise(words))


def stems(words: list[str]) -> list[Gram]:
    """Return the beginnings of the longer words: what is left of them however they are inflected."""
    return [word[:STEM] + CUT for word in words if len(word) > STEM]


def pieces(text: str) -> Iterator[Gram]:
    """Yield one to three neighbouring characters of scripts that put no blanks between words."""
    if text.isascii():
        return
    left = PIECE_CHARS
    for found in _UNSPACED.findall(text):
        run = found[:left]
        left -= len(run)
        yield from run
        yield from pairwise(run)
        yield from zip(run, run[1:], run[2:], strict=False)
        if not left:
            return


@lru_cache(maxsize=1024)
def name_words(name: str) -> list[str]:
    """Split the name of an agent or node into words, however it is spelt."""
    return split(" ".join(_NAME_PART.findall(name)))


def system_shape(view: StepView) -> str:
    """Return what can be seen of a system prompt without reading: its length in steps."""
    return _SYSTEM[_step(view.system_chars, SYSTEM_STEPS)]


def user_shape(view: StepView, look: Look) -> list[str]:
    """Return what can be seen of the user's text without reading: code, formulas, numbers, a question, its length."""
    user = view.user
    length = _step(len(user), USER_STEPS)
    seen = [
        _CODE[min(look.code, 4)],
        _FORMULAS[min(look.formulas, 3)],
        _NUMBERS[_step(look.numbers, NUMBER_STEPS)],
        _LINES[_step(user.count(NEWLINE), LINE_STEPS)],
        (_ASKS if look.asks else _TELLS)[length],
        (_WITH_SYSTEM if view.system else _ALONE)[length],
    ]
    if look.asks and user.rstrip().endswith("?"):
        seen.append("ends in a question")
    if look.options:
        seen.append("options")
    if view.last_role == "tool":
        seen.append("tool result")
    return seen


def spelt(gram: Gram) -> str:
    """Return an n-gram as people write it."""
    if isinstance(gram, str):
        return gram
    return ("" if all(map(_UNSPACED.fullmatch, gram)) else " ").join(gram)


def _step(value: int, thresholds: tuple[int, ...]) -> int:
    return bisect_right(thresholds, value)


NO_USER_SHAPE: Final = tuple(
    tuple(user_shape(StepView("x" * system, "", 0, 0, 1, "user", None, system), look_at("", ()))) for system in (0, 1)
)
"""What is seen where the user wrote nothing: without a system prompt, and with one."""
