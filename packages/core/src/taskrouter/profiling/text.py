"""One tokenisation of a step's extracts, shared by everything in profiling that reads words."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from taskrouter.step import StepView

_PLAIN = bytes(ord(chr(code).lower()) if code < 128 and chr(code).isalnum() else 32 for code in range(256))
"""Letters and digits of ASCII in lower case; all else parts words."""
_WORD = re.compile(r"[^\W_]+")


class Words(NamedTuple):
    """The words of a step in lower case, in their order."""

    system: list[str]
    """Words of the system prompt's extract."""
    user: list[str]
    """Words of the last user message's extract."""
    unique: frozenset[str]
    """All of them, once."""


def words(view: StepView) -> Words:
    """Return the words of a view, which is split once however many readers it has."""
    known: Words | None = view.words
    if known is None:
        system, user = split(view.system), split(view.user)
        known = Words(system, user, frozenset(system).union(user) if system else frozenset(user))
        object.__setattr__(view, "words", known)
    return known


def split(text: str) -> list[str]:
    """Split a text into words in lower case; `don't` becomes `dont`, `a_b` and `a-b` become two words."""
    if text.isascii():  # four times as fast as the regular expression, which is needed for other letters only
        return text.encode("ascii").translate(_PLAIN, b"'").decode("ascii").split()
    return _WORD.findall(text.lower())


def majority(words: Iterable[str], owners: Mapping[str, Sequence[str]]) -> tuple[str | None, int]:
    """Let each word vote for its owners; return the one with most votes and their number, or None after a tie."""
    votes: dict[str, int] = {}
    for word in words:
        for owner in owners[word]:
            votes[owner] = votes.get(owner, 0) + 1
    if not votes:
        return None, 0
    best = max(votes, key=votes.__getitem__)
    most = votes.pop(best)
    return (best if most > max(votes.values(), default=0) else None), most
