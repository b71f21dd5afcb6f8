"""Who can take the next call of a conversation."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from langchain_core.messages import AIMessage, BaseMessage, FunctionMessage, ToolMessage

from langchain_taskrouter.transcripts.blocks import is_waiting, kind, unwrapped
from langchain_taskrouter.transcripts.rules import APPLICATION_ANSWERS, Block
from langchain_taskrouter.transcripts.speakers import Speaker, Standing, spoken_by, standing
from langchain_taskrouter.transcripts.vendors import CLAUDE, FILES, GOOGLE, IMAGE_RESULTS, OPENAI, TOOL_CHANGES

Speakers = Mapping[str, Speaker]
_THOUGHTS = frozenset({"thinking", "redacted_thinking", "reasoning_content", "reasoning"})
_PICTURES = frozenset({"image", "image_url", "input_image"})


def may_continue(messages: Sequence[BaseMessage], speakers: Speakers) -> frozenset[str] | None:
    """Return who can take the next call: None for everybody, else the candidates' ids.

    A limit that would leave nobody is passed over: then the vendor says what is wrong.

    Args:
        messages: the conversation.
        speakers: all candidates by id, as they would make this call.
    """
    able = frozenset(speakers)
    for limit in _limits(messages, speakers):
        able = (able & limit) or able
    return None if len(able) == len(speakers) else able


def _limits(messages: Sequence[BaseMessage], speakers: Speakers) -> Iterator[frozenset[str]]:
    if remembering := frozenset(s.id for s in speakers.values() if s.remembers):
        talking = frozenset(name for name in remembering if speakers[name].responses_api)
        yield talking or remembering
    last: int | None = None
    for place, message in enumerate(messages):
        if isinstance(message, AIMessage):
            last = place
        elif message.content.__class__ is not str:
            yield from _by_files(messages, place, speakers)
    if last is not None:
        yield from _by_end(messages, last, speakers)


# --- what was written for one vendor --------------------------------------------------------------------------------


def _by_files(messages: Sequence[BaseMessage], place: int, speakers: Speakers) -> Iterator[frozenset[str]]:
    for part in map(unwrapped, messages[place].content):
        vendors = None if isinstance(part, str) else _only_for(part)
        if vendors is None:
            continue
        able = {s.id: s.home for s in speakers.values() if s.vendor in vendors}
        answer = next((m for m in messages[place:] if isinstance(m, AIMessage)), None)
        giver = None if answer is None else spoken_by(answer, speakers)
        home = able.get(giver) if giver is not None else None
        yield frozenset(name for name, own in able.items() if home in (None, own))


def _only_for(block: Block) -> frozenset[str] | None:
    """Return the vendors that can resolve what a block refers to; None: anybody."""
    if (changes := TOOL_CHANGES.get(kind(block))) is not None:
        return changes
    for reference in _references(block):
        for beginning, vendors in FILES:
            if reference.startswith(beginning):
                return vendors
    if isinstance(source := block.get("source"), Mapping) and source.get("type") == "file":
        return CLAUDE
    if kind(block) in ("input_file", "input_image") and block.get("file_id"):
        return OPENAI
    if kind(block) == "media" and block.get("file_uri"):
        return GOOGLE
    return frozenset({"anthropic"}) if kind(block) == "container_upload" else None


def _references(block: Block) -> Iterator[str]:
    nested = (block.get(key) for key in ("file", "source", "file_data", "image_url"))
    for where in (block, *(inner for inner in nested if isinstance(inner, Mapping))):
        for key in ("file_id", "file_uri", "url", "file_url"):
            if isinstance(reference := where.get(key), str):
                yield reference
    if block.get("source_type") == "id" and isinstance(block.get("id"), str):
        yield block["id"]


# --- how it ends ----------------------------------------------------------------------------------------------------


def _by_end(messages: Sequence[BaseMessage], last: int, speakers: Speakers) -> Iterator[frozenset[str]]:
    answer, since = messages[last], messages[last + 1 :]
    assert isinstance(answer, AIMessage)  # noqa: S101 - the last one is
    if not since:
        if answer.response_metadata.get("stop_reason") == "pause_turn" or is_waiting(answer.content):
            yield _same_model(answer, speakers)
    elif any(_answers_the_vendor(message) for message in since):
        yield _same_model(answer, speakers)
    elif answer.tool_calls and all(isinstance(message, ToolMessage | FunctionMessage) for message in since):
        yield frozenset(s.id for s in speakers.values() if not s.thinks or _has_own_thought(s, answer, speakers))
        if any(_shows_picture(message) for message in since):
            giver = spoken_by(answer, speakers)
            yield frozenset(s.id for s in speakers.values() if s.id == giver or _reads_pictures(s))


def _same_model(answer: AIMessage, speakers: Speakers) -> frozenset[str]:
    return frozenset(s.id for s in speakers.values() if standing(s, answer, speakers) is Standing.SAME_MODEL)


def _answers_the_vendor(message: BaseMessage) -> bool:
    if message.additional_kwargs.get("type") in APPLICATION_ANSWERS:
        return True
    if isinstance(message.content, str):
        return False
    return any(kind(part) in APPLICATION_ANSWERS for part in map(unwrapped, message.content))


def _has_own_thought(speaker: Speaker, answer: AIMessage, speakers: Speakers) -> bool:
    """Whether it gave the answer itself, or its model did and left the thought that it will be asked for."""
    if spoken_by(answer, speakers) == speaker.id:
        return True
    if standing(speaker, answer, speakers) is not Standing.SAME_MODEL:
        return False
    parts: Any = () if isinstance(answer.content, str) else answer.content
    return any(kind(part) in _THOUGHTS for part in parts) or bool(answer.additional_kwargs.get("reasoning_content"))


def _shows_picture(message: BaseMessage) -> bool:
    return not isinstance(message.content, str) and any(kind(part) in _PICTURES for part in message.content)


def _reads_pictures(speaker: Speaker) -> bool:
    return speaker.responses_api or speaker.vendor in IMAGE_RESULTS
