"""What the tests here share: every door there is, every way to ask, and a bench with both vendors on it."""

from __future__ import annotations

import importlib
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import aclosing, closing
from pathlib import Path
from typing import Any, Literal, TypeAlias

from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from tests.adapters.door import Door, Reply, Request, Turn, User, Wire
from tests.standins import Received, Vendors
from tests.watcher import Watcher

from taskrouter import Outcome, Router

Way: TypeAlias = Literal["ask", "stream", "aask", "astream"]
Pair: TypeAlias = tuple[Wire, Wire]
"""The incumbent, and the one that stands in for it."""

WHOLE: tuple[Way, ...] = ("ask", "aask")
STREAMED: tuple[Way, ...] = ("stream", "astream")
SYNC: tuple[Way, ...] = ("ask", "stream")

ALL_DOORS = [path.stem for path in sorted((Path(__file__).parent / "doors").glob("*.py"))]
CHOSEN = [name for name in os.environ.get("TASKROUTER_DOORS", "").split(",") if name]
"""Where one framework alone is installed, as when its versions are tried."""
DOORS: Sequence[Door] = [importlib.import_module(f"tests.adapters.doors.{name}").DOOR for name in (CHOSEN or ALL_DOORS)]

QUESTION = "Hello"
PRICES = {"input_usd_per_million": 1.0, "output_usd_per_million": 4.0}
ABLE = {"capabilities": {"tools": True, "json_schema": True}, "context_tokens": 128_000}


def ways(door: Door, among: Sequence[Way] = (*WHOLE, *STREAMED)) -> list[Way]:
    """Return the ways that a framework has."""
    return [way for way in among if way not in SYNC or "sync" not in door.lacks]


class Bench:
    """A door, both vendors, and all that can be seen of a call."""

    def __init__(self, door: Door, vendors: Vendors) -> None:
        self.door, self.vendors = door, vendors
        self.watcher = Watcher()
        self._exporter = InMemorySpanExporter()
        self._provider = TracerProvider()
        self._provider.add_span_processor(SimpleSpanProcessor(self._exporter))

    # --- making -------------------------------------------------------------------------------------------------

    def routed(
        self,
        pair: Pair,
        *,
        candidates: Mapping[str, Any] | None = None,
        facts: Mapping[str, Mapping[str, Any]] | None = None,
        **config: Any,
    ) -> Any:
        """Return a routed model of both vendors, whose router is watched; the first one is the incumbent.

        Args:
            pair: the vendors.
            candidates: native models in place of the usual ones, by id.
            facts: what the router is told of a candidate beside the usual, by id.
            **config: as in `taskrouter.toml`.
        """
        router = Router(
            [{**card(wire), **(facts or {}).get(wire.id, {})} for wire in pair],
            pair[0].id,
            config={"execution": {"retries": 0}, **config},
            plugins=[self.watcher],
            tracer_provider=self._provider,
        )
        return self.door.routed({**self.candidates(pair), **(candidates or {})}, router=router)

    def candidates(self, pair: Pair) -> dict[str, Any]:
        """Return native models of the vendors, by id."""
        return {wire.id: self.door.candidate(wire, self.vendors.url) for wire in pair}

    def request(self, *turns: Turn | str, **more: Any) -> Request:
        """Return what is asked: turns, texts of a person among them."""
        said = [User(turn) if isinstance(turn, str) else turn for turn in turns or (QUESTION,)]
        return Request(messages=self.door.messages(said), **more)

    # --- asking -------------------------------------------------------------------------------------------------

    async def ask(self, routed: Any, way: Way, request: Request | None = None) -> Reply:
        """Ask in one of the ways; what a stream has shown must be its text, once."""
        shown: list[str] = []
        reply = await self.read(routed, way, request or self.request(), shown)
        if way in STREAMED:
            assert "".join(shown) == reply.text
        return reply

    async def read(self, routed: Any, way: Way, request: Request, shown: list[str]) -> Reply:
        """Ask in one of the ways, and keep what a stream has shown though it may break."""
        match way:
            case "ask":
                return self.door.ask(routed, request)
            case "aask":
                return await self.door.aask(routed, request)
            case "stream":
                with closing(self.door.stream(routed, request)) as parts:  # type: ignore[type-var] # a generator
                    read = [_shown(part, shown) for part in parts]
            case "astream":
                async with aclosing(self.door.astream(routed, request)) as aparts:  # type: ignore[type-var] # likewise
                    read = [_shown(part, shown) async for part in aparts]
        *others, reply = read
        assert isinstance(reply, Reply), "the last part of a stream is its reply"
        assert others == [None] * len(others), "there is one reply"
        return reply

    # --- seeing -------------------------------------------------------------------------------------------------

    @property
    def asked(self) -> list[str]:
        """The models that were asked, in order, as the vendors saw them."""
        return [request.model for request in self.vendors.received]

    def last_to(self, wire: Wire) -> Received:
        """Return the last request that a vendor received."""
        return [request for request in self.vendors.received if request.path == wire.path][-1]

    @property
    def outcome(self) -> Outcome[Any]:
        """What came of the last step that was answered."""
        return self.watcher.outcomes[-1]

    @property
    def spans(self) -> Sequence[ReadableSpan]:
        """The router's spans so far."""
        return self._exporter.get_finished_spans()

    def check_wires(self) -> None:
        """Fail where something of ours, or of another vendor's, has reached a wire, or a request was refused."""
        for request in self.vendors.received:
            assert request.status != 400, request.error
            assert request.path in {wire.path for wire in self.door.wires}
            assert not FOREIGN & set(_keys(request.body)), f"{request.path}: {FOREIGN & set(_keys(request.body))}"
            assert "taskrouter" not in str(request.body)


FOREIGN = {"taskrouter", "thought", "decision_id"}
"""Names that no vendor knows."""


def card(wire: Wire) -> dict[str, Any]:
    """Return what the router knows of a candidate."""
    return {"id": wire.id, "model": f"{wire.provider}/{wire.model}", **PRICES, **ABLE}


def chain(error: BaseException) -> list[BaseException]:
    """Return an error with its causes, the outermost first."""
    causes = []
    current: BaseException | None = error
    while current is not None:
        causes.append(current)
        current = current.__cause__
    return causes


def picture(value: Any) -> Any:
    """Return all that can be read of a value, however its class compares: for a look before and one after."""
    return _picture(value, ())


def _picture(value: Any, above: tuple[int, ...]) -> Any:
    if value is None or isinstance(value, str | bytes | int | float | type):
        return value
    if id(value) in above:
        return "..."
    above = (*above, id(value))
    if isinstance(value, Mapping):
        return {str(key): _picture(part, above) for key, part in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_picture(part, above) for part in value]
    slots = [name for cls in type(value).__mro__ for name in getattr(cls, "__slots__", ()) if hasattr(value, name)]
    parts = {**getattr(value, "__dict__", {}), **{name: getattr(value, name) for name in slots if name != "__dict__"}}
    return type(value).__qualname__, _picture({**parts, "fields_set": ()} if parts else repr(value), above)


def _shown(part: str | Reply, shown: list[str]) -> Reply | None:
    if isinstance(part, Reply):
        return part
    shown.append(part)
    return None


def _keys(value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        for key, part in value.items():
            yield key
            yield from _keys(part)
    elif isinstance(value, list):
        for part in value:
            yield from _keys(part)
