"""Telling other processes what this one has learned of the moment, and hearing it from them, behind the calls.

The decision path reads what is here in memory; a thread exchanges it with the store, every `refresh_s` and at once when
a call has failed, for that may have opened a breaker.
"""

from __future__ import annotations

import atexit
import logging
import os
import threading
import time
import weakref
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any

from taskrouter.budget import BudgetBook
from taskrouter.errors import ConfigurationError, ModelCallError, StoreUnavailable, raised_at
from taskrouter.health import Health, Notice, Turn
from taskrouter.state import forks
from taskrouter.state.store import Entry, StateStore

logger = logging.getLogger("taskrouter.state")

BREAKERS = "breakers"
"""The store's space for what every process should know of endpoints."""
SHORTEST_S = 0.02
"""Pause between two exchanges, however often something happens: failures come in swarms."""


class Sharing:
    """Exchanges breakers and budgets with a shared store.

    Args:
        store: where other processes look too. At the end of the program it is closed.
        health: what this process knows of endpoints.
        budgets: what it has used of shared budgets.
        refresh_s: seconds between two exchanges.
        write: writes what else waits for the store. It is kept for as long as the thread lives, so it must not know of
            the router.
    """

    def __init__(
        self,
        store: StateStore,
        health: Health,
        budgets: BudgetBook,
        *,
        refresh_s: float,
        write: Callable[[], None] = lambda: None,
    ) -> None:
        self._store, self._health, self._budgets, self._refresh_s = store, health, budgets, refresh_s
        self._write = write
        self._stopped = False
        self._failing = False
        """Whether it has been said that the exchange fails."""
        self._rest()
        forks.watch(self)

    def _rest(self) -> None:
        self._wake = threading.Event()
        self._starting = threading.Lock()
        self._exchanging = threading.Lock()
        self._thread: threading.Thread | None = None
        self._pid: int | None = None
        """The process that the thread runs in."""

    def before_fork(self) -> None:
        """Do nothing: what a child takes over is made anew there."""

    def after_fork_in_parent(self) -> None:
        """Do nothing."""

    def after_fork_in_child(self) -> None:
        """Be as before the beginning: the thread has stayed with the parent, and it may have held any lock."""
        self._rest()

    def begin(self) -> None:
        """Start the thread, once in every process. It makes the first exchange at once."""
        if self._pid == os.getpid():
            return
        with self._starting:
            if self._pid == os.getpid() or self._stopped:
                return
            self._pid = os.getpid()
            wake = self._wake
            reference = weakref.ref(self, lambda _: wake.set())
            work = (reference, wake, self._refresh_s, self._store, self._budgets, self._write)
            self._thread = threading.Thread(
                target=_exchange_until_gone, args=work, name="taskrouter-state", daemon=True
            )
            self._thread.start()
            # After the store was opened, so that this runs before what the store itself does at exit.
            farewell = partial(_last_words, weakref.ref(self))
            atexit.register(farewell)
            weakref.finalize(self, atexit.unregister, farewell).atexit = False

    def wake(self) -> None:
        """Exchange soon: something has changed that others should know."""
        self._wake.set()

    def exchange(self) -> None:
        """Write what has changed here, read what has changed elsewhere. A store that is away is no failure."""
        with self._exchanging:
            try:
                now_s, epoch_s = time.monotonic(), time.time()
                if changes := self._health.changes(now_s, epoch_s):
                    self._store.put(BREAKERS, {key: _entry(notice) for key, notice in changes.items()})
                self._health.adopt(self._store.entries(BREAKERS), now_s, epoch_s)
                self._budgets.synchronise()
                self._write()
                self._failing = False
            except StoreUnavailable as error:
                logger.debug("the store could not be reached: %s", str(error))
            except Exception as error:  # noqa: BLE001 - the thread must live: without it budgets and breakers would silently part
                level = logging.DEBUG if self._failing else logging.WARNING
                self._failing = True
                why = str(error) if isinstance(error, ConfigurationError) else raised_at(error)
                logger.log(level, "the %s store cannot be used: %s", self._store.name, why)

    def stop(self, *, close: bool = False) -> None:
        """Write what is left and end the thread; `close` the store too."""
        with self._starting:
            began, self._stopped = self._pid == os.getpid(), True
        self._wake.set()
        if began:
            self.exchange()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(_PATIENCE_S)
        if close:
            self._store.close()

    @property
    def stopped(self) -> bool:
        """Whether it has been stopped."""
        return self._stopped


_PATIENCE_S = 2.0
"""How long a program that ends waits for an exchange under way."""


class TellingHealth(Health):
    """A health record that says when something may have changed that others should know at once."""

    tell: Callable[[], None] | None = None

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.listeners: list[Callable[[Turn], None]] = []
        """Told of every breaker that a call of this process has turned; not of what other processes have told us."""
        forks.watch(self)

    def before_fork(self) -> None:
        """Come to rest."""
        self._lock.acquire()

    def after_fork_in_parent(self) -> None:
        """Go on."""
        self._lock.release()

    def after_fork_in_child(self) -> None:
        """Go on with a copy."""
        self._lock.release()

    def succeeded(
        self, endpoint_id: str, now_s: float, *, latency_s: float, first_token_s: float | None = None
    ) -> None:
        """A call was answered."""
        super().succeeded(endpoint_id, now_s, latency_s=latency_s, first_token_s=first_token_s)
        if self.turns:
            self._told()

    def failed(
        self, endpoint_id: str, error: ModelCallError, now_s: float, *, latency_s: float, probe: bool = True
    ) -> None:
        """A call failed."""
        super().failed(endpoint_id, error, now_s, latency_s=latency_s, probe=probe)
        if self.turns:
            self._told()
        if self.tell is not None:
            self.tell()

    def _told(self) -> None:
        """Pass on what has turned, outside of the lock: a listener may take its time."""
        while self.turns:
            try:
                turn = self.turns.popleft()
            except IndexError:  # another thread was quicker
                return
            for listener in self.listeners:
                listener(turn)


def waking(sharing: Sharing) -> Callable[[], None]:
    """Return what wakes an exchange for as long as there is one: whoever keeps this does not keep the exchange."""
    reference = weakref.ref(sharing)

    def wake() -> None:
        if (exchange := reference()) is not None:
            exchange.wake()

    return wake


def _entry(notice: Notice | None) -> Entry | None:
    return None if notice is None else Entry(value=notice.value, expires_at_s=notice.expires_at_s)


def _exchange_until_gone(
    reference: weakref.ref[Sharing],
    wake: threading.Event,
    refresh_s: float,
    store: StateStore,
    budgets: BudgetBook,
    write: Callable[[], None],
) -> None:
    while True:
        sharing = reference()
        if sharing is None:  # its router was dropped without a word: what it has spent is written all the same
            for last in (budgets.synchronise, write, store.close):
                with suppress(Exception):
                    last()
            return
        if sharing.stopped:
            return
        sharing.exchange()
        del sharing  # while it waits, the thread must not keep the router alive
        time.sleep(SHORTEST_S)
        wake.wait(refresh_s - SHORTEST_S)
        wake.clear()


def _last_words(reference: weakref.ref[Sharing]) -> None:
    if (sharing := reference()) is not None and not sharing.stopped:
        sharing.stop(close=True)
