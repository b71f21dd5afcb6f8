"""Fallback, and the errors that LangChain's users catch."""

from __future__ import annotations

from typing import Any

import httpx
import openai
import pytest
from langchain_core import exceptions as lc
from langchain_core.messages import AIMessage
from langchain_core.runnables import Runnable
from langchain_openai import ChatOpenAI

from langchain_taskrouter._errors import langchain_errors
from taskrouter import AllAttemptsFailedError, NoEligibleModelError
from taskrouter import errors as e
from taskrouter.simulator import RunningServer

from .conftest import FAST, QUESTION, ModelOf, Routed, Runs


async def answered(model: Runnable[Any, AIMessage], mode: str) -> AIMessage:
    match mode:
        case "invoke":
            return model.invoke(QUESTION)
        case "ainvoke":
            return await model.ainvoke(QUESTION)
        case "stream":
            return [*model.stream(QUESTION)][-1]
        case _:
            return [chunk async for chunk in model.astream(QUESTION)][-1]


FAILING: list[Any] = ["server_error"] * 5
MODES = ["invoke", "ainvoke", "stream", "astream"]


@pytest.mark.parametrize("mode", MODES)
async def test_a_dead_model_is_asked_once_and_left(
    routed: Routed, dead: ChatOpenAI, model_of: ModelOf, runs: Runs, mode: str
) -> None:
    model = routed(candidates={"first": dead, "second": model_of("second")})
    message = await answered(model.with_config(callbacks=[runs]), mode)
    account = message.response_metadata["taskrouter"]
    assert (account["model"], account["attempts"], account["status"]) == ("second", 2, "fallback")
    assert len(runs.ended) == 1
    assert not runs.failed


@pytest.mark.parametrize("mode", MODES)
async def test_a_failing_model_gets_exactly_one_request(routed: Routed, server: RunningServer, mode: str) -> None:
    server.script("first", *FAILING)
    await answered(routed(), mode)
    assert [r.model for r in server.requests] == ["first", "second"]


def test_the_router_retries_instead_of_the_client(routed: Routed, server: RunningServer) -> None:
    server.script("first", *FAILING)
    config = {"execution": {**FAST, "retries": 2, "backoff_max_s": 0.001}}
    message = routed(config=config).invoke(QUESTION)
    assert message.response_metadata["taskrouter"]["attempts"] == 4
    assert [r.model for r in server.requests] == ["first"] * 3 + ["second"]


@pytest.mark.parametrize("fault", ["empty_answer", "malformed_json", "drop_connection", "bad_gateway"])
async def test_no_kind_of_failure_is_an_answer(routed: Routed, server: RunningServer, fault: Any) -> None:
    server.script("first", fault)
    message = await routed().ainvoke(QUESTION)
    assert message.text == "12 * 12 = 144"
    assert message.response_metadata["taskrouter"]["model"] == "second"


@pytest.mark.parametrize("choices", [None, [{"index": 0, "message": None, "finish_reason": "stop"}]])
async def test_an_answer_that_the_client_cannot_read_falls_back(
    routed: Routed, model_of: ModelOf, choices: Any
) -> None:
    transport = httpx.MockTransport(lambda _: httpx.Response(200, json={"choices": choices}))
    async with httpx.AsyncClient(transport=transport) as aclient:
        with httpx.Client(transport=transport) as client:
            broken = model_of("first", http_client=client, http_async_client=aclient)
            model = routed(candidates={"first": broken, "second": model_of("second")})
            for message in (model.invoke(QUESTION), await model.ainvoke(QUESTION)):
                assert message.response_metadata["taskrouter"]["model"] == "second"


def test_a_call_that_is_made_wrongly_blames_no_provider(routed: Routed, server: RunningServer) -> None:
    with pytest.raises(e.LocalFailure) as caught:
        routed().invoke(QUESTION, no_such_argument=1)
    assert isinstance(caught.value.__cause__, TypeError)
    assert server.requests == []


def test_a_tool_call_that_cannot_be_run_falls_back(routed: Routed, server: RunningServer, weather: Any) -> None:
    server.script("first", "invalid_tool_call")
    message = routed().bind_tools([weather]).invoke("Use lookup for Oslo")
    assert message.tool_calls[0]["name"] == "lookup"
    assert message.response_metadata["taskrouter"]["model"] == "second"


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    ("fault", "expected"), [("rate_limit", lc.ModelRateLimitError), ("overloaded", lc.ModelAPIError)]
)
async def test_users_catch_langchains_errors(
    routed: Routed, server: RunningServer, mode: str, fault: Any, expected: type[lc.ModelError]
) -> None:
    server.script("first", fault)
    server.script("second", fault)
    with pytest.raises(expected) as caught:
        await answered(routed(), mode)
    ours = caught.value.__cause__
    assert isinstance(ours, AllAttemptsFailedError)
    assert [attempt.model for attempt in ours.attempts] == ["first", "second"]
    assert all(isinstance(error.__cause__, openai.APIError) for error in ours.exceptions)
    assert caught.value.is_retryable


KINDS: dict[type[e.ModelCallError], type[Exception]] = {
    e.RateLimited: lc.ModelRateLimitError,
    e.Overloaded: lc.ModelAPIError,
    e.ServerFailed: lc.ModelAPIError,
    e.ConnectionFailed: lc.ModelConnectionError,
    e.Timeout: lc.ModelTimeoutError,
    e.Unauthenticated: lc.ModelAuthenticationError,
    e.ModelNotFound: lc.ModelNotFoundError,
    e.ContextOverflow: lc.ContextOverflowError,
    e.BadRequest: lc.ModelInvalidRequestError,
    e.BadAnswer: lc.ModelError,
}


@pytest.mark.parametrize("kind", KINDS)
def test_the_last_failure_decides_the_type(kind: type[e.ModelCallError]) -> None:
    failures = [e.RateLimited("first"), kind("second")]
    with pytest.raises(KINDS[kind]) as caught, langchain_errors():
        raise AllAttemptsFailedError(failures, [])
    assert type(caught.value) is KINDS[kind]
    assert isinstance(caught.value.__cause__, AllAttemptsFailedError)


def test_a_forbidden_model_is_a_matter_of_permission() -> None:
    with pytest.raises(lc.ModelPermissionDeniedError), langchain_errors():
        raise AllAttemptsFailedError([e.Unauthenticated("first", status=403)], [])


def test_a_step_that_no_model_can_take_sends_nothing(routed: Routed, server: RunningServer) -> None:
    config = {"models": [{"id": name, "context_tokens": 10} for name in ("first", "second")]}
    with pytest.raises(NoEligibleModelError, match="'first'"):
        routed(config=config).invoke("word " * 200)
    assert not server.requests


def test_callbacks_learn_of_a_failure_once(routed: Routed, server: RunningServer, runs: Runs) -> None:
    server.script("first", "server_error")
    server.script("second", "server_error")
    with pytest.raises(lc.ModelAPIError):
        routed().invoke(QUESTION, {"callbacks": [runs]})
    assert (len(runs.started), len(runs.failed), len(runs.ended)) == (1, 1, 0)


def test_a_synchronous_call_waits_as_long_as_the_router_says(routed: Routed, server: RunningServer) -> None:
    server.script("first", "timeout")
    server.script("second", "timeout")
    with pytest.raises(lc.ModelTimeoutError):
        routed(timeout=0.2).invoke(QUESTION)


def test_a_candidate_s_own_patience_comes_first(routed: Routed, model_of: ModelOf) -> None:
    model = routed(candidates={"first": model_of("first", timeout=7), "second": model_of("second")}, timeout=3)
    first, second = (candidate.model for candidate in model._pool.values())
    assert first.root_client.timeout == 7  # type: ignore[attr-defined] # ChatOpenAI
    assert second.root_client.timeout == 3  # type: ignore[attr-defined] # ChatOpenAI
