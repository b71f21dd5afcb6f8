"""The calls of a routed LLM, each in its four ways: whole and streamed, with and without blocking."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, AsyncIterator, Generator, Iterator
from contextlib import aclosing, contextmanager
from traceback import walk_tb
from typing import TYPE_CHECKING, Any

from llama_index.core.base.llms.types import ChatResponse
from llama_index.core.llms import LLM
from llama_index.core.llms.function_calling import FunctionCallingLLM
from llama_index.core.types import Model
from llama_index_instrumentation.span import active_span_id

from llama_index.llms.taskrouter._answer import annotated, marked, model_of, remember
from llama_index.llms.taskrouter._callbacks import ROUTED, handlers_errors
from llama_index.llms.taskrouter._candidates import Candidate
from llama_index.llms.taskrouter._clients import loop_clients
from llama_index.llms.taskrouter._messages import ToolShapes
from llama_index.llms.taskrouter._request import Request, method_of
from llama_index.llms.taskrouter._routing import Routing, Setup
from llama_index.llms.taskrouter._spans import SPANS
from llama_index.llms.taskrouter._structured import Predicted, Prediction
from llama_index.llms.taskrouter._vendors import FINISHING
from llama_index.llms.taskrouter._view import ChunkReader, whole_view
from taskrouter import Outcome, Router
from taskrouter.adapters import Authors, PerStream, ahanging_up, credit_of, hanging_up

if TYPE_CHECKING:
    from llama_index.llms.taskrouter.base import RoutedLLM

_READERS = frozenset({"_chat", "_achat", "gen", "chat", "achat", "_complete", "_acomplete"})
"""Functions of the integrations in which an answer is read."""


class Calls:
    """What all views of a routed LLM share.

    Args:
        router: the router.
        pool: the candidates.
    """

    def __init__(self, router: Router, pool: dict[str, Candidate]) -> None:
        self.router, self.pool = router, pool
        self.clients = loop_clients()
        self.shapes = ToolShapes()
        self.authors = Authors()
        self.credit = credit_of(router)
        self.finishes = frozenset(name for name, candidate in pool.items() if candidate.vendor in FINISHING)

    def setup(self, llm: RoutedLLM) -> Setup:
        """Return what a view's calls are decided by."""
        said = llm.declared, llm.policy, llm.max_tokens
        return Setup(self.router, self.pool, self.authors, self.shapes, *said, type(llm))

    async def for_loop(self, model_id: str) -> LLM:
        """Return a candidate's model as it is to be called in the running event loop."""
        return await self.clients.get(model_id, self.pool[model_id].model)

    def answerer(self, response: ChatResponse) -> FunctionCallingLLM | None:
        """Return the candidate's model that gave an answer, if it says so."""
        candidate = self.pool.get(model_of(response) or "")
        model = candidate.model if candidate is not None else None
        return model if isinstance(model, FunctionCallingLLM) else None


class Asking:
    """A call of `chat`, `chat_with_tools` or `complete`, decided when this is made.

    Args:
        llm: the view that is called.
        calls: what it shares with the others.
        request: the call.

    Raises:
        RoutingError: no candidate can take the step.
    """

    def __init__(self, llm: RoutedLLM, calls: Calls, request: Request) -> None:
        self._llm, self._calls, self._way = llm, calls, request.way
        self._span_id = active_span_id.get()
        self._routing = Routing(calls.setup(llm), request)

    def whole(self) -> Any:
        """Return the answer."""

        def call(model_id: str) -> Any:
            candidate = self._calls.pool[model_id]
            args, kwargs = self._routing.called(candidate)
            with _called_for(self._llm), _telling_apart():
                return method_of(candidate.model, self._way)(*args, **kwargs)

        _acquire(self._llm)
        with handlers_errors():
            outcome = self._calls.router.run(self._routing.step, call, whole_view, decision=self._routing.decision)
        return self._answered(outcome.response, outcome)

    async def awhole(self) -> Any:
        """Return the answer, without blocking."""

        async def call(model_id: str) -> Any:
            model = await self._calls.for_loop(model_id)
            args, kwargs = self._routing.called(self._calls.pool[model_id])
            with _called_for(self._llm), _telling_apart():
                return await method_of(model, self._way, asynchronous=True)(*args, **kwargs)

        await _aacquire(self._llm)
        with handlers_errors():
            outcome = await self._calls.router.arun(
                self._routing.step, call, whole_view, decision=self._routing.decision
            )
        return self._answered(outcome.response, outcome)

    def stream(self) -> Generator[Any, None, None]:
        """Return the answer's chunks; the account is on one more at the end, which repeats the whole."""
        whose: dict[int, str] = {}
        reader, last = PerStream(lambda: ChunkReader(whose)), None

        def open_stream(model_id: str) -> Iterator[Any]:
            candidate = self._calls.pool[model_id]
            args, kwargs = self._routing.called(candidate)
            reader.begin(model_id)
            _read_for(self._llm, self._span_id)
            method = method_of(candidate.model, self._way, streamed=True)
            return _read_apart(hanging_up(lambda: method(*args, **kwargs)))

        _acquire(self._llm)
        opened = self._calls.router.run_stream(
            self._routing.step,
            open_stream,
            reader.view,
            decision=self._routing.decision,
            finishes=self._calls.finishes,
        )
        with handlers_errors(), opened as stream:
            for chunk in stream:
                last = chunk
                yield marked(chunk, whose[id(chunk)])
            assert stream.outcome is not None, "the stream has ended"  # noqa: S101 - the router's contract
            yield self._answered(_repeated(last), stream.outcome)

    async def astream(self) -> AsyncGenerator[Any, None]:
        """Return the answer's chunks, without blocking; see `stream`."""
        whose: dict[int, str] = {}
        reader, last = PerStream(lambda: ChunkReader(whose)), None

        async def open_stream(model_id: str) -> AsyncIterator[Any]:
            model = await self._calls.for_loop(model_id)
            args, kwargs = self._routing.called(self._calls.pool[model_id])
            reader.begin(model_id)
            _read_for(self._llm, self._span_id)
            method = method_of(model, self._way, streamed=True, asynchronous=True)
            return _aread_apart(ahanging_up(lambda: method(*args, **kwargs)))

        await _aacquire(self._llm)
        opened = self._calls.router.arun_stream(
            self._routing.step,
            open_stream,
            reader.view,
            decision=self._routing.decision,
            finishes=self._calls.finishes,
        )
        with handlers_errors():
            async with opened as stream:
                async for chunk in stream:
                    last = chunk
                    yield marked(chunk, whose[id(chunk)])
                assert stream.outcome is not None, "the stream has ended"  # noqa: S101 - the router's contract
                yield self._answered(_repeated(last), stream.outcome)

    def _answered(self, response: Any, outcome: Outcome[Any]) -> Any:
        """Remember who gave the answer, and put the account on it."""
        remember(response, outcome, self._calls.authors)
        _note(self._llm, self._calls, outcome)
        return annotated(response, outcome, self._routing.notes)


class Predicting:
    """A structured prediction, decided when this is made.

    Args:
        llm: the view that is called.
        calls: what it shares with the others.
        output_cls: the class of the object.
        request: the messages, with the user's `llm_kwargs`.

    Raises:
        RoutingError: no candidate can take the step.
    """

    def __init__(self, llm: RoutedLLM, calls: Calls, output_cls: type[Model], request: Request) -> None:
        self._llm, self._calls = llm, calls
        self._span_id = active_span_id.get()
        self._prediction = Prediction(output_cls, request.options, llm.pydantic_program_mode)
        self._routing = Routing(calls.setup(llm), request, tools=[self._prediction.tool])

    def whole(self) -> Any:
        """Return the object."""

        def call(model_id: str) -> Predicted:
            candidate = self._calls.pool[model_id]
            with _called_for(self._llm), _telling_apart():
                return self._prediction.predict(candidate.model, self._routing.messages_for(candidate))

        _acquire(self._llm)
        with handlers_errors():
            outcome = self._calls.router.run(
                self._routing.step, call, self._prediction.view, decision=self._routing.decision
            )
        _note(self._llm, self._calls, outcome)
        return outcome.response.value

    async def awhole(self) -> Any:
        """Return the object, without blocking."""

        async def call(model_id: str) -> Predicted:
            model = await self._calls.for_loop(model_id)
            messages = self._routing.messages_for(self._calls.pool[model_id])
            with _called_for(self._llm), _telling_apart():
                return await self._prediction.apredict(model, messages)

        await _aacquire(self._llm)
        with handlers_errors():
            outcome = await self._calls.router.arun(
                self._routing.step, call, self._prediction.view, decision=self._routing.decision
            )
        _note(self._llm, self._calls, outcome)
        return outcome.response.value

    def stream(self) -> Generator[Any, None, None]:
        """Return the object as it grows."""

        def open_stream(model_id: str) -> Iterator[Predicted]:
            candidate = self._calls.pool[model_id]
            _read_for(self._llm, self._span_id)
            messages = self._routing.messages_for(candidate)
            return _read_apart(hanging_up(lambda: self._prediction.stream(candidate.model, messages)))

        _acquire(self._llm)
        opened = self._calls.router.run_stream(
            self._routing.step, open_stream, self._prediction.chunk_view, decision=self._routing.decision
        )
        with handlers_errors(), opened as stream:
            for part in stream:
                if part.value is not None:
                    yield part.value
            assert stream.outcome is not None, "the stream has ended"  # noqa: S101 - the router's contract
            _note(self._llm, self._calls, stream.outcome)

    async def astream(self) -> AsyncGenerator[Any, None]:
        """Return the object as it grows, without blocking."""

        async def open_stream(model_id: str) -> AsyncIterator[Predicted]:
            model = await self._calls.for_loop(model_id)
            messages = self._routing.messages_for(self._calls.pool[model_id])
            _read_for(self._llm, self._span_id)
            return _aread_apart(ahanging_up(lambda: self._prediction.astream(model, messages)))

        await _aacquire(self._llm)
        opened = self._calls.router.arun_stream(
            self._routing.step, open_stream, self._prediction.chunk_view, decision=self._routing.decision
        )
        with handlers_errors():
            async with opened as stream:
                async for part in stream:
                    if part.value is not None:
                        yield part.value
                assert stream.outcome is not None, "the stream has ended"  # noqa: S101 - the router's contract
                _note(self._llm, self._calls, stream.outcome)


def _note(llm: RoutedLLM, calls: Calls, outcome: Outcome[Any]) -> None:
    """Note the step as the last one within the component that has made it."""
    if llm.credit:
        SPANS.note(calls.credit, outcome.decision_id)


def _repeated(last: Any) -> Any:
    """Return a last chunk that says nothing new."""
    return last.model_copy(update={"delta": ""})


def _acquire(llm: RoutedLLM) -> None:
    if llm.rate_limiter is not None:
        llm.rate_limiter.acquire()


async def _aacquire(llm: RoutedLLM) -> None:
    if llm.rate_limiter is not None:
        await llm.rate_limiter.async_acquire()


@contextmanager
def _called_for(llm: RoutedLLM) -> Iterator[None]:
    """Let a candidate tell the handlers of the routed LLM."""
    token = ROUTED.set(llm.callback_manager.handlers)
    try:
        yield
    finally:
        ROUTED.reset(token)


def _read_for(llm: RoutedLLM, span_id: str | None) -> None:
    """Do the same for a stream, which has a context of its own; its spans lie beneath the one of the call.

    A stream is read when that one has ended: tracing would not know that they belong together, and wait for its end.
    """
    ROUTED.set(llm.callback_manager.handlers)
    active_span_id.set(span_id)


# --- whose fault an error is ------------------------------------------------------------------------------------------
# An answer that cannot be read, which another model may better, comes as an error of our own world, like a call that we
# made wrongly: `choices` that are null are a `TypeError` of the integration.


@contextmanager
def _telling_apart() -> Iterator[None]:
    try:
        yield
    except _BUGS as error:
        _blame_the_answer(error)
        raise


def _read_apart(chunks: Generator[Any, None, None]) -> Iterator[Any]:
    try:
        yield from chunks
    except _BUGS as error:
        _blame_the_answer(error)
        raise


async def _aread_apart(chunks: AsyncGenerator[Any, None]) -> AsyncIterator[Any]:
    async with aclosing(chunks):
        try:
            async for chunk in chunks:
                yield chunk
        except _BUGS as error:
            _blame_the_answer(error)
            raise


_WRONG_CALL = re.compile(r"\(\) (got|takes|missing) ")
"""Python's words for arguments that a function does not take: the user's, handed on."""
_BUGS = (TypeError, AttributeError, LookupError)


def _blame_the_answer(error: Exception) -> None:
    """Say so if an error was raised where an integration reads an answer."""
    frames = [frame for frame, _ in walk_tb(error.__traceback__)]
    innermost = frames[-1]
    if isinstance(error, TypeError) and _WRONG_CALL.search(str(error)):
        return
    if innermost.f_code.co_name in _READERS and innermost.f_globals.get("__name__", "").startswith("llama_index.llms."):
        raise ValueError("the provider's answer does not have the shape of one") from error
