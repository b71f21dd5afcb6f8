"""What the real integrations put on the wire, of conversations that the real integrations read off it.

Answers are made of the bodies in which the vendors send them; whatever is secret, stored or bound to one model in these
says so in capitals.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from anthropic.types import Message
from langchain_anthropic import ChatAnthropic
from langchain_core.language_models._utils import _update_message_content_to_blocks
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage, ToolMessage
from langchain_openai import ChatOpenAI
from langchain_openai.chat_models.base import _construct_lc_result_from_responses_api
from openai.types.responses import Response
from pydantic import SecretStr
from tests.langchain.transcripts.people import able

from langchain_taskrouter._candidates import candidates_of
from langchain_taskrouter.transcripts import speakers_of, transcript_for

ANY = SecretStr("any")
STORED = ("SIGNED", "ENCRYPTED", "rs_ID", "fc_ID", "msg_ID", "ws_ID", "fs_ID", "resp_ID", "cache_control", "container")
POOL = candidates_of(
    {
        "opus": ChatAnthropic(model="claude-opus-4-5", api_key=ANY),
        "haiku": ChatAnthropic(
            model="claude-haiku-4-5", api_key=ANY, thinking={"type": "enabled", "budget_tokens": 1024}
        ),
        "gpt": ChatOpenAI(model="gpt-5", api_key=ANY, use_responses_api=True),
        "mini": ChatOpenAI(model="gpt-5-mini", api_key=ANY, use_responses_api=True),
        "chat": ChatOpenAI(model="gpt-4o", api_key=ANY),
        "stored": ChatOpenAI(model="gpt-5-nano", api_key=ANY, use_responses_api=True, use_previous_response_id=True),
    },
    60.0,
)
SPEAKERS = speakers_of(POOL)
CALL = "call_1"


def claude_said() -> AIMessage:
    body = {
        "id": "msg_ID",
        "type": "message",
        "role": "assistant",
        "model": "claude-opus-4-5-20251101",
        "stop_reason": "tool_use",
        "stop_sequence": None,
        "usage": {"input_tokens": 1, "output_tokens": 1},
        "container": {"id": "container_ID", "expires_at": "2026-11-01T00:00:00Z"},
        "content": [
            {"type": "thinking", "thinking": "Which city?", "signature": "SIGNED"},
            {"type": "redacted_thinking", "data": "ENCRYPTED"},
            {"type": "server_tool_use", "id": "srvtoolu_ID", "name": "web_search", "input": {"query": "Paris"}},
            {
                "type": "web_search_tool_result",
                "tool_use_id": "srvtoolu_ID",
                "content": [
                    {
                        "type": "web_search_result",
                        "title": "All of Paris",
                        "url": "https://p.example",
                        "encrypted_content": "ENCRYPTED",
                        "page_age": None,
                    }
                ],
            },
            {
                "type": "text",
                "text": "It is Paris.",
                "citations": [
                    {
                        "type": "web_search_result_location",
                        "cited_text": "Paris",
                        "encrypted_index": "ENCRYPTED",
                        "title": "All of Paris",
                        "url": "https://p.example",
                    }
                ],
            },
            {"type": "tool_use", "id": CALL, "name": "lookup", "input": {"city": "Paris"}},
        ],
    }
    model: Any = POOL["opus"].model
    return given_by("opus", model._format_output(Message.model_validate(body)).generations[0].message)


def gpt_said(output_version: str) -> AIMessage:
    body = {
        "id": "resp_ID",
        "object": "response",
        "created_at": 1,
        "model": "gpt-5-2025-08-07",
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
        "output": [
            {"type": "reasoning", "id": "rs_ID", "summary": [], "encrypted_content": "ENCRYPTED"},
            {
                "type": "web_search_call",
                "id": "ws_ID",
                "status": "completed",
                "action": {"type": "search", "query": "All of Paris"},
            },
            {
                "type": "file_search_call",
                "id": "fs_ID",
                "status": "completed",
                "queries": ["city"],
                "results": [{"file_id": "file-1", "filename": "a.txt", "score": 1.0, "text": "A city."}],
            },
            {
                "type": "message",
                "id": "msg_ID",
                "role": "assistant",
                "status": "completed",
                "content": [{"type": "output_text", "text": "It is Paris.", "annotations": []}],
            },
            {
                "type": "function_call",
                "id": "fc_ID",
                "call_id": CALL,
                "name": "lookup",
                "arguments": '{"city": "Paris"}',
                "status": "completed",
            },
        ],
    }
    result = _construct_lc_result_from_responses_api(Response.model_validate(body), output_version=output_version)
    return given_by("gpt", result.generations[0].message)


def chat_said() -> AIMessage:
    function = {"name": "lookup", "arguments": '{"city": "Paris"}'}
    message = {
        "role": "assistant",
        "content": "It is Paris.",
        "refusal": None,
        "tool_calls": [{"id": CALL, "type": "function", "function": function}],
    }
    body = {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": "gpt-4o-2024-08-06",
        "choices": [{"index": 0, "finish_reason": "tool_calls", "message": message}],
    }
    model: Any = POOL["chat"].model
    return given_by("chat", model._create_chat_result(body).generations[0].message)


def given_by(name: str, message: Any) -> AIMessage:
    message.response_metadata["taskrouter"] = {"model": name}
    found: AIMessage = message
    return found


def in_v1(message: AIMessage) -> AIMessage:
    found: AIMessage = _update_message_content_to_blocks(message, "v1")
    return found


SAID = {
    "claude": claude_said,
    "claude-v1": lambda: in_v1(claude_said()),
    "gpt": lambda: gpt_said("responses/v1"),
    "gpt-v0": lambda: gpt_said("v0"),
    "gpt-v1": lambda: in_v1(gpt_said("responses/v1")),
    "chat": chat_said,
    "chat-v1": lambda: in_v1(chat_said()),
}


def conversation(answer: AIMessage) -> list[BaseMessage]:
    return [
        SystemMessage("Rules."),
        HumanMessage([{"type": "text", "text": "Which city?"}]),
        answer,
        ToolMessage("Sunny.", tool_call_id=CALL, name="lookup"),
        HumanMessage("Thanks. And now?"),
    ]


def payload(reader: str, messages: list[BaseMessage]) -> dict[str, Any]:
    model: Any = POOL[reader].model
    found: dict[str, Any] = model._get_request_payload(messages)
    return found


def shown(reader: str, messages: list[BaseMessage]) -> dict[str, Any]:
    return payload(reader, transcript_for(SPEAKERS[reader], messages, SPEAKERS))


def ids(part: Any) -> Iterator[tuple[str, str]]:
    """The ids of calls and of results in a payload, in order."""
    if isinstance(part, list):
        for one in part:
            yield from ids(one)
    elif isinstance(part, dict):
        kind = part.get("type")
        if kind == "tool_use":
            yield "call", part["id"]
        elif kind == "function_call":
            yield "call", part["call_id"]
        elif kind == "function" and "id" in part:
            yield "call", part["id"]
        elif kind in ("tool_result", "function_call_output") or part.get("role") == "tool":
            yield "result", part.get("tool_use_id") or part.get("call_id") or part["tool_call_id"]
        for one in part.values():
            yield from ids(one)


@pytest.mark.parametrize("reader", [name for name in POOL if name != "stored"])
@pytest.mark.parametrize("answer", SAID)
def test_the_wire_has_nothing_that_is_bound_to_another_model(answer: str, reader: str) -> None:
    messages = conversation(SAID[answer]())
    giver = messages[2].response_metadata["taskrouter"]["model"]
    before = json.dumps([m.model_dump() for m in messages], default=str)
    found = shown(reader, messages)
    wire = json.dumps({key: found[key] for key in ("messages", "input", "system") if key in found})
    assert "It is Paris." in wire
    assert list(ids(found)) == [("call", CALL), ("result", CALL)]
    assert json.dumps([m.model_dump() for m in messages], default=str) == before
    assert "previous_response_id" not in found
    if reader == giver:
        assert transcript_for(SPEAKERS[reader], messages, SPEAKERS) is messages
        return
    bound = STORED if {reader, giver} != {"opus", "haiku"} else ("SIGNED", "redacted")
    assert [mark for mark in bound if mark in wire] == []
    if giver == "opus" or answer in ("gpt", "gpt-v1"):  # v0 leaves out what was searched for
        assert "All of Paris" in wire


@pytest.mark.parametrize("answer", ["claude", "claude-v1"])
def test_a_model_gets_its_own_thought_back(answer: str) -> None:
    wire = json.dumps(shown("opus", conversation(SAID[answer]())))
    assert "SIGNED" in wire
    assert wire.count("srvtoolu_ID") == 2


@pytest.mark.parametrize("answer", ["claude", "claude-v1"])
def test_another_claude_gets_the_search_with_its_result_and_no_thought(answer: str) -> None:
    (content,) = [
        m["content"] for m in shown("haiku", conversation(SAID[answer]()))["messages"] if m["role"] == "assistant"
    ]
    assert [block["type"] for block in content] == ["server_tool_use", "web_search_tool_result", "text", "tool_use"]


@pytest.mark.parametrize(("answer", "reader", "mark"), [("claude", "haiku", "SIGNED"), ("gpt", "mini", "rs_ID")])
def test_without_the_transcript_it_would_be_sent(answer: str, reader: str, mark: str) -> None:
    """What the table is for: the integrations alone replay what another model of the vendor said."""
    messages = conversation(SAID[answer]())
    assert mark in json.dumps(payload(reader, messages))
    assert mark not in json.dumps(shown(reader, messages))


def test_a_stored_response_is_continued_only_at_its_vendor() -> None:
    claudes = conversation(claude_said())
    gpts = [HumanMessage("Hi."), given_by("gpt", gpt_said("responses/v1")), *conversation(chat_said())[3:]]
    assert shown("stored", gpts)["previous_response_id"] == "resp_ID"
    assert "previous_response_id" not in shown("stored", claudes)


@pytest.mark.parametrize("reader", POOL)
def test_a_system_message_in_the_middle_is_no_error(reader: str) -> None:
    messages = [SystemMessage("Rules."), HumanMessage("Hi."), SystemMessage("Be brief."), HumanMessage("Now?")]
    wire = json.dumps(shown(reader, messages))
    assert all(text in wire for text in ("Rules.", "Hi.", "Be brief.", "Now?"))


@pytest.mark.parametrize("reader", POOL)
@pytest.mark.parametrize(
    "block",
    [
        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "aGk="}},
        {"type": "input_image", "image_url": "data:image/png;base64,aGk="},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,aGk="}},
        {"type": "image", "base64": "aGk=", "mime_type": "image/png"},
        {
            "type": "document",
            "title": "a.pdf",
            "source": {"type": "base64", "media_type": "application/pdf", "data": "aGk="},
        },
        {"type": "file", "file": {"file_data": "data:application/pdf;base64,aGk=", "filename": "a.pdf"}},
    ],
    ids=["claude-image", "openai-image", "image_url", "image", "claude-document", "openai-file"],
)
def test_a_users_picture_or_file_reaches_every_vendor(block: dict[str, Any], reader: str) -> None:
    wire = json.dumps(shown(reader, [HumanMessage([{"type": "text", "text": "See."}, block])]))
    assert "aGk=" in wire
    assert "See." in wire


@pytest.mark.parametrize("reader", ["gpt", "chat"])
def test_cache_marks_do_not_reach_openai(reader: str) -> None:
    marked: list[Any] = [{"type": "text", "text": "Long rules.", "cache_control": {"type": "ephemeral"}}]
    found = shown(reader, [SystemMessage(marked), HumanMessage(marked)])
    assert "cache_control" not in json.dumps(found)
    assert "cache_control" in json.dumps(shown("opus", [SystemMessage(marked), HumanMessage(marked)]))


@pytest.mark.parametrize("reader", POOL)
def test_an_interrupted_loop_is_a_whole_one_on_the_wire(reader: str) -> None:
    answer = chat_said() if reader != "chat" else claude_said()
    answer.tool_calls.append({"name": "lookup", "args": {}, "id": "functions.lookup:1", "type": "tool_call"})
    messages = [HumanMessage("Which city?"), answer, HumanMessage("Stop."), ToolMessage("Sunny.", tool_call_id=CALL)]
    found = list(ids(shown(reader, messages)))
    calls = [given for role, given in found if role == "call"]
    assert calls == [given for role, given in found if role == "result"]
    assert len(calls) == 2
    assert "functions.lookup:1" not in calls


def test_an_open_loop_goes_to_no_claude_that_insists_on_its_own_thought() -> None:
    loop = conversation(claude_said())[:4]
    assert able(loop, SPEAKERS) == POOL.keys() - {"haiku"}
