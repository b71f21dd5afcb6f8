"""The conversation between engine and driver: the engine yields commands, the driver sends back events.

Events carry the driver's clock, so the engine needs none of its own and every order of failures can be tested without
waiting.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, TypeAlias

from taskrouter.outcome import ResponseView, Role


@dataclass(frozen=True, slots=True)
class Call:
    """Call the model and wait for its whole answer."""

    model: str
    index: int
    role: Role
    timeout_s: float | None


@dataclass(frozen=True, slots=True)
class OpenStream:
    """Call the model and open a stream of its answer."""

    model: str
    index: int
    role: Role
    timeout_s: float | None


@dataclass(frozen=True, slots=True)
class Read:
    """Read the next chunk of the open stream."""

    timeout_s: float | None


@dataclass(frozen=True, slots=True)
class CloseStream:
    """Close the open stream and its connection."""


@dataclass(frozen=True, slots=True)
class Emit:
    """Hand a chunk to the consumer."""

    native: Any = field(repr=False)


@dataclass(frozen=True, slots=True)
class Wait:
    """Do nothing for a while."""

    seconds: float


Command: TypeAlias = Call | OpenStream | Read | CloseStream | Emit | Wait


@dataclass(frozen=True, slots=True)
class Answered:
    """A call returned, or one chunk of a stream arrived."""

    native: Any = field(repr=False)
    view: ResponseView
    at_s: float


@dataclass(frozen=True, slots=True)
class Ended:
    """The stream ended cleanly."""

    at_s: float


@dataclass(frozen=True, slots=True)
class Failed:
    """A call, or the reading of a stream, raised."""

    error: Exception = field(repr=False)
    at_s: float


@dataclass(frozen=True, slots=True)
class Done:
    """The stream is open or closed, the chunk was taken, or the wait is over."""

    at_s: float


Event: TypeAlias = Answered | Ended | Failed | Done
