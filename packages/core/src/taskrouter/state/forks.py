"""What must happen around `os.fork`: a child has its parent's memory, but neither its threads nor a right to its files.

A lock that another thread held at the fork stays locked in the child for ever, and a database connection that is used
on both sides corrupts the file. So a store names itself here and is told before and after.
"""

from __future__ import annotations

import contextlib
import os
import threading
import weakref
from typing import Protocol


class Forkable(Protocol):
    """A store that has something to do around a fork."""

    def before_fork(self) -> None:
        """Come to rest: nothing of this store may be half done when the child is made.

        A lock that is taken here must be one under which no other lock is taken, or the fork may wait for ever.
        """
        ...

    def after_fork_in_parent(self) -> None:
        """Go on."""
        ...

    def after_fork_in_child(self) -> None:
        """Forget locks, threads and connections; they are the parent's."""
        ...


_watched: weakref.WeakSet[Forkable] = weakref.WeakSet()
_one_at_a_time = threading.Lock()
_at_rest: list[Forkable] = []


def watch(store: Forkable) -> None:
    """Tell a store of forks for as long as it lives."""
    with _one_at_a_time:  # a fork in another thread may be going through them
        _watched.add(store)


def _before() -> None:
    _one_at_a_time.acquire()
    for store in list(_watched):
        store.before_fork()
        _at_rest.append(store)


def _in_parent() -> None:
    while _at_rest:
        _at_rest.pop().after_fork_in_parent()
    _one_at_a_time.release()


def _in_child() -> None:
    while _at_rest:
        _at_rest.pop().after_fork_in_child()
    _one_at_a_time.release()


with contextlib.suppress(AttributeError):  # there is no fork on Windows
    os.register_at_fork(before=_before, after_in_parent=_in_parent, after_in_child=_in_child)
