"""Blocks of an answer as another model may read them. Pure functions on plain blocks, with nothing of LangChain."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from langchain_taskrouter.transcripts.rules import (
    MADE,
    RULE_OF,
    SERVER_CALLS,
    SERVER_RESULTS,
    SIGNED_KEYS,
    UNKNOWN,
    Block,
    Fate,
)

Content = str | Sequence[str | Block]
_READABLE = (
    *("title", "url", "query", "queries", "action", "code", "command", "input", "args", "arguments"),
    *("text", "refusal", "stdout", "stderr", "logs", "output", "outputs", "results", "result", "content"),
    *("executable_code", "code_execution_result", "source", "error", "error_code"),
)
"""Where a block of a server-side tool says something in the open, in this order."""
_NOT_TEXT = frozenset({"base64", "b64_json"})


_ARGUMENTS = frozenset({"action", "input", "args"})


def kind(part: str | Block) -> str:
    """Return the type of a block; of text it is `text`."""
    return "text" if isinstance(part, str) else str(part.get("type") or "")


def unwrapped(part: str | Block) -> str | Block:
    """Return what a `non_standard` block holds."""
    if not isinstance(part, str) and part.get("type") == "non_standard" and isinstance(part.get("value"), Mapping):
        value: Block = part["value"]
        return value
    return part


def spoken(content: Content) -> str:
    """Return what another vendor's model may read of an answer: its text, and text for what has none.

    The texts of one run belong together; what stands for a block is set apart.
    """
    if isinstance(content, str):
        return content
    pieces: list[str] = []
    run: list[str] = []
    for part in map(unwrapped, content):
        if kind(part) in ("text", "output_text", "input_text"):
            run.append(part if isinstance(part, str) else str(part.get("text") or ""))
        elif (text := _in_words(part)) and not isinstance(part, str):
            pieces += ("".join(run), text)
            run = []
    pieces.append("".join(run))
    return "\n\n".join(piece for piece in pieces if piece.strip())


def _in_words(part: str | Block) -> str:
    if isinstance(part, str) or RULE_OF.get(kind(part), UNKNOWN).other_vendor is not Fate.TEXT:
        return ""
    if kind(part) == "refusal":
        return str(part.get("refusal") or "")
    if kind(part) in MADE:
        return f"[{kind(part).removesuffix('_url').removesuffix('_call').replace('_', ' ')}]"
    text = "\n".join(readable({key: part[key] for key in part if key != "type"}))
    return f"[{_label(part)}]\n{text}" if text else ""


def _label(block: Block) -> str:
    if kind(block) in SERVER_CALLS or block.get("name"):
        return str(block.get("name") or kind(block))
    name = kind(block).removeprefix("server_").removesuffix("_call")
    return (name if name == "tool_result" else name.removesuffix("_tool_result")).replace("_", " ")


def readable(value: Any) -> Iterator[str]:
    """Yield what a value says in the open; what is encrypted, stored elsewhere or no text is left out."""
    if isinstance(value, str):
        if value.strip():
            yield value
    elif isinstance(value, Mapping):
        if value.get("type") in MADE and "source" not in value:
            yield f"[{kind(value)}]"
        elif value.get("type") in _NOT_TEXT:
            yield "[file]"
        elif value.get("type") == "text" and isinstance(value.get("data"), str):
            yield value["data"]
        else:
            yield from _of_mapping(value)
    elif isinstance(value, Iterable):
        for part in value:
            yield from readable(part)


def _of_mapping(value: Mapping[str, Any]) -> Iterator[str]:
    for key in _READABLE:
        said = value.get(key)
        texts = list(readable(said)) if said else []
        if not texts and key in _ARGUMENTS and isinstance(said, Mapping):
            plain = {name: one for name, one in said.items() if isinstance(one, str | int | float | bool)}
            texts = [json.dumps(plain, ensure_ascii=False)] if plain else []
        yield from texts


def unsigned(content: Sequence[str | Block]) -> list[str | Block] | None:
    """Return what another model of the same vendor may read of an answer, or None where that is all of it."""
    answered = _answered(content)
    kept: list[str | Block] = []
    for part in content:
        inner = unwrapped(part)
        if isinstance(inner, str):
            kept.append(part)
            continue
        fate = RULE_OF.get(kind(inner), UNKNOWN).same_vendor
        if fate is Fate.DROPPED or (fate is Fate.PAIRED and not _place(inner) <= answered):
            continue
        if fate is Fate.TEXT:
            kept.append({"type": "text", "text": _in_words(inner)})
        else:
            kept.append(_without_signature(part) if isinstance(part, Mapping) else part)
    changed = len(kept) != len(content) or any(new is not old for new, old in zip(kept, content, strict=True))
    return kept if changed else None


def _place(block: Block) -> set[str]:
    """Return the id that joins the call and the result of a server-side tool; Gemini's have none."""
    name = block.get("tool_use_id") or block.get("tool_call_id") or block.get("id")
    return {name} if isinstance(name, str) else set()


def _answered(content: Sequence[str | Block]) -> set[str]:
    calls: set[str] = set()
    results: set[str] = set()
    for part in map(unwrapped, content):
        if not isinstance(part, str):
            if kind(part) in SERVER_CALLS:
                calls |= _place(part)
            elif kind(part) in SERVER_RESULTS:
                results |= _place(part)
    return calls & results


def is_waiting(content: Content) -> bool:
    """Whether a server-side tool was called in an answer whose result is not there."""
    if isinstance(content, str):
        return False
    answered = _answered(content)
    calls = (part for part in map(unwrapped, content) if not isinstance(part, str) and kind(part) in SERVER_CALLS)
    return any(not _place(call) <= answered for call in calls)


def _without_signature(block: Block) -> Block:
    extras = block.get("extras")
    signed = any(key in block for key in SIGNED_KEYS)
    signed_inside = isinstance(extras, Mapping) and any(key in extras for key in SIGNED_KEYS)
    if not (signed or signed_inside):
        return block
    bare = {key: value for key, value in block.items() if key not in SIGNED_KEYS}
    if isinstance(extras, Mapping):
        bare["extras"] = {key: value for key, value in extras.items() if key not in SIGNED_KEYS}
    return bare
