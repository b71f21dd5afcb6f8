"""Blocks that a user or a tool wrote, in the form that a vendor's integration takes. Pure functions on plain blocks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from langchain_taskrouter.transcripts.blocks import kind, readable, unwrapped
from langchain_taskrouter.transcripts.rules import APPLICATION_ANSWERS, Block
from langchain_taskrouter.transcripts.vendors import DECORATIONS, SEARCHED, SPELLINGS

_ANSWERED_ELSEWHERE = APPLICATION_ANSWERS | {"tool_reference"}
"""Machines wrote these, for a vendor's own calls."""


def written(content: Sequence[str | Block], vendor: str) -> list[str | Block] | None:
    """Return the content in a form that the vendor's integration takes, or None where it is in one."""
    new: list[str | Block] = []
    changed = False
    for part in content:
        shown = part if isinstance(part, str) else _written(part, vendor)
        changed |= shown is not part
        if shown is not None:
            new.append(shown)
    return new if changed else None


def _written(part: Block, vendor: str) -> Block | None:
    block = unwrapped(part)
    if isinstance(block, str):
        return part
    name = kind(block)
    if not name:
        return None if "cachePoint" in block and vendor != "aws" else part
    if name in _ANSWERED_ELSEWHERE and vendor != "openai":
        return None
    if name in ("search_result", "guard_content") and vendor not in SEARCHED:
        return {"type": "text", "text": "\n".join(readable({key: block[key] for key in block if key != "type"}))}
    shown = _undecorated(_standard(block) if _is_spelled_otherwise(block, vendor) else block, vendor)
    return part if shown is block else shown


def _is_spelled_otherwise(block: Block, vendor: str) -> bool:
    """Whether a block is in a form that the vendor's integration does not take."""
    name = kind(block)
    if name == "image":
        return "source" in block and vendor != "anthropic"
    if name == "file":
        return isinstance(block.get("file"), Mapping) and vendor != "openai"
    return vendor not in SPELLINGS.get(name, {vendor})


def _undecorated(block: Block, vendor: str) -> Block:
    marks = [key for key, vendors in DECORATIONS.items() if key in block and vendor not in vendors]
    extras = block.get("extras")
    hidden = isinstance(extras, Mapping) and any(
        key in extras and vendor not in DECORATIONS[key] for key in DECORATIONS
    )
    if not (marks or hidden):
        return block
    bare = {key: value for key, value in block.items() if key not in marks}
    if isinstance(extras, Mapping) and hidden:
        kept = {k: v for k, v in extras.items() if k not in DECORATIONS or vendor in DECORATIONS[k]}
        del bare["extras"]
        return {**bare, "extras": kept} if kept else bare
    return bare


def _standard(block: Block) -> Block:
    """Return a block in LangChain's standard form; the same block where it has none."""
    convert = _STANDARD.get(kind(block))
    return block if convert is None else convert(block)


def _openai_text(block: Block) -> Block:
    return {"type": "text", "text": block.get("text", "")}


def _openai_image(block: Block) -> Block:
    url = block.get("image_url")
    return {"type": "image_url", "image_url": {"url": url}} if isinstance(url, str) else block


def _openai_audio(block: Block) -> Block:
    audio = block.get("input_audio")
    if not isinstance(audio, Mapping):
        return block
    return {"type": "audio", "base64": audio.get("data", ""), "mime_type": f"audio/{audio.get('format', 'wav')}"}


def _openai_file(block: Block) -> Block:
    inner = block.get("file") if isinstance(block.get("file"), Mapping) else block
    assert isinstance(inner, Mapping)  # noqa: S101 - one of the two is
    if isinstance(url := inner.get("file_url"), str):
        return {"type": "file", "url": url}
    head, comma, data = str(inner.get("file_data") or "").partition(";base64,")
    if not comma:
        return block
    found: dict[str, Any] = {"type": "file", "base64": data, "mime_type": head.removeprefix("data:")}
    if isinstance(name := inner.get("filename"), str):
        found["extras"] = {"filename": name}
    return found


def _gemini_media(block: Block) -> Block:
    data = block.get("data")
    if not isinstance(data, str):
        return block
    mime = str(block.get("mime_type") or "application/octet-stream")
    family = mime.partition("/")[0]
    return {"type": family if family in ("image", "audio", "video") else "file", "base64": data, "mime_type": mime}


def _claude_source(block: Block) -> Block:
    source = block.get("source")
    if not isinstance(source, Mapping):
        return block
    name = "image" if kind(block) == "image" else "file"
    title = block.get("title")
    extras = {"extras": {"title": title, "filename": title}} if isinstance(title, str) else {}
    if source.get("type") == "url":
        return {"type": name, "url": source.get("url", ""), **extras}
    if source.get("type") == "base64":
        return {"type": name, "base64": source.get("data", ""), "mime_type": source.get("media_type", ""), **extras}
    if source.get("type") in ("text", "content"):
        text = "\n".join(readable(source.get("data") or source.get("content")))
        return {"type": "text", "text": f"{title}\n{text}" if isinstance(title, str) else text}
    return block


_STANDARD = {
    "input_text": _openai_text,
    "input_image": _openai_image,
    "input_audio": _openai_audio,
    "input_file": _openai_file,
    "file": _openai_file,
    "media": _gemini_media,
    "document": _claude_source,
    "image": _claude_source,
}
