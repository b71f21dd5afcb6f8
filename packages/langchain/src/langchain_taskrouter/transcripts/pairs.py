"""Calls and their results: one id for both, a result for every call, right behind it.

Every vendor refuses a call without its result and a result without its call. Calls of the reader itself are left as
they are, together with what follows them.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from hashlib import sha256
from typing import Any, NamedTuple

from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage, FunctionMessage, ToolMessage

from langchain_taskrouter.transcripts.blocks import kind
from langchain_taskrouter.transcripts.rules import RULE_OF, Fate

ANYBODYS = re.compile(r"[A-Za-z0-9_-]{1,40}")
"""Ids that all vendors but Mistral take: Anthropic's and Bedrock's letters, OpenAI's length."""
MISTRALS = re.compile(r"[A-Za-z0-9]{9}")
INTERRUPTED = "There is no result: the call was interrupted."
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
    ids = _Ids(form)
    first = next((place for place, message in enumerate(messages) if isinstance(message, AIMessage)), len(messages))
    mended = [m for m in messages[:first] if stored or first in own or not _is_result(m)]
    place = first
    while place < len(messages):
        end = place + 1
        while end < len(messages) and not isinstance(messages[end], AIMessage):
            end += 1
        answer, rest = messages[place], messages[place + 1 : end]
        assert isinstance(answer, AIMessage)  # noqa: S101 - the spans begin with one
        if place in own:
            ids.taken.update(call["id"] or "" for call in answer.tool_calls)
            mended += (answer, *rest)
        else:
            mended += _span(answer, rest, ids)
        place = end
    return mended


def _is_result(message: BaseMessage) -> bool:
    return isinstance(message, ToolMessage | FunctionMessage)


class _Ids:
    """Gives every call an id that the vendor takes and no other call has; the same ones for a longer conversation."""

    def __init__(self, form: re.Pattern[str]) -> None:
        self.taken: set[str] = set()
        self._form = form
        self._seen: Counter[str] = Counter()

    def fit(self, given: str | None) -> str:
        given = given or ""
        if given not in self.taken and self._form.fullmatch(given):
            self.taken.add(given)
            return given
        while True:
            count = self._seen[given]
            self._seen[given] += 1
            digest = sha256(f"{given}#{count}".encode()).hexdigest()
            fitting = digest[:9] if self._form is MISTRALS else f"call_{digest[:24]}"
            if fitting not in self.taken:
                self.taken.add(fitting)
                return fitting


class _Call(NamedTuple):
    name: str
    given: str | None
    """The id that it came with."""
    valid: bool


def _span(answer: AIMessage, rest: Sequence[BaseMessage], ids: _Ids) -> list[BaseMessage]:
    """Return an answer of somebody else, the results of its calls, and what else was said before the next answer."""
    calls = [_Call(call["name"], call["id"], True) for call in answer.tool_calls]
    calls += [_Call(call["name"] or "", call["id"], False) for call in answer.invalid_tool_calls]
    others = [message for message in rest if not _is_result(message)]
    if not calls:
        return [answer, *others]
    results: dict[int, ToolMessage | FunctionMessage] = {}
    for message in rest:
        if isinstance(message, ToolMessage | FunctionMessage):
            index = _answered_by(message, calls, results)
            if index is not None:
                results[index] = message
    kept = [index for index, call in enumerate(calls) if call.valid or index in results]
    names = {index: ids.fit(calls[index].given) for index in kept}
    found = [_result(calls[index], names[index], results.get(index)) for index in kept]
    return [_with_ids(answer, calls, names), *found, *others]


def _answered_by(
    message: ToolMessage | FunctionMessage, calls: Sequence[_Call], results: dict[int, ToolMessage | FunctionMessage]
) -> int | None:
    """Return which call a result belongs to: the first open one of that id, else of that name where there is no id."""
    given = message.tool_call_id if isinstance(message, ToolMessage) else ""
    same = [index for index, call in enumerate(calls) if (call.given or "") == given]
    if not given:
        same = [index for index in same if calls[index].name == message.name] or same
    open_ones = [index for index in same if index not in results]
    return next(iter(open_ones or same[-1:]), None)


def _result(call: _Call, name: str, message: ToolMessage | FunctionMessage | None) -> ToolMessage:
    if message is None:
        return ToolMessage(INTERRUPTED, tool_call_id=name, name=call.name, status="error")
    if isinstance(message, FunctionMessage):
        return ToolMessage(message.content, tool_call_id=name, name=message.name, id=message.id)
    return message if message.tool_call_id == name else message.model_copy(update={"tool_call_id": name})


def _with_ids(answer: AIMessage, calls: Sequence[_Call], names: dict[int, str]) -> AIMessage:
    if all(names.get(index) == call.given for index, call in enumerate(calls)):
        return answer
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
        update["content"] = _renamed(answer.content, [(calls[index].given, name) for index, name in names.items()])
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
