"""The final answer that a text gives: a number with its unit, a letter of multiple choice, or a few words."""

from __future__ import annotations

import re
from fractions import Fraction

_WORDS, _CHARS = 12, 120
"""A longer text is no short answer."""

_BOXED = re.compile(r"\\(?:boxed|fbox)\s*\{")
_MARKER = re.compile(r"(?i)\b(?:final\s+)?answer\s*(?::|=|\bis\b:?)\s*")
_HASHES = re.compile(r"^#{4}\s*(.+)$")
_FENCE = "```"

_NOT_AN_ANSWER = re.compile(
    r"(?i)\b(?:sorry|cannot|can ?not|can't|can’t|unable|not sure|unsure|unclear|not possible to|impossible to"
    r"|(?:do not|don't|don’t|does not|doesn't|doesn’t) (?:know|have|contain|provide|specify)|as an ai"
    r"|not enough information|insufficient information|let me|i'll|i’ll|i will)\b"
)
"""Two models that both say so have agreed on nothing."""

_CHOICE = re.compile(r"(?i)^(?:(?:option|choice)\s+)?(?:\(([a-j])\)|\[([a-j])\]|([a-j])[.):]?)$")
_LETTER_AND_TEXT = re.compile(r"^(?:\(([A-Ja-j])\)|([A-J])[.):])\s+(?=\S)")

_DIGITS = r"(?:\d{1,3}(?:,\d{3})+|\d+)"
_NUMBER = re.compile(
    rf"^(?P<sign>[-+−]?)\s*(?P<money>[$€£¥₹]?)\s*(?P<sign2>[-−]?)"
    rf"(?:(?P<whole>\d+)\s+(?=\d+\s*/))?"
    rf"(?P<value>(?:{_DIGITS}(?:\.\d+)?|\.\d+)(?:[eE][-+]?\d{{1,2}}(?!\w))?)"
    rf"(?:\s*/\s*(?P<below>{_DIGITS}(?:\.\d+)?))?"
    rf"(?P<unit>(?:\s*[%°]\s*|\s+|(?=[A-Za-zµμΩ])).*)?$",
    re.DOTALL,
)
_UNIT = re.compile(r"^[%°]?\s*[^\W\d_]*(?:[ /·^²³*-]*[^\W\d_²³]+[²³]?){0,3}$")
_LONGEST_NUMBER = 60

_LATEX_FRACTION = re.compile(r"\\[dt]?frac\s*\{\s*([^{}]+?)\s*\}\s*\{\s*([^{}]+?)\s*\}")
_LATEX_TEXT = re.compile(r"\\(?:text|textbf|mathrm|mathbf|mathit|operatorname)\s*\{([^{}]*)\}")
_LATEX_SPACE = re.compile(r"\\[,;:! ]|~")
_LATEX_SIGNS = (("\\%", "%"), ("\\$", "$"), ("\\cdot", "*"), ("\\times", "*"), ("^\\circ", "°"), ("\\left", ""))
_ENCLOSED = (("$$", "$$"), ("$", "$"), ("\\(", "\\)"), ("\\[", "\\]"), ('"', '"'), ("'", "'"), ("“", "”"), ("«", "»"))

_ARTICLE = re.compile(r"^(?:a|an|the)\s+")
_LEFT_SIDE = re.compile(r"^(?:[^\W\d_]+|(?:[^\W\d_](?![^\W\d_])|[\W\d_])*)$")
"""Of an equation: one name, or signs, digits and single letters."""
_WIDE = re.compile(r"[\u2e80-\u9fff\uac00-\ud7af\uf900-\ufaff\u0e00-\u0e7f]")
"""Of scripts that put no space between words."""
_LOWER_CASE_FROM = 5
"""Letters of a unit's word from which on its case tells nothing: `mW` and `MW` differ, `Apples` and `apples` do not."""


def final_answer(text: str, *, question: str = "") -> str | None:
    """Return the final answer of a text in its normal form, or None where it gives none that can be compared.

    It is looked for in this order: what stands in `\\boxed{...}`; the last line, after `####`, after `Answer:` or
    `the answer is`; the whole text, if it has at most 12 words. Numbers are compared by value (`1/2` and `0.5`) and
    keep their unit; `50 %` is not `0.5`.

    Args:
        text: the answer.
        question: what was asked: a letter with words behind it is a choice only where it is one of the options.
    """
    if _FENCE in text:
        return None
    if boxed := _boxed(text):
        read = dict.fromkeys(_normal(part, question) for part in boxed)
        return None if None in read else "; ".join(map(str, read))
    lines = [line.strip() for line in text.replace("**", "").replace("__", "").splitlines() if line.strip()]
    return _normal(_marked(lines) or " ".join(lines), question)


def _marked(lines: list[str]) -> str | None:
    """Return what the last line says, if it is marked as the answer."""
    if not lines:
        return None
    if hashes := _HASHES.match(lines[-1]):
        return hashes[1]
    if len(lines) > 1 and _after_marker(lines[-2]) == "":
        return lines[-1]
    return _after_marker(lines[-1])


def _after_marker(line: str) -> str | None:
    """Return what stands behind the last marker of a line; None: there is no marker."""
    found = None
    for found in _MARKER.finditer(line):  # noqa: B007 - the last one counts
        pass
    return None if found is None else line[found.end() :].strip()


def _boxed(text: str) -> list[str]:
    """Return what is boxed, with its own braces."""
    found: list[str] = []
    for begin in _BOXED.finditer(text):
        depth = 1
        for place in range(begin.end(), len(text)):
            depth += {"{": 1, "}": -1}.get(text[place], 0)
            if depth == 0:
                found.append(text[begin.end() : place])
                break
    return found


def _normal(fragment: str, question: str) -> str | None:
    plain = _bare(fragment)
    if not plain or _is_long(plain) or plain.endswith("?") or _NOT_AN_ANSWER.search(plain):
        return None
    if letter := _choice(plain, question):
        return f"choice {letter}"
    return _number(plain) or _number_after_equals(plain) or _words(plain)


def _bare(fragment: str) -> str:
    """Take away what only dresses an answer up: LaTeX, quotes, emphasis, a full stop."""
    plain = _LATEX_TEXT.sub(r"\1", _LATEX_FRACTION.sub(r"\1/\2", fragment))
    for sign, meant in _LATEX_SIGNS:
        plain = plain.replace(sign, meant)
    plain = _LATEX_SPACE.sub(" ", plain).replace("\u00a0", " ").replace("\u202f", " ")
    before = None
    while plain != before:
        before = plain
        plain = plain.strip().strip("*`").rstrip(".,;:!。").strip()
        for begin, end in _ENCLOSED:
            inner = plain[len(begin) : -len(end)]
            if plain.startswith(begin) and plain.endswith(end) and inner and begin not in inner:
                plain = inner
    return plain


def _is_long(plain: str) -> bool:
    return len(plain) > _CHARS or len(plain.split()) + len(_WIDE.findall(plain)) // 2 > _WORDS


def _choice(plain: str, question: str) -> str | None:
    if alone := _CHOICE.match(plain):
        return str(next(filter(None, alone.groups()))).upper()
    if begun := _LETTER_AND_TEXT.match(plain):
        letter = str(next(filter(None, begun.groups()))).upper()
        offered = {found.upper() for found in re.findall(r"(?m)^\s*[(\[]?([A-Ja-j])[.):\]]\s", question)}
        others = re.findall(r"(?:^|\s)\(?([A-J])[.)]", plain[begun.end() :])
        if len(offered) > 1 and letter in offered and not others:
            return letter
    return None


def _number_after_equals(plain: str) -> str | None:
    """Read the right side of the only equation."""
    left, equals, right = plain.partition("=")
    return _number(right.strip()) if equals and "=" not in right and _LEFT_SIDE.match(left.strip()) else None


def _number(plain: str) -> str | None:
    found = _NUMBER.match(plain)
    if found is None or len(plain) > _LONGEST_NUMBER:
        return None
    unit = (found["unit"] or "").strip()
    if not _UNIT.match(unit):
        return None
    value = _value(found)
    if value is None:
        return None
    if found["sign"] in ("-", "−") or found["sign2"]:
        value = -value
    return " ".join(filter(None, (f"number {value}", found["money"], _unit(unit))))


def _value(found: re.Match[str]) -> Fraction | None:
    value = Fraction(found["value"].replace(",", ""))
    if found["below"] is None:
        return value
    below = Fraction(found["below"].replace(",", ""))
    return None if below == 0 else Fraction(found["whole"] or 0) + value / below


def _unit(unit: str) -> str:
    words = unit.replace("percent", "%").split()
    return " ".join(word.casefold() if len(word) >= _LOWER_CASE_FROM else word for word in words)


def _words(plain: str) -> str | None:
    return "text " + " ".join(_ARTICLE.sub("", plain.casefold()).split())
