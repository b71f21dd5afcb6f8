"""Requests that the real API refuses are refused, in its shape."""

from __future__ import annotations

import httpx
import openai
import pytest

USER = {"role": "user", "content": "Hello"}
CALL = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
CALLING = {"role": "assistant", "content": None, "tool_calls": [CALL]}
RESULT = {"role": "tool", "tool_call_id": "c1", "content": "done"}
IMAGE = {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}]}


def function(name="f", **fields):
    return [{"type": "function", "function": {"name": name, **fields}}]


def schema_format(schema, **fields):
    return {"type": "json_schema", "json_schema": {"name": "s", "schema": schema, **fields}}


ENDLESS = {"type": "object", "properties": {"a": {"$ref": "#/properties/a"}}}
OPEN_OBJECT = {"type": "object", "properties": {"a": {"type": "string"}}}
REFUSED = [
    ({"foo": 1}, "foo", "unknown_parameter"),
    ({"messages": [{**USER, "foo": 1}]}, "messages[0].foo", "unknown_parameter"),
    ({"functions": []}, "functions", "unsupported_parameter"),
    ({"messages": []}, "messages", "empty_array"),
    ({"messages": None}, "messages", "invalid_type"),
    ({"messages": "Hello"}, "messages", "invalid_type"),
    ({"messages": [{"role": "robot", "content": "x"}]}, "messages[0].role", "invalid_value"),
    ({"messages": [{"content": "x"}]}, "messages[0].role", "missing_required_parameter"),
    ({"messages": [{"role": "user"}]}, "messages[0].content", "missing_required_parameter"),
    ({"messages": [{"role": "user", "content": 7}]}, "messages[0].content", "invalid_type"),
    ({"messages": [{"role": "user", "content": []}]}, "messages[0].content", "empty_array"),
    (
        {"messages": [{"role": "user", "content": [{"type": "text"}]}]},
        "messages[0].content[0].text",
        "missing_required_parameter",
    ),
    ({"messages": [{"role": "user", "content": [{"type": "smell"}]}]}, "messages[0].content[0].type", "invalid_value"),
    ({"messages": [{"role": "assistant", "content": None}]}, "messages[0].content", "invalid_type"),
    ({"messages": [{"role": "system", "content": IMAGE["content"]}]}, None, None),
    ({"messages": [IMAGE]}, "messages", "unsupported_content"),
    ({"model": 7}, "model", "invalid_type"),
    ({"temperature": 3}, "temperature", "invalid_value"),
    ({"temperature": "hot"}, "temperature", "invalid_type"),
    ({"top_p": 1.5}, "top_p", "invalid_value"),
    ({"presence_penalty": -3}, "presence_penalty", "invalid_value"),
    ({"n": 2}, "n", "invalid_value"),
    ({"max_tokens": 0}, "max_tokens", "invalid_value"),
    ({"max_tokens": 1_001}, "max_tokens", "invalid_value"),
    ({"max_tokens": 5, "max_completion_tokens": 5}, "max_tokens", "invalid_parameter_combination"),
    ({"stop": ["a", "b", "c", "d", "e"]}, None, None),
    ({"stream": "yes"}, "stream", "invalid_type"),
    ({"stream_options": {"include_usage": True}}, "stream_options", None),
    ({"stream": True, "stream_options": {"usage": True}}, "stream_options.usage", "unknown_parameter"),
    ({"logprobs": True}, "logprobs", "invalid_value"),
    ({"metadata": {"a": 1}}, "metadata.a", "invalid_type"),
    ({"reasoning_effort": "heroic"}, "reasoning_effort", "invalid_value"),
    ({"tools": []}, "tools", "empty_array"),
    ({"tool_choice": "auto"}, "tool_choice", None),
    ({"parallel_tool_calls": True}, "parallel_tool_calls", None),
    ({"tools": [{"type": "function"}]}, "tools[0].function", "missing_required_parameter"),
    ({"tools": function("bad name")}, "tools[0].function.name", "invalid_value"),
    ({"tools": function(parameters={"type": "objekt"})}, "tools[0].function.parameters", "invalid_function_parameters"),
    ({"tools": function(parameters={})}, "tools[0].function.parameters", "invalid_function_parameters"),
    ({"tools": function(parameters={"type": "object"})}, "tools[0].function.parameters", "invalid_function_parameters"),
    (
        {"tools": function(parameters={"type": "object", "properties": {"a": {"$ref": "https://example.com/s"}}})},
        "tools[0].function.parameters",
        "invalid_function_parameters",
    ),
    (
        {"tools": function(parameters={"type": "object", "properties": {"a": {"$ref": "#/$defs/none"}}})},
        "tools[0].function.parameters",
        "invalid_function_parameters",
    ),
    ({"tools": function(parameters=ENDLESS)}, "tools[0].function.parameters", "invalid_function_parameters"),
    (
        {"tools": function(parameters=OPEN_OBJECT, strict=True)},
        "tools[0].function.parameters",
        "invalid_function_parameters",
    ),
    ({"tools": function(), "tool_choice": {"type": "function", "function": {"name": "g"}}}, "tool_choice", None),
    ({"tools": function(), "tool_choice": "always"}, "tool_choice", "invalid_value"),
    ({"response_format": {"type": "yaml"}}, "response_format.type", "invalid_value"),
    ({"response_format": {"type": "json_object"}}, "messages", None),
    (
        {"response_format": {"type": "json_schema", "json_schema": {"name": "s"}}},
        "response_format.json_schema.schema",
        "missing_required_parameter",
    ),
    (
        {"response_format": schema_format({"type": "object", "properties": {"a": {"type": 7}}})},
        "response_format",
        "invalid_json_schema",
    ),
    ({"response_format": schema_format(OPEN_OBJECT, strict=True)}, "response_format", "invalid_json_schema"),
    ({"response_format": schema_format(OPEN_OBJECT, name="a b")}, "response_format.json_schema.name", "invalid_value"),
    ({"model": "plain", "tools": function()}, "tools", "unsupported_parameter"),
    ({"model": "plain", "response_format": schema_format(OPEN_OBJECT)}, "response_format", "unsupported_value"),
    ({"model": "narrow", "messages": [{"role": "user", "content": "x" * 300}]}, "messages", "context_length_exceeded"),
    ({"messages": [USER, CALLING]}, "messages[2].role", None),
    ({"messages": [USER, CALLING, USER]}, "messages[2].role", None),
    ({"messages": [USER, RESULT]}, "messages[1].role", None),
    ({"messages": [USER, CALLING, RESULT, RESULT]}, "messages[3].role", None),
    ({"messages": [USER, CALLING, USER, RESULT]}, "messages[2].role", None),
    ({"messages": [USER, {**CALLING, "tool_calls": [CALL, CALL]}, RESULT]}, "messages[1].tool_calls", "invalid_value"),
    ({"messages": [USER, {**CALLING, "tool_calls": []}]}, "messages[1].tool_calls", "empty_array"),
    (
        {"messages": [USER, {**CALLING, "tool_calls": [{**CALL, "id": "x" * 41}]}]},
        "messages[1].tool_calls[0].id",
        "invalid_value",
    ),
    ({"messages": [{"role": "tool", "content": "x"}]}, "messages[0].tool_call_id", "missing_required_parameter"),
]


@pytest.mark.parametrize(("changed", "param", "code"), REFUSED)
def test_what_the_real_api_refuses_is_refused(http, body, changed, param, code):
    response = http.post("/v1/chat/completions", json=body(**changed))
    error = response.json()["error"]
    assert response.status_code == 400
    assert error["type"] == "invalid_request_error"
    assert set(error) == {"message", "type", "param", "code"}
    if param is not None:
        assert (error["param"], error["code"]) == (param, code)
    assert response.headers["x-taskrouter-simulated"] == "true"


ACCEPTED = [
    {"temperature": None, "tools": None, "stop": None, "stream": None},
    {"stop": "x", "seed": 1, "user": "u", "top_p": 0.5, "n": 1, "logprobs": False, "store": True},
    {"metadata": {"a": "b"}, "reasoning_effort": "low", "service_tier": "auto", "prompt_cache_key": "k"},
    {"presence_penalty": 1, "frequency_penalty": -0.5, "max_completion_tokens": 5},
    {"messages": [{"role": "developer", "content": [{"type": "text", "text": "Be brief."}]}, USER]},
    {"messages": [USER, CALLING, RESULT]},
    {"messages": [USER, {**CALLING, "content": "", "refusal": None, "annotations": []}, RESULT, USER]},
    {"tools": function()},
    {"tools": function(parameters={**OPEN_OBJECT, "required": ["a"], "additionalProperties": False}, strict=True)},
    {"response_format": {"type": "text"}},
]


@pytest.mark.parametrize("changed", ACCEPTED)
def test_what_the_real_api_takes_is_taken(http, body, changed):
    response = http.post("/v1/chat/completions", json=body(**changed))
    assert response.status_code == 200, response.text


def test_an_unknown_model_is_not_found(client):
    with pytest.raises(openai.NotFoundError) as caught:
        client.chat.completions.create(model="nobody", messages=[USER])
    assert caught.value.code == "model_not_found"


@pytest.mark.parametrize("content", [b"{", b"[]", b"\xff", b"[" * 100_000])
def test_a_body_that_is_no_json_object_is_refused(http, content):
    response = http.post("/v1/chat/completions", content=content)
    assert response.status_code == 400
    assert response.json()["error"]["message"].startswith("We could not parse the JSON body")


def test_an_unknown_address_and_a_wrong_method_answer_in_the_same_shape(http):
    unknown, wrong = http.get("/v1/nothing"), http.get("/v1/chat/completions")
    assert (unknown.status_code, wrong.status_code) == (404, 405)
    assert unknown.json()["error"]["message"] == "Invalid URL (GET /v1/nothing)"
    assert wrong.json()["error"]["type"] == "invalid_request_error"


def test_a_key_is_required_where_configured(start, client_of, body):
    server = start(top={"require_key": True})
    response = httpx.post(f"{server.base_url}/chat/completions", json=body())
    assert response.status_code == 401
    assert client_of(server).chat.completions.create(model="m", messages=[USER]).model == "m"
