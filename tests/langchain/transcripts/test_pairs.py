"""Calls and results, system messages, names: what holds of whole messages."""

from __future__ import annotations

from typing import Any

import pytest
from langchain_core.messages import (
    AIMessage,
    AIMessageChunk,
    BaseMessage,
    FunctionMessage,
    HumanMessage,
    SystemMessage,
    ToolMessage,
)
from tests.langchain.transcripts.people import POOL, call, loop, result, said

from langchain_taskrouter.transcripts import transcript_for

INTERRUPTED = "There is no result: the call was interrupted."


def seen(reader: str, messages: list[BaseMessage]) -> list[BaseMessage]:
    return transcript_for(POOL[reader], messages, POOL)


def ids(messages: list[BaseMessage]) -> list[str | None]:
    """The ids of calls and results, as they stand."""
    found: list[str | None] = []
    for message in messages:
        if isinstance(message, AIMessage):
            found += [c["id"] for c in message.tool_calls] + [c["id"] for c in message.invalid_tool_calls]
        elif isinstance(message, ToolMessage):
            found.append(message.tool_call_id)
    return found


def texts(messages: list[BaseMessage]) -> list[str]:
    return [str(message.text) for message in messages]


def test_a_loop_that_every_vendor_takes_is_left_alone() -> None:
    messages = [*loop("gpt"), said("gpt", "Sunny."), HumanMessage("And?")]
    assert seen("opus", messages) is messages


@pytest.mark.parametrize("given", ["call_1|fc_2", "functions.lookup:0", "x" * 41], ids=["piped", "dotted", "long"])
def test_an_id_that_a_vendor_refuses_is_hashed_in_the_call_and_in_its_result(given: str) -> None:
    messages = loop("gpt", "", result(given=given), tool_calls=[call(given)])
    shown = seen("opus", messages)
    first, second = ids(shown)
    assert first == second != given
    assert (first or "").startswith("call_")
    assert len(first or "") == 29
    assert ids(messages) == [given, given]
    assert seen("gpt", messages) is messages


@pytest.mark.parametrize("reader", ["mistral", "litellm"])
def test_mistral_gets_ids_of_nine_letters(reader: str) -> None:
    pool = {**POOL, "litellm": POOL["litellm"].__class__("litellm", names=frozenset({"mistral/mistral-large"}))}
    messages = loop("gpt", "", result(given="call_1"), tool_calls=[call("call_1")])
    first, second = ids(transcript_for(pool[reader], messages, pool))
    assert first == second
    assert len(first or "") == 9


def test_an_id_that_comes_twice_is_given_once() -> None:
    messages = [*loop("gpt", "", result("one")), said("gpt", "ok"), *loop("gpt", "", result("two"))]
    shown = seen("opus", messages)
    first, its, second, others = ids(shown)
    assert (first, its) == ("call_1", "call_1")
    assert second == others != "call_1"
    assert [m.text for m in shown if isinstance(m, ToolMessage)] == ["one", "two"]


def test_two_calls_of_one_id_in_one_answer_get_their_own_results() -> None:
    calls = [call("call_1", a=1), call("call_1", a=2)]
    shown = seen("opus", loop("gpt", "", result("one"), result("two"), tool_calls=calls))
    first, second, its, others = ids(shown)
    assert (first, second) == (its, others)
    assert first != second
    assert texts(shown)[2:] == ["one", "two"]


def test_missing_ids_are_made_and_results_found_by_name() -> None:
    calls = [call(None, "lookup"), call(None, "search")]
    results = (result("found", given="", name="search"), result("looked", given="", name="lookup"))
    shown = seen("opus", loop("gemini", "", *results, tool_calls=calls))
    first, second, its, others = ids(shown)
    assert (first, second) == (its, others)
    assert len({first, second, None}) == 3
    assert texts(shown)[2:] == ["looked", "found"]


def test_an_interrupted_call_gets_a_result_that_says_so() -> None:
    calls = [call("call_1"), call("call_2", "search")]
    messages = [*loop("gpt", "", result(), tool_calls=calls), HumanMessage("Stop.")]
    shown = seen("opus", messages)
    assert ids(shown) == ["call_1", "call_2", "call_1", "call_2"]
    assert texts(shown)[2:] == ["Sunny.", INTERRUPTED, "Stop."]
    missing = shown[3]
    assert isinstance(missing, ToolMessage)
    assert (missing.status, missing.name) == ("error", "search")
    assert seen("gpt", messages) is messages


def test_a_result_without_its_call_is_dropped() -> None:
    messages = [result("old"), *loop("gpt", "", result(), result("whose?", given="call_9")), said("gpt", "ok")]
    assert texts(seen("opus", messages)) == ["Weather?", "", "Sunny.", "ok"]


def test_a_second_result_replaces_the_first() -> None:
    shown = seen("opus", loop("gpt", "", result("early"), result("late")))
    assert texts(shown) == ["Weather?", "", "late"]


def test_a_late_result_moves_up_to_its_call_and_parallel_ones_stand_in_order() -> None:
    calls = [call("call_1"), call("call_2")]
    late = [result("two", given="call_2"), HumanMessage("Hurry."), result("one", given="call_1")]
    shown = seen("opus", [HumanMessage("?"), said("gpt", tool_calls=calls), *late])
    assert texts(shown) == ["?", "", "one", "two", "Hurry."]


def test_a_call_that_is_no_json_is_dropped_unless_it_was_answered() -> None:
    broken: Any = {"name": "lookup", "args": "{", "id": "call_1", "error": None, "type": "invalid_tool_call"}
    unanswered = [HumanMessage("?"), said("gpt", invalid_tool_calls=[broken]), HumanMessage("And?")]
    shown = seen("opus", unanswered)
    assert ids(shown) == []
    assert texts(shown) == ["?", "(no answer)", "And?"]
    answered = [HumanMessage("?"), said("gpt", invalid_tool_calls=[broken]), result("Not JSON.")]
    assert seen("opus", answered) is answered


def test_legacy_function_messages_become_tool_messages() -> None:
    legacy = {"function_call": {"name": "lookup", "arguments": '{"city": "Paris"}'}}
    function = FunctionMessage(content="Sunny.", name="lookup")
    shown = seen("opus", [HumanMessage("?"), said("gpt", additional_kwargs=legacy), function])
    first, its = ids(shown)
    assert first == its is not None
    assert texts(shown)[2] == "Sunny."
    assert not any(isinstance(message, FunctionMessage) for message in shown)


def test_a_block_that_repeats_a_call_has_its_new_id() -> None:
    content = [{"type": "tool_use", "id": "call.1", "name": "lookup", "input": {}}]
    shown = seen("haiku", loop("opus", content, result(given="call.1"), tool_calls=[call("call.1")]))
    answer: Any = shown[1]
    assert answer.content[0]["id"] == answer.tool_calls[0]["id"] == ids(shown)[1] != "call.1"


def test_a_streamed_answer_is_converted_like_a_whole_one() -> None:
    chunk = AIMessageChunk(
        content=[
            {"type": "thinking", "thinking": "so", "signature": "c2ln", "index": 0},
            {"type": "text", "text": "Hm."},
        ],
        tool_call_chunks=[{"name": "lookup", "args": "{}", "id": "call|1", "index": 1, "type": "tool_call_chunk"}],
        response_metadata={"taskrouter": {"model": "opus"}},
    )
    shown = seen("gpt", [HumanMessage("?"), chunk, result(given="call|1")])
    assert shown[1].content == "Hm."
    assert len(set(ids(shown))) == 1
    assert "call|1" not in repr(shown)


def test_pictures_in_results_go_only_to_models_that_read_them_there() -> None:
    picture = {"type": "image", "base64": "aGk=", "mime_type": "image/png"}
    text = {"type": "text", "text": "The screen:"}
    messages = [*loop("opus", "", result([text, picture])), said("opus", "I see."), HumanMessage("And?")]
    assert seen("gpt", messages) is messages
    assert seen("gemini", messages) is messages
    assert seen("mistral", messages)[2].content == "The screen:\n[image]"


@pytest.mark.parametrize(
    "content",
    [
        [{"type": "tool_result", "tool_use_id": "call_1", "content": [{"type": "text", "text": "Sunny."}]}],
        [{"type": "tool_result", "tool_use_id": "call_1", "content": "Sunny."}],
        [{"type": "custom_tool_call_output", "output": "Sunny."}],
        [{"type": "text", "text": "Sunny.", "cache_control": {"type": "ephemeral"}}],
        ["Sunny."],
    ],
    ids=["blocks", "text", "custom", "cached", "string"],
)
def test_a_result_in_a_vendors_envelope_is_unpacked(content: Any) -> None:
    assert seen("litellm", loop("opus", "", result(content)))[2].content == "Sunny."


def test_artifacts_status_and_names_of_results_are_kept() -> None:
    tool = result(["Failed."], name="lookup", status="error", artifact={"rows": 3})
    shown = seen("litellm", loop("opus", "", tool))[2]
    assert isinstance(shown, ToolMessage)
    assert (shown.artifact, shown.status, shown.name) == ({"rows": 3}, "error", "lookup")


@pytest.mark.parametrize("content", ["Be brief.", [{"type": "text", "text": "Be brief."}]], ids=["text", "blocks"])
def test_a_second_system_message_becomes_a_human_one_where_only_one_may_be(content: Any) -> None:
    messages = [
        SystemMessage("Rules."),
        HumanMessage("Hi."),
        said("gpt", "Hi."),
        SystemMessage(content),
        HumanMessage("?"),
    ]
    shown = seen("opus", messages)
    assert [m.type for m in shown] == ["system", "human", "ai", "human", "human"]
    assert shown[3].text.endswith("Be brief.")
    assert seen("gpt", messages) is messages


def test_a_system_message_stays_in_place_where_the_model_takes_it() -> None:
    able = POOL["opus"].__class__("opus", "anthropic", POOL["opus"].names, "ChatAnthropic", systems=True)
    pool = {**POOL, "opus": able}
    fits: list[BaseMessage] = [SystemMessage("Rules."), HumanMessage("Hi."), SystemMessage("Be brief.")]
    fits_not: list[BaseMessage] = [
        SystemMessage("Rules."),
        said("gpt", "Hi."),
        SystemMessage("Be brief."),
        HumanMessage("?"),
    ]
    assert transcript_for(able, fits, pool) is fits
    assert [m.type for m in transcript_for(able, fits_not, pool)] == ["system", "ai", "human", "human"]


def test_names_that_openai_refuses_are_written_otherwise() -> None:
    messages = [
        HumanMessage("Hi.", name="Ann Lee"),
        said("opus", "Hi.", name="the planner"),
        HumanMessage("?", name="ann"),
    ]
    shown = seen("gpt", messages)
    assert [m.name for m in shown] == ["Ann_Lee", "the_planner", "ann"]
    assert shown[2] is messages[2]


def test_an_answer_of_which_nothing_is_left_says_so() -> None:
    thought = [{"type": "thinking", "thinking": "so", "signature": "c2ln"}]
    messages = [HumanMessage("?"), said("opus", thought), HumanMessage("And?")]
    assert texts(seen("gpt", messages)) == ["?", "(no answer)", "And?"]
    assert texts(seen("haiku", messages)) == ["?", "(no answer)", "And?"]


def test_a_human_message_of_which_nothing_is_left_stays_a_message() -> None:
    approval = {"type": "mcp_approval_response", "approval_request_id": "mcpr_1", "approve": True}
    messages = [HumanMessage([approval]), said("gpt", "Done."), HumanMessage("And?")]
    assert texts(seen("opus", messages)) == ["(no text)", "Done.", "And?"]


def test_results_stand_alone_where_the_vendor_has_what_came_before() -> None:
    reader = POOL["gpt"].__class__("gpt", "openai", POOL["gpt"].names, "ChatOpenAI", remembers=True)
    messages = [result([{"type": "text", "text": "Sunny."}]), said("opus", "Hi."), HumanMessage("?")]
    assert transcript_for(reader, messages, {**POOL, "gpt": reader}) is messages
