"""Who can take the next call."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage, ToolMessage
from tests.langchain.transcripts.people import POOL, able, call, loop, result, said, thinking

from langchain_taskrouter.transcripts import Speaker

THOUGHT = {"type": "thinking", "thinking": "so", "signature": "c2ln"}
SEARCH = {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {"query": "weather"}}
CLAUDES, GPTS, GEMINIS = frozenset({"opus", "haiku"}), frozenset({"gpt", "mini"}), frozenset({"gemini", "flash"})


@pytest.mark.parametrize(
    "messages",
    [
        [],
        [HumanMessage("Hi.")],
        [SystemMessage("Rules."), HumanMessage("Hi."), said("opus", [THOUGHT]), HumanMessage("And?")],
        loop("gpt"),
    ],
    ids=["empty", "first", "closed", "loop"],
)
def test_everybody_can_continue_most_conversations(messages: list[BaseMessage]) -> None:
    assert able(messages) is None


def test_an_open_loop_stays_away_from_thinking_that_insists() -> None:
    pool = thinking(POOL, "opus", "haiku")
    assert able(loop("gpt"), pool) == POOL.keys() - CLAUDES
    assert able(loop("opus", [THOUGHT]), pool) == POOL.keys() - {"haiku"}
    closed = [*loop("gpt"), said("gpt", "Sunny."), HumanMessage("And?")]
    assert able(closed, pool) is None


def test_a_thought_of_the_same_model_is_enough() -> None:
    twin = Speaker("twin", "anthropic", POOL["opus"].names, "ChatAnthropic", thinks=True)
    pool = {**POOL, "twin": twin}
    assert able(loop("opus", [THOUGHT]), pool) is None
    assert able(loop("opus"), pool) == POOL.keys()


def test_deepseek_asks_for_its_thought_too() -> None:
    pool = {**POOL, "deepseek": Speaker("deepseek", "deepseek", frozenset({"v4"}), "ChatDeepSeek", thinks=True)}
    pool["twin"] = replace(pool["deepseek"], id="twin")
    assert able(loop("gpt"), pool) == POOL.keys()
    assert able(loop("deepseek", "", additional_kwargs={"reasoning_content": "so"}), pool) is None


@pytest.mark.parametrize(
    ("block", "who"),
    [
        ({"type": "file", "file": {"file_id": "file-abc"}}, GPTS),
        ({"type": "file", "file_id": "file-abc"}, GPTS),
        ({"type": "image", "source_type": "id", "id": "file-abc"}, GPTS),
        ({"type": "input_image", "file_id": "assistant-1"}, GPTS),
        ({"type": "additional_tools", "tools": []}, GPTS),
        ({"type": "document", "source": {"type": "file", "file_id": "file_011"}}, CLAUDES),
        ({"type": "image", "source": {"type": "file", "file_id": "other"}}, CLAUDES),
        ({"type": "container_upload", "file_id": "mine"}, CLAUDES),
        ({"type": "tool_removal", "tool": {"type": "tool_reference", "name": "x"}}, CLAUDES),
        ({"type": "media", "file_uri": "https://files.example/1", "mime_type": "image/png"}, GEMINIS),
        ({"type": "image_url", "image_url": {"url": "gs://bucket/a.png"}}, GEMINIS),
        ({"type": "file", "file_id": "https://generativelanguage.googleapis.com/v1beta/files/1"}, GEMINIS),
        ({"type": "non_standard", "value": {"type": "file", "file_id": "file-abc"}}, GPTS),
        ({"type": "image", "url": "s3://bucket/a.png"}, None),
        ({"type": "image_url", "image_url": {"url": "https://i.example/a.png"}}, None),
        ({"type": "image", "base64": "aGk=", "mime_type": "image/png"}, None),
        ({"type": "file", "file_id": "whose"}, None),
    ],
    ids=lambda value: value["type"] if isinstance(value, dict) else "",
)
def test_a_file_stays_with_who_can_resolve_it(block: dict[str, Any], who: frozenset[str] | None) -> None:
    assert able([HumanMessage(["See.", block])]) == who
    messages = [HumanMessage([block]), said("litellm", "Nice."), HumanMessage("And?")]
    assert able(messages) == who


def test_a_file_is_where_it_was_answered_to() -> None:
    pool = {**POOL, "azure": Speaker("azure", "openai", frozenset({"deployed"}), "AzureChatOpenAI@a.example")}
    asked = HumanMessage([{"type": "file", "file_id": "file-abc"}])
    assert able([asked], pool) == {*GPTS, "azure"}
    assert able([asked, said("azure", "Nice."), HumanMessage("And?")], pool) == {"azure"}
    assert able([asked, said("gpt", "Nice."), HumanMessage("And?")], pool) == GPTS


def test_files_of_two_vendors_leave_it_to_the_vendor_to_say_so() -> None:
    both: list[Any] = [
        {"type": "file", "file_id": "file-abc"},
        {"type": "document", "source": {"type": "file", "file_id": "f"}},
    ]
    assert able([HumanMessage(both)]) == GPTS


@pytest.mark.parametrize(
    "answer",
    [
        said("opus", [SEARCH]),
        said("opus", "Let me see.", response_metadata={"stop_reason": "pause_turn"}),
    ],
    ids=["waiting", "paused"],
)
def test_an_answer_that_was_broken_off_is_continued_by_the_same_model(answer: AIMessage) -> None:
    assert able([HumanMessage("?"), answer]) == {"opus"}
    assert able([HumanMessage("?"), answer, HumanMessage("Never mind.")]) is None


def test_the_answer_to_a_vendors_own_call_goes_to_the_same_model() -> None:
    approval = {"type": "mcp_approval_response", "approval_request_id": "mcpr_1", "approve": True}
    asked = said("gpt", [{"type": "mcp_approval_request", "id": "mcpr_1", "name": "roll", "arguments": "{}"}])
    assert able([HumanMessage("Roll."), asked, HumanMessage([approval])]) == {"gpt"}
    clicked = said("gpt", [{"type": "computer_call", "id": "cu_1", "call_id": "call_1", "action": {"type": "click"}}])
    screen = ToolMessage("https://s.example", tool_call_id="call_1", additional_kwargs={"type": "computer_call_output"})
    assert able([HumanMessage("Click."), clicked, screen]) == {"gpt"}
    closed = [HumanMessage("Click."), clicked, screen, said("gpt", "Done."), HumanMessage("And?")]
    assert able(closed) is None


def test_a_picture_in_the_open_loops_results_goes_to_who_reads_it() -> None:
    picture = result([{"type": "image", "base64": "aGk=", "mime_type": "image/png"}])
    assert able(loop("opus", "", picture)) == POOL.keys() - {"mistral", "litellm"}
    assert able(loop("mistral", "", picture)) == POOL.keys() - {"litellm"}
    closed = [*loop("opus", "", picture), said("opus", "I see."), HumanMessage("And?")]
    assert able(closed) is None


def test_a_conversation_that_is_stored_stays_there() -> None:
    pool = {name: replace(speaker, remembers=True) for name, speaker in POOL.items()}
    assert able([HumanMessage("And?")], pool) == GPTS


def test_a_limit_that_would_leave_nobody_is_passed_over() -> None:
    pool = thinking({name: POOL[name] for name in ("opus", "haiku")}, "opus", "haiku")
    assert able(loop(None, tool_calls=[call()]), pool) is None
    assert able([HumanMessage([{"type": "file", "file_id": "file-abc"}])], pool) is None
