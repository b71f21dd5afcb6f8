"""What reaches each vendor's wire, read from the requests that their stand-ins received, also after a fallback."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from langchain_core.exceptions import ModelAPIError
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, ToolMessage
from langchain_core.runnables import Runnable
from langchain_core.tools import tool
from pydantic import BaseModel, Field
from tests.standins import Vendors, serve
from tests.standins.files import PNG
from tests.standins.models import ANTHROPIC, OPENAI, THINKING, anthropic, openai

from langchain_taskrouter import RoutedChatModel

BOTH = pytest.mark.parametrize("first", [OPENAI, ANTHROPIC])
"""Either vendor as the one that is asked first and fails."""
WAYS = pytest.mark.parametrize("way", ["invoke", "stream", "ainvoke", "astream"])
QUESTION = HumanMessage("What is the weather in Paris?")


@tool
def get_weather(city: str) -> str:
    """Look up the weather of a city."""
    return f"It is sunny in {city}."


class Weather(BaseModel):
    """The weather of a city."""

    city: str = Field(description="Name of the city.")
    degrees: int


@pytest.fixture
def vendors() -> Iterator[Vendors]:
    with serve() as running:
        yield running


def routed(*candidates: BaseChatModel | Runnable[Any, Any], first: str = OPENAI, **fields: Any) -> RoutedChatModel:
    return RoutedChatModel(list(candidates), first, config={"execution": {"retries": 0}}, **fields)


async def asked(model: Runnable[Any, Any], way: str, messages: Any = "Hello", /, **options: Any) -> None:
    """Ask in one of the four ways, and read the answer to its end."""
    match way:
        case "invoke":
            model.invoke(messages, **options)
        case "ainvoke":
            await model.ainvoke(messages, **options)
        case "stream":
            list(model.stream(messages, **options))
        case "astream":
            [chunk async for chunk in model.astream(messages, **options)]


def sent(vendors: Vendors) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """Return what OpenAI and what Anthropic received last; empty where it was nothing."""
    bodies = {request.model: request.body for request in vendors.received}
    return bodies.get(OPENAI, {}), bodies.get(ANTHROPIC, {})


def sampling(vendors: Vendors) -> list[tuple[Any, ...]]:
    """Return temperature, stop sequences and limit on each wire."""
    to_openai, to_anthropic = sent(vendors)
    return [
        (to_openai["temperature"], to_openai["stop"], to_openai["max_completion_tokens"]),
        (to_anthropic["temperature"], to_anthropic["stop_sequences"], to_anthropic["max_tokens"]),
    ]


def texts(body: Mapping[str, Any]) -> str:
    return str(body["messages"])


# --- sampling -----------------------------------------------------------------------------------------------------


@BOTH
@WAYS
async def test_what_a_call_says_arrives_on_every_wire(vendors: Vendors, first: str, way: str) -> None:
    vendors.fail(first, "error")
    model = routed(openai(vendors), anthropic(vendors), first=first)
    await asked(model, way, temperature=0.3, stop=["END"], max_tokens=7)
    assert sampling(vendors) == [(0.3, ["END"], 7)] * 2


@BOTH
@WAYS
async def test_what_is_bound_to_a_candidate_arrives_on_its_wire(vendors: Vendors, first: str, way: str) -> None:
    vendors.fail(first, "error")
    bound = [
        openai(vendors).bind(temperature=0.1, stop=["A"], max_tokens=8),
        anthropic(vendors).bind(temperature=0.2, stop=["B"], max_tokens=9),
    ]
    await asked(routed(*bound, first=first), way)
    assert sampling(vendors) == [(0.1, ["A"], 8), (0.2, ["B"], 9)]


@BOTH
async def test_what_a_candidate_was_made_with_arrives_on_its_wire(vendors: Vendors, first: str) -> None:
    vendors.fail(first, "error")
    made = [
        openai(vendors, temperature=0.1, stop=["A"], max_tokens=8),
        anthropic(vendors, temperature=0.2, stop=["B"], max_tokens=9),
    ]
    await asked(routed(*made, first=first), "invoke")
    assert sampling(vendors) == [(0.1, ["A"], 8), (0.2, ["B"], 9)]


@BOTH
@WAYS
async def test_what_the_router_itself_is_given_arrives_on_every_wire(vendors: Vendors, first: str, way: str) -> None:
    vendors.fail(first, "error")
    model = routed(openai(vendors), anthropic(vendors), first=first, temperature=0.3, stop=["END"], max_tokens=7)
    await asked(model, way)
    assert sampling(vendors) == [(0.3, ["END"], 7)] * 2


@BOTH
async def test_what_a_call_says_is_stronger_than_what_is_bound(vendors: Vendors, first: str) -> None:
    vendors.fail(first, "error")
    bound = [openai(vendors).bind(stop=["A"], max_tokens=8), anthropic(vendors, temperature=0.2).bind(stop=["B"])]
    await asked(routed(*bound, first=first), "invoke", temperature=0.3, stop=["END"], max_tokens=7)
    assert sampling(vendors) == [(0.3, ["END"], 7)] * 2


# --- tools and structured output ----------------------------------------------------------------------------------


@BOTH
@WAYS
async def test_tools_arrive_in_each_vendors_form(vendors: Vendors, first: str, way: str) -> None:
    vendors.fail(first, "error")
    model = routed(openai(vendors), anthropic(vendors), first=first).bind_tools([get_weather], tool_choice="any")
    await asked(model, way, [QUESTION])
    to_openai, to_anthropic = sent(vendors)
    parameters = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
    described = {"name": "get_weather", "description": "Look up the weather of a city."}
    assert to_openai["tools"] == [{"type": "function", "function": {**described, "parameters": parameters}}]
    assert to_openai["tool_choice"] == "required"
    assert to_anthropic["tools"] == [{**described, "input_schema": parameters}]
    assert to_anthropic["tool_choice"] == {"type": "any"}


@BOTH
async def test_the_choice_of_one_tool_and_of_one_call_arrives_in_each_vendors_form(
    vendors: Vendors, first: str
) -> None:
    vendors.fail(first, "error")
    model = routed(openai(vendors), anthropic(vendors), first=first)
    one = model.bind_tools([get_weather], tool_choice="get_weather", parallel_tool_calls=False)
    await asked(one, "invoke", [QUESTION])
    to_openai, to_anthropic = sent(vendors)
    assert to_openai["tool_choice"] == {"type": "function", "function": {"name": "get_weather"}}
    assert to_openai["parallel_tool_calls"] is False
    assert to_anthropic["tool_choice"] == {"type": "tool", "name": "get_weather", "disable_parallel_tool_use": True}


@BOTH
async def test_a_schema_arrives_in_each_vendors_form(vendors: Vendors, first: str) -> None:
    vendors.fail(first, "error")
    model = routed(openai(vendors), anthropic(vendors), first=first)
    answer = model.with_structured_output(Weather, method="json_schema").invoke("The weather of 'Paris', 21 degrees")
    assert answer == Weather(city="Paris", degrees=21)
    to_openai, to_anthropic = sent(vendors)
    assert set(to_openai["response_format"]["json_schema"]["schema"]["properties"]) == {"city", "degrees"}
    assert set(to_anthropic["output_config"]["format"]["schema"]["properties"]) == {"city", "degrees"}


def test_a_vendors_own_tool_reaches_nobody_else(vendors: Vendors) -> None:
    vendors.fail(ANTHROPIC, "error")
    model = routed(openai(vendors), anthropic(vendors), first=ANTHROPIC)
    search = {"type": "web_search_20250305", "name": "web_search"}
    with pytest.raises(ModelAPIError):
        model.bind_tools([search]).invoke([QUESTION])
    assert [(request.model, request.body["tools"]) for request in vendors.received] == [(ANTHROPIC, [search])]


def test_every_vendor_gets_its_own_of_several_that_do_the_same(vendors: Vendors) -> None:
    vendors.fail(ANTHROPIC, "error")
    model = routed(openai(vendors, use_responses_api=True), anthropic(vendors), first=ANTHROPIC)
    theirs = {"type": "web_search_20250305", "name": "web_search"}
    model.bind_tools([theirs, {"type": "web_search"}]).invoke([QUESTION])
    to_openai, to_anthropic = sent(vendors)
    assert (to_openai["tools"], to_anthropic["tools"]) == ([{"type": "web_search"}], [theirs])


# --- conversations that change the model --------------------------------------------------------------------------


def loop(model: RoutedChatModel, opener: str, other: str) -> list[BaseMessage]:
    """Let one model open a tool loop, and another end it; return the conversation."""
    with_tools = model.bind_tools([get_weather])
    called = with_tools.invoke([QUESTION], model=opener)
    assert isinstance(called, AIMessage)
    results: list[ToolMessage] = [get_weather.invoke(call) for call in called.tool_calls]
    conversation = [QUESTION, called, *results]
    return [*conversation, with_tools.invoke(conversation, model=other)]


@pytest.mark.parametrize("responses", [False, True])
def test_openai_reads_the_calls_of_anthropic_with_their_ids_paired(vendors: Vendors, *, responses: bool) -> None:
    model = routed(openai(vendors, use_responses_api=responses), anthropic(vendors))
    *_, called, result, answer = loop(model, ANTHROPIC, OPENAI)
    assert isinstance(called, AIMessage)
    assert isinstance(result, ToolMessage)
    body, _ = sent(vendors)
    if responses:
        calls = [item["call_id"] for item in body["input"] if item.get("type") == "function_call"]
        results = [item["call_id"] for item in body["input"] if item.get("type") == "function_call_output"]
    else:
        calls = [call["id"] for message in body["messages"] for call in message.get("tool_calls") or ()]
        results = [message["tool_call_id"] for message in body["messages"] if message["role"] == "tool"]
    assert calls == results == [called.tool_calls[0]["id"]] == [result.tool_call_id]
    assert answer.text.startswith("The tool says: It is sunny")


@pytest.mark.parametrize("responses", [False, True])
def test_anthropic_reads_the_calls_of_openai_with_their_ids_paired(vendors: Vendors, *, responses: bool) -> None:
    model = routed(openai(vendors, use_responses_api=responses), anthropic(vendors))
    *_, answer = loop(model, OPENAI, ANTHROPIC)
    _, body = sent(vendors)
    blocks = [
        block for message in body["messages"] if isinstance(message["content"], list) for block in message["content"]
    ]
    calls = [block["id"] for block in blocks if block["type"] == "tool_use"]
    results = [block["tool_use_id"] for block in blocks if block["type"] == "tool_result"]
    assert len(calls) == 1
    assert calls == results
    assert answer.text.startswith("The tool says: It is sunny")


def test_a_thought_goes_back_to_the_model_that_signed_it(vendors: Vendors) -> None:
    model = routed(openai(vendors), anthropic(vendors, thinking=THINKING, max_tokens=4096))
    loop(model, ANTHROPIC, ANTHROPIC)
    _, body = sent(vendors)
    assert [block["type"] for block in body["messages"][1]["content"]] == ["thinking", "tool_use"]


@pytest.mark.parametrize("responses", [False, True])
def test_no_foreign_thought_reaches_openai(vendors: Vendors, *, responses: bool) -> None:
    model = routed(openai(vendors, use_responses_api=responses), anthropic(vendors, thinking=THINKING, max_tokens=4096))
    thought = model.invoke([QUESTION], model=ANTHROPIC)
    model.invoke([QUESTION, thought, HumanMessage("And in Rome?")], model=OPENAI)
    body, _ = sent(vendors)
    assert "signature" not in str(body)
    assert "thinking" not in str(body)


def test_no_foreign_signature_reaches_another_model_of_anthropic(vendors: Vendors) -> None:
    other = "claude-sonnet-4-6"
    thinking = {"thinking": THINKING, "max_tokens": 4096}
    model = routed(anthropic(vendors, **thinking), anthropic(vendors, model=other, **thinking), first=ANTHROPIC)
    thought = model.invoke([QUESTION])
    assert "signature" in str(thought.content)
    vendors.fail(ANTHROPIC, "error")
    answer = model.invoke([QUESTION, thought, HumanMessage("And in Rome?")])
    assert answer.response_metadata["taskrouter"]["model"] == other
    assert vendors.received[-1].status == 200
    assert "signature" not in texts(vendors.received[-1].body)


def test_a_tool_loop_that_was_opened_with_a_signed_thought_stays_with_its_model(vendors: Vendors) -> None:
    thinking = {"thinking": THINKING, "max_tokens": 4096}
    opened_by = "claude-sonnet-4-6"
    model = routed(anthropic(vendors, **thinking), anthropic(vendors, model=opened_by, **thinking), first=ANTHROPIC)
    with_tools = model.bind_tools([get_weather])
    call = with_tools.invoke([QUESTION], {"configurable": {"taskrouter": {"model": opened_by}}})
    result = ToolMessage("It is sunny.", tool_call_id=str(call.tool_calls[0]["id"]))
    # The incumbent thinks too, and an answer of it may not go on from a thought that it cannot be shown.
    answer = with_tools.invoke([QUESTION, call, result])
    assert answer.response_metadata["taskrouter"]["model"] == opened_by
    later = with_tools.invoke([QUESTION, call, result, answer, HumanMessage("Thanks. And now a joke, please.")])
    assert later.response_metadata["taskrouter"]["model"] == ANTHROPIC
    assert {received.status for received in vendors.received} == {200}


@pytest.mark.parametrize("responses", [False, True])
def test_no_foreign_reasoning_reaches_anthropic(vendors: Vendors, *, responses: bool) -> None:
    thinker = openai(vendors, use_responses_api=responses, reasoning_effort="low")
    model = routed(thinker, anthropic(vendors, thinking=THINKING, max_tokens=4096))
    thought = model.invoke([QUESTION])
    model.invoke([QUESTION, thought, HumanMessage("And in Rome?")], model=ANTHROPIC)
    _, body = sent(vendors)
    assert "reasoning" not in texts(body)
    assert "'id': 'rs_" not in texts(body)


def test_marks_for_a_vendors_cache_reach_no_other(vendors: Vendors) -> None:
    model = routed(openai(vendors), anthropic(vendors), first=ANTHROPIC)
    marked = HumanMessage([{"type": "text", "text": "Hello", "cache_control": {"type": "ephemeral"}}])
    vendors.fail(ANTHROPIC, "error")
    model.invoke([marked])
    to_openai, to_anthropic = sent(vendors)
    assert "cache_control" in texts(to_anthropic)
    assert "cache_control" not in texts(to_openai)


def test_a_key_for_openais_cache_does_not_reach_anthropic(vendors: Vendors) -> None:
    vendors.fail(OPENAI, "error")
    routed(openai(vendors), anthropic(vendors)).invoke("Hello", prompt_cache_key="k")
    to_openai, to_anthropic = sent(vendors)
    assert to_openai["prompt_cache_key"] == "k"
    assert "prompt_cache_key" not in to_anthropic


@BOTH
def test_an_image_arrives_in_each_vendors_form(vendors: Vendors, first: str) -> None:
    vendors.fail(first, "error")
    image = base64.b64encode(PNG).decode()
    shown = HumanMessage(
        [
            {"type": "text", "text": "What is this?"},
            {"type": "image", "base64": image, "mime_type": "image/png"},
        ]
    )
    routed(openai(vendors), anthropic(vendors), first=first).invoke([shown])
    to_openai, to_anthropic = sent(vendors)
    assert to_openai["messages"][0]["content"][1]["image_url"]["url"] == f"data:image/png;base64,{image}"
    source = {"type": "base64", "media_type": "image/png", "data": image}
    assert to_anthropic["messages"][0]["content"][1] == {"type": "image", "source": source}


# --- connections --------------------------------------------------------------------------------------------------


def test_every_event_loop_finds_both_vendors_ready(vendors: Vendors) -> None:
    model = routed(openai(vendors), anthropic(vendors))
    for _ in range(3):
        for name in (OPENAI, ANTHROPIC):
            asyncio.run(asked(model, "ainvoke", model=name))
            asyncio.run(asked(model, "astream", model=name))
    assert [request.status for request in vendors.received] == [200] * 12
