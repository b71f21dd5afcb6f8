"""A conversation as one candidate may see it: in copies, without what only another one's provider understands.

An answer of the reader's own goes back as it came. Of other answers stays what every provider knows: text, calls of
tools, results. Thoughts are signed by the model that had them, items of one provider name each other by id, and what a
provider has stored or run itself means nothing elsewhere.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from agent_framework import ChatResponse, Content, Message

from autogen_taskrouter.agent_framework._candidates import Candidate
from autogen_taskrouter.agent_framework._messages import result_text
from autogen_taskrouter.agent_framework._view import is_ours
from taskrouter.adapters import Answer, Answered, Author, Authors, Call, Kept, Renamed, Result, fingerprint, paired
from taskrouter.adapters.pairing import ANYBODYS, INTERRUPTED, MISTRALS, Unit

_RESULTS = {
    "code_interpreter_tool_result": "outputs",
    "mcp_server_tool_result": "output",
    "shell_tool_result": "outputs",
}
"""Results of what a provider has run, and where they have what came out: told as text elsewhere."""


def note(authors: Authors, response: ChatResponse[Any], author: Author) -> None:
    """Remember who gave an answer."""
    said = [mark for message in response.messages for mark in _fingerprints(message)]
    if response.conversation_id is not None:
        said.append(stored_at(response.conversation_id))
    authors.note(said, author)


def stored_at(conversation_id: str) -> bytes:
    """Return what stands for a conversation that a provider keeps."""
    return fingerprint("conversation", conversation_id)


def author_of(authors: Authors, message: Message) -> Author | None:
    """Return who gave an answer, if it was given in this process."""
    return authors.of(_fingerprints(message))


def transcript_for(
    reader: Candidate, messages: Sequence[Message], authors: Authors, *, stored: bool = False
) -> list[Message]:
    """Return the messages to call a candidate with. They are copies: clients may change them, and callers keep theirs.

    Args:
        reader: the candidate.
        messages: the conversation.
        authors: who said what.
        stored: its provider keeps what came before the first message.
    """
    by = [author_of(authors, message) if message.role == "assistant" else None for message in messages]
    pieces = list(_pieces(messages, [author is not None and author.model == reader.id for author in by]))
    own = {place for place, (_, is_own) in enumerate(pieces) if is_own}
    form = MISTRALS if reader.vendor == "mistral" else ANYBODYS
    mended: list[Message] = []
    results_of: Message | None = None
    for slot in paired([_unit(message) for message, _ in pieces], own, form, stored=stored):
        if not isinstance(slot, Answered):
            mended.append(_placed(slot, pieces))
            results_of = None
            continue
        content = _result(slot, pieces)
        if results_of is None:  # results of one answer are one message, as the framework has it
            results_of = Message("tool", [])
            mended.append(results_of)
        results_of.contents.append(content)
    return mended


def _pieces(messages: Sequence[Message], own: Sequence[bool]) -> Iterator[tuple[Message, bool]]:
    """Yield copies of the messages, each with whether it is an answer of the reader's.

    Results come one by one where they belong to somebody else's answer, and what is left of that is plain.
    """
    at_home = False
    for message, is_own in zip(messages, own, strict=True):
        if message.role == "assistant":
            at_home = is_own
        if message.role == "assistant" and not is_own:
            if contents := list(_plain(message.contents)):
                yield Message("assistant", contents, author_name=message.author_name), False
        elif not at_home and any(content.type == "function_result" for content in message.contents):
            for content in message.contents:
                yield _copied(message, [content]), False
        else:
            yield _copied(message, message.contents), is_own


def _copied(message: Message, contents: Iterable[Content]) -> Message:
    private = copy.copy(message)
    private.contents = [_copy(content) for content in contents]
    private.additional_properties = dict(message.additional_properties)
    return private


def _copy(content: Content) -> Content:
    private = copy.copy(content)
    private.additional_properties = dict(content.additional_properties)
    return private


def _plain(contents: Iterable[Content]) -> Iterator[Content]:
    """Yield what every provider knows of somebody else's answer."""
    for content in contents:
        if content.type == "text" and content.text:
            yield Content.from_text(content.text)
        elif content.type == "function_call" and is_ours(content):
            yield Content.from_function_call(content.call_id or "", content.name or "", arguments=content.arguments)
        elif content.type in ("data", "uri"):
            yield Content.from_text(f"[{content.media_type or 'file'}]")
        elif (place := _RESULTS.get(content.type)) is not None and (text := _text(getattr(content, place))):
            yield Content.from_text(text)


def _text(outputs: Any) -> str:
    if isinstance(outputs, str):
        return outputs
    if isinstance(outputs, Content):
        return outputs.text or outputs.stdout or ""
    if isinstance(outputs, Sequence):
        return "\n".join(text for output in outputs if (text := _text(output)))
    return ""


def _unit(message: Message) -> Unit:
    if message.role == "assistant":
        return Answer([_call(content) for content in message.contents if content.type == "function_call"])
    if len(message.contents) == 1 and (content := message.contents[0]).type == "function_result":
        return Result(content.call_id or "", content.name)
    return None


def _call(content: Content) -> Call:
    return Call(content.name or "", content.call_id or "", valid=_is_json(content.arguments))


def _is_json(arguments: str | Mapping[str, Any] | None) -> bool:
    if not isinstance(arguments, str) or not arguments:
        return True
    try:
        json.loads(arguments)
    except ValueError:
        return False
    return True


def _placed(slot: Kept | Renamed, pieces: Sequence[tuple[Message, bool]]) -> Message:
    message, _ = pieces[slot.place]
    if isinstance(slot, Kept):
        return message
    contents: list[Content] = []
    index = 0
    for content in message.contents:  # copies, so they may be changed
        if content.type != "function_call":
            contents.append(content)
            continue
        if index in slot.ids:
            content.call_id = slot.ids[index]
            contents.append(content)
        index += 1
    message.contents = contents or [Content.from_text("(no answer)")]
    return message


def _result(slot: Answered, pieces: Sequence[tuple[Message, bool]]) -> Content:
    if slot.place is None:
        return Content.from_function_result(slot.id, result=INTERRUPTED)
    message, _ = pieces[slot.place]
    given = message.contents[0]
    private = Content.from_function_result(slot.id, result=result_text(given))
    private.items = given.items  # pictures, for a client that can show them
    return private


def _fingerprints(message: Message) -> Iterator[bytes]:
    texts: list[str] = []
    for content in message.contents:
        if content.type == "function_call":
            yield fingerprint("call", content.call_id or "", content.name or "")
        elif content.type == "text_reasoning":
            yield fingerprint("thought", content.id or "", content.protected_data or content.text or "")
        elif content.type == "text":
            texts.append(content.text or "")
    if text := "".join(texts).strip():
        yield fingerprint("text", text)
