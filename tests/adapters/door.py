"""What hides a framework from the shared suite: a door makes its routed model, asks it, and shows what it said.

A door is written once per framework, in `doors/`, as a module with a `DOOR`. It holds no assertion and forgives
nothing: it calls what a user calls, and hands on what a user gets, errors included. What the framework cannot do at all
stands in `lacks`; `test_doors.py` asks for it and fails when it is there after all.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple, Protocol, TypeAlias

from pydantic import BaseModel

from taskrouter import Router


class Wire(NamedTuple):
    """A candidate's vendor, as the stand-ins speak it."""

    id: str
    """The candidate's id in the pool, which is never the model's name."""
    model: str
    """The model's name: what `Vendors.fail` takes and `Received.model` says."""
    path: str
    """Where its requests arrive."""
    provider: str
    """The first part of a LiteLLM string."""


OPENAI = Wire("chatty", "gpt-4.1-mini", "/v1/chat/completions", "openai")
ANTHROPIC = Wire("quiet", "claude-haiku-4-5", "/v1/messages", "anthropic")
RESPONSES = Wire("steady", "gpt-4o-mini", "/v1/responses", "openai")
"""For a framework that has no client of Anthropic's of its own."""

Lack: TypeAlias = Literal["sync", "account", "thinking", "dump"]
"""What a framework may be without.

| lack       | the framework has                                                                                    |
|------------|------------------------------------------------------------------------------------------------------|
| `sync`     | no synchronous calls: `ask` and `stream` raise `Lacks`                                               |
| `account`  | no place in a native answer for the router's account: `Reply.account` is None                        |
| `thinking` | no native model that is made to show its thoughts: `candidate(thinks=True)` raises `Lacks`           |
| `dump`     | no form in which users save a routed model: `dump` raises `Lacks`                                    |
"""


Kind: TypeAlias = Literal["whole", "streamed"]


class Lacks(Exception):  # noqa: N818 - it is a statement
    """The framework cannot do this; the argument is a `Lack`."""


@dataclass(frozen=True, slots=True)
class Call:
    """A tool call."""

    id: str
    name: str
    arguments: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class System:
    """What the application says."""

    text: str


@dataclass(frozen=True, slots=True)
class User:
    """What a person says."""

    text: str


@dataclass(frozen=True, slots=True)
class Assistant:
    """What a model has said, nobody knows which: text, tool calls, or both."""

    text: str = ""
    calls: Sequence[Call] = ()


@dataclass(frozen=True, slots=True)
class Result:
    """What a call of a tool returned. Results in a row answer the calls of one answer."""

    call: Call
    text: str


Turn: TypeAlias = System | User | Assistant | Result


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What is asked. The door takes all of it, in its framework's words."""

    messages: list[Any]
    """Native messages, as `Door.messages` and `Reply.native` return them. The routed model is handed this very list."""
    tools: Sequence[Callable[..., str]] = ()
    """Functions with annotations and a docstring. The model is told of them; nothing runs them."""
    schema: type[BaseModel] | None = None
    """What the answer must look like; only for `ask` and `aask`."""
    declared: Mapping[str, Any] = field(default_factory=dict)
    """What the user declares for this one call (`STEP_KEYS`, `CALL_KEYS`), in the way that the framework has for it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What came back, read off the native answer; of a stream, off all of it together."""

    text: str = ""
    calls: Sequence[Call] = ()
    parsed: Any = None
    """With a `schema`: the instance that the user gets."""
    input_tokens: int | None = None
    """As the native answer says; None: it says nothing."""
    output_tokens: int | None = None
    account: Mapping[str, Any] | None = None
    """What the adapter puts beside the answer (`taskrouter.adapters.account`)."""
    accounts: int = 0
    """On how many parts of the answer it stands: 1 for a whole answer, and for a stream too."""
    native: Sequence[Any] = ()
    """What a user, or the framework's own agent, appends to the conversation."""


class Routed(Protocol):
    """A routed model: the framework's own, of which the suite sees the router only."""

    @property
    def router(self) -> Router:
        """The router."""


class Door(Protocol):
    """A framework, as the shared suite sees it.

    `ask`, `aask`, `stream` and `astream` call the routed model once and directly, not through an agent. They copy
    nothing, retry nothing and catch nothing. A stream's native iterator is closed when the door's is.
    """

    @property
    def name(self) -> str:
        """As in `doors/<name>.py`."""

    @property
    def wires(self) -> tuple[Wire, Wire]:
        """Two vendors whose native clients the framework has: `(OPENAI, ANTHROPIC)`, or `(OPENAI, RESPONSES)`."""

    @property
    def lacks(self) -> frozenset[Lack]:
        """What the framework cannot do."""

    @property
    def nameless(self) -> Sequence[tuple[Wire, Kind]]:
        """Native answers that do not say which model gave them: by vendor, whole or streamed."""

    @property
    def lingering(self) -> Sequence[Wire]:
        """Vendors whose native client keeps the connection of a stream that is left until it is garbage-collected."""

    @property
    def shaping(self) -> Sequence[Wire]:
        """Vendors whose native client takes a schema for its answers; steps with one go to no other."""

    @property
    def loggers(self) -> Sequence[str]:
        """Names of the adapter's own loggers, or beginnings of them."""

    def candidate(self, wire: Wire, url: str, *, key: str = "any", thinks: bool = False) -> Any:
        """Return the framework's native model of a vendor as users make it: its retries are the default ones.

        Args:
            wire: which vendor and model.
            url: the stand-ins' root (`Vendors.url`), without `/v1`.
            key: the API key.
            thinks: whether it is to show its thoughts, where the vendor does so.
        """

    def routed(self, candidates: Any = (), /, **arguments: Any) -> Routed:
        """Return the routed model made with exactly these arguments: `incumbent`, `policy`, `router`, `config`, ..."""

    def messages(self, turns: Sequence[Turn]) -> list[Any]:
        """Return turns as native messages, in a new list."""

    def ask(self, routed: Any, request: Request) -> Reply:
        """Ask synchronously for a whole answer."""

    async def aask(self, routed: Any, request: Request) -> Reply:
        """Ask for a whole answer without blocking."""

    def stream(self, routed: Any, request: Request) -> Iterator[str | Reply]:
        """Stream synchronously: the text of each native part as it comes (perhaps empty), at last the reply."""

    def astream(self, routed: Any, request: Request) -> AsyncIterator[str | Reply]:
        """Stream without blocking, as a generator that can be closed."""

    def dump(self, routed: Any) -> str:
        """Return the routed model in the form in which users save or log it (JSON, a dictionary's text, ...)."""
