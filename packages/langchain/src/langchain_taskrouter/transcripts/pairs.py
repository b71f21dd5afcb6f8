"""Calls and their results in LangChain's messages: one id for both, a result for every call, right behind it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Any

from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage, FunctionMessage, ToolMessage

from langchain_taskrouter.transcripts.blocks import kind
from langchain_taskrouter.transcripts.rules import RULE_OF, Fate
from taskrouter.adapters import Answer, Answered, Call, Renamed, Result
from taskrouter.adapters import paired as slots
from taskrouter.adapters.pairing import INTERRUPTED, Unit

NO_ANSWER = "(no answer)"


def paired(
    messages: Sequence[BaseMessage], own: AbstractSet[int], form: re.Pattern[str], *, stored: bool
) -> list[BaseMessage]:
    """Return the messages with every call and every result in its place.

    Args:
        messages: the conversation.
        own: the places of the reader's own answers.
        form: what an id must look like.
        stored: the vendor has what came before the first message, so results may stand there alone.
    """
    mended: list[BaseMessage] = []
    for slot in slots([_unit(message) for message in messages], own, form, stored=stored):
        if isinstance(slot, Renamed):
            answer = messages[slot.place]
            assert isinstance(answer, AIMessage)  # noqa: S101 - nothing else has calls
            mended.append(_with_ids(answer, slot.ids))
        elif isinstance(slot, Answered):
            mended.append(_result(slot, messages))
        else:
            mended.append(messages[slot.place])
    return mended


def _unit(message: BaseMessage) -> Unit:
    if isinstance(message, AIMessage):
        return Answer(_calls(message))
    if isinstance(message, ToolMessage):
        return Result(message.tool_call_id, message.name)
    return Result("", message.name) if isinstance(message, FunctionMessage) else None


def _calls(answer: AIMessage) -> list[Call]:
    calls = [Call(call["name"], call["id"] or "") for call in answer.tool_calls]
    return [*calls, *(Call(call["name"] or "", call["id"] or "", valid=False) for call in answer.invalid_tool_calls)]


def _result(slot: Answered, messages: Sequence[BaseMessage]) -> ToolMessage:
    if slot.place is None:
        return ToolMessage(INTERRUPTED, tool_call_id=slot.id, name=slot.call.name, status="error")
    message = messages[slot.place]
    if isinstance(message, FunctionMessage):
        return ToolMessage(message.content, tool_call_id=slot.id, name=message.name, id=message.id)
    assert isinstance(message, ToolMessage)  # noqa: S101 - nothing else is a result
    return message if message.tool_call_id == slot.id else message.model_copy(update={"tool_call_id": slot.id})


def _with_ids(answer: AIMessage, names: Mapping[int, str]) -> AIMessage:
    calls = _calls(answer)
    valid = len(answer.tool_calls)
    update: dict[str, Any] = {
        "tool_calls": [{**call, "id": names[index]} for index, call in enumerate(answer.tool_calls)],
        "invalid_tool_calls": [
            {**call, "id": names[index]}
            for index, call in enumerate(answer.invalid_tool_calls, valid)
            if index in names
        ],
    }
    if isinstance(answer, AIMessageChunk):
        update["tool_call_chunks"] = []
    if isinstance(answer.content, list):
        update["content"] = _renamed(answer.content, [(calls[index].id, name) for index, name in names.items()])
    elif not (answer.content or update["tool_calls"] or update["invalid_tool_calls"]):
        update["content"] = NO_ANSWER
    return answer.model_copy(update=update)


def _renamed(content: list[Any], ids: list[tuple[str | None, str]]) -> list[Any]:
    """Give the blocks that repeat the calls the same ids, in their order; one whose call is gone goes too."""
    left = list(ids)
    renamed: list[Any] = []
    for block in content:
        if isinstance(block, str) or (rule := RULE_OF.get(kind(block))) is None or rule.other_vendor is not Fate.CALL:
            renamed.append(block)
            continue
        key = "call_id" if "call_id" in block else "id"
        match = next((pair for pair in left if (pair[0] or "") == (block.get(key) or "")), None)
        if match is not None:
            left.remove(match)
            renamed.append({**block, key: match[1]})
    return renamed
