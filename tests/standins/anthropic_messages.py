"""Anthropic's `/v1/messages`."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from tests.standins.anthropic_checks import check_request
from tests.standins.brain import Answer, Ask, Brain, Tool, answer, words
from tests.standins.checks import joined
from tests.standins.reply import Memory, Reply, data_events, pieces, size


def respond(body: Mapping[str, Any], memory: Memory, think: Brain = answer) -> Reply:
    """Answer a request, or refuse it."""
    check_request(body, memory)
    said = think(_read(body))
    blocks = [_numbered(block, memory) for block in _blocks(body["model"], said, memory)]
    message = {
        "id": memory.name("msg_"),
        "type": "message",
        "role": "assistant",
        "model": body["model"],
        "content": blocks,
        "stop_reason": _finish(said),
        "stop_sequence": said.sequence,
        "usage": _usage(body, said, memory),
    }
    if body.get("stream"):
        return Reply(events=data_events(_events(message), named=True))
    return Reply(message)


def count(body: Mapping[str, Any], memory: Memory, think: Brain = answer) -> Reply:
    """Count the tokens of a request, or refuse it."""
    check_request({"max_tokens": 1, **body}, memory)
    return Reply({"input_tokens": size(_prompt(body))})


def _read(body: Mapping[str, Any]) -> Ask:
    question = ""
    results: list[str] = []
    for message in body["messages"]:
        content = message["content"]
        blocks = [{"type": "text", "text": content}] if isinstance(content, str) else content
        if message["role"] == "user" and (text := joined([b for b in blocks if b["type"] == "text"])):
            question, results = text, []
        results += [joined(block.get("content")) for block in blocks if block["type"] == "tool_result"]
    choice = body.get("tool_choice") or {"type": "auto"}
    output = (body.get("output_config") or {}).get("format") or {}
    return Ask(
        model=body["model"],
        question=question,
        results=results,
        tools=[Tool(tool["name"], tool["input_schema"]) for tool in body.get("tools") or () if "input_schema" in tool],
        choice=choice["name"] if choice["type"] == "tool" else choice["type"],
        schema=output.get("schema"),
        stop=body.get("stop_sequences") or (),
        max_tokens=body["max_tokens"],
        thinks=_thinks(body),
    )


def _thinks(body: Mapping[str, Any]) -> bool:
    return (body.get("thinking") or {}).get("type") in ("enabled", "adaptive")


def _blocks(model: str, said: Answer, memory: Memory) -> Iterator[dict[str, Any]]:
    if said.thought:
        yield {"type": "thinking", "thinking": said.thought, "signature": memory.sign(model, said.thought)}
    if said.text:
        yield {"type": "text", "text": said.text}
    for call in said.calls:
        yield {"type": "tool_use", "name": call.name, "input": dict(call.arguments)}


def _numbered(block: dict[str, Any], memory: Memory) -> dict[str, Any]:
    return {**block, "id": memory.name("toolu_")} if block["type"] == "tool_use" else block


def _finish(said: Answer) -> str:
    return {"stop": "end_turn", "length": "max_tokens", "tools": "tool_use", "sequence": "stop_sequence"}[said.finish]


def _events(message: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    usage = message["usage"]
    opening = {
        **message,
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": {**usage, "output_tokens": 1},
    }
    yield {"type": "message_start", "message": opening}
    for index, block in enumerate(message["content"]):
        yield from ({**event, "index": index} for event in _block_events(block))
    ending = {"stop_reason": message["stop_reason"], "stop_sequence": message["stop_sequence"]}
    yield {"type": "message_delta", "delta": ending, "usage": usage}
    yield {"type": "message_stop"}


def _block_events(block: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    empty: dict[str, Any]
    deltas: list[dict[str, Any]]
    match block["type"]:
        case "text":
            empty = {"type": "text", "text": ""}
            deltas = [{"type": "text_delta", "text": piece} for piece in pieces(block["text"])]
        case "thinking":
            empty = {"type": "thinking", "thinking": "", "signature": ""}
            deltas = [{"type": "thinking_delta", "thinking": piece} for piece in pieces(block["thinking"])]
            deltas.append({"type": "signature_delta", "signature": block["signature"]})
        case _:
            empty = {**block, "input": {}}
            arguments = json.dumps(block["input"], ensure_ascii=False)
            deltas = [{"type": "input_json_delta", "partial_json": piece} for piece in ("", *pieces(arguments))]
    yield {"type": "content_block_start", "content_block": empty}
    for delta in deltas:
        yield {"type": "content_block_delta", "delta": delta}
    yield {"type": "content_block_stop"}


def _prompt(body: Mapping[str, Any]) -> list[Any]:
    return [body.get("system"), body.get("tools"), body["messages"]]


def _usage(body: Mapping[str, Any], said: Answer, memory: Memory) -> dict[str, Any]:
    """Count; what `cache_control` marks is written to the cache, or read from it when it was seen before."""
    prompt = _prompt(body)
    whole = size(prompt)
    kept = whole // 2 if "cache_control" in body or "'cache_control'" in str(prompt) else 0
    known = bool(kept) and memory.seen(body["model"], prompt)
    return {
        "input_tokens": whole - kept,
        "output_tokens": said.tokens,
        "cache_read_input_tokens": kept if known else 0,
        "cache_creation_input_tokens": 0 if known else kept,
        "output_tokens_details": {"thinking_tokens": words(said.thought)},
    }
