"""The pure functions between LangChain's values and the router's."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from langchain_core.messages import (
    AIMessage,
    AIMessageChunk,
    BaseMessage,
    ChatMessage,
    FunctionMessage,
    HumanMessage,
    RemoveMessage,
    SystemMessage,
    ToolMessage,
)
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult

from langchain_taskrouter._messages import chat_messages
from langchain_taskrouter._native import is_native
from langchain_taskrouter._tools import BoundTools
from langchain_taskrouter._view import ChunkReader, result_view
from taskrouter import Step
from taskrouter.outcome import Usage

IMAGE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}


def result(message: AIMessage, **info: Any) -> ChatResult:
    return ChatResult(generations=[ChatGeneration(message=message, generation_info=info or None)])


def test_every_kind_of_message_has_its_role() -> None:
    messages: list[BaseMessage] = [
        SystemMessage("Be brief."),
        SystemMessage("Be kind.", additional_kwargs={"__openai_role__": "developer"}),
        HumanMessage("Hi", name="ann"),
        AIMessage("", tool_calls=[{"name": "f", "args": {"x": 1}, "id": "c1"}]),
        ToolMessage("42", tool_call_id="c1"),
        FunctionMessage(content="42", name="f"),
        ChatMessage(content="Hm", role="critic"),
        AIMessageChunk(content="part"),
        RemoveMessage(id="m"),
    ]
    shown = chat_messages(messages)
    assert [m["role"] for m in shown] == [
        "system", "developer", "user", "assistant", "tool", "function", "user", "assistant",
    ]  # fmt: skip
    assert shown[3]["tool_calls"] == [
        {"id": "c1", "type": "function", "function": {"name": "f", "arguments": '{"x": 1}'}}
    ]
    assert Step(messages=shown[:5]).view.last_tool == "f"


def test_parts_are_read_and_thoughts_are_not_counted() -> None:
    message = HumanMessage(
        ["hello", {"type": "text", "text": "world"}, IMAGE, {"type": "thinking", "thinking": "x" * 99}]
    )
    view = Step(messages=chat_messages([message])).view
    assert (view.images, view.user) == (1, "hello\nworld")


@given(st.lists(st.one_of(st.text(), st.lists(st.fixed_dictionaries({"type": st.text(), "text": st.text()})))))
def test_any_conversation_can_be_profiled(contents: list[Any]) -> None:
    messages = [HumanMessage("first"), *(AIMessage(content) for content in contents)]
    assert Step(messages=chat_messages(messages)).view.turns == len(messages)


def test_a_whole_answer_is_read() -> None:
    usage: Any = {"input_tokens": 9, "output_tokens": 2, "total_tokens": 11, "input_token_details": {"cache_read": 4}}
    message = AIMessage(
        [{"type": "thinking", "thinking": "so"}, {"type": "text", "text": "yes"}],
        tool_calls=[{"name": "f", "args": {"x": 1}, "id": "c"}],
        usage_metadata=usage,
        response_metadata={"stop_reason": "end_turn", "model_name": "m-1", "id": "r"},
    )
    view = result_view(result(message))
    assert (view.text, view.reasoning, view.finish_reason) == ("yes", "so", "end_turn")
    assert (view.model, view.response_id) == ("m-1", "r")
    assert [(call.name, call.arguments) for call in view.tool_calls] == [("f", '{"x": 1}')]
    assert view.usage == Usage(input_tokens=9, output_tokens=2, cached_input_tokens=4)


def test_a_broken_tool_call_is_read_as_it_was_written() -> None:
    broken: Any = {"name": "f", "args": "{x", "id": "c", "error": None}
    (call,) = result_view(result(AIMessage("", invalid_tool_calls=[broken]))).tool_calls
    assert call.arguments == "{x"


@pytest.mark.parametrize(
    "message",
    [
        AIMessage("", additional_kwargs={"refusal": "I may not"}),
        AIMessage("no", response_metadata={"stop_reason": "refusal"}),
    ],
)
def test_a_refusal_is_seen(message: AIMessage) -> None:
    assert result_view(result(message)).refused


def test_an_answer_out_of_a_cache_costs_nothing() -> None:
    usage: Any = {"input_tokens": 9, "output_tokens": 2, "total_tokens": 11, "total_cost": 0}
    assert result_view(result(AIMessage("yes", usage_metadata=usage))).usage == Usage()


def test_reasoning_beside_the_content_is_read() -> None:
    assert result_view(result(AIMessage("yes", additional_kwargs={"reasoning_content": "so"}))).reasoning == "so"
    summary: list[Any] = [{"type": "reasoning", "summary": [{"type": "summary_text", "text": "so"}]}]
    assert result_view(result(AIMessage(summary))).reasoning == "so"


def chunks() -> list[ChatGenerationChunk]:
    def counted(tokens_in: int, tokens_out: int) -> Any:
        return {"input_tokens": tokens_in, "output_tokens": tokens_out, "total_tokens": tokens_in + tokens_out}

    return [
        ChatGenerationChunk(message=AIMessageChunk(content="", usage_metadata=counted(7, 0))),
        ChatGenerationChunk(message=AIMessageChunk(content="yes")),
        ChatGenerationChunk(
            message=AIMessageChunk(
                content="",
                tool_call_chunks=[{"name": "f", "args": '{"x', "id": "c", "index": 0, "type": "tool_call_chunk"}],
                usage_metadata=counted(0, 3),
            ),
            generation_info={"finish_reason": "stop"},
        ),
    ]


def test_chunks_are_read_and_their_tokens_added_up_stream_by_stream() -> None:
    reader = ChunkReader()
    for _ in range(2):
        reader.begin()
        views = [reader.view(chunk) for chunk in chunks()]
        assert [view.meaningful for view in views] == [False, True, True]
        assert [view.usage for view in views] == [
            Usage(input_tokens=7), Usage(input_tokens=7), Usage(input_tokens=7, output_tokens=3),
        ]  # fmt: skip
        assert views[2].tool_calls[0].arguments == '{"x'
        assert views[2].finish_reason == "stop"


NATIVE: list[dict[str, Any]] = [
    {"type": "web_search_20250305", "name": "web_search", "max_uses": 3},
    {"type": "web_search_preview"},
    {"google_search": {}},
]
PORTABLE: list[dict[str, Any]] = [
    {"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}},
    {"type": "function", "name": "f", "parameters": {"type": "object", "properties": {}}},
    {"name": "f", "description": "A tool.", "input_schema": {"type": "object", "properties": {}}},
    {"title": "f", "description": "A schema.", "type": "object", "properties": {"x": {"type": "integer"}}},
]


@pytest.mark.parametrize("tool", [*NATIVE, *PORTABLE], ids=str)
def test_every_tool_can_be_profiled(tool: dict[str, Any]) -> None:
    bound = BoundTools([tool])
    assert is_native(tool) == (tool in NATIVE)
    assert Step(messages=[{"role": "user", "content": "?"}], tools=bound.profiled()).tools


def test_functions_and_tools_are_portable(weather: Any) -> None:
    assert not is_native(weather)
    assert BoundTools([weather]).shown[0]["function"]["name"] == "lookup"
