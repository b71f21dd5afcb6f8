"""The OpenAI SDK and plain HTTP against a served simulation."""

from __future__ import annotations

import json
from typing import Any

import httpx
import openai
import pytest
from pydantic import BaseModel

ASK = [{"role": "user", "content": "What is 6 * 7?"}]


def test_a_plain_answer_is_computed_and_marked_as_simulated(client, sim):
    raw = client.chat.completions.with_raw_response.create(model="m", messages=ASK)
    answer = raw.parse()
    assert raw.headers["x-taskrouter-simulated"] == "true"
    assert answer.system_fingerprint == "simulated"
    assert answer.model == "m"
    assert answer.choices[0].message.content == "6 * 7 = 42"
    assert answer.choices[0].finish_reason == "stop"
    usage = answer.usage
    assert (usage.prompt_tokens, usage.completion_tokens, usage.total_tokens) == (3, 2, 5)


async def test_the_asynchronous_client_gets_the_same_answer(sim):
    async with openai.AsyncOpenAI(base_url=sim.base_url, api_key="any", max_retries=0) as client:
        asked: Any = {"model": "m", "messages": ASK}
        plain = await client.chat.completions.create(**asked)
        stream = await client.chat.completions.create(**asked, stream=True)
        text = "".join([chunk.choices[0].delta.content or "" async for chunk in stream])
    assert text == plain.choices[0].message.content == "6 * 7 = 42"


def test_a_stream_opens_with_the_role_and_ends_with_reason_and_usage(client):
    asked = {"model": "m", "messages": ASK, "stream": True, "stream_options": {"include_usage": True}}
    chunks = list(client.chat.completions.create(**asked))
    first, *middle, last, usage = chunks
    assert (first.choices[0].delta.role, first.choices[0].delta.content) == ("assistant", "")
    assert "".join(chunk.choices[0].delta.content for chunk in middle) == "6 * 7 = 42"
    assert len(middle) > 1
    assert last.choices[0].finish_reason == "stop"
    assert usage.choices == []
    assert usage.usage.total_tokens == 5
    assert {chunk.system_fingerprint for chunk in chunks} == {"simulated"}


def test_a_stream_without_the_option_carries_no_usage_and_ends_with_done(http, body):
    lines = http.post("/v1/chat/completions", json=body(stream=True)).text.strip().split("\n\n")
    assert lines[-1] == "data: [DONE]"
    assert all("usage" not in json.loads(line.removeprefix("data: ")) for line in lines[:-1])


def test_a_tool_call_has_arguments_from_the_prompt(client, tool):
    asked = [{"role": "user", "content": "What is the weather in New York in fahrenheit?"}]
    choice = client.chat.completions.create(model="m", messages=asked, tools=[tool()]).choices[0]
    (call,) = choice.message.tool_calls
    assert choice.finish_reason == "tool_calls"
    assert choice.message.content is None
    assert call.function.name == "get_weather"
    assert json.loads(call.function.arguments) == {"city": "New York", "unit": "fahrenheit"}


def test_streamed_tool_calls_name_first_then_arguments_in_fragments(client, tool):
    asked = [{"role": "user", "content": "What is the weather in New York in fahrenheit?"}]
    chunks = list(client.chat.completions.create(model="m", messages=asked, tools=[tool()], stream=True))
    deltas = [call for chunk in chunks for call in chunk.choices[0].delta.tool_calls or []]
    assert (deltas[0].function.name, deltas[0].function.arguments) == ("get_weather", "")
    assert deltas[0].id
    assert all(delta.id is None and delta.function.name is None for delta in deltas[1:])
    assert len(deltas) > 2
    assert json.loads("".join(delta.function.arguments for delta in deltas))["city"] == "New York"
    assert chunks[-1].choices[0].finish_reason == "tool_calls"


def test_after_the_tool_has_answered_the_model_answers_in_words(client, tool):
    messages = [{"role": "user", "content": "What is the weather in Oslo?"}]
    first = client.chat.completions.create(model="m", messages=messages, tools=[tool()]).choices[0].message
    result = {"condition": "snow", "weather in Oslo": "minus 4 degrees"}
    messages += [first, {"role": "tool", "tool_call_id": first.tool_calls[0].id, "content": json.dumps(result)}]
    second = client.chat.completions.create(model="m", messages=messages, tools=[tool()]).choices[0]
    assert second.finish_reason == "stop"
    assert second.message.content == "weather in Oslo: minus 4 degrees"


def test_a_model_may_call_several_named_tools_at_once_or_one_after_the_other(client, tool):
    asked = {"model": "m", "messages": [{"role": "user", "content": "First search docs, then get weather in Rome."}]}
    search = tool("search_docs", type="object", properties={"query": {"type": "string"}}, required=["query"])
    tools = [tool(), search]
    together = client.chat.completions.create(**asked, tools=tools).choices[0].message.tool_calls
    single = client.chat.completions.create(**asked, tools=tools, parallel_tool_calls=False).choices[0].message
    assert [call.function.name for call in together] == ["search_docs", "get_weather"]
    assert [call.function.name for call in single.tool_calls] == ["search_docs"]
    assert len({call.id for call in (*together, *single.tool_calls)}) == 3


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        ("none", []),
        ("auto", ["get_weather"]),
        ("required", ["get_weather"]),
        ({"type": "function", "function": {"name": "other"}}, ["other"]),
    ],
)
def test_tool_choice_is_honoured(client, tool, choice, expected):
    asked = [{"role": "user", "content": "The weather in Rome, please."}]
    other = tool("other", type="object", properties={}, required=[])
    given = client.chat.completions.create(model="m", messages=asked, tools=[tool(), other], tool_choice=choice)
    assert [call.function.name for call in given.choices[0].message.tool_calls or []] == expected


def test_a_required_call_after_a_result_goes_to_a_tool_not_called_yet(client, tool):
    call = {"id": "call_1", "type": "function", "function": {"name": "get_weather", "arguments": '{"city":"Rome"}'}}
    messages = [
        {"role": "user", "content": "The weather in Rome, please."},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "call_1", "content": "sunny"},
    ]
    report = tool("report", type="object", properties={"text": {"type": "string"}}, required=["text"])
    given = client.chat.completions.create(model="m", messages=messages, tools=[tool(), report], tool_choice="required")
    assert [call.function.name for call in given.choices[0].message.tool_calls] == ["report"]


class Invoice(BaseModel):
    customer: str
    email: str
    total_amount: float
    urgent: bool
    items: list[str]
    note: str | None


def test_the_sdk_parses_a_structured_answer_taken_from_the_prompt(client):
    text = "Invoice for Jane Miller (jane@acme.io), total amount 1,240.50 EUR. Not urgent. Items: chairs, lamp and rug."
    answer = client.chat.completions.parse(
        model="m", messages=[{"role": "user", "content": text}], response_format=Invoice
    )
    assert answer.choices[0].message.parsed == Invoice(
        customer="Jane Miller",
        email="jane@acme.io",
        total_amount=1240.5,
        urgent=False,
        items=["chairs", "lamp", "rug"],
        note=None,
    )


def test_json_object_gives_the_keys_that_the_prompt_names(client):
    asked = [{"role": "user", "content": "Return JSON with keys name and age. name: Bob, 42 years of age."}]
    answer = client.chat.completions.create(model="m", messages=asked, response_format={"type": "json_object"})
    assert json.loads(answer.choices[0].message.content) == {"name": "Bob", "age": 42}


def test_limits_and_stop_marks_cut_the_answer(client):
    asked = [{"role": "user", "content": "Plan a trip: book flights, find a hotel and choose museums."}]
    whole = client.chat.completions.create(model="m", messages=asked).choices[0]
    cut = client.chat.completions.create(model="m", messages=asked, max_tokens=3)
    stopped = client.chat.completions.create(model="m", messages=asked, stop=["\n2."]).choices[0]
    assert whole.message.content.startswith("1. ")
    assert cut.choices[0].finish_reason == "length"
    assert cut.choices[0].message.content == whole.message.content[:12]
    assert cut.usage.completion_tokens == 3
    assert stopped.message.content == whole.message.content.split("\n")[0]
    assert stopped.finish_reason == "stop"


def test_a_limit_cuts_the_arguments_of_a_tool_call(client, tool):
    asked = [{"role": "user", "content": "What is the weather in New York in fahrenheit?"}]
    choice = client.chat.completions.create(model="m", messages=asked, tools=[tool()], max_tokens=4).choices[0]
    assert choice.finish_reason == "length"
    assert choice.message.tool_calls[0].function.arguments == '{"cit'


def test_a_prefix_seen_before_is_reported_as_cached(start, client_of):
    client = client_of(start(top={"min_cached_tokens": 10}))
    system = {"role": "system", "content": "You answer questions about the handbook. " * 4}
    cached = []
    for question in ("What is new?", "What is old?"):
        messages = [system, {"role": "user", "content": question}]
        usage = client.chat.completions.create(model="m", messages=messages).usage
        cached.append(usage.prompt_tokens_details.cached_tokens)
    assert cached == [0, len(system["content"]) // 4]


def test_the_models_are_listed_and_say_that_they_are_simulated(client, http):
    models = list(client.models.list())
    assert [model.id for model in models] == ["m", "seeing", "plain", "narrow"]
    assert {model.owned_by for model in models} == {"taskrouter-simulator"}
    assert http.get("/health").json() == {"status": "ok", "simulated": True}


def test_an_image_is_accepted_by_a_model_that_can_see(client):
    parts = [
        {"type": "text", "text": "What is 6 * 7?"},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}},
    ]
    answer = client.chat.completions.create(model="seeing", messages=[{"role": "user", "content": parts}])
    assert answer.choices[0].message.content == "6 * 7 = 42"
    assert answer.usage.prompt_tokens == 88


def test_the_server_tells_what_it_received_without_the_content(http, body, tool):
    http.post("/v1/chat/completions", json=body(tools=[tool()], stream=True))
    http.post("/v1/chat/completions", json=body(temperature=9))
    first, second = http.get("/sim/requests").json()["requests"]
    assert (first["model"], first["stream"], first["messages"], first["tools"]) == ("m", True, 1, 1)
    assert (first["status"], first["finish_reason"], first["closed_early"]) == (200, "tool_calls", False)
    assert (second["status"], second["done"]) == (400, True)
    assert "6 * 7" not in json.dumps([first, second])


def test_reset_over_http_forgets_the_requests(http, body):
    http.post("/v1/chat/completions", json=body())
    assert http.post("/sim/reset").status_code == 200
    assert http.get("/sim/requests").json() == {"requests": []}


def test_content_is_recorded_where_asked(start, body):
    server = start(top={"record_content": True})
    httpx.post(f"{server.base_url}/chat/completions", json=body())
    assert server.requests[0].body == body()
