"""Taking out of captured content what may not leave: by the redactors that plugins offer."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping
from typing import Any, Final

from taskrouter.errors import raised_at
from taskrouter.ports import Redactor

logger = logging.getLogger("taskrouter.observability")

DEEPEST: Final = 20
"""Levels of nested values that are kept; collectors refuse what is nested about a hundred deep."""
_WIDEST = 2**63
"""Whole numbers beyond have no form on the wire."""


class RedactionFailedError(Exception):
    """A redactor did not do its work, so what it was given is shown to nobody."""


class Redaction:
    """Applies redactors to every text, one after the other.

    Args:
        redactors: what takes private things out of a text, by name, in the order in which they are applied.
    """

    def __init__(self, redactors: Mapping[str, Redactor]) -> None:
        self._redactors = redactors
        self._blamed: set[str] = set()

    def text(self, text: str) -> str:
        """Return a text without what the redactors have taken out, in a form that can be encoded.

        Raises:
            RedactionFailedError: one of them raised, or returned no text.
        """
        for name, redactor in self._redactors.items():
            try:
                text = redactor(text)
            except Exception as error:  # noqa: BLE001 - it may raise anything, and quote the text in it
                self._blame(name, raised_at(error))
                raise RedactionFailedError from None
            if not isinstance(text, str):
                self._blame(name, f"it returned a {type(text).__name__}")
                raise RedactionFailedError
        return text if text.isascii() else text.encode("utf-8", "replace").decode()  # a lone surrogate has no encoding

    def value(self, value: Any, depth: int = 0) -> Any:
        """Return a JSON-like value, redacted text by text: keys, and numbers by their digits, too.

        Raises:
            RedactionFailedError: a redactor raised, or returned no text.
        """
        match value:
            case str():
                return self.text(value)
            case None | True | False:
                return value
            case int() | float():
                return self._number(value)
            case _:
                return self._nested(value, depth)

    def _nested(self, value: Any, depth: int) -> Any:
        match value:
            case _ if depth >= DEEPEST:
                return "(nested too deeply)"
            case Mapping():
                return {self.text(str(key)): self.value(inner, depth + 1) for key, inner in value.items()}
            case list() | tuple():
                return [self.value(inner, depth + 1) for inner in value]
            case _:
                return f"({type(value).__name__})"

    def _number(self, value: float) -> Any:
        """Return a number that has a form on the wire, and of which a redactor has taken nothing out; else its text."""
        said = str(value)
        shown = self.text(said)
        plain = shown == said and math.isfinite(value) and -_WIDEST <= value < _WIDEST
        return value if plain else shown

    def _blame(self, name: str, why: str) -> None:
        if name not in self._blamed:
            self._blamed.add(name)
            logger.warning(
                "the redactor %r failed, which is said once: %s; content that it fails on is left out", name, why
            )
