"""One streamed answer: held back until its first meaningful chunk, or to its end where it is to be checked."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

from taskrouter.errors import LocalFailure, ModelCallError, StreamBroken, Timeout
from taskrouter.execution.account import OpenAttempt
from taskrouter.execution.classify import classify
from taskrouter.execution.commands import (
    Abandoned,
    Answered,
    Asked,
    CloseStream,
    Command,
    Emit,
    Ended,
    Event,
    Failed,
    OpenStream,
    Read,
    Relay,
)
from taskrouter.execution.course import Course
from taskrouter.execution.judging import fail_stream, stream_fault
from taskrouter.execution.partial import Partial
from taskrouter.execution.views import no_view
from taskrouter.outcome import ResponseView


def stream(course: Course, open_: OpenAttempt) -> Asked:
    """Ask for a stream: the model is left only as long as nothing of its answer has been handed on."""
    reading = _Reading(course, open_)
    partial, account = reading.partial, course.account
    try:
        error = (yield from reading.open()) or (yield from reading.relay())
        if error is not None:
            yield CloseStream()
    except (Abandoned, GeneratorExit) as gone:
        account.cancel(open_, course.gone_at_s(gone), partial.view())
        raise
    now_s, view = course.limits.now_s, partial.view()
    if error is None:
        account.succeed(open_, view, now_s)
        return Answered(None, view, now_s)
    if not reading.committed:
        return fail_stream(course, open_, error, partial)
    broken = StreamBroken(open_.model, partial=view, status=error.status)
    # A mistake on our side, such as in the caller's `view`, breaks the stream as well, but it is not the endpoint's.
    account.fail(open_, broken, now_s, view, reason=error if isinstance(error, LocalFailure) else None)
    raise broken from (error.__cause__ or error)


class _Reading:
    """One stream being read."""

    def __init__(self, course: Course, open_: OpenAttempt) -> None:
        self._course, self._open = course, open_
        self.partial = Partial()
        self.committed = False
        """Whether the consumer has got something of it."""
        settings = course.settings
        first_token_s = min(settings.timeout_s, settings.first_token_timeout_s)
        self._first_token_at_s = open_.started_s + course.timeout_s(open_, first_token_s)

    def open(self) -> Generator[Command, Event, ModelCallError | None]:
        """Open the stream; return what went wrong, if anything."""
        course, open_, visit = self._course, self._open, self._open.visit
        stall_timeout_s = course.limits.within(course.settings.stall_timeout_s)
        timeout_s = self._first_token_at_s - open_.started_s
        event = yield OpenStream(visit.endpoint, open_.index, visit.role, timeout_s, visit.observer, stall_timeout_s)
        course.limits.now_s = event.at_s
        return classify(event.error, open_.model) if isinstance(event, Failed) else None

    def relay(self) -> Generator[Command, Event, ModelCallError | None]:
        """Hold chunks back as long as the model may be left, then hand them on; return what went wrong, if anything."""
        limits, partial, model = self._course.limits, self.partial, self._open.model
        settings = self._course.settings
        held: list[Any] = []
        command: Read | Relay = Read(self._timeout_s())
        while True:
            event = yield command
            limits.now_s = event.at_s
            if isinstance(event, Failed):
                return classify(event.error, model)
            if isinstance(event, Ended):
                error = stream_fault(self._course, self._open, partial, committed=self.committed)
                if error is None:
                    yield from self._hand_on(held)
                return error
            assert isinstance(event, Answered), event  # noqa: S101 - the driver's contract
            partial.began = True
            if not isinstance(event.view, ResponseView):
                return no_view(event.view, model)
            partial.add(event.view)
            if self.committed and limits.time_left():
                command = Relay(event.native, limits.within(settings.stall_timeout_s))
                continue
            if self._is_late():
                return Timeout(model)
            held.append(event.native)
            if partial.meaningful and not settings.buffer_streams:
                yield from self._hand_on(held)
            command = Read(self._timeout_s())

    def _is_late(self) -> bool:
        """Tell whether a chunk came too late, whatever the client's own limit: signs of life are no answer."""
        limits, open_ = self._course.limits, self._open
        if not self.partial.meaningful:
            return limits.now_s > self._first_token_at_s
        if open_.first_token_s is None:
            open_.first_token_s = limits.now_s - open_.started_s
        return not limits.time_left()

    def _hand_on(self, held: list[Any]) -> Generator[Command, Event, None]:
        self.committed = True
        for native in held:
            yield Emit(native)
        held.clear()

    def _timeout_s(self) -> float:
        limits = self._course.limits
        if self.partial.meaningful:
            return limits.within(self._course.settings.stall_timeout_s)
        return max(0.001, self._first_token_at_s - limits.now_s)
