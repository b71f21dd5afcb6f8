"""A conversation as one candidate may read it."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage, ToolMessage
from langchain_core.messages.tool import tool_call

from langchain_taskrouter.transcripts.blocks import kind, spoken, unsigned
from langchain_taskrouter.transcripts.forms import written
from langchain_taskrouter.transcripts.pairs import NO_ANSWER, paired
from langchain_taskrouter.transcripts.rules import FIELD_OF, Fate
from langchain_taskrouter.transcripts.speakers import Speaker, Standing, standing
from langchain_taskrouter.transcripts.vendors import IMAGE_RESULTS, LINKED, LISTS_IN_RESULTS, ONE_SYSTEM_MESSAGE
from taskrouter.adapters.pairing import ANYBODYS, MISTRALS

_NOTHING_SAID = {"refusal": None}
"""What OpenAI's chat completions leave in every answer."""
_REFUSED_IN_NAMES = re.compile(r"[\s<|\\/>]+")
NO_TEXT = "(no text)"
_PICTURES = frozenset({"image", "image_url", "input_image"})


def transcript_for(reader: Speaker, messages: list[BaseMessage], speakers: Mapping[str, Speaker]) -> list[BaseMessage]:
    """Return what of a conversation a candidate may see, in the form in which it may see it.

    What the candidate said itself, and what its tools answered to that, stays as it is. Nothing is changed in place,
    and a message that stays as it is, is the same object. A longer conversation begins with the same messages, so that
    vendors' caches, and thoughts that are bound to what came before them, stay valid.

    Args:
        reader: who is called next.
        messages: the conversation.
        speakers: all candidates by id.

    Returns:
        The messages for the call; the very same list where nothing has to change.
    """
    if _is_plain(messages, reader):
        return messages
    shown: list[BaseMessage] = []
    own: set[int] = set()
    others = False
    said = _at_first(reader, messages, speakers)
    for place, message in enumerate(messages):
        if isinstance(message, AIMessage):
            said = standing(reader, message, speakers)
            if said is Standing.SAME_MODEL:
                own.add(place)
                shown.append(message)
            else:
                others = True
                shown.append(_named(_answer(message, said, reader)))
        elif isinstance(message, ToolMessage):
            shown.append(message if _understands(reader, said) else _result(message, reader))
        else:
            shown.append(_named(_written(message, reader)))
    if others:
        shown = paired(shown, own, _form(reader), stored=reader.remembers)
    shown = _with_systems(shown, reader)
    same = len(shown) == len(messages) and all(new is old for new, old in zip(shown, messages, strict=True))
    return messages if same else shown


def _at_first(reader: Speaker, messages: Sequence[BaseMessage], speakers: Mapping[str, Speaker]) -> Standing:
    """Return the standing for results that come before any answer: they are as good as the first answer's."""
    first = next((message for message in messages if isinstance(message, AIMessage)), None)
    return Standing.SAME_MODEL if reader.remembers or first is None else standing(reader, first, speakers)


def _is_plain(messages: Sequence[BaseMessage], reader: Speaker) -> bool:
    """Whether there is nothing but text, which every model may see: the quick way out of most calls."""
    systems = reader.systems and reader.vendor not in ONE_SYSTEM_MESSAGE
    for place, message in enumerate(messages):
        if message.content.__class__ is not str or message.name is not None:
            return False
        if isinstance(message, HumanMessage):
            continue
        if isinstance(message, AIMessage):
            fields, facts = message.additional_kwargs, message.response_metadata
            if message.tool_calls or message.invalid_tool_calls or (fields and fields != _NOTHING_SAID):
                return False
            if facts and _has_state(facts):
                return False
        elif not isinstance(message, SystemMessage) or (place and not systems):
            return False
    return True


def _has_state(facts: Mapping[str, Any]) -> bool:
    """Whether metadata tell of what is stored at the vendor, or of a form that the content will not have."""
    return "output_version" in facts or "container" in facts or str(facts.get("id", "")).startswith("resp_")


def _form(reader: Speaker) -> re.Pattern[str]:
    mistral = reader.vendor == "mistralai" or any(name.startswith("mistral/") for name in reader.names)
    return MISTRALS if mistral else ANYBODYS


# --- answers --------------------------------------------------------------------------------------------------------


def _understands(reader: Speaker, said: Standing) -> bool:
    """Whether the reader takes the blocks of an answer, and of what its tools returned, in the giver's own form."""
    return said is Standing.SAME_MODEL or (said is Standing.SAME_VENDOR and reader.vendor not in LINKED)


def _answer(message: AIMessage, said: Standing, reader: Speaker) -> AIMessage:
    if _understands(reader, said):
        update = _for_kin(message)
    else:
        update = _for_others(message, keep_state=said is Standing.SAME_VENDOR)
    return message.model_copy(update=update) if update else message


def _for_kin(message: AIMessage) -> dict[str, Any]:
    """Return what changes for another model of the vendor: what is signed for one model goes."""
    update: dict[str, Any] = {}
    if isinstance(message.content, list) and (content := unsigned(message.content)) is not None:
        update["content"] = content if content or _calls(message) else NO_ANSWER
    fields = {k: v for k, v in message.additional_kwargs.items() if k not in FIELD_OF or not _is_signed(k)}
    if len(fields) != len(message.additional_kwargs):
        update["additional_kwargs"] = fields
    return update


def _is_signed(key: str) -> bool:
    return FIELD_OF[key].same_vendor is Fate.DROPPED


def _for_others(message: AIMessage, *, keep_state: bool) -> dict[str, Any]:
    """Return what changes for everybody else: its text and its calls are left."""
    update: dict[str, Any] = {}
    fields = message.additional_kwargs
    calls = _calls(message)
    ran = [block for block in fields.get("tool_outputs") or () if isinstance(block, Mapping)]
    content = message.content if isinstance(message.content, list) else [message.content]
    text = spoken([*ran, *content]) if ran or isinstance(message.content, list) else message.content
    if not calls and (legacy := _legacy_call(fields)):
        update["tool_calls"] = calls = [legacy]
    if not text.strip():
        text = _beside(fields) or text
        if isinstance(message.content, list) and message.content and not (text.strip() or calls):
            text = NO_ANSWER
    if text is not message.content:
        update["content"] = text
    if fields and fields != _NOTHING_SAID:
        update["additional_kwargs"] = {}
    facts = message.response_metadata
    if _has_state(facts):
        dropped = ("output_version",) if keep_state else ("output_version", "container", "id")
        update["response_metadata"] = {key: value for key, value in facts.items() if key not in dropped}
    return update


def _calls(message: AIMessage) -> list[Any]:
    return [*message.tool_calls, *message.invalid_tool_calls]


def _beside(fields: Mapping[str, Any]) -> str:
    """Return what was said beside an empty content: a refusal, or the words of a spoken answer."""
    if isinstance(refusal := fields.get("refusal"), str):
        return refusal
    audio = fields.get("audio")
    return str(audio.get("transcript") or "") if isinstance(audio, Mapping) else ""


def _legacy_call(fields: Mapping[str, Any]) -> Any:
    called = fields.get("function_call")
    if not isinstance(called, Mapping):
        return None
    try:
        arguments = json.loads(called.get("arguments") or "{}")
    except json.JSONDecodeError:
        return None
    return tool_call(name=str(called.get("name")), args=arguments, id=None) if isinstance(arguments, dict) else None


# --- what users and tools wrote -------------------------------------------------------------------------------------


def _written(message: BaseMessage, reader: Speaker) -> BaseMessage:
    if isinstance(message.content, str) or (content := written(message.content, reader.vendor)) is None:
        return message
    return message.model_copy(update={"content": content or [{"type": "text", "text": NO_TEXT}]})


def _result(message: ToolMessage, reader: Speaker) -> ToolMessage:
    """Return the result of a call that somebody else made."""
    if isinstance(message.content, str):
        return message
    unpacked = [part for block in message.content for part in _unpacked(block)]
    content = written(unpacked, reader.vendor) or unpacked
    if not (reader.responses_api or reader.vendor in IMAGE_RESULTS):
        content = [{"type": "text", "text": "[image]"} if kind(part) in _PICTURES else part for part in content]
    same = len(content) == len(message.content) and all(a is b for a, b in zip(content, message.content, strict=True))
    shown: Any = content
    if not (same and reader.vendor in LISTS_IN_RESULTS) and all(kind(part) == "text" for part in content):
        shown = "\n".join(part if isinstance(part, str) else str(part.get("text") or "") for part in content)
    elif same:
        return message
    return message.model_copy(update={"content": shown, "additional_kwargs": {}})


def _unpacked(block: Any) -> list[Any]:
    """Return what is in the envelopes that Anthropic's and OpenAI's formats put around a result."""
    if isinstance(block, str) or kind(block) not in ("tool_result", "custom_tool_call_output"):
        return [block]
    inner = block.get("content") if kind(block) == "tool_result" else block.get("output")
    if isinstance(inner, str):
        return [{"type": "text", "text": inner}]
    return list(inner) if isinstance(inner, Sequence) else []


def _named(message: BaseMessage) -> BaseMessage:
    if message.name is None or not _REFUSED_IN_NAMES.search(message.name):
        return message
    return message.model_copy(update={"name": _REFUSED_IN_NAMES.sub("_", message.name)})


def _with_systems(messages: list[BaseMessage], reader: Speaker) -> list[BaseMessage]:
    """Return the messages with system messages only where the reader's integration takes them."""
    if reader.vendor not in ONE_SYSTEM_MESSAGE and reader.systems:
        return messages
    lead = next((place for place, m in enumerate(messages) if not isinstance(m, SystemMessage)), len(messages))
    return [
        _as_human(m) if isinstance(m, SystemMessage) and place >= lead and not _fits(messages, place, reader) else m
        for place, m in enumerate(messages)
    ]


def _fits(messages: Sequence[BaseMessage], place: int, reader: Speaker) -> bool:
    """Whether a system message may stand there: behind what a user or a tool said, and before an answer or last."""
    if not reader.systems:
        return False
    before = next((m for m in reversed(messages[:place]) if not isinstance(m, SystemMessage)), None)
    after = next((m for m in messages[place + 1 :] if not isinstance(m, SystemMessage)), None)
    return isinstance(before, HumanMessage | ToolMessage) and (after is None or isinstance(after, AIMessage))


def _as_human(message: SystemMessage) -> HumanMessage:
    head = "System message:\n"
    if isinstance(message.content, str):
        return HumanMessage(head + message.content, id=message.id, name=message.name)
    return HumanMessage([{"type": "text", "text": head}, *message.content], id=message.id, name=message.name)
