"""A routed model does what a chat model does, in all four ways of calling it."""

from __future__ import annotations

import json
from typing import Any, TypedDict

import httpx
import pytest
from langchain.agents import create_agent
from langchain_core.caches import InMemoryCache
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage, HumanMessage, ToolMessage
from langchain_core.rate_limiters import InMemoryRateLimiter
from pydantic import BaseModel, Field

from taskrouter import ConfigurationError
from taskrouter.simulator import RunningServer

from .conftest import QUESTION, ModelOf, Routed, Runs

ANSWER = "12 * 12 = 144"


class Person(BaseModel):
    """A person."""

    name: str = Field(description="Full name.")
    age: int


class PersonDict(TypedDict):
    """A person."""

    name: str
    age: int


def joined(chunks: list[AIMessageChunk]) -> AIMessageChunk:
    whole = chunks[0]
    for chunk in chunks[1:]:
        whole += chunk
    return whole


def check_account(message: AIMessage) -> None:
    account = message.response_metadata["taskrouter"]
    assert account["model"] == "first"
    assert account["decision_id"].startswith("dec_")
    assert (account["attempts"], account["status"]) == (1, "ok")
    usage = message.usage_metadata
    assert usage is not None
    assert account["cost_usd"] == pytest.approx((usage["input_tokens"] + 4 * usage["output_tokens"]) / 1e6)
    assert message.response_metadata["model_name"] == "first"


async def test_the_answer_is_the_same_in_all_four_ways(routed: Routed) -> None:
    model = routed()
    whole = model.invoke(QUESTION)
    streamed = joined(list(model.stream(QUESTION)))
    awaited = await model.ainvoke(QUESTION)
    astreamed = joined([chunk async for chunk in model.astream(QUESTION)])
    for message in (whole, streamed, awaited, astreamed):
        assert message.text == ANSWER
        check_account(message)


def test_a_step_makes_one_request(routed: Routed, server: RunningServer) -> None:
    routed().invoke(QUESTION)
    assert [(r.model, r.status) for r in server.requests] == [("first", 200)]


def test_batches_are_routed_call_by_call(routed: Routed) -> None:
    answers = routed().batch([QUESTION, "What is 3 + 4?"])
    assert [a.text for a in answers] == [ANSWER, "3 + 4 = 7"]
    assert len({a.response_metadata["taskrouter"]["decision_id"] for a in answers}) == 2


async def test_tools_make_a_round_trip(routed: Routed, weather: Any) -> None:
    model = routed().bind_tools([weather])
    asked = HumanMessage("Use lookup: what is the weather in Oslo?")
    for said in (model.invoke([asked]), await model.ainvoke([asked])):
        (call,) = said.tool_calls
        assert call["name"] == "lookup"
        result = ToolMessage(weather.invoke(call["args"]), tool_call_id=call["id"])
        assert "sunny" in model.invoke([asked, said, result]).text


async def test_streamed_tool_calls_are_put_together(routed: Routed, weather: Any) -> None:
    model: Any = routed().bind_tools([weather])
    asked = "Use lookup: what is the weather in Oslo?"
    for whole in (joined(list(model.stream(asked))), joined([c async for c in model.astream(asked)])):
        (call,) = whole.tool_calls
        assert (call["name"], set(call["args"])) == ("lookup", {"city"})
        assert not whole.invalid_tool_calls


def test_tools_given_by_hand_are_bound_too(routed: Routed, weather: Any) -> None:
    shown = routed().bind_tools([weather]).kwargs["tools"]  # type: ignore[attr-defined] # it is a RunnableBinding
    (call,) = routed().invoke("Use lookup for Oslo", tools=shown, tool_choice="required").tool_calls
    assert call["name"] == "lookup"


def test_a_choice_made_after_binding_holds(routed: Routed, weather: Any) -> None:
    bound = routed().bind_tools([weather], tool_choice="any").bind(tool_choice="none")
    assert not bound.invoke("Use lookup for Oslo").tool_calls


@pytest.mark.parametrize("method", ["function_calling", "json_schema"])
def test_structured_output_is_an_instance_of_its_schema(routed: Routed, method: str) -> None:
    found = routed().with_structured_output(Person, method=method).invoke("name: Ada Lovelace, age: 36")
    assert isinstance(found, Person)
    assert found.age == 36


def test_structured_output_may_be_a_dict(routed: Routed) -> None:
    for schema in (PersonDict, {"title": "person", "description": "A person.", **Person.model_json_schema()}):
        found = routed().with_structured_output(schema).invoke("name: Ada Lovelace, age: 36")
        assert isinstance(found, dict)
        assert found["age"] == 36


async def test_structured_output_comes_with_the_raw_message(routed: Routed) -> None:
    found = await routed().with_structured_output(Person, include_raw=True).ainvoke("name: Ada Lovelace, age: 36")
    assert isinstance(found, dict)
    assert isinstance(found["parsed"], Person)
    assert found["parsing_error"] is None
    assert found["raw"].response_metadata["taskrouter"]["model"] == "first"


@pytest.mark.parametrize("native", [False, True])
def test_an_agent_gets_its_structured_response(routed: Routed, model_of: ModelOf, weather: Any, native: bool) -> None:
    profile: Any = {"structured_output": native, "tool_calling": True}
    model = routed(candidates={name: model_of(name, profile=profile) for name in ("first", "second")})
    agent: Any = create_agent(model, [], response_format=Person)
    state = agent.invoke({"messages": [("user", "name: Ada Lovelace, age: 36")]})
    assert state["structured_response"].age == 36
    assert bool(state["messages"][1].tool_calls) != native


async def test_callbacks_see_one_run_for_each_call(routed: Routed, runs: Runs) -> None:
    model, config = routed(), {"callbacks": [runs]}
    model.invoke(QUESTION, config)  # type: ignore[arg-type] # a plain dict is how users write it
    list(model.stream(QUESTION, config))  # type: ignore[arg-type] # as above
    await model.ainvoke(QUESTION, config)  # type: ignore[arg-type] # as above
    [chunk async for chunk in model.astream(QUESTION, config)]  # type: ignore[arg-type] # as above
    assert len(runs.started) == len(set(runs.started)) == len(runs.ended) == 4
    assert not runs.failed


def test_arguments_bound_to_a_candidate_reach_it(routed: Routed, model_of: ModelOf) -> None:
    model = routed(candidates={"first": model_of("first").bind(max_tokens=1), "second": model_of("second")})
    assert len(model.invoke(QUESTION).text) < len(ANSWER)
    assert model.invoke(QUESTION, max_tokens=50).text == ANSWER


def test_stop_sequences_reach_the_candidate_once_the_calls_before_its_own(routed: Routed, model_of: ModelOf) -> None:
    sent: list[list[str]] = []

    def answer(request: httpx.Request) -> httpx.Response:
        sent.append(json.loads(request.content)["stop"])
        message = {"role": "assistant", "content": ANSWER}
        return httpx.Response(200, json={"choices": [{"index": 0, "message": message, "finish_reason": "stop"}]})

    with httpx.Client(transport=httpx.MockTransport(answer)) as client:
        first = model_of("first", http_client=client, disable_streaming=True).bind(stop=["END"])
        model = routed(candidates={"first": first, "second": model_of("second")})
        assert model.invoke(QUESTION).text == ANSWER
        assert model.invoke(QUESTION, stop=["."]).text == ANSWER
        assert joined(list(model.stream(QUESTION))).text == ANSWER
        assert model.bind(stop=[";"]).invoke(QUESTION).text == ANSWER
    assert sent == [["END"], ["."], ["END"], [";"]]


def test_a_call_can_name_its_model(routed: Routed) -> None:
    model = routed()
    assert model.invoke(QUESTION, model="second").response_metadata["taskrouter"]["model"] == "second"
    with pytest.raises(ConfigurationError, match="'gpt-9' is no candidate; the candidates are first, second"):
        model.invoke(QUESTION, model="gpt-9")


def test_the_users_instances_stay_as_they_are(routed: Routed, model_of: ModelOf) -> None:
    mine = model_of("first")
    client, retries = mine.root_client, mine.max_retries
    model = routed(candidates={"first": mine, "second": model_of("second")})
    list(model.stream(QUESTION))
    assert (mine.root_client, mine.max_retries, mine.stream_usage) == (client, retries, None)
    assert client.max_retries == 2


def test_a_cached_answer_is_not_routed_again(routed: Routed, server: RunningServer) -> None:
    model = routed(cache=InMemoryCache())
    first, second = model.invoke(QUESTION), model.invoke(QUESTION)
    assert first.text == second.text == ANSWER
    assert len(server.requests) == 1
    assert "taskrouter" not in second.response_metadata


def test_the_cache_knows_tools_by_what_they_are(routed: Routed, weather: Any, server: RunningServer) -> None:
    model = routed(cache=InMemoryCache())
    for _ in range(2):
        model.bind_tools([weather]).invoke("Use lookup for Oslo")
    assert len(server.requests) == 1


async def test_a_candidates_rate_limiter_holds_for_streams(routed: Routed, model_of: ModelOf) -> None:
    class Counting(InMemoryRateLimiter):
        def acquire(self, *, blocking: bool = True) -> bool:
            taken.append("sync")
            return True

        async def aacquire(self, *, blocking: bool = True) -> bool:
            taken.append("async")
            return True

    taken: list[str] = []
    limited = model_of("first", rate_limiter=Counting())
    model = routed(candidates={"first": limited, "second": model_of("second")})
    list(model.stream(QUESTION))
    model.invoke(QUESTION)
    [chunk async for chunk in model.astream(QUESTION)]
    await model.ainvoke(QUESTION)
    assert taken == ["sync", "sync", "async", "async"]


def test_a_candidate_that_does_not_stream_gives_one_chunk(routed: Routed, model_of: ModelOf, weather: Any) -> None:
    silent = model_of("first", disable_streaming=True)
    model = routed(candidates={"first": silent, "second": model_of("second")})
    chunks = list(model.stream(QUESTION))
    assert [chunk.text for chunk in chunks] == [ANSWER, ""]
    check_account(joined(chunks))
    called = joined(list(model.bind_tools([weather]).stream("Use lookup for Oslo")))  # type: ignore[arg-type] # chunks
    assert [call["name"] for call in called.tool_calls] == ["lookup"]


async def test_a_candidates_own_callbacks_are_told_of_its_calls_alone(
    routed: Routed, model_of: ModelOf, runs: Runs, server: RunningServer
) -> None:
    model = routed(candidates={"first": model_of("first", callbacks=[runs]), "second": model_of("second")})
    model.invoke(QUESTION)
    await model.ainvoke(QUESTION)
    list(model.stream(QUESTION))
    [chunk async for chunk in model.astream(QUESTION)]
    assert (len(runs.started), len(runs.ended), len(runs.failed)) == (4, 4, 0)
    assert "".join(runs.tokens) == ANSWER * 2
    server.script("first", *["server_error"] * 4)  # type: ignore[arg-type] # literals
    model.invoke(QUESTION)
    await model.ainvoke(QUESTION)
    list(model.stream(QUESTION))
    [chunk async for chunk in model.astream(QUESTION)]
    assert (len(runs.started), len(runs.ended), len(runs.failed)) == (8, 4, 4)


def test_tokens_are_counted_without_a_tokenizer(routed: Routed, weather: Any) -> None:
    model = routed()
    messages: list[BaseMessage] = [HumanMessage("How many tokens may this be?")]
    assert 5 <= model.get_num_tokens_from_messages(messages) <= 20
    assert model.get_num_tokens_from_messages(messages, tools=[weather]) > model.get_num_tokens_from_messages(messages)
    assert model.get_num_tokens("twelve chars") == 3


def test_traces_name_the_router_and_no_vendor(routed: Routed) -> None:
    params = routed()._get_ls_params()
    assert (params["ls_provider"], params["ls_model_name"]) == ("taskrouter", "taskrouter")
    assert not hasattr(routed(), "model_name")
