"""Graders of text: `exact`, `contains`, `regex`, `numeric`."""

from __future__ import annotations

import asyncio
import json
import math
import re
import unicodedata
from typing import Any

from taskrouter.grading.cases import Case, Grade, Graded, Skip
from taskrouter.grading.kinds import Contains, Exact, Numeric, Regex
from taskrouter.grading.numbers import final_number, numbers_in
from taskrouter.grading.patterns import SEARCHES
from taskrouter.grading.schema import same_json
from taskrouter.grading.threads import in_thread
from taskrouter.outcome import ResponseView

MAX_SEARCHED_CHARS = 1_000_000
LARGEST = 1e300
"""Numbers beyond it cannot be compared within a tolerance."""
_AROUND = " \t\n\"'`*_"
_BLANKS = re.compile(r"\s+")


def normalised(text: str) -> str:
    """Return a text without what `exact` ignores: case, width, blanks, quotes and emphasis around it, a full stop."""
    plain = _BLANKS.sub(" ", unicodedata.normalize("NFKC", text)).strip(_AROUND)
    return plain.removesuffix(".").strip(_AROUND).casefold()


class ExactGrader:
    """Compares the whole answer."""

    def __init__(self, config: Exact) -> None:
        self._config = config

    def grade(self, case: Case, view: ResponseView) -> Graded:
        """Grade an answer."""
        wanted = case.expected if isinstance(case.expected, list) else [case.expected]
        right = any(self._equal(view.text, one) for one in wanted) or self._equal(view.text, case.expected)
        return Grade(score=float(right), detail="as expected" if right else "not as expected")

    async def agrade(self, case: Case, view: ResponseView) -> Graded:
        """Grade an answer."""
        return self.grade(case, view)

    def _equal(self, text: str, wanted: Any) -> bool:
        if isinstance(wanted, str):
            return text == wanted if self._config.strict else normalised(text) == normalised(wanted)
        try:
            return same_json(json.loads(text), wanted)
        except (ValueError, RecursionError):
            return False


class ContainsGrader:
    """Looks for texts in the answer."""

    def __init__(self, config: Contains) -> None:
        self._config = config

    def grade(self, case: Case, view: ResponseView) -> Graded:
        """Grade an answer."""
        wanted = [str(one) for one in (case.expected if isinstance(case.expected, list) else [case.expected])]
        strict = self._config.strict
        text = view.text if strict else normalised(view.text)
        hits = sum((one if strict else normalised(one)) in text for one in wanted)
        detail = f"{hits} of {len(wanted)} expected texts occur"
        if self._config.partial:
            return Grade(score=hits / len(wanted), detail=detail)
        return Grade(score=float(hits == len(wanted) if self._config.match == "all" else hits > 0), detail=detail)

    async def agrade(self, case: Case, view: ResponseView) -> Graded:
        """Grade an answer."""
        return self.grade(case, view)


class RegexGrader:
    """Searches the answer for a pattern, in a process of its own."""

    def __init__(self, config: Regex) -> None:
        self._config = config

    def grade(self, case: Case, view: ResponseView) -> Graded:  # noqa: ARG002 - the protocol's
        """Grade an answer."""
        config = self._config
        if len(view.text) > MAX_SEARCHED_CHARS:
            return Skip(reason="too_long", detail=f"an answer of more than {MAX_SEARCHED_CHARS:,} characters")
        found = SEARCHES.found(config.pattern, view.text, whole=config.whole, timeout_s=config.timeout_s)
        if found is None:
            return Skip(reason="timed_out", detail=f"the pattern took longer than {config.timeout_s:g} s")
        return Grade(score=float(found), detail="the pattern was found" if found else "the pattern was not found")

    async def agrade(self, case: Case, view: ResponseView) -> Graded:
        """Grade an answer."""
        return await asyncio.wrap_future(in_thread(lambda: self.grade(case, view)))


class NumericGrader:
    """Compares the answer's last number."""

    def __init__(self, config: Numeric) -> None:
        self._config = config

    def grade(self, case: Case, view: ResponseView) -> Graded:
        """Grade an answer."""
        wanted = expected_number(case.expected)
        if wanted is None:
            return Skip(reason="bad_label", detail="what is expected is no number")
        given = final_number(view.text)
        if given is None:
            return Grade(score=0.0, detail="the answer has no number")
        right = math.isclose(given, wanted, rel_tol=0.0, abs_tol=max(
            self._config.absolute, self._config.relative * abs(wanted)
        ))  # fmt: skip
        return Grade(score=float(right), detail="within tolerance" if right else "another number")

    async def agrade(self, case: Case, view: ResponseView) -> Graded:
        """Grade an answer."""
        return self.grade(case, view)


def expected_number(expected: Any) -> float | None:
    """Return the number that a case expects, also where it is written as text, or None."""
    if isinstance(expected, bool):
        return None
    if isinstance(expected, int | float):
        return float(expected) if abs(expected) <= LARGEST else None
    numbers = numbers_in(expected) if isinstance(expected, str) else []
    return numbers[0] if len(numbers) == 1 else None
