"""Who wrote a record of a shared log: a process knows its own again, and need not learn from them twice."""

from __future__ import annotations

import json
import math
import os
import secrets
import time

from taskrouter.state import forks


class Author:
    """A process, as its records name it.

    The child of a fork has a name of its own. What its parent wrote before the fork is in the child's memory as well;
    what the parent writes later is another's.
    """

    def __init__(self) -> None:
        self.name = _named()
        self._until_s: dict[str, float] = {self.name: math.inf}
        """Names that were ours, each with the time until which it was."""
        forks.watch(self)

    def wrote(self, text: str) -> bool:
        """Tell whether a record is ours; it names its author as `owner`, and its time as `at_s`."""
        return any(
            f'"owner": "{name}"' in text and (until_s == math.inf or _at_s(text) <= until_s)
            for name, until_s in self._until_s.items()
        )

    def before_fork(self) -> None:
        """Do nothing: there is nothing that could be half done."""

    def after_fork_in_parent(self) -> None:
        """Do nothing."""

    def after_fork_in_child(self) -> None:
        """Take another name."""
        self._until_s[self.name] = time.time()
        self.name = _named()
        self._until_s[self.name] = math.inf


def _named() -> str:
    return f"{os.getpid()}-{secrets.token_hex(6)}"


def _at_s(text: str) -> float:
    try:
        return float(json.loads(text)["at_s"])
    except (KeyError, TypeError, ValueError):
        return math.inf
