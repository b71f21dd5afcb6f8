"""What both vendors' stand-ins use to refuse a request."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any


class Refused(Exception):  # noqa: N818 - it is what the vendor does
    """The request is wrong; the vendor answers 400 with this message."""


def check(holds: object, message: str) -> None:
    """Refuse the request unless the condition holds."""
    if not holds:
        raise Refused(message)


def check_known(given: Iterable[str], known: Collection[str], where: str) -> None:
    """Refuse names that the vendor does not know."""
    for name in given:
        check(name in known, f"{where}: {name!r} is not known")


def names(text: str) -> frozenset[str]:
    """Return the names in a text."""
    return frozenset(text.split())


def check_schema(schema: Any, where: str) -> None:
    """Refuse what is no schema of an object."""
    check(isinstance(schema, Mapping) and schema.get("type") == "object", f"{where}: a schema of type object is needed")


def joined(content: str | Iterable[Mapping[str, Any]] | None) -> str:
    """Return the text of a content that is a text, or a list of parts."""
    if content is None or isinstance(content, str):
        return content or ""
    return " ".join(part["text"] for part in content if "text" in part)
