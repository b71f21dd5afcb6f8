"""The stand-ins refuse what the vendors refuse: what passes on them is worth something."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
from tests.standins import Vendors, serve

HELLO = {"role": "user", "content": "Hello"}
CHAT, MESSAGES, RESPONSES = "/v1/chat/completions", "/v1/messages", "/v1/responses"
SCHEMA = {"type": "object", "properties": {}}


@pytest.fixture(scope="module")
def vendors() -> Iterator[Vendors]:
    with serve() as running:
        yield running


def post(vendors: Vendors, path: str, body: Mapping[str, Any]) -> httpx.Response:
    limit = {"max_tokens": 100} if path == MESSAGES else {}
    return httpx.post(vendors.url + path, json={"model": "m", **limit, **body})


def chat(*messages: Mapping[str, Any], **fields: Any) -> tuple[str, dict[str, Any]]:
    return CHAT, {"messages": [HELLO, *messages], **fields}


def claude(*messages: Mapping[str, Any], **fields: Any) -> tuple[str, dict[str, Any]]:
    return MESSAGES, {"messages": [HELLO, *messages], **fields}


def assistant(*blocks: Mapping[str, Any]) -> dict[str, Any]:
    return {"role": "assistant", "content": list(blocks)}


CALL = {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
USE = {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {}}
RESULT = {"type": "tool_result", "tool_use_id": "toolu_1", "content": "done"}
FUNCTION = {"type": "function", "function": {"name": "f", "parameters": SCHEMA}}
TOOL = {"name": "f", "input_schema": SCHEMA}
THINKING = {"type": "enabled", "budget_tokens": 50}


@pytest.mark.parametrize(
    ("path", "body"),
    [
        chat(thinking=THINKING),
        chat(assistant({"type": "tool_use"})),
        chat({"role": "assistant", "content": None, "tool_calls": [CALL]}, HELLO),
        chat({"role": "assistant", "content": None, "tool_calls": [CALL]}),
        chat({"role": "tool", "tool_call_id": "call_1", "content": "done"}),
        chat(tools=[{"type": "web_search_20250305", "name": "web_search"}]),
        chat(tools=[TOOL]),
        chat(tools=[]),
        chat(tools=[FUNCTION], tool_choice={"type": "function", "function": {"name": "g"}}),
        chat(tool_choice="auto"),
        chat(parallel_tool_calls=False),
        chat(response_format={"type": "json_object"}),
        claude(prompt_cache_key="k"),
        claude(assistant({"type": "reasoning"})),
        claude(assistant({"type": "text", "text": " "})),
        claude(assistant({"type": "thinking", "thinking": "Hm.", "signature": "of another model"})),
        claude(assistant(USE), HELLO),
        claude(assistant(USE)),
        claude({"role": "user", "content": [RESULT]}),
        claude(assistant({**USE, "id": "call_1|fc_2"}), {"role": "user", "content": [RESULT]}),
        claude(tools=[{"type": "web_search_preview", "name": "web_search"}]),
        claude(tools=[FUNCTION]),
        claude(tools=[TOOL], tool_choice={"type": "tool", "name": "g"}),
        claude(tools=[TOOL], tool_choice={"type": "any"}, thinking=THINKING),
        claude(assistant(USE), {"role": "user", "content": [RESULT]}, tools=[TOOL], thinking=THINKING),
        (MESSAGES, {"messages": [assistant({"type": "text", "text": "Hello"})]}),
        (RESPONSES, {"input": [{"type": "function_call_output", "call_id": "call_1", "output": "done"}]}),
        (RESPONSES, {"input": [{"type": "reasoning", "id": "rs_1", "summary": []}]}),
        (RESPONSES, {"input": [{"type": "message", "id": "toolu_1", "role": "assistant", "content": []}]}),
        (RESPONSES, {"input": "Hello", "tools": [FUNCTION | {"type": "web_search_20250305"}]}),
        (RESPONSES, {"input": "Hello", "stop": ["x"]}),
    ],
)
def test_a_wrong_request_is_refused(vendors: Vendors, path: str, body: dict[str, Any]) -> None:
    answer = post(vendors, path, body)
    assert answer.status_code == 400, answer.text
    assert vendors.received[-1].error


@pytest.mark.parametrize(
    ("path", "body"),
    [
        chat(
            {"role": "assistant", "content": None, "tool_calls": [CALL]},
            {"role": "tool", "tool_call_id": "call_1", "content": "done"},
        ),
        chat(tools=[FUNCTION], tool_choice="required"),
        claude(assistant(USE), {"role": "user", "content": [RESULT]}),
        claude(tools=[{"type": "web_search_20250305", "name": "web_search"}, TOOL]),
        (RESPONSES, {"input": "Hello", "tools": [{"type": "web_search"}]}),
    ],
)
def test_a_right_request_is_answered(vendors: Vendors, path: str, body: dict[str, Any]) -> None:
    answer = post(vendors, path, body)
    assert answer.status_code == 200, answer.text


def test_a_signature_holds_for_the_model_that_gave_it(vendors: Vendors) -> None:
    thought = post(vendors, MESSAGES, {"messages": [HELLO], "thinking": THINKING}).json()["content"]
    _, body = claude(assistant(*thought), HELLO)
    assert thought[0]["type"] == "thinking"
    assert post(vendors, MESSAGES, body).status_code == 200
    assert post(vendors, MESSAGES, {**body, "model": "another"}).status_code == 400


@pytest.mark.parametrize(("path", "body"), [chat(), claude(), (RESPONSES, {"input": "Hello"})])
def test_a_stop_and_a_limit_end_the_text(vendors: Vendors, path: str, body: dict[str, Any]) -> None:
    limit = "max_output_tokens" if path == RESPONSES else "max_tokens"
    assert "What can" in post(vendors, path, body).text
    assert "What can" not in post(vendors, path, {**body, limit: 2}).text
    if path != RESPONSES:  # which knows no stop sequences
        stop = "stop" if path == CHAT else "stop_sequences"
        assert "What can" not in post(vendors, path, {**body, stop: [" can"]}).text


@pytest.mark.parametrize(("path", "body"), [chat(), claude(), (RESPONSES, {"input": "Hello"})])
@pytest.mark.parametrize("stream", [False, True])
def test_a_cut_answer_is_never_complete(vendors: Vendors, path: str, body: dict[str, Any], *, stream: bool) -> None:
    vendors.fail("cut", "cut")
    with pytest.raises(httpx.RemoteProtocolError, match="without sending complete"):
        post(vendors, path, {**body, "model": "cut", "stream": stream})
    assert vendors.received[-1].model == "cut"


ASKED = pytest.mark.parametrize(("path", "body"), [chat(), claude(), (RESPONSES, {"input": "Hello"})])
STREAM = pytest.mark.parametrize("stream", [False, True])


@ASKED
@STREAM
@pytest.mark.parametrize(("fault", "status"), [("error", 500), ("unavailable", 503), ("limited", 429)])
def test_a_failing_model_says_so(
    vendors: Vendors, path: str, body: dict[str, Any], fault: Any, status: int, *, stream: bool
) -> None:
    vendors.fail("failing", fault)
    answer = post(vendors, path, {**body, "model": "failing", "stream": stream})
    assert answer.status_code == vendors.received[-1].status == status
    assert ("retry-after" in answer.headers) == (status == 429)


@ASKED
def test_a_stream_breaks_or_stops_after_some_words_and_never_says_why(
    vendors: Vendors, path: str, body: dict[str, Any]
) -> None:
    vendors.fail("stopping", "stops")
    stopped = post(vendors, path, {**body, "model": "stopping", "stream": True}).text
    assert "What" in stopped
    assert "today" not in stopped
    assert not any(word in stopped for word in ('"stop"', "end_turn", "completed", "[DONE]"))
    vendors.fail("breaking", "broken")
    with pytest.raises(httpx.RemoteProtocolError, match="without sending complete"):
        post(vendors, path, {**body, "model": "breaking", "stream": True})


@ASKED
@STREAM
def test_an_empty_answer_has_no_byte(vendors: Vendors, path: str, body: dict[str, Any], *, stream: bool) -> None:
    vendors.fail("empty", "empty")
    answer = post(vendors, path, {**body, "model": "empty", "stream": stream})
    assert (answer.status_code, answer.content) == (200, b"")


@ASKED
@STREAM
def test_a_silent_model_ends_properly_and_says_nothing(
    vendors: Vendors, path: str, body: dict[str, Any], *, stream: bool
) -> None:
    vendors.fail("silent", "silent")
    said = post(vendors, path, {**body, "model": "silent", "stream": stream}).text
    assert "Hello" not in said
    assert any(word in said for word in ('"stop"', "end_turn", "completed"))


@ASKED
@STREAM
def test_an_answer_is_held_until_its_gate_opens(
    vendors: Vendors, path: str, body: dict[str, Any], *, stream: bool
) -> None:
    with ThreadPoolExecutor(1) as pool, vendors.holding("held") as gate:
        asked = pool.submit(post, vendors, path, {**body, "model": "held", "stream": stream})
        assert gate.reached.wait(5)
        assert not asked.done()
        gate.open()
        assert "What" in asked.result(5).text
    assert not gate.left.is_set()


@ASKED
def test_a_gate_notices_who_leaves(vendors: Vendors, path: str, body: dict[str, Any]) -> None:
    limit = {"max_tokens": 100} if path == MESSAGES else {}
    asked = {"model": "held", "stream": True, **limit, **body}
    with vendors.holding("held") as gate:
        with httpx.stream("POST", vendors.url + path, json=asked) as answer:
            next(answer.iter_bytes())
        assert gate.left.wait(5)


@pytest.mark.parametrize("path", [CHAT, MESSAGES, RESPONSES])
def test_tools_are_called_together_where_the_question_says_so(vendors: Vendors, path: str) -> None:
    names = ("weather", "time")
    shapes: dict[str, Any] = {
        CHAT: [{"type": "function", "function": {"name": name, "parameters": SCHEMA}} for name in names],
        MESSAGES: [{"name": name, "input_schema": SCHEMA} for name in names],
        RESPONSES: [{"type": "function", "name": name, "parameters": SCHEMA} for name in names],
    }
    question = {"role": "user", "content": "Tell me weather and time at once"}
    answer = post(vendors, path, {"input" if path == RESPONSES else "messages": [question], "tools": shapes[path]})
    said = answer.json().get("output") or answer.text
    assert [str(said).count(f"{name}") for name in names] == [1, 1]


def test_a_model_may_miss_the_shape(vendors: Vendors) -> None:
    vendors.fail("missing", "misshapen")
    shape = {"type": "json_schema", "json_schema": {"name": "s", "schema": SCHEMA}}
    answer = post(vendors, CHAT, {"messages": [HELLO], "response_format": shape, "model": "missing"}).json()
    assert answer["choices"][0]["message"]["content"] == '{"nobody": "asked"}'
    forced = {"tools": [TOOL], "tool_choice": {"type": "any"}}
    called = post(vendors, MESSAGES, {"messages": [HELLO], **forced, "model": "missing"}).json()
    assert called["content"][0]["input"] == {"nobody": "asked"}
