"""Conversations that change models: every reader sees calls with their results, and nothing that is another's."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from llama_index.core.base.llms.types import (
    CachePoint,
    ChatMessage,
    CitableBlock,
    CitationBlock,
    MessageRole,
    TextBlock,
    ThinkingBlock,
    ToolCallBlock,
)
from llama_index.core.llms import MockLLM
from tests.standins.brain import THOUGHT

from llama_index.llms.taskrouter._calls import calls_of
from llama_index.llms.taskrouter._candidates import Candidate
from llama_index.llms.taskrouter._transcripts import may_continue, signs_of, transcript_for
from taskrouter.adapters import Author, Authors

from .conftest import CLAUDE, FIRST, THINKING, WAYS, Bench, ask, said

ONE = "What is the weather in 'Paris'?"
TWO = "Tell me weather and clock of 'Paris' at once."
TEXT = {"weather": "It is sunny in Paris.", "clock": "It is noon in Paris."}


def went_on(asked: list[ChatMessage], answer: ChatMessage) -> list[ChatMessage]:
    """Return a conversation with an answer and the results of its calls."""
    results = [
        ChatMessage(TEXT[call.name], role="tool", additional_kwargs={"tool_call_id": call.id, "name": call.name})
        for call in calls_of(answer)
    ]
    return [*asked, answer, *results]


def pool(bench: Bench) -> dict[str, Any]:
    return {"chatty": bench.openai(), "quiet": bench.claude(), "lite": bench.lite()}


def pairs(body: Any) -> tuple[list[str], list[str]]:
    """Return the ids of the calls and of the results of a request."""
    messages = body["messages"]
    if any(isinstance(m.get("content"), list) and "tool_calls" not in m for m in messages):
        parts = [p for m in messages if isinstance(m["content"], list) for p in m["content"]]
        calls = [part for part in parts if part["type"] == "tool_use"]
        if calls:
            assert all(isinstance(call["input"], dict) for call in calls)
            return [c["id"] for c in calls], [p["tool_use_id"] for p in parts if p["type"] == "tool_result"]
    calls = [call for m in messages for call in m.get("tool_calls") or ()]
    assert all(isinstance(call["function"]["arguments"], str) for call in calls)
    return [call["id"] for call in calls], [m["tool_call_id"] for m in messages if m["role"] == "tool"]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("question", [ONE, TWO])
@pytest.mark.parametrize(
    ("asks", "answers"), [(a, b) for a in ("chatty", "quiet", "lite") for b in ("chatty", "quiet", "lite") if a != b]
)
async def test_a_call_of_one_is_answered_to_another(
    bench: Bench, tools: Any, way: str, question: str, asks: str, answers: str
) -> None:
    llm = bench.routed(pool(bench))
    more: Any = {"allow_parallel_tool_calls": True}
    called = await ask(llm, f"{way}_with_tools", tools, chat_history=said(question), model=asks, **more)
    selections = llm.get_tool_calls_from_response(called)
    assert {selection.tool_kwargs["city"] for selection in selections} == {"Paris"}
    history = went_on(said(question), called.message)
    before = deepcopy(history)
    answer = await ask(llm, f"{way}_with_tools", tools, chat_history=history, model=answers, **more)
    assert answer.message.content == f"The tool says: {TEXT[selections[-1].tool_name]}"
    calls, results = pairs(bench.last.body)
    assert calls == results
    assert len(set(calls)) == len(selections)
    assert history == before


async def test_the_history_is_the_caller_s_after_any_number_of_attempts(bench: Bench, tools: Any) -> None:
    caching = bench.claude(cache_idx=-1)
    history = went_on(said(TWO), (bench.both().chat_with_tools(tools, TWO, allow_parallel_tool_calls=True)).message)
    before, objects = deepcopy(history), [id(message) for message in history]
    bench.vendors.fail(FIRST, "unavailable")
    llm = bench.routed({"chatty": bench.openai(), "quiet": caching})
    for way in WAYS:
        await ask(llm, f"{way}_with_tools", tools, chat_history=history)
        await ask(llm, way, history[:1])
    assert "cache_control" in str(bench.last.body)
    assert history == before
    assert [id(message) for message in history] == objects


@pytest.mark.parametrize("way", WAYS)
async def test_a_thought_is_shown_to_nobody_else(bench: Bench, way: str) -> None:
    llm = bench.routed(
        {
            "thinker": bench.claude(thinking_dict=THINKING, max_tokens=2048),
            "chatty": bench.openai(),
            "lite": bench.lite(),
        }
    )
    answer = await ask(llm, way)
    assert any(isinstance(block, ThinkingBlock) for block in answer.message.blocks)
    for model in ("chatty", "lite"):
        await ask(llm, way, [*said("Hello"), answer.message, *said("Hello")], model=model)
        assert THOUGHT not in str(bench.last.body)
        assert "signature" not in str(bench.last.body)


@pytest.mark.parametrize("way", WAYS)
async def test_a_loop_that_began_with_a_thought_stays_with_its_thinker(bench: Bench, tools: Any, way: str) -> None:
    thinker = bench.claude(thinking_dict=THINKING, max_tokens=2048)
    llm = bench.routed({"thinker": thinker, "chatty": bench.openai()})
    called = await ask(llm, f"{way}_with_tools", tools, chat_history=said(ONE), model="thinker")
    history = went_on(said(ONE), called.message)
    await ask(llm, f"{way}_with_tools", tools, chat_history=history)
    assert bench.last.model == CLAUDE
    content = bench.last.body["messages"][1]["content"]
    assert content[0]["type"] == "thinking"
    assert content[0]["signature"]


async def test_a_loop_that_another_began_is_not_given_to_a_thinker(bench: Bench, tools: Any) -> None:
    thinker = bench.claude(thinking_dict=THINKING, max_tokens=2048)
    llm = bench.routed({"thinker": thinker, "chatty": bench.openai()})
    called = await ask(llm, "achat_with_tools", tools, chat_history=said(ONE), model="chatty")
    history = went_on(said(ONE), called.message)
    answer = await ask(llm, "achat_with_tools", tools, chat_history=history)
    assert answer.additional_kwargs["taskrouter"]["model"] == "chatty"
    await ask(llm, "achat_with_tools", tools, chat_history=[*history, answer.message, *said("Hello")])
    assert bench.last.model == CLAUDE, "a new question may go anywhere"


async def test_blocks_that_anthropic_alone_knows_become_what_they_hold(bench: Bench) -> None:
    citable = CitableBlock(title="Facts", source="book", content=[TextBlock(text="The ferry leaves at nine.")])
    message = ChatMessage(role="user", blocks=[citable, TextBlock(text="When?"), BLOCKS["cache"]])
    llm = bench.routed(pool(bench))
    before = deepcopy(message)
    for model in ("chatty", "lite", "quiet"):
        await ask(llm, "achat", [message], model=model)
        body = str(bench.last.body)
        assert "The ferry leaves at nine." in body
        assert ("cache_control" in body) == (model == "quiet")
    assert message == before


def candidate(vendor: str, name: str | None = None) -> Candidate:
    model = MockLLM()
    return Candidate(name or vendor, model, model, model, vendor, None)


READERS = [
    candidate(vendor)
    for vendor in ("openai", "openai_responses", "anthropic", "litellm", "mistralai", "", "taskrouter")
]
ids = st.sampled_from(["", "a", "b", "call_1", "toolu_01 with space", "x" * 70])
names = st.sampled_from(["weather", "clock"])
arguments = st.one_of(
    st.dictionaries(st.sampled_from("xy"), st.integers(0, 9)), st.sampled_from(["", "{", "[]", '{"x": 1}'])
)


@st.composite
def messages(draw: Any) -> ChatMessage:
    match draw(st.sampled_from(["user", "answer", "legacy", "result", "thought", "system"])):
        case "user" | "system" as role:
            blocks = draw(st.lists(st.sampled_from(["text", "cache", "citable"]), max_size=2))
            return ChatMessage(role=role, blocks=[BLOCKS[kind] for kind in blocks])
        case "result":
            role = draw(st.sampled_from(["tool", "function"]))
            more = {
                "tool_call_id": draw(ids),
                **draw(st.sampled_from([{}, {"name": "weather"}, {"cache_control": {}}])),
            }
            return ChatMessage("done", role=role, additional_kwargs=more)
        case "legacy":
            calls = [
                {
                    "id": draw(ids),
                    "type": "function",
                    "function": {"name": draw(names), "arguments": str(draw(arguments))},
                }
                for _ in range(draw(st.integers(0, 2)))
            ]
            return ChatMessage(
                draw(st.sampled_from(["", "hm"])), role="assistant", additional_kwargs={"tool_calls": calls}
            )
    called = [
        ToolCallBlock(tool_call_id=draw(ids), tool_name=draw(names), tool_kwargs=draw(arguments))
        for _ in range(draw(st.integers(0, 2)))
    ]
    kinds = draw(st.lists(st.sampled_from(["text", "thought", "citation"]), max_size=2))
    return ChatMessage(role="assistant", blocks=[*(BLOCKS[kind] for kind in kinds), *called])


BLOCKS: dict[str, Any] = {
    "text": TextBlock(text="word"),
    "cache": CachePoint(cache_control={"type": "ephemeral"}),
    "citable": CitableBlock(title="t", source="s", content=[TextBlock(text="cited")]),
    "citation": CitationBlock(title="t", source="s", cited_content=TextBlock(text="c"), additional_location_info={}),
    "thought": ThinkingBlock(content="hm", additional_information={"signature": "signed"}),
}


@given(st.lists(messages(), max_size=8), st.sampled_from(READERS))
def test_every_call_has_its_result_and_nothing_foreign_is_left(said: list[ChatMessage], reader: Candidate) -> None:
    authors = Authors()
    for message in said:  # all that was answered was answered by somebody else
        authors.note(signs_of(message), Author("somebody", "dec_1"))
    before = deepcopy(said)
    shown = transcript_for(reader, said, authors)
    assert said == before, "the conversation is the caller's"
    assert transcript_for(reader, said, authors) == shown, "the same for the same"
    assert shown is not said
    unanswered: list[str] = []
    for message in shown:
        if message.role in (MessageRole.TOOL, MessageRole.FUNCTION):
            assert message.additional_kwargs["tool_call_id"] in unanswered
            unanswered.remove(message.additional_kwargs["tool_call_id"])
        else:
            assert unanswered == [], "results come right behind their calls"
        if message.role is MessageRole.ASSISTANT:
            calls = calls_of(message)
            assert all((call.id and call.valid) or call.id for call in calls)
            unanswered = [call.id for call in calls]
            assert len(set(unanswered)) == len(unanswered)
            encoded = [block for block in message.blocks if isinstance(block, ToolCallBlock)]
            assert not (encoded and reader.vendor == "litellm")
            assert not (message.additional_kwargs and reader.vendor != "litellm")
            assert message.blocks or calls
        kinds = {block.block_type for block in message.blocks}
        assert "thinking" not in kinds
        if reader.vendor != "anthropic":
            assert not kinds & {"cache", "citable", "citation"}
    assert unanswered == []


@given(st.lists(messages(), max_size=8))
def test_a_reader_s_own_answers_are_left_as_they_are(said: list[ChatMessage]) -> None:
    reader, authors = candidate("openai"), Authors()
    for message in said:
        authors.note(signs_of(message), Author("openai", "dec_1"))
    own = [message for message in said if signs_of(message) and message.role is MessageRole.ASSISTANT]
    shown = transcript_for(reader, said, authors)
    assert [message for message in shown if any(message is each for each in own)] == own


@given(st.lists(messages(), max_size=8))
def test_somebody_can_always_go_on(said: list[ChatMessage]) -> None:
    assert may_continue(said, {reader.id: reader for reader in READERS}, Authors())
