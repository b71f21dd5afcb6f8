"""Ways to ask a router for a step: sync and async, whole and streamed, and what its user reads of the answer."""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from benchmarks.chaos.expected import Mode
from benchmarks.chaos.stage import Said, step_of

from taskrouter import Outcome, Router

Reader = Callable[[Any], None]
"""Is given every chunk as its reader gets it."""


class Answer:
    """What has reached the user so far, and the account of it."""

    def __init__(self) -> None:
        self.outcome: Outcome[Any] | None = None
        self.said: Said | None = None
        """The answer; of a stream that broke, its beginning."""
        self.error: BaseException | None = None
        self.chunks: list[Any] = []
        self.begun = threading.Event()
        """Set when something meaningful has been read."""

    def take(self, chunk: Any) -> None:
        """Read a chunk."""
        self.chunks.append(chunk)
        self.said = joined(self.chunks)
        if self.said.text or self.said.calls:
            self.begun.set()

    def whole(self, outcome: Outcome[Any]) -> None:
        """Read a whole answer."""
        self.outcome, self.said = outcome, read(outcome.response)


def ask(router: Router, mode: Mode, answer: Answer) -> None:
    """Ask for a step and read its answer."""
    if mode != "stream":
        answer.whole(router.complete(step_of(mode)))
        return
    with router.stream(step_of(mode)) as stream:
        for chunk in stream:
            answer.take(chunk)
    answer.outcome = stream.outcome


async def ask_async(router: Router, mode: Mode, answer: Answer) -> None:
    """Do the same without blocking."""
    if mode != "stream":
        answer.whole(await router.acomplete(step_of(mode)))
        return
    async with router.astream(step_of(mode)) as stream:
        async for chunk in stream:
            answer.take(chunk)
    answer.outcome = stream.outcome


async def ask_and_cancel(router: Router, mode: Mode, answer: Answer, ready: Callable[[], bool]) -> None:
    """Ask, and cancel the task once `ready` (which may block) says that it is in the middle of it."""
    task = asyncio.create_task(ask_async(router, mode, answer))
    try:
        assert await asyncio.to_thread(ready), "the request did not come to the point at which it was to be cancelled"
    finally:
        task.cancel()
        await asyncio.wait([task])
    task.result()


def ask_and_interrupt(router: Router, mode: Mode, answer: Answer, ready: Callable[[], bool]) -> None:
    """Ask, and press Ctrl-C once `ready` (which may block) says that it is in the middle of it."""
    with _ctrl_c_when(ready):
        ask(router, mode, answer)


def read(native: Any) -> Said:
    """Read a chat completion."""
    choice = native.choices[0]
    calls = tuple((call.function.name, call.function.arguments) for call in choice.message.tool_calls or ())
    return Said(choice.message.content or "", calls, frozenset({_model(native)}), choice.finish_reason)


def joined(chunks: Iterable[Any]) -> Said:
    """Read the chunks of a stream."""
    chunks = list(chunks)
    choices = [chunk.choices[0] for chunk in chunks if chunk.choices]
    text = "".join(choice.delta.content or "" for choice in choices)
    reasons = [choice.finish_reason for choice in choices if choice.finish_reason]
    models = frozenset(_model(chunk) for chunk in chunks)
    return Said(text, (), models, reasons[-1] if reasons else None)


def _model(native: Any) -> str:
    return str(native.model).removeprefix("openai/")


@contextmanager
def _ctrl_c_when(ready: Callable[[], bool]) -> Iterator[None]:
    """Send this process SIGINT when `ready`; Python raises KeyboardInterrupt in the main thread."""
    main = threading.main_thread().ident
    assert main is not None
    assert main == threading.get_ident(), "only the main thread can be interrupted"
    over = threading.Event()

    def press() -> None:
        if ready() and not over.is_set():
            signal.pthread_kill(main, signal.SIGINT)

    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    thread = threading.Thread(target=press)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
        signal.signal(signal.SIGINT, before)
