"""A world with a clock of its own, in which calls take time, may overlap, and end as chance has it."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any

from taskrouter import ResponseView, ToolCall
from taskrouter import errors as e
from taskrouter.execution.commands import (
    Abandoned,
    Answered,
    Await,
    Call,
    CallEnd,
    Cancel,
    CloseStream,
    Done,
    Emit,
    Ended,
    Event,
    Failed,
    Gather,
    OpenStream,
    Read,
    Relay,
    Reserve,
    Reserved,
    Start,
    Wait,
)

FAILURES: tuple[type[e.ModelCallError], ...] = (
    e.RateLimited,
    e.Overloaded,
    e.ServerFailed,
    e.ConnectionFailed,
    e.Timeout,
    e.Unauthenticated,
    e.ModelNotFound,
    e.ContextOverflow,
    e.Refused,
    e.BadRequest,
    e.ModelCallError,
)
VIEWS = (
    ResponseView(text="hi", finish_reason="stop"),
    ResponseView(text="hi", finish_reason="stop", usage=None, model="served"),
    ResponseView(text="half", finish_reason="length"),
    ResponseView(),
    ResponseView(refused=True),
    ResponseView(tool_calls=(ToolCall(name="f", arguments="{}", index=0),)),
    ResponseView(reasoning="hm"),
)


class World:
    """Carries out an engine's commands.

    Args:
        steps: the engine.
        rng: what happens.
        abandon_at: number of the command at which the caller goes, from 0; None: never.
        close: go by closing the generator in place of an `Abandoned`.
        latest_s: no call may begin at or after this time.
        good: share of calls that go well.
    """

    def __init__(
        self,
        steps: Any,
        rng: random.Random,
        *,
        abandon_at: int | None = None,
        close: bool = False,
        latest_s: float = float("inf"),
        good: float = 0.4,
    ) -> None:
        self.now_s = 0.0
        self.emitted: list[Any] = []
        """Native chunks: (attempt, number of the chunk), or what was written down."""
        self.running: dict[int, tuple[float, CallEnd]] = {}
        self.started: list[int] = []
        self.outcome: Any = None
        self.error: BaseException | None = None
        self._rng, self._latest_s, self._good = rng, latest_s, good
        self._stream = 0
        self._chunks = 0
        try:
            self._play(steps, abandon_at, close=close)
        except StopIteration as stop:
            self.outcome = stop.value
        except (e.TaskRouterError, Abandoned) as error:
            self.error = error

    def _play(self, steps: Any, abandon_at: int | None, *, close: bool) -> None:
        event: Event | None = None
        number = 0
        while True:
            command = steps.send(event)
            if number == abandon_at:
                if close:
                    self.error = GeneratorExit()
                    return steps.close()  # type: ignore[no-any-return]
                steps.throw(Abandoned(self.now_s + 0.1))
            number += 1
            event = self._obey(command)

    def _obey(self, command: object) -> Event:
        match command:
            case Call():
                return self._whole(command)
            case Start() | Await() | Cancel():
                return self._beside(command)
            case OpenStream():
                return self._open(command)
            case Read() | Relay():
                if isinstance(command, Relay):
                    self.emitted.append(command.native)
                return self._read(command.timeout_s)
            case Reserve():
                self.now_s += 0.001
                return Reserved(command.work(), self.now_s)
            case Wait():
                assert command.seconds > 0
                self.now_s += command.seconds
            case Emit():
                self.emitted.append(command.native)
            case CloseStream():
                self._stream = 0
        return Done(self.now_s)

    def _whole(self, command: Call) -> Event:
        took_s, end = self._call(command)
        if took_s > command.timeout_s:
            took_s, end = command.timeout_s, Failed(TimeoutError(), 0.0)
        self.now_s += took_s
        return self._at(end, self.now_s)

    def _beside(self, command: Start | Await | Cancel) -> Event:
        if isinstance(command, Await):
            return self._await(command.timeout_s)
        if isinstance(command, Cancel):
            del self.running[command.index]
        else:
            call = command.call
            took_s, end = self._gather(call) if isinstance(call, Gather) else self._call(call)
            at_s = self.now_s + took_s
            self.running[call.index] = at_s, self._at(end, at_s, call.index)
        return Done(self.now_s)

    def _gather(self, command: Gather) -> tuple[float, CallEnd]:
        """Let chunks arrive as if all at once, halfway to the end; the engine may look at them until then."""
        self._begin(command)
        took_s = self._rng.choice((0.1, 0.4, 2.0, 7.0, 100.0))
        chunks = [(command.index, number + 1) for number in range(self._rng.choice((0, 1, 3)))]
        for chunk in chunks:
            view = VIEWS[0] if self._rng.random() < 0.7 else self._rng.choice(VIEWS)
            command.into.add(chunk, view, self.now_s + took_s / 2)
        if self._rng.random() < self._good:
            return took_s, Answered(tuple(chunks), command.into.partial.view(), 0.0)
        return took_s, Failed(self._failure(command.model), 0.0)

    def _begin(self, command: Call | OpenStream) -> None:
        assert self.now_s < self._latest_s, "a call began after the end"
        assert command.timeout_s > 0
        self.started.append(command.index)

    def _call(self, command: Call) -> tuple[float, CallEnd]:
        self._begin(command)
        took_s = self._rng.choice((0.1, 0.4, 2.0, 7.0, 100.0))
        if self._rng.random() < self._good:
            return took_s, Answered("native", VIEWS[0], 0.0)
        if self._rng.random() < 0.5:
            return took_s, Answered("native", self._rng.choice(VIEWS), 0.0)
        return took_s, Failed(self._failure(command.model), 0.0)

    def _failure(self, model: str) -> Exception:
        if self._rng.random() < 0.15:
            return self._rng.choice((TypeError(), TimeoutError()))
        return self._rng.choice(FAILURES)(model, retry_after_s=self._rng.choice((None, None, 1.0, 60.0)))

    def _at(self, end: CallEnd, at_s: float, index: int = 0) -> CallEnd:
        if isinstance(end, Answered):
            return Answered(end.native, end.view, at_s, index)
        return Failed(end.error, at_s, index)

    def _await(self, timeout_s: float) -> Event:
        assert self.running, "waiting for nothing"
        index = min(self.running, key=lambda index: self.running[index][0])
        at_s, end = self.running[index]
        if at_s > self.now_s + timeout_s:
            self.now_s += timeout_s
            return Done(self.now_s)
        self.now_s = max(self.now_s, at_s)
        del self.running[index]
        return end

    def _open(self, command: OpenStream) -> Event:
        self._begin(command)
        self.now_s += 0.1
        self._stream, self._chunks = command.index, 0
        if self._rng.random() < 0.2:
            return Failed(self._failure(command.model), self.now_s)
        return Done(self.now_s)

    def _read(self, timeout_s: float) -> Event:
        assert self._stream, "read after close"
        took_s = self._rng.choice((0.1, 0.1, 0.1, 3.0, 50.0))
        if took_s > timeout_s:
            self.now_s += timeout_s
            return Failed(TimeoutError(), self.now_s)
        self.now_s += took_s
        chance = self._rng.random()
        if chance < 0.15:
            return Failed(self._failure("first"), self.now_s)
        if chance < 0.4 or self._chunks > 5:
            return Ended(self.now_s)
        self._chunks += 1
        return Answered((self._stream, self._chunks), self._rng.choice(VIEWS), self.now_s)


class Told(World):
    """What becomes of each call is written down: model -> (seconds, answer or failure), one after the other.

    A stream that is read in the background has one chunk, or none where it fails.
    """

    def __init__(
        self,
        steps: Any,
        answers: Mapping[str, list[tuple[float, ResponseView | Exception]]],
        *,
        abandon_at: int | None = None,
    ) -> None:
        self.answers = answers
        self.commands: list[object] = []
        super().__init__(steps, random.Random(0), abandon_at=abandon_at)

    @property
    def called(self) -> list[str]:
        """The models, in the order in which they were called."""
        calls = [command.call if isinstance(command, Start) else command for command in self.commands]
        return [call.model for call in calls if isinstance(call, Call | OpenStream)]

    @property
    def waits(self) -> list[float]:
        """How long it was waited."""
        return [command.seconds for command in self.commands if isinstance(command, Wait)]

    def _obey(self, command: object) -> Event:
        self.commands.append(command)
        return super()._obey(command)

    def _call(self, command: Call) -> tuple[float, CallEnd]:
        self._begin(command)
        took_s, happened = self.answers[command.model].pop(0)
        if isinstance(happened, Exception):
            return took_s, Failed(happened, 0.0)
        return took_s, Answered(happened.text or happened, happened, 0.0)

    def _gather(self, command: Gather) -> tuple[float, CallEnd]:
        self._begin(command)
        took_s, happened = self.answers[command.model].pop(0)
        if isinstance(happened, Exception):
            return took_s, Failed(happened, 0.0)
        command.into.add(happened.text, happened, self.now_s + took_s / 2)
        return took_s, Answered(tuple(command.into.chunks), command.into.partial.view(), 0.0)

    def _open(self, command: OpenStream) -> Event:
        self._begin(command)
        took_s, happened = self.answers[command.model].pop(0)
        self.now_s += took_s
        if isinstance(happened, Exception):
            return Failed(happened, self.now_s)
        self._stream, self._left = command.index, [happened]
        return Done(self.now_s)

    def _read(self, timeout_s: float) -> Event:
        if not self._left:
            return Ended(self.now_s)
        happened = self._left.pop()
        return Answered(happened.text, happened, self.now_s)
