"""OpenAI's `/v1/chat/completions`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tests.standins.brain import Answer, Ask, Brain, Call, Tool, answer, words
from tests.standins.checks import check, check_known, check_schema, joined, names
from tests.standins.reply import Memory, Reply, data_events, pieces, size

_FIELDS = names(
    "audio frequency_penalty logit_bias logprobs max_completion_tokens max_tokens messages metadata modalities model n"
    " parallel_tool_calls prediction presence_penalty prompt_cache_key reasoning_effort response_format seed"
    " service_tier stop store stream stream_options temperature tool_choice tools top_logprobs top_p user verbosity"
)
_PARTS = {
    "system": {"text"},
    "developer": {"text"},
    "user": {"text", "image_url", "input_audio", "file"},
    "assistant": {"text", "refusal"},
    "tool": {"text"},
}
_NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")


def respond(body: Mapping[str, Any], memory: Memory, think: Brain = answer) -> Reply:
    """Answer a request, or refuse it."""
    check_known(body, _FIELDS, "unrecognized request argument")
    _check_messages(body["messages"])
    _check_tools(body)
    said = think(_read(body))
    frame = {"id": memory.name("chatcmpl-"), "created": 1, "model": body["model"]}
    usage = _usage(body, said, memory)
    if body.get("stream"):
        chunks = [{**frame, "object": "chat.completion.chunk", **chunk} for chunk in _chunks(body, said, usage, memory)]
        return Reply(events=[*data_events(chunks), "data: [DONE]\n\n"])
    message: dict[str, Any] = {"role": "assistant", "content": said.text or None, "refusal": None}
    if said.calls:
        message["tool_calls"] = [_call(call, memory) for call in said.calls]
    choice = {"index": 0, "message": message, "finish_reason": _finish(said), "logprobs": None}
    return Reply({**frame, "object": "chat.completion", "choices": [choice], "usage": usage})


def _read(body: Mapping[str, Any]) -> Ask:
    messages = body["messages"]
    asked = max((place for place, message in enumerate(messages) if message["role"] == "user"), default=-1)
    shape = body.get("response_format") or {}
    if shape.get("type") == "json_object":
        check("json" in str(messages).lower(), "'messages' must contain the word 'json' in some form")
    stop = body.get("stop") or ()
    return Ask(
        model=body["model"],
        question=joined(messages[asked]["content"]) if asked >= 0 else "",
        results=[joined(m["content"]) for m in messages[asked + 1 :] if m["role"] == "tool"],
        tools=[Tool(t["function"]["name"], t["function"].get("parameters") or {}) for t in body.get("tools") or ()],
        choice=_choice(body.get("tool_choice")),
        schema=(shape.get("json_schema") or {}).get("schema"),
        json_mode=shape.get("type") == "json_object",
        stop=[stop] if isinstance(stop, str) else stop,
        max_tokens=body.get("max_completion_tokens", body.get("max_tokens")),
        thinks=body.get("reasoning_effort") not in (None, "none"),
    )


def _choice(choice: Any) -> str:
    if isinstance(choice, Mapping):
        return str(choice["function"]["name"])
    return "any" if choice == "required" else str(choice or "auto")


def _check_messages(messages: Sequence[Mapping[str, Any]]) -> None:
    open_ids: set[str] = set()
    for place, message in enumerate(messages):
        where = f"messages[{place}]"
        role = message.get("role")
        check(role in _PARTS, f"{where}.role: {role!r} is not known")
        content = message.get("content")
        for part in content if isinstance(content, list) else ():
            check_known([part.get("type")], _PARTS[str(role)], f"{where}.content")
        if role == "tool":
            check(message["tool_call_id"] in open_ids, f"{where}: 'tool' must respond to a preceding 'tool_calls'")
            open_ids.remove(message["tool_call_id"])
            continue
        check(not open_ids, f"{where}: 'tool_calls' must be followed by tool messages for each 'tool_call_id'")
        open_ids = {call["id"] for call in message.get("tool_calls") or ()}
    check(not open_ids, "messages: 'tool_calls' must be followed by tool messages for each 'tool_call_id'")


def _check_tools(body: Mapping[str, Any]) -> None:
    offered = set()
    for place, tool in enumerate(body.get("tools") or ()):
        where = f"tools[{place}]"
        check(tool.get("type") == "function", f"{where}.type: {tool.get('type')!r} is not supported")
        check_known(tool, {"type", "function"}, where)
        check_known(tool["function"], {"name", "description", "parameters", "strict"}, f"{where}.function")
        check(_NAME.fullmatch(tool["function"]["name"]), f"{where}.function.name does not match the pattern")
        if tool["function"].get("parameters"):
            check_schema(tool["function"]["parameters"], f"{where}.function.parameters")
        offered.add(tool["function"]["name"])
    if "tools" in body:
        check(offered, "tools: an empty array is too short")
    else:
        check("tool_choice" not in body, "'tool_choice' is only allowed when 'tools' are specified")
        check("parallel_tool_calls" not in body, "'parallel_tool_calls' is only allowed when 'tools' are specified")
    choice = body.get("tool_choice")
    if isinstance(choice, Mapping):
        check(choice["function"]["name"] in offered, "tool_choice: there is no such tool")
    else:
        check(choice in (None, "auto", "none", "required"), f"tool_choice: {choice!r} is not known")


def _chunks(
    body: Mapping[str, Any], said: Answer, usage: Mapping[str, Any], memory: Memory
) -> Iterator[Mapping[str, Any]]:
    yield _chunk({"role": "assistant", "content": "" if said.text else None})
    for piece in pieces(said.text):
        yield _chunk({"content": piece})
    for index, call in enumerate(said.calls):
        whole = _call(call, memory)
        arguments = whole["function"].pop("arguments")
        opening = {**whole, "index": index, "function": {**whole["function"], "arguments": ""}}
        yield _chunk({"tool_calls": [opening]})
        for piece in pieces(arguments):
            yield _chunk({"tool_calls": [{"index": index, "function": {"arguments": piece}}]})
    yield _chunk({}, _finish(said))
    if (body.get("stream_options") or {}).get("include_usage"):
        yield {"choices": [], "usage": usage}


def _chunk(delta: Mapping[str, Any], finish: str | None = None) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": delta, "finish_reason": finish, "logprobs": None}]}


def _call(call: Call, memory: Memory) -> dict[str, Any]:
    return {"id": memory.name("call_"), "type": "function", "function": {"name": call.name, "arguments": call.json}}


def _finish(said: Answer) -> str:
    return {"tools": "tool_calls", "sequence": "stop"}.get(said.finish, said.finish)


def _usage(body: Mapping[str, Any], said: Answer, memory: Memory) -> dict[str, Any]:
    prompt = [body["messages"], body.get("tools")]
    asked, known = size(prompt), memory.seen(body["model"], prompt)
    return {
        "prompt_tokens": asked,
        "completion_tokens": said.tokens,
        "total_tokens": asked + said.tokens,
        "prompt_tokens_details": {
            "cached_tokens": asked // 2 if known else 0,
            "cache_write_tokens": 0 if known else asked // 2,
        },
        "completion_tokens_details": {"reasoning_tokens": words(said.thought)},
    }
