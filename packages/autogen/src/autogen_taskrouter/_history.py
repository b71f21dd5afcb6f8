"""The conversation as each candidate may see it: AutoGen's messages do not say who wrote them.

A `thought` is sent as text of the assistant, so it goes where somebody else reads it, or where nobody knows whose it
is. Calls and results get ids that the reader's vendor takes, and every call has its result. What the reader itself said
stays as it is.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

from autogen_core import FunctionCall
from autogen_core.models import (
    AssistantMessage,
    CreateResult,
    FunctionExecutionResult,
    FunctionExecutionResultMessage,
    LLMMessage,
    UserMessage,
)

from autogen_taskrouter._candidates import Candidate
from taskrouter.adapters import Answer, Answered, Author, Authors, Call, Renamed, Result, fingerprint, paired
from taskrouter.adapters.pairing import INTERRUPTED, Slot, Unit

NO_ANSWER = "(no answer)"
"""What stands where somebody said nothing: vendors refuse empty messages."""


def history_for(candidate: Candidate, messages: Sequence[LLMMessage], authors: Authors) -> list[LLMMessage]:
    """Return the conversation as a candidate may see it, in a list of its own; the caller's messages are not changed.

    Args:
        candidate: who will read it.
        messages: the conversation.
        authors: who said what.
    """
    own = {place for place, message in enumerate(messages) if _is_by(candidate, message, authors)}
    shown = [
        _for_others(message) if isinstance(message, AssistantMessage) and place not in own else message
        for place, message in enumerate(messages)
    ]
    if any(isinstance(message, FunctionExecutionResultMessage) or _calls(message) for message in messages):
        shown = _paired(candidate, shown, own)
    return [_copied(message) for message in shown]


def author_of(message: AssistantMessage, authors: Authors) -> Author | None:
    """Return who wrote a message, if it is remembered."""
    return authors.of(_fingerprints(message.content))


def note(authors: Authors, result: CreateResult, author: Author) -> None:
    """Remember who gave an answer."""
    authors.note(_fingerprints(result.content), author)


def _fingerprints(content: str | Sequence[FunctionCall]) -> list[bytes]:
    if isinstance(content, str):
        return [fingerprint("text", content.rstrip())]
    return [fingerprint("call", call.id, call.name, call.arguments) for call in content]


def _is_by(candidate: Candidate, message: LLMMessage, authors: Authors) -> bool:
    if not isinstance(message, AssistantMessage):
        return False
    author = author_of(message, authors)
    return author is not None and author.model == candidate.id


def _calls(message: LLMMessage) -> Sequence[FunctionCall]:
    return message.content if isinstance(message, AssistantMessage) and not isinstance(message.content, str) else ()


def _for_others(message: AssistantMessage) -> AssistantMessage:
    """Return a message as somebody else may read it."""
    update: dict[str, Any] = {}
    if message.thought is not None:
        update["thought"] = None
    if isinstance(message.content, str):
        if not message.content.strip():
            update["content"] = NO_ANSWER
    elif not all(call.arguments.strip() for call in message.content):  # OpenAI takes them empty, Anthropic does not
        update["content"] = [
            call if call.arguments.strip() else FunctionCall(id=call.id, arguments="{}", name=call.name)
            for call in message.content
        ]
    return message.model_copy(update=update) if update else message


def _paired(candidate: Candidate, messages: list[LLMMessage], own: set[int]) -> list[LLMMessage]:
    units: list[Unit] = []
    places: list[tuple[int, int]] = []
    """Of each unit: its message, and where that holds several results, which one."""
    for place, message in enumerate(messages):
        found = _units(message)
        units += found
        places += [(place, index) for index in range(len(found))]
    own_units = {unit for unit, (place, _) in enumerate(places) if place in own}
    return _Mended(messages, places).of(paired(units, own_units, candidate.call_ids))


def _units(message: LLMMessage) -> list[Unit]:
    if isinstance(message, AssistantMessage):
        return [Answer([Call(call.name, call.id, valid=_is_object(call.arguments)) for call in _calls(message)])]
    if isinstance(message, FunctionExecutionResultMessage):
        return [Result(result.call_id, result.name) for result in message.content]
    return [None]


class _Mended:
    """Builds messages from slots; results that follow each other are one message, as vendors want them."""

    def __init__(self, messages: Sequence[LLMMessage], places: Sequence[tuple[int, int]]) -> None:
        self._messages, self._places = messages, places
        self._built: list[LLMMessage] = []
        self._results: list[FunctionExecutionResult] = []

    def of(self, slots: Iterable[Slot]) -> list[LLMMessage]:
        for slot in slots:
            if isinstance(slot, Answered):
                self._results.append(self._result(slot))
                continue
            message = self._messages[self._places[slot.place][0]]
            if isinstance(message, FunctionExecutionResultMessage):
                self._results.append(message.content[self._places[slot.place][1]])
                continue
            self._end_results()
            self._built.append(self._renamed(message, slot) if isinstance(slot, Renamed) else message)
        self._end_results()
        return self._built

    def _result(self, slot: Answered) -> FunctionExecutionResult:
        if slot.place is None:
            return FunctionExecutionResult(content=INTERRUPTED, name=slot.call.name, call_id=slot.id, is_error=True)
        place, index = self._places[slot.place]
        message = self._messages[place]
        assert isinstance(message, FunctionExecutionResultMessage)  # noqa: S101 - nothing else has results
        result = message.content[index]
        return result if result.call_id == slot.id else result.model_copy(update={"call_id": slot.id})

    def _end_results(self) -> None:
        if self._results:
            self._built.append(FunctionExecutionResultMessage(content=self._results))
            self._results = []

    def _renamed(self, message: LLMMessage, slot: Renamed) -> LLMMessage:
        calls = _calls(message)
        content = [_with_id(calls[index], name) for index, name in slot.ids.items()]
        return message.model_copy(update={"content": content or NO_ANSWER})


def _with_id(call: FunctionCall, name: str) -> FunctionCall:
    return FunctionCall(id=name, arguments=call.arguments, name=call.name)


def _is_object(arguments: str) -> bool:
    try:
        return isinstance(json.loads(arguments or "{}"), dict)
    except ValueError:
        return False


def _copied(message: LLMMessage) -> LLMMessage:
    """Return a message that a client may change: AutoGen's strip the end of the last one and fill in empty parts."""
    if isinstance(message, AssistantMessage) or (
        isinstance(message, UserMessage) and isinstance(message.content, list)
    ):
        content: Any = message.content
        return message.model_copy(update={"content": list(content) if isinstance(content, list) else content})
    return message
