"""What holds of every conversation, whoever reads it."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage, ToolMessage
from tests.langchain.transcripts.people import POOL, call, said

from langchain_taskrouter.transcripts import Speaker, may_continue, transcript_for
from langchain_taskrouter.transcripts.rules import ANSWERS, FIELDS, METADATA, WRITTEN

FEW = settings(max_examples=150, deadline=None)
TEXTS = st.sampled_from(["", "Paris.", " ", "Long text\nof two lines"])
IDS = st.sampled_from(["call_1", "call_2", "call_1|fc_1", "functions.f:0", "", "abc123XYZ", "toolu_1"])
GIVERS = st.sampled_from([*POOL, None])
READERS = st.sampled_from(list(POOL.values()))
BLOCKS = st.sampled_from([dict(rule.example) for rule in ANSWERS] + [{"type": "text", "text": "Paris."}])
CONTENTS = st.one_of(TEXTS, st.lists(BLOCKS, max_size=4))
PARTS = st.sampled_from([dict(rule.example) for rule in WRITTEN] + [{"type": "text", "text": "See."}])
FACTS = st.sampled_from([{}, {}, dict(METADATA[0].example), {"model_name": "gpt-5-2025-08-07"}])
BESIDE = st.sampled_from([{}, {"refusal": None}, *(dict(rule.example) for rule in FIELDS)])


@st.composite
def answers(draw: Any, givers: st.SearchStrategy[str | None]) -> AIMessage:
    return said(
        draw(givers),
        deepcopy(draw(CONTENTS)),
        additional_kwargs=deepcopy(draw(BESIDE)),
        response_metadata=deepcopy(draw(FACTS)),
        tool_calls=[
            call(draw(IDS), draw(st.sampled_from(["lookup", "search"]))) for _ in range(draw(st.integers(0, 2)))
        ],
    )


def users() -> st.SearchStrategy[BaseMessage]:
    written = st.one_of(TEXTS, st.lists(PARTS, min_size=1, max_size=3))
    return written.map(lambda content: HumanMessage(deepcopy(content)))


def conversations(
    givers: st.SearchStrategy[str | None] = GIVERS, systems: bool = True
) -> st.SearchStrategy[list[BaseMessage]]:
    kinds: list[st.SearchStrategy[Any]] = [users(), answers(givers), answers(givers)]
    kinds.append(st.builds(lambda text, given: ToolMessage(text, tool_call_id=given, name="lookup"), TEXTS, IDS))
    if systems:
        kinds.append(TEXTS.map(SystemMessage))
    return st.lists(st.one_of(kinds), max_size=9)


def by_others(reader: Speaker, messages: list[BaseMessage]) -> list[BaseMessage]:
    """The same conversation, in which another vendor's model gave all answers."""
    account = {"taskrouter": {"model": "gpt" if reader.vendor != "openai" else "opus"}}
    return [m.model_copy(update={"response_metadata": account}) if isinstance(m, AIMessage) else m for m in messages]


def spans(messages: list[BaseMessage]) -> list[tuple[AIMessage, list[BaseMessage]]]:
    """The answers, each with what stands before the next."""
    found: list[tuple[AIMessage, list[BaseMessage]]] = []
    for message in messages:
        if isinstance(message, AIMessage):
            found.append((message, []))
        elif found:
            found[-1][1].append(message)
    return found


@FEW
@given(READERS, conversations())
def test_the_conversation_itself_is_never_changed(reader: Any, messages: list[BaseMessage]) -> None:
    before = deepcopy(messages)
    transcript_for(reader, messages, POOL)
    may_continue(messages, POOL)
    assert messages == before


@FEW
@given(READERS, conversations())
def test_a_view_of_a_view_is_the_same_view(reader: Any, messages: list[BaseMessage]) -> None:
    shown = transcript_for(reader, messages, POOL)
    assert transcript_for(reader, shown, POOL) == shown


@FEW
@given(conversations(st.just("gpt"), systems=False))
def test_a_candidate_that_gave_all_answers_sees_its_own_conversation(messages: list[BaseMessage]) -> None:
    own: list[BaseMessage] = [m for m in messages if isinstance(m, AIMessage | ToolMessage)]
    assert transcript_for(POOL["gpt"], own, POOL) is own
    shown = transcript_for(POOL["gpt"], messages, POOL)
    assert [m for m in shown if isinstance(m, AIMessage)] == [m for m in messages if isinstance(m, AIMessage)]


@FEW
@given(READERS, conversations())
def test_every_call_has_its_one_result_right_behind_it(reader: Any, messages: list[BaseMessage]) -> None:
    shown = transcript_for(reader, by_others(reader, messages), POOL)
    seen: set[str] = set()
    for answer, rest in spans(shown):
        calls = [c["id"] or "" for c in answer.tool_calls]
        results = [m.tool_call_id for m in rest if isinstance(m, ToolMessage)]
        assert calls == results
        assert all(isinstance(m, ToolMessage) for m in rest[: len(calls)])
        assert "" not in calls
        assert len(set(calls)) == len(calls)
        assert not seen & set(calls)
        seen.update(calls)


@FEW
@given(READERS, conversations())
def test_what_users_wrote_is_there_in_the_same_order(reader: Any, messages: list[BaseMessage]) -> None:
    shown = transcript_for(reader, messages, POOL)
    wrote = [m for m in messages if isinstance(m, HumanMessage | SystemMessage)]
    reads = [m for m in shown if isinstance(m, HumanMessage | SystemMessage)]
    assert len(wrote) == len(reads)
    for one, other in zip(wrote, reads, strict=True):
        blocks = [one.content] if isinstance(one.content, str) else one.content
        texts = [block if isinstance(block, str) else block.get("text") or "" for block in blocks]
        assert all(text in other.text for text in texts)


@FEW
@given(READERS, conversations(systems=False), st.integers(0, 9))
def test_a_longer_conversation_begins_like_the_shorter_one(reader: Any, messages: list[BaseMessage], at: int) -> None:
    """As it was when an answer of the reader's was asked for, it is still when a later one is."""
    answer = said(reader.id, "So.")
    cut = [*messages[:at], answer]
    shown = transcript_for(reader, cut, POOL)
    assert transcript_for(reader, [*cut, *messages[at:]], POOL)[: len(shown)] == shown


@FEW
@given(READERS, conversations())
def test_nothing_of_another_vendors_own_is_left(reader: Any, messages: list[BaseMessage]) -> None:
    for message in transcript_for(reader, by_others(reader, messages), POOL):
        if isinstance(message, AIMessage):
            assert isinstance(message.content, str)
            assert message.additional_kwargs in ({}, {"refusal": None})
            assert message.response_metadata.keys() <= {"taskrouter"}


@FEW
@given(conversations())
def test_somebody_can_always_continue(messages: list[BaseMessage]) -> None:
    able = may_continue(messages, POOL)
    assert able is None or (able and able < POOL.keys())
