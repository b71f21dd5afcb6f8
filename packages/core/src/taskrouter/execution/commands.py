"""The conversation between engine and driver: the engine yields commands, the driver sends back events.

Events carry the driver's clock, so the engine needs none of its own and every order of failures can be tested without
waiting. Nothing here is changed after it was made. What is made for every chunk of a stream is not frozen all the same:
making a frozen one takes three times as long.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from taskrouter.errors import ModelCallError
from taskrouter.execution.partial import Partial
from taskrouter.outcome import ResponseView, Role
from taskrouter.ports import Endpoint, Refusal, VisitObserver


class Abandoned(BaseException):
    """Thrown into the engine by a driver whose caller has gone: cancelled, interrupted, or no longer reading."""

    def __init__(self, at_s: float) -> None:
        super().__init__()
        self.at_s = at_s


@dataclass(frozen=True, slots=True)
class _ToEndpoint:
    """What every call says, whole or streamed."""

    endpoint: Endpoint
    index: int
    """The attempt's, from 1."""
    role: Role
    timeout_s: float
    """Until the whole answer, or the first chunk of a stream."""
    visit: VisitObserver = field(repr=False)

    @property
    def model(self) -> str:
        """Id of the model."""
        return self.endpoint.model


@dataclass(frozen=True, slots=True)
class Call(_ToEndpoint):
    """Call the model and wait for its whole answer."""


@dataclass(frozen=True, slots=True)
class Await:
    """Wait until one of the calls that were started ends, but no longer than that."""

    timeout_s: float


@dataclass(frozen=True, slots=True)
class Cancel:
    """Give up a call that was started."""

    index: int


@dataclass(frozen=True, slots=True)
class OpenStream(_ToEndpoint):
    """Call the model and open a stream of its answer."""

    stall_timeout_s: float
    """Between chunks."""


@dataclass(slots=True)
class Gathered:
    """What has arrived of a stream that is read in the background: its reader writes, the engine looks."""

    latest_at_s: float
    """When the last chunk arrived; at first when the call began."""
    first_token_at_s: float | None = None
    partial: Partial = field(default_factory=Partial, repr=False)
    chunks: list[Any] = field(default_factory=list, repr=False)
    given_up: bool = False
    """Whether nobody wants the rest."""

    def add(self, native: Any, view: ResponseView, at_s: float) -> None:
        """Take in one chunk."""
        self.partial.began = True
        self.partial.add(view)
        self.chunks.append(native)
        self.latest_at_s = at_s
        if self.first_token_at_s is None and self.partial.meaningful:
            self.first_token_at_s = at_s


@dataclass(frozen=True, slots=True)
class Gather(OpenStream):
    """Call the model and read the stream of its answer to the end; its end is `Answered` with all chunks."""

    into: Gathered


@dataclass(frozen=True, slots=True)
class Start:
    """Make a call beside others; its end is heard of through `Await`."""

    call: Call | Gather


@dataclass(slots=True)
class Read:
    """Read the next chunk of the open stream."""

    timeout_s: float


@dataclass(frozen=True, slots=True)
class CloseStream:
    """Close the open stream and its connection."""


@dataclass(slots=True)
class Emit:
    """Hand a chunk to the consumer."""

    native: Any = field(repr=False)


@dataclass(slots=True)
class Relay:
    """Hand a chunk to the consumer, then read the next one: what a stream mostly does, as one command."""

    native: Any = field(repr=False)
    timeout_s: float


@dataclass(frozen=True, slots=True)
class Wait:
    """Do nothing for a while."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Reserve:
    """Set money aside; with a store on another machine this takes a round trip."""

    work: Callable[[], object | Refusal] = field(repr=False)
    undo: Callable[[object], None] = field(repr=False)
    """Gives back what `work` has set aside, should its caller be gone by then."""
    blocking: bool


Command: TypeAlias = Call | Start | Await | Cancel | OpenStream | Read | CloseStream | Emit | Relay | Wait | Reserve


@dataclass(slots=True)
class Answered:
    """A call returned, or one chunk of a stream arrived."""

    native: Any = field(repr=False)
    view: ResponseView
    at_s: float
    index: int = 0
    """Which call it was, of those that were started."""


@dataclass(slots=True)
class Ended:
    """The stream ended cleanly."""

    at_s: float


@dataclass(frozen=True, slots=True)
class Failed:
    """A call, or the reading of a stream, raised."""

    error: Exception = field(repr=False)
    at_s: float
    index: int = 0


@dataclass(frozen=True, slots=True)
class Reserved:
    """The money is set aside, or refused."""

    result: object | Refusal
    at_s: float


@dataclass(slots=True)
class Done:
    """The stream is open or closed, the chunk was taken, the call is started, or the wait is over."""

    at_s: float


CallEnd: TypeAlias = Answered | Failed
Event: TypeAlias = Answered | Ended | Failed | Reserved | Done

Asked: TypeAlias = Generator[Command, Event, "Answered | ModelCallError"]
"""One attempt being made, to its answer or its failure."""
