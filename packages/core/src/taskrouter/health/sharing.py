"""What processes tell each other: which breakers are open and which rate gates are closed, in wall-clock time.

One entry per guard and kind. Of two pieces of news about one breaker the later one holds; of two about one rate gate
the one that lasts longer. An entry outlives its opening by a while: removed before that, it says that a probe of
another process went well. Whoever meets older news of an opening than its own closing puts the closing in its place,
because removing what its writer has not yet seen would look to the writer as if it had never arrived. Clocks of
machines are expected to agree within a minute.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Literal, NamedTuple, Protocol

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from taskrouter.health.guard import Guard

LINGER_S = 600.0
"""How long an entry stays after its breaker has become half-open: long enough for somebody to call and report."""
CONTRADICTS_S = 60.0
"""How long a breaker that has closed here contradicts older news of its opening. Later it may be somebody whose clock
is late, and who would never be heard."""
SKEW_S = 60.0
"""News from further in the future than this is not believed."""
TICK_S = 1e-6
"""What one process learns in a row keeps its order, however coarse the clocks are."""
ELSEWHERE = ", seen by another process"


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """An entry for the state store: the same two fields as its entries have."""

    value: str = field(repr=False)
    expires_at_s: float | None = None
    """Seconds since the epoch."""


class StoredEntry(Protocol):
    """An entry as the state store returns it."""

    @property
    def value(self) -> str:
        """The text that was put."""
        ...

    @property
    def expires_at_s(self) -> float | None:
        """Seconds since the epoch; None: it stays."""
        ...


class Opening(NamedTuple):
    """What is known of a breaker, in seconds since the epoch. The greater of two is the newer."""

    at_s: float
    """When it opened or closed."""
    is_open: bool
    until_s: float
    down: bool


class _Told(BaseModel):
    """The text of an entry."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    v: Literal[1] = 1
    at_s: float
    until_s: float
    is_open: bool = True
    down: bool = False
    why: Annotated[str, Field(max_length=300, pattern=r"^[^\x00-\x1f\x7f-\x9f]*$")] = ""


class SharedBreaker:
    """A guard's breaker, and how far others know of it."""

    def __init__(self, guard: Guard) -> None:
        self.key = f"breaker/{guard.kind}/{guard.name}"
        self._guard = guard
        self._state = self._read()
        self._known = Opening(-math.inf, False, -math.inf, False)
        self._told = True
        self._contradicts = False
        """Whether the store holds older news of an opening than our closing."""
        self._ended: Opening | None = None
        """The opening that our closing ended, until its entry has been removed."""
        self._stored_until_s: float | None = None
        """When the entry that says the same as we know expires; None while we have not seen it in the store."""

    def news(self, now_s: float, epoch_s: float) -> Mapping[str, Notice | None]:
        """Return the entry to be written, if there is anything to tell."""
        self._stamp(now_s, epoch_s)
        if self._told:
            return {}
        self._told = True
        known = self._known
        if self._contradicts:
            return {self.key: _notice(known, "", epoch_s + CONTRADICTS_S)}
        if not known.is_open:
            self._ended = None
            return {self.key: None}
        if known.until_s + LINGER_S <= epoch_s:
            return {}
        return {self.key: _notice(known, self._guard.breaker.why, known.until_s + LINGER_S)}

    def adopt(self, entry: StoredEntry | None, now_s: float, epoch_s: float) -> bool:
        """Take over what the store says; return whether it changed anything here."""
        self._stamp(now_s, epoch_s)
        if entry is None or _expired(entry, epoch_s):
            return self._adopt_nothing(now_s, epoch_s)
        if (told := _parsed(entry, epoch_s)) is None:
            return False
        theirs = Opening(told.at_s, told.is_open, told.until_s, told.down)
        if theirs == self._known:
            self._seen(entry)
            return False
        if theirs > self._known:
            self._take_over(theirs, told.why, now_s, epoch_s)
            self._seen(entry)
            return True
        if self._known.is_open or epoch_s - self._known.at_s < CONTRADICTS_S:
            # Theirs is older news than ours.
            self._told, self._contradicts = False, not self._known.is_open and theirs != self._ended
        return False

    def _adopt_nothing(self, now_s: float, epoch_s: float) -> bool:
        if not self._known.is_open:
            return False
        stored_until_s, self._stored_until_s = self._stored_until_s, None
        if stored_until_s is None:
            self._told = False  # it has not arrived
            return False
        if epoch_s >= stored_until_s:
            return False
        self._guard.close(now_s)
        self._state = self._read()
        # Dated just after the opening that it ends, for when it happened is not known: any later opening is newer.
        at_s = self._known.at_s + TICK_S
        self._known, self._ended, self._told = Opening(at_s, False, at_s, False), None, True
        return True

    def _take_over(self, theirs: Opening, why: str, now_s: float, epoch_s: float) -> None:
        settings = self._guard.settings
        longest_s = settings.down_s if theirs.down else settings.max_open_s
        length_s = min(theirs.until_s - theirs.at_s, longest_s)
        since_s = now_s - max(0.0, epoch_s - theirs.at_s)
        if theirs.is_open:
            self._guard.open(since_s, length_s, why.removesuffix(ELSEWHERE) + ELSEWHERE, down=theirs.down)
        elif self._guard.breaker.is_open:
            self._guard.close(now_s)
        self._state, self._known, self._told = self._read(), theirs, True

    def _seen(self, entry: StoredEntry) -> None:
        self._stored_until_s = math.inf if entry.expires_at_s is None else entry.expires_at_s
        self._told, self._contradicts = True, False

    def _read(self) -> tuple[float, float, bool, bool]:
        breaker = self._guard.breaker
        return breaker.since_s, breaker.until_s, breaker.is_open, breaker.down

    def _stamp(self, now_s: float, epoch_s: float) -> None:
        """Date what has happened here since the last look."""
        state = self._read()
        if state == self._state:
            return
        breaker = self._guard.breaker
        at_s = max(epoch_s - (now_s - breaker.since_s), self._known.at_s + TICK_S)
        self._state = state
        if not breaker.is_open and self._known.is_open:
            self._ended = self._known
        self._known = Opening(at_s, breaker.is_open, at_s + breaker.length_s, breaker.down)
        self._told, self._contradicts, self._stored_until_s = False, False, None


class SharedGate:
    """A guard's rate gate, and how far others know of it."""

    def __init__(self, guard: Guard) -> None:
        self.key = f"gate/{guard.kind}/{guard.name}"
        self._guard = guard
        self._state = guard.gate_until_s
        self._at_s = self._until_s = -math.inf
        self._told = True

    def news(self, now_s: float, epoch_s: float) -> Mapping[str, Notice | None]:
        """Return the entry to be written, if there is anything to tell."""
        self._stamp(now_s, epoch_s)
        if self._told:
            return {}
        self._told = True
        if self._until_s <= epoch_s:
            return {}
        return {self.key: _notice(Opening(self._at_s, True, self._until_s, False), "", self._until_s)}

    def adopt(self, entry: StoredEntry | None, now_s: float, epoch_s: float) -> bool:
        """Take over what the store says; return whether it changed anything here."""
        self._stamp(now_s, epoch_s)
        told = None if entry is None or _expired(entry, epoch_s) else _parsed(entry, epoch_s)
        longest_s = self._guard.settings.max_open_s
        until_s = -math.inf if told is None else min(told.until_s, told.at_s + longest_s)
        if until_s < self._until_s:
            self._told = False  # it has not arrived, or was overwritten
        if told is None or until_s <= max(self._until_s, epoch_s):
            return False
        guard = self._guard
        guard.gate_since_s = now_s - max(0.0, epoch_s - told.at_s)
        guard.gate_until_s = now_s + min(until_s - epoch_s, longest_s)
        guard.quiet = False
        self._state, self._at_s, self._until_s, self._told = guard.gate_until_s, told.at_s, until_s, True
        return True

    def _stamp(self, now_s: float, epoch_s: float) -> None:
        guard = self._guard
        if guard.gate_until_s == self._state:
            return
        self._state = guard.gate_until_s
        self._at_s, self._until_s = (epoch_s - (now_s - at_s) for at_s in (guard.gate_since_s, guard.gate_until_s))
        self._told = False


def _notice(opening: Opening, why: str, expires_at_s: float) -> Notice:
    told = _Told(**opening._asdict(), why=why)
    return Notice(value=told.model_dump_json(), expires_at_s=expires_at_s)


def _expired(entry: StoredEntry, epoch_s: float) -> bool:
    return entry.expires_at_s is not None and entry.expires_at_s <= epoch_s


def _parsed(entry: StoredEntry, epoch_s: float) -> _Told | None:
    """Read an entry; None where it makes no sense: another version, another program, a broken clock."""
    try:
        told = _Told.model_validate_json(entry.value)
    except ValidationError:
        return None
    return told if told.at_s <= told.until_s and told.at_s <= epoch_s + SKEW_S else None
