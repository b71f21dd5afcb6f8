"""What of a conversation a candidate may see that others have written in. Pure: the conversation is never changed.

What the candidate said itself stays as it is. Of another's answers text and calls are left: thoughts are signed for the
model that had them, and `additional_kwargs` of one integration reach the wire of another. Tool calls are encoded as
the candidate's integration reads them, and every call has its result (see `taskrouter.adapters.pairing`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Any

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

from llama_index.llms.taskrouter._calls import LEGACY_KEYS, ToolCall, as_blocks, as_legacy, calls_of
from llama_index.llms.taskrouter._candidates import Candidate
from llama_index.llms.taskrouter._vendors import CITING, CLAUDE, LEAVES_MESSAGES, LEGACY_CALLS
from taskrouter.adapters import Answer, Answered, Author, Authors, Call, Renamed, Result, fingerprint, paired
from taskrouter.adapters.pairing import ANYBODYS, INTERRUPTED, MISTRALS, Unit

NO_ANSWER = "(no answer)"
_RESULTS = frozenset({MessageRole.TOOL, MessageRole.FUNCTION})
_ANSWERS = frozenset({MessageRole.ASSISTANT, MessageRole.CHATBOT, MessageRole.MODEL})


def transcript_for(reader: Candidate, messages: Sequence[ChatMessage], authors: Authors) -> list[ChatMessage]:
    """Return the conversation as a candidate may see it, in a list of its own: integrations add to it.

    Args:
        reader: who is called next.
        messages: the conversation.
        authors: who said what.
    """
    own = {place for place, message in enumerate(messages) if is_answer(message) and _is_own(message, reader, authors)}
    if all(_is_plain(message) for message in messages):
        shown = list(messages)
    else:
        units = [_unit(message) for message in messages]
        shown = [_slot(slot, messages, own, reader) for slot in paired(units, own, _form(reader))]
    return shown if reader.vendor in LEAVES_MESSAGES else [_copied(message) for message in shown]


def may_continue(messages: Sequence[ChatMessage], pool: Mapping[str, Candidate], authors: Authors) -> list[str]:
    """Return who can take the next call: within an open tool loop, a candidate that is made to think insists on the
    thought that opened it, which only the one that had it can show.
    """
    last = next((place for place in range(len(messages) - 1, -1, -1) if is_answer(messages[place])), None)
    everybody = list(pool)
    if last is None or not calls_of(messages[last]):
        return everybody
    since = messages[last + 1 :]
    if not since or any(message.role not in _RESULTS for message in since):
        return everybody
    answer = messages[last]
    return [name for name, c in pool.items() if not c.thinks or _is_own(answer, c, authors)] or everybody


def signs_of(message: ChatMessage) -> list[bytes]:
    """Return what an answer is known by later: its tool calls and its thoughts. Plain text may be anybody's."""
    signs = [fingerprint("call", call.id, call.name, call.json) for call in calls_of(message)]
    thoughts = (block.content for block in message.blocks if isinstance(block, ThinkingBlock))
    return [*signs, *(fingerprint("thought", thought) for thought in thoughts if thought)]


def is_answer(message: ChatMessage) -> bool:
    """Whether a model wrote a message."""
    return message.role in _ANSWERS


def author_of(message: ChatMessage, authors: Authors) -> Author | None:
    """Return who wrote an answer; None: nobody that is remembered."""
    return authors.of(signs_of(message))


def _is_own(message: ChatMessage, reader: Candidate, authors: Authors) -> bool:
    """Whether a candidate wrote an answer.

    Of an answer whose author nobody remembers (it is older than this process) its blocks tell the vendor: a signed
    thought is left to Anthropic's own models, so that a loop can go on that was begun before.
    """
    if (author := author_of(message, authors)) is not None:
        return author.model == reader.id
    signed = any(isinstance(b, ThinkingBlock) and b.additional_information.get("signature") for b in message.blocks)
    return signed and reader.vendor == "anthropic"


def _is_plain(message: ChatMessage) -> bool:
    """Whether there is nothing but text, which every model may see: the quick way out of most calls."""
    if message.role in _RESULTS or message.additional_kwargs:
        return False
    if is_answer(message) and not message.content:  # some vendors refuse an empty one
        return False
    return all(isinstance(block, TextBlock) for block in message.blocks)


def _unit(message: ChatMessage) -> Unit:
    if is_answer(message):
        return Answer([Call(call.name, call.id, call.valid) for call in calls_of(message)])
    if message.role in _RESULTS:
        more = message.additional_kwargs
        return Result(str(more.get("tool_call_id") or ""), more.get("name"))
    return None


def _slot(slot: Any, messages: Sequence[ChatMessage], own: AbstractSet[int], reader: Candidate) -> ChatMessage:
    if isinstance(slot, Answered):
        return _result(slot, messages, reader)
    message: ChatMessage = messages[slot.place]
    if not is_answer(message):
        return _written(message, reader)
    if slot.place in own:
        return message
    calls = calls_of(message)
    if isinstance(slot, Renamed):
        calls = [call._replace(id=slot.ids[place]) for place, call in enumerate(calls) if place in slot.ids]
    return _answer(message, calls, reader)


def _answer(message: ChatMessage, calls: Sequence[ToolCall], reader: Candidate) -> ChatMessage:
    """Return an answer of somebody else: its text, its pictures, and its calls."""
    dropped = (ThinkingBlock, ToolCallBlock, *(() if reader.vendor in CITING else (CitationBlock,)))
    blocks: list[Any] = [block for block in _known(message.blocks, reader) if not isinstance(block, dropped)]
    if calls:  # an empty text beside calls is refused by some
        blocks = [block for block in blocks if not (isinstance(block, TextBlock) and not block.text)]
    elif not any(not isinstance(block, TextBlock) or block.text for block in blocks):
        blocks = [TextBlock(text=NO_ANSWER)]
    if reader.vendor in LEGACY_CALLS:
        more = {"tool_calls": as_legacy(calls)} if calls else {}
        return ChatMessage(role=MessageRole.ASSISTANT, blocks=blocks, additional_kwargs=more)
    return ChatMessage(role=MessageRole.ASSISTANT, blocks=[*blocks, *as_blocks(calls)])


def _result(slot: Answered, messages: Sequence[ChatMessage], reader: Candidate) -> ChatMessage:
    if slot.place is None:
        more = {"tool_call_id": slot.id, "name": slot.call.name}
        return ChatMessage(INTERRUPTED, role=MessageRole.TOOL, additional_kwargs=more)
    message = _written(messages[slot.place], reader)
    if message.additional_kwargs.get("tool_call_id") == slot.id and message.role is MessageRole.TOOL:
        return message
    more = {**message.additional_kwargs, "tool_call_id": slot.id}
    renamed: ChatMessage = message.model_copy(update={"role": MessageRole.TOOL, "additional_kwargs": more})
    return renamed


def _written(message: ChatMessage, reader: Candidate) -> ChatMessage:
    """Return what a user, a tool or the application wrote, without what another vendor alone understands."""
    update: dict[str, Any] = {}
    blocks = [*_known(message.blocks, reader)]
    if len(blocks) != len(message.blocks) or any(a is not b for a, b in zip(blocks, message.blocks, strict=True)):
        update["blocks"] = blocks
    foreign = {*LEGACY_KEYS, *(() if reader.vendor in CLAUDE else ("cache_control",))}
    if foreign & message.additional_kwargs.keys():
        update["additional_kwargs"] = {k: v for k, v in message.additional_kwargs.items() if k not in foreign}
    return message.model_copy(update=update) if update else message


def _known(blocks: Iterable[Any], reader: Candidate) -> Iterable[Any]:
    for block in blocks:
        if isinstance(block, CachePoint) and reader.vendor not in CLAUDE:
            continue
        if isinstance(block, CitableBlock) and reader.vendor not in CITING:
            yield from block.content
        else:
            yield block


def _form(reader: Candidate) -> re.Pattern[str]:
    return MISTRALS if reader.vendor == "mistralai" else ANYBODYS


def _copied(message: ChatMessage) -> ChatMessage:
    """Return a message that its reader may write into: Anthropic's puts cache marks there."""
    return message.model_copy(update={"additional_kwargs": dict(message.additional_kwargs)})
