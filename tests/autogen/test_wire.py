"""What reaches each vendor's wire, read from the requests that their stand-ins received."""

from __future__ import annotations

import base64
import copy
import json
from collections.abc import Mapping
from typing import Any

import pytest
from autogen_core import FunctionCall, Image
from autogen_core.models import (
    AssistantMessage,
    CreateResult,
    FunctionExecutionResult,
    FunctionExecutionResultMessage,
    LLMMessage,
    SystemMessage,
    UserMessage,
)
from autogen_core.tools import FunctionTool
from pydantic import BaseModel
from tests.autogen.models import ANTHROPIC, OPENAI, anthropic, openai
from tests.standins import Vendors
from tests.standins.files import PNG

from autogen_taskrouter import RoutedChatCompletionClient
from taskrouter.adapters.pairing import INTERRUPTED
from taskrouter.errors import AllAttemptsFailedError

from .conftest import QUESTION, Routed, asked, streamed

BOTH = pytest.mark.parametrize(("first", "second"), [(OPENAI, ANTHROPIC), (ANTHROPIC, OPENAI)], ids=["there", "back"])
ASK = UserMessage(content="What is the weather in 'Paris'?", source="user")


class City(BaseModel):
    """A city."""

    city: str


def only(name: str) -> dict[str, str]:
    """Return what sends a call to one candidate."""
    return {"model": name}


def turn(result: CreateResult) -> AssistantMessage:
    """Return what an agent keeps of an answer."""
    return AssistantMessage(content=result.content, thought=result.thought, source="agent")


def results_of(result: CreateResult, *, error: bool = False) -> FunctionExecutionResultMessage:
    assert isinstance(result.content, list)
    return FunctionExecutionResultMessage(
        content=[
            FunctionExecutionResult(content="It is sunny.", name=call.name, call_id=call.id, is_error=error)
            for call in result.content
        ]
    )


def last(vendors: Vendors, model: str) -> Mapping[str, Any]:
    """Return the last request that a model received."""
    return [request.body for request in vendors.received if request.model == model][-1]


def ids(body: Mapping[str, Any]) -> tuple[list[str], list[str]]:
    """Return the ids of calls and of results, on either wire."""
    calls: list[str] = []
    results: list[str] = []
    for message in body["messages"]:
        calls += [call["id"] for call in message.get("tool_calls") or ()]
        results += [message["tool_call_id"]] if message["role"] == "tool" else []
        for block in message["content"] if isinstance(message.get("content"), list) else ():
            calls += [block["id"]] if block["type"] == "tool_use" else []
            results += [block["tool_use_id"]] if block["type"] == "tool_result" else []
    return calls, results


@BOTH
async def test_a_call_made_by_one_is_answered_to_the_other(
    routed: Routed, vendors: Vendors, weather: FunctionTool, first: str, second: str
) -> None:
    client = routed()
    called = await client.create([ASK], tools=[weather], extra_create_args=only(first))
    history: list[LLMMessage] = [ASK, turn(called), results_of(called)]
    said = await client.create(history, tools=[weather], extra_create_args=only(second))
    assert said.content == "The tool says: It is sunny."
    calls, results = ids(last(vendors, second))
    assert calls == results
    assert len(calls) == 1
    assert [request.status for request in vendors.received] == [200, 200]


@BOTH
async def test_a_thought_stays_with_its_author(
    routed: Routed, vendors: Vendors, weather: FunctionTool, first: str, second: str
) -> None:
    client = routed()
    called = await client.create([ASK], tools=[weather], extra_create_args=only(first))
    thinking = turn(called).model_copy(update={"thought": "I wonder."})
    history: list[LLMMessage] = [ASK, thinking, results_of(called)]
    await client.create(history, tools=[weather], extra_create_args=only(second))
    assert "I wonder." not in str(last(vendors, second))
    await client.create(history, tools=[weather], extra_create_args=only(first))
    assert "I wonder." in str(last(vendors, first))
    assert thinking.thought == "I wonder."


async def test_a_thought_of_nobody_known_goes_nowhere(routed: Routed, vendors: Vendors, weather: FunctionTool) -> None:
    call = FunctionCall(id="call_1", name="get_weather", arguments='{"city": "Paris"}')
    result = FunctionExecutionResult(content="sunny", name="get_weather", call_id="call_1", is_error=False)
    history: list[LLMMessage] = [
        ASK,
        AssistantMessage(content=[call], thought="I wonder.", source="agent"),
        FunctionExecutionResultMessage(content=[result]),
    ]
    await routed().create(history, tools=[weather])
    assert "I wonder." not in str(last(vendors, OPENAI))


@BOTH
async def test_calls_and_results_are_mended_for_everybody_else(
    routed: Routed, vendors: Vendors, weather: FunctionTool, first: str, second: str
) -> None:
    long, twice = "x" * 64, "call_1"
    history: list[LLMMessage] = [
        ASK,
        AssistantMessage(
            content=[
                FunctionCall(id=long, name="get_weather", arguments='{"city": "Paris"}'),
                FunctionCall(id=twice, name="get_weather", arguments=""),
                FunctionCall(id="broken", name="get_weather", arguments='{"city":'),
            ],
            source="agent",
        ),
        FunctionExecutionResultMessage(
            content=[FunctionExecutionResult(content="sunny", name="get_weather", call_id=long, is_error=False)]
        ),
        AssistantMessage(
            content=[FunctionCall(id=twice, name="get_weather", arguments='{"city": "Rome"}')], source="agent"
        ),
        FunctionExecutionResultMessage(
            content=[FunctionExecutionResult(content="rainy", name="get_weather", call_id=twice, is_error=False)]
        ),
        AssistantMessage(content=" ", source="agent"),
        UserMessage(content="And now?", source="user"),
    ]
    before = copy.deepcopy(history)
    vendors.fail(first, "unavailable")
    client = routed(incumbent=first)
    await client.create(history, tools=[weather])
    body = last(vendors, second)
    calls, results = ids(body)
    assert calls == results
    assert len(set(calls)) == 3
    assert all(len(name) <= 40 for name in calls)
    assert INTERRUPTED in str(body)
    assert history == before


@BOTH
async def test_what_a_model_said_itself_is_left_as_it_is(
    routed: Routed, vendors: Vendors, weather: FunctionTool, first: str, second: str
) -> None:
    client = routed()
    called = await client.create([ASK], tools=[weather], extra_create_args=only(first))
    assert isinstance(called.content, list)
    history: list[LLMMessage] = [ASK, turn(called), results_of(called)]
    await client.create(history, tools=[weather], extra_create_args=only(first))
    assert ids(last(vendors, first)) == ([called.content[0].id],) * 2
    assert asked(vendors) == [first, first]


@pytest.mark.parametrize("fault", ["unavailable", "silent"])
@BOTH
async def test_the_callers_messages_are_not_changed(
    routed: Routed, vendors: Vendors, first: str, second: str, fault: Any
) -> None:
    history: list[LLMMessage] = [
        SystemMessage(content="Be brief."),
        UserMessage(content=["Hello ", "there "], source="user"),
        AssistantMessage(content="Yes? ", thought="Somebody greets.", source="agent"),
    ]
    before, objects = copy.deepcopy(history), list(history)
    vendors.fail(first, fault)
    client = routed(incumbent=first)
    await client.create(history)
    await streamed(client, history)
    assert history == before
    assert all(message is known for message, known in zip(history, objects, strict=True))


async def test_agents_that_reflect_on_what_tools_said_may_ask_anthropic_without_tools(
    routed: Routed, vendors: Vendors, weather: FunctionTool
) -> None:
    client = routed()
    called = await client.create([ASK], tools=[weather], extra_create_args=only(OPENAI))
    said = await client.create([ASK, turn(called), results_of(called)], extra_create_args=only(ANTHROPIC))
    assert said.content == "The tool says: It is sunny."
    body = last(vendors, ANTHROPIC)
    assert [tool["name"] for tool in body["tools"]] == ["get_weather"]
    assert body["tool_choice"] == {"type": "none"}


@pytest.mark.parametrize("name", [OPENAI, ANTHROPIC])
async def test_options_reach_whoever_is_asked(
    routed: Routed, vendors: Vendors, weather: FunctionTool, name: str
) -> None:
    extra = {"temperature": 0.25, "max_tokens": 77, "taskrouter": {"agent": "a"}, "model": name}
    await routed().create([ASK], tools=[weather], tool_choice=weather, extra_create_args=extra)
    body = last(vendors, name)
    assert (body["temperature"], body["max_tokens"], body["model"]) == (0.25, 77, name)
    assert "get_weather" in json.dumps(body["tool_choice"])
    assert "taskrouter" not in json.dumps(body)


async def test_json_mode_and_a_class_of_answers_reach_openai(routed: Routed, vendors: Vendors) -> None:
    question = UserMessage(content="Which 'city' do you like? Say it in json: 'Paris'", source="user")
    chunks = await streamed(routed(), [question], json_output=City)
    assert City.model_validate_json(chunks[-1].content).city
    assert last(vendors, OPENAI)["response_format"]["json_schema"]["name"] == "City"
    await routed().create([question], json_output=True, extra_create_args=only(OPENAI))
    assert last(vendors, OPENAI)["response_format"] == {"type": "json_object"}


async def test_a_schema_among_the_parameters_is_kept_to(routed: Routed, vendors: Vendors) -> None:
    shape = {"name": "City", "schema": City.model_json_schema()}
    extra = {"response_format": {"type": "json_schema", "json_schema": shape}}
    vendors.fail(OPENAI, "misshapen")
    alone = routed(candidates=[openai(vendors)], config=None, max_retries=0)
    with pytest.raises(AllAttemptsFailedError, match="breaks the response schema"):
        await alone.create([QUESTION], extra_create_args=extra)


async def test_a_class_of_answers_goes_to_a_model_that_takes_it(routed: Routed, vendors: Vendors) -> None:
    question = UserMessage(content="Which 'city' do you like?", source="user")
    await streamed(routed(incumbent=ANTHROPIC), [question], json_output=City)
    assert asked(vendors) == [OPENAI]


@pytest.mark.parametrize("name", [OPENAI, ANTHROPIC])
async def test_a_picture_reaches_whoever_is_asked(routed: Routed, vendors: Vendors, name: str) -> None:
    picture = UserMessage(content=["What is this?", Image.from_base64(base64.b64encode(PNG).decode())], source="user")
    await routed().create([picture], extra_create_args=only(name))
    assert "image" in json.dumps(last(vendors, name)["messages"][0]["content"])


async def test_streams_ask_for_their_tokens_where_the_wire_wants_to_be_asked(routed: Routed, vendors: Vendors) -> None:
    client = routed()
    await streamed(client, include_usage=True)
    assert last(vendors, OPENAI)["stream_options"] == {"include_usage": True}
    await streamed(client, include_usage=False)
    assert "stream_options" not in last(vendors, OPENAI)
    await client.create([QUESTION])
    assert "stream_options" not in last(vendors, OPENAI)


async def test_what_a_candidate_was_made_with_stays(vendors: Vendors) -> None:
    own = [openai(vendors, temperature=0.5, stream_options={"include_usage": False}), anthropic(vendors, max_tokens=99)]
    client = RoutedChatCompletionClient(own, OPENAI)
    await streamed(client)
    await client.create([QUESTION], extra_create_args=only(ANTHROPIC))
    assert (last(vendors, OPENAI)["temperature"], last(vendors, ANTHROPIC)["max_tokens"]) == (0.5, 99)
    assert last(vendors, OPENAI)["stream_options"] == {"include_usage": False}
