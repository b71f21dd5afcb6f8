"""Callers make mistakes: what they hand to `run` and `run_stream` ends in an answer or in one clear error of ours."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from taskrouter import (
    AllAttemptsFailedError,
    Attempt,
    ConfigurationError,
    ModelCallError,
    ModelCard,
    ResponseView,
    Router,
    Step,
    Usage,
    hookimpl,
)
from taskrouter.errors import LocalFailure, StreamBroken
from taskrouter.execution.views import chat_completion_view

STEP = Step(messages=[{"role": "user", "content": "Say hello."}])
MODELS = [
    ModelCard(id=name, model=f"house/{name}", input_usd_per_million=1.0, output_usd_per_million=1.0)
    for name in ("first", "second")
]


class Gone(BaseException):
    """Neither an error nor an interrupt."""


class Mute(Exception):  # noqa: N818 - it stands for a client's own
    """An exception that cannot even be printed."""

    def __str__(self) -> str:
        raise RuntimeError("no text")


@pytest.fixture
def router() -> Router:
    return Router(MODELS, "first", config={"execution": {"retries": 0}})


def raising(error: BaseException) -> Callable[[str], Any]:
    def call(model: str) -> Any:
        raise error

    return call


@pytest.mark.parametrize("answer", [None, 3, {}, "", [], object(), {"choices": []}, {"choices": [{"message": None}]}])
def test_what_is_no_answer_is_an_empty_one_and_falls_back(router: Router, answer: object) -> None:
    with pytest.raises(AllAttemptsFailedError) as caught:
        router.run(STEP, lambda model: answer)
    assert [attempt.error_type for attempt in caught.value.attempts] == ["empty_answer", "empty_answer"]
    assert router.run(STEP, lambda model: answer if model == "first" else "hello").text == "hello"


@pytest.mark.parametrize("call", ["first", None, 3, lambda: "no argument", raising(NameError("x"))])
def test_a_call_that_cannot_be_made_is_a_local_failure_that_is_not_repeated(router: Router, call: Any) -> None:
    with pytest.raises(LocalFailure, match="model 'first' could not be called, the failure is local: "):
        router.run(STEP, call)
    with pytest.raises(LocalFailure):
        list(router.run_stream(STEP, call))


async def test_a_call_that_is_not_asynchronous_is_a_local_failure(router: Router) -> None:
    with pytest.raises(LocalFailure):
        await router.arun(STEP, lambda model: "hello")  # type: ignore[arg-type,return-value] # the mistake
    stream = router.arun_stream(STEP, lambda model: ["hello"])  # type: ignore[arg-type,return-value,var-annotated] # too
    with pytest.raises(LocalFailure):
        await anext(stream)


async def answer_later(model: str) -> str:
    return "hello"


def test_a_coroutine_where_an_answer_was_expected_names_the_method_to_use(router: Router) -> None:
    with pytest.raises(LocalFailure, match=r"model 'first' was not called: call returned a coroutine: use arun$"):
        router.run(STEP, answer_later)
    with pytest.raises(LocalFailure, match=r"call returned a coroutine: use arun_stream$"):
        next(router.run_stream(STEP, answer_later))  # type: ignore[arg-type] # the mistake


@pytest.mark.parametrize("read", [None, "hello", {"text": "hello"}], ids=["nothing", "text", "mapping"])
def test_a_view_that_returns_something_else_is_told_what_to_return(router: Router, read: object) -> None:
    def view(native: str) -> Any:
        return read

    with pytest.raises(LocalFailure, match=r"`view` gave a .*: it must return a ResponseView"):
        router.run(STEP, lambda model: "hello", view)
    with pytest.raises(LocalFailure, match="it must return a ResponseView"):
        list(router.run_stream(STEP, lambda model: iter(["hello"]), view))


class Attempts:
    """Collects the attempts of a router."""

    def __init__(self) -> None:
        self.seen: list[Attempt] = []

    @hookimpl
    def taskrouter_attempted(self, attempt: Attempt) -> None:
        self.seen.append(attempt)


def test_a_call_that_was_never_made_is_free_and_an_answer_that_was_misread_is_not() -> None:
    watch = Attempts()
    router = Router(MODELS, "first", plugins=[watch])
    with pytest.raises(LocalFailure):
        router.run(STEP, raising(TypeError()))
    with pytest.raises(LocalFailure):
        router.run(STEP, lambda model: "hello", lambda native: None)  # type: ignore[arg-type,return-value]
    with pytest.raises(LocalFailure):
        list(router.run_stream(STEP, lambda model: iter(["hello"]), lambda chunk: None))  # type: ignore[arg-type,return-value]
    free, misread, misread_stream = watch.seen
    assert (free.cost_usd, free.usage and free.usage.input_tokens) == (0.0, 0)
    assert misread.cost_usd == misread_stream.cost_usd
    assert misread.cost_usd
    assert misread.usage
    assert misread.usage.estimated


def test_a_key_that_is_not_set_costs_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ABSENT_KEY", raising=False)
    watch = Attempts()
    model = {"id": "a", "base_url": "http://127.0.0.1:1/v1", "api_key": "env:ABSENT_KEY"}
    prices = {"input_usd_per_million": 1.0, "output_usd_per_million": 1.0}
    with pytest.raises(ConfigurationError, match="ABSENT_KEY is not set"):
        Router([{**model, **prices}], plugins=[watch]).complete(STEP)
    assert [attempt.cost_usd for attempt in watch.seen] == [0.0]


def test_when_the_only_attempt_fails_the_error_says_so(router: Router) -> None:
    only = Router(MODELS[:1], config={"execution": {"retries": 0}})
    with pytest.raises(AllAttemptsFailedError, match=r"^the only attempt failed on 'first'; the error: model 'first'"):
        only.run(STEP, raising(ValueError()))
    with pytest.raises(AllAttemptsFailedError, match=r"^all 2 attempts failed on 'first', 'second'; the last error: "):
        router.run(STEP, raising(ValueError()))


@pytest.mark.parametrize("error", [StopIteration(5), Mute(), ExceptionGroup("g", [ValueError()]), RuntimeError()])
def test_any_exception_of_a_client_is_a_failed_attempt(router: Router, error: Exception) -> None:
    with pytest.raises(AllAttemptsFailedError) as caught:
        router.run(STEP, raising(error))
    assert [type(failure) for failure in caught.value.exceptions] == [ModelCallError, ModelCallError]
    assert caught.value.exceptions[0].__cause__ is error


def test_a_view_that_fails_is_a_failed_attempt(router: Router) -> None:
    def view(native: str) -> Any:
        raise ValueError(native)

    with pytest.raises(AllAttemptsFailedError):
        router.run(STEP, lambda model: "hello", view)
    with pytest.raises(AllAttemptsFailedError):
        list(router.run_stream(STEP, lambda model: iter(["hello"]), view))


@pytest.mark.parametrize(
    "error", [KeyboardInterrupt(), SystemExit(3), GeneratorExit(), Gone(), asyncio.CancelledError()]
)
def test_what_is_no_error_passes_through_and_nobody_else_is_called(router: Router, error: BaseException) -> None:
    called = []

    def call(model: str) -> Any:
        called.append(model)
        raise error

    with pytest.raises(type(error)):
        router.run(STEP, call)
    assert called == ["first"]


def test_a_stream_may_be_any_iterable(router: Router) -> None:
    assert list(router.run_stream(STEP, lambda model: ["a", "b"])) == ["a", "b"]  # type: ignore[arg-type,return-value]


def test_a_stream_of_nothing_falls_back(router: Router) -> None:
    chunks: dict[str, list[Any]] = {"first": [None, "", {}], "second": ["hello"]}
    assert list(router.run_stream(STEP, lambda model: iter(chunks[model]))) == ["hello"]


def unwilling(model: str) -> Iterator[str]:
    """A stream that fails when it is closed."""
    try:
        yield "a"
        yield "b"
    finally:
        raise RuntimeError("at close")


def stubborn(model: str) -> Iterator[str]:
    """A stream that goes on when it is closed."""
    try:
        yield "a"
        yield "b"
    except GeneratorExit:
        yield "c"


@pytest.mark.parametrize("source", [unwilling, stubborn])
def test_a_stream_that_cannot_be_closed_is_left_all_the_same(router: Router, source: Any) -> None:
    with router.run_stream(STEP, source) as stream:
        assert next(stream) == "a"
    stream.close()
    assert list(stream) == []
    assert stream.outcome is None


def test_a_stream_that_fails_at_its_end_is_broken_with_what_had_arrived(router: Router) -> None:
    received: list[str] = []
    with pytest.raises(StreamBroken) as caught:
        received.extend(router.run_stream(STEP, unwilling))
    assert caught.value.partial.text == "ab"


async def test_an_asynchronous_stream_that_cannot_be_closed_is_left_all_the_same(router: Router) -> None:
    async def source(model: str) -> Any:
        try:
            yield "a"
            yield "b"
        finally:
            raise RuntimeError("at close")

    async with router.arun_stream(STEP, source) as stream:
        assert await anext(stream) == "a"
    await stream.aclose()
    assert stream.outcome is None


def test_a_mistake_in_the_middle_of_a_stream_is_not_held_against_the_model() -> None:
    def view(chunk: str) -> Any:
        if chunk == "b":
            raise TypeError("a mistake of the caller")
        return chat_completion_view(chunk)

    router = Router(MODELS, incumbent="first", config={"health": {"failures": 1}})
    with pytest.raises(StreamBroken):
        list(router.run_stream(STEP, lambda model: iter("ab"), view))
    assert [state.code for state in router.health()] == [None, None]


@pytest.mark.parametrize("count", [-1_000_000, "many", 1.5, float("nan"), None])
def test_what_can_be_no_count_of_tokens_is_estimated(count: Any) -> None:
    answer = ResponseView(text="hello", usage=Usage(input_tokens=10, output_tokens=count))
    router = Router(MODELS, incumbent="first")
    with router.budget(usd=1.0) as budget:
        outcome = router.run(STEP, lambda model: model, lambda native: answer)
    usage = outcome.attempts[0].usage
    assert usage is not None
    assert usage.estimated
    assert budget.spent_usd == outcome.cost_usd
    assert budget.spent_usd > 0
    assert [state.in_flight for state in router.health()] == [0, 0]
