"""Which answers can be compared: the kinds of steps on which two models that say the same are a check."""

from __future__ import annotations

import re
from typing import Final, Literal, TypeAlias

from taskrouter.profile import TaskProfile
from taskrouter.step import Step

Check: TypeAlias = Literal["tool_calls", "number", "code", "choice", "json"]
"""What is compared: proposed tool calls, a number, the value that code computes, the letter of an option, a document of
the asked schema."""

_OPTIONS: Final = re.compile(r"(?:^|\n)[^\S\n]*\(?(?:A|a|1)[).:]\s.+?(?:^|\n)[^\S\n]*\(?(?:B|b|2)[).:]\s", re.DOTALL)
_LETTERED: Final = re.compile(r"\n[^\S\n]*\(?[B-J][).:]\s")
SOME: Final = 2
"""Lettered lines that make a list of options."""
_CODE: Final = re.compile(r"```|\[PYTHON\]|\bdef \w+\(|\bassert \w|\bfunction \w*\(|#include|\breturn\b.*[;\n]|\);")
_CODE_MARKS: Final = ("```", "def ", "assert ", "function ", "return ", "print(", "#include", "[PYTHON]")
"""At least one stands in any piece of code; looking for them costs less than a pattern."""
_ASKS_VALUE: Final = re.compile(
    r"\b(?:what|which|predict|determine|give|tell|compute|evaluate|find|complete|literal)\b[^.?!]{0,160}"
    r"\b(?:outputs?|return(?:s|ed)?|print(?:s|ed)?|displayed|evaluates?|value|result)\b",
    re.IGNORECASE,
)
_ASKS_CODE: Final = re.compile(
    r"\b(?:write|implement|create|build|fix|debug|refactor|optimi[sz]e|rewrite|add|modify|translate|convert|explain)\b"
    r"|\bcomplete (?:the|this|my) (?:\w+ )?(?:function|code|method|class|implementation|body|program|script)\b",
    re.IGNORECASE,
)
_PROSE: Final = re.compile(r"```.*?(?:```|$)|\[PYTHON\].*?(?:\[/PYTHON\]|$)", re.DOTALL)
_QUANTITY: Final = re.compile(r"\d|\\[a-z]+\{|\$[^$]+\$")


_ABOUT_CODE: Final = frozenset({"reasoning", "code_generation", "code_repair", "open_qa", "verification", "unknown"})
"""What such a question may be taken for: its words are those of code."""


def check_of(step: Step, profile: TaskProfile) -> Check | None:
    """Return what two answers to the step can be compared by, or None.

    A step that offers tools is compared by the calls that are proposed, none being an answer too. Of texts only short
    final answers can be compared, so the step must ask for one.
    """
    if step.tools:
        return "tool_calls"
    if step.response_schema is not None:
        return "json"
    return _of_text(step.view.user, profile)


def _of_text(text: str, profile: TaskProfile) -> Check | None:
    if profile.task_type in _ABOUT_CODE and asks_what_code_computes(text):
        return "code"
    if profile.task_type != "reasoning":
        return None
    if lists_options(text):
        return "choice"
    if _CODE.search(text):
        return "code"
    return "number" if profile.domain == "math" or _QUANTITY.search(text) else None


def asks_what_code_computes(text: str) -> bool:
    """Tell whether a text shows code and asks for the value that it gives, and not for code."""
    if not any(mark in text for mark in _CODE_MARKS):
        return False
    prose = _PROSE.sub(" ", text)
    return len(prose) < len(text) and _ASKS_VALUE.search(prose) is not None and _ASKS_CODE.search(prose) is None


def lists_options(text: str) -> bool:
    """Tell whether a text lists options to choose from. A clipped text may show the last ones only."""
    return _OPTIONS.search(text) is not None or len(_LETTERED.findall(text)) >= SOME
