"""What the router reads of answers and of updates, by the framework's own words for them."""

from __future__ import annotations

from typing import Any

import pytest
from agent_framework import ChatResponse, ChatResponseUpdate, Content, Message, UsageDetails

from autogen_taskrouter.agent_framework._messages import chat_messages, function_tools, response_schema, result_text
from autogen_taskrouter.agent_framework._view import UpdateReader, response_view
from taskrouter.outcome import Usage


def response(*contents: Content, **fields: Any) -> ChatResponse[Any]:
    return ChatResponse(messages=[Message("assistant", list(contents))], **fields)


def usage(mode: str | None = None, **counted: int) -> Content:
    content = Content.from_usage(UsageDetails(**counted))  # type: ignore[typeddict-item] # vendors have keys of their own
    content.merge_mode = mode  # type: ignore[assignment] # constructors do not take it before agent-framework-core 1.22
    return content


def test_text_thoughts_calls_and_facts_are_read() -> None:
    seen = response_view(
        response(
            Content.from_text_reasoning(text="hm"),
            Content.from_text("Let me "),
            Content.from_text("see."),
            Content.from_function_call("call_1", "look", arguments={"at": 1}),
            Content.from_function_call("call_2", "look", arguments='{"at": 2}'),
            finish_reason="tool_calls",
            model="gpt",
            response_id="resp_1",
        )
    )
    assert (seen.reasoning, seen.text) == ("hm", "Let me see.")
    assert [(call.id, call.name, call.arguments) for call in seen.tool_calls] == [
        ("call_1", "look", '{"at": 1}'),
        ("call_2", "look", '{"at": 2}'),
    ]
    assert (seen.finish_reason, seen.model, seen.response_id, seen.usage) == ("tool_calls", "gpt", "resp_1", None)


@pytest.mark.parametrize("mark", [{"core": {"model_output_kind": "refusal"}}, {"model_output_kind": "refusal"}])
def test_a_refusal_is_told_by_its_mark(mark: dict[str, Any]) -> None:
    assert response_view(response(Content.from_text("No.", additional_properties=mark))).refused
    assert not response_view(response(Content.from_text("No."))).refused


@pytest.mark.parametrize(
    ("contents", "text"),
    [
        ([Content.from_uri("https://example.com/cat.png", media_type="image/png")], "[uri]"),
        ([Content.from_code_interpreter_tool_call(call_id="ci_1")], "[code_interpreter_tool_call]"),
        ([Content.from_error(message="it failed")], ""),
        ([], ""),
    ],
)
def test_an_answer_without_words_is_one_if_it_has_something_else(contents: list[Content], text: str) -> None:
    assert response_view(response(*contents)).text == text


def test_an_answer_that_goes_on_at_its_provider_is_one() -> None:
    assert response_view(response(continuation_token={"response_id": "r"})).text == "[in_progress]"


def test_a_call_that_the_provider_ran_does_not_wait_for_the_application() -> None:
    told = Content.from_function_call("call_1", "look", arguments="{}")
    told.informational_only = True
    assert response_view(response(told, Content.from_text("Done."))).tool_calls == ()


def test_anthropics_cached_tokens_are_part_of_the_input() -> None:
    counted: Any = {
        "input_token_count": 10,
        "output_token_count": 2,
        "cache_read_input_token_count": 30,
        "anthropic.cache_read_input_tokens": 30,
        "anthropic.cache_creation_input_tokens": 5,
    }
    seen = response_view(response(Content.from_text("Hi"), usage_details=counted))
    assert seen.usage == Usage(input_tokens=45, output_tokens=2, cached_input_tokens=30)
    del counted["cache_read_input_token_count"]  # as older clients have it
    seen = response_view(response(Content.from_text("Hi"), usage_details=counted))
    assert seen.usage == Usage(input_tokens=45, output_tokens=2, cached_input_tokens=30)


def test_token_counts_of_a_stream_are_added_or_replaced_as_they_say() -> None:
    reader = UpdateReader()
    views = [
        reader.view(ChatResponseUpdate(contents=[content]))
        for content in (
            usage(input_token_count=5),
            usage(output_token_count=2),
            usage("replace", input_token_count=5, output_token_count=7),
        )
    ]
    assert [view.usage for view in views] == [
        Usage(input_tokens=5),
        Usage(input_tokens=5, output_tokens=2),
        Usage(input_tokens=5, output_tokens=7),
    ]
    reader.begin()
    assert reader.view(ChatResponseUpdate(contents=[Content.from_text("Hi")])).usage is None


def test_what_a_stream_says_again_is_read_once() -> None:
    def part(text: str, mode: Any) -> ChatResponseUpdate:
        content = Content.from_text(text)
        content.merge_mode = mode
        return ChatResponseUpdate(contents=[content])

    reader = UpdateReader()
    updates = [part("Hello", "append"), part(" you", "append"), part("Hello you", "replace"), part("Bye", "replace")]
    assert [reader.view(update).text for update in updates] == ["Hello", " you", "", "Bye"]


def test_fragments_of_calls_are_numbered_by_their_ids() -> None:
    def piece(identity: str | None, call_id: str, name: str, arguments: str) -> ChatResponseUpdate:
        content = Content.from_function_call(call_id, name, arguments=arguments)
        content.id = identity
        return ChatResponseUpdate(contents=[content])

    reader = UpdateReader()
    updates = [
        piece("one", "call_1", "look", ""),
        piece("two", "call_2", "look", ""),
        piece("one", "", "", "{}"),
        piece(None, "", "", "{"),
    ]
    assert [reader.view(update).tool_calls[0].index for update in updates] == [0, 1, 0, 1]


SCHEMA = {"type": "object", "properties": {"a": {"type": "integer"}}}


@pytest.mark.parametrize(
    ("given", "schema"),
    [
        (None, None),
        ("json", None),
        (SCHEMA, SCHEMA),
        ({"type": "json_schema", "json_schema": {"name": "a", "schema": SCHEMA}}, SCHEMA),
        ({"format": {"type": "json_schema", "name": "a", "schema": SCHEMA}}, SCHEMA),
        ({"type": "json_schema", "name": "a", "schema": SCHEMA}, SCHEMA),
        ({"type": "json_object"}, None),
        ({"type": "text"}, None),
        ({"type": "json_schema", "json_schema": {"name": "a"}}, None),
    ],
)
def test_a_response_format_in_any_form_has_its_schema(given: Any, schema: Any) -> None:
    assert response_schema(given) == schema


def test_results_are_shown_as_text() -> None:
    items = [Content.from_text("a"), Content.from_uri("https://example.com/cat.png", media_type="image/png")]
    assert result_text(Content.from_function_result("call_1", result=[*items, Content.from_text("b")])) == "a\nb"
    assert result_text(Content.from_function_result("call_1", result=None)) == ""
    odd = Content.from_function_result("call_1", result="")
    odd.items, odd.result = None, {"at": 1}
    assert result_text(odd) == '{"at": 1}'


def test_tools_of_the_application_are_shown_and_no_others() -> None:
    own: Any = {"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}
    flat = {"type": "function", **own["function"]}
    assert function_tools([own, flat, {"type": "web_search"}, object()]) == [own, own]


def test_messages_are_shown_in_the_chat_completions_shape() -> None:
    call = Content.from_function_call("call_1", "look", arguments='{"at": 1}')
    results = [Content.from_function_result("call_1", result={"seen": 2}), Content.from_function_result("call_2")]
    shown = chat_messages(
        [
            Message("developer", ["Be kind."]),
            Message("user", ["one", "two"]),
            Message("assistant", ["Let me see.", call]),
            Message("tool", results),
            Message("critic", ["Hm."]),
        ],
        ["Be brief.", " "],
    )
    assert [message["role"] for message in shown] == [
        "system",
        "developer",
        "user",
        "assistant",
        "tool",
        "tool",
        "user",
    ]
    assert [message["content"] for message in shown[:4]] == ["Be brief.", "Be kind.", "one\ntwo", "Let me see."]
    assert shown[3]["tool_calls"][0]["function"] == {"name": "look", "arguments": '{"at": 1}'}
    assert [(message["tool_call_id"], message["content"]) for message in shown[4:6]] == [
        ("call_1", result_text(results[0])),
        ("call_2", ""),
    ]
