"""OpenAI's `/v1/responses`: text, tools, structured output and reasoning, whole and streamed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from tests.standins.brain import Answer, Ask, Brain, Tool, answer, words
from tests.standins.checks import check, check_known, check_schema, joined, names
from tests.standins.reply import Memory, Reply, data_events, pieces, size

_FIELDS = names(
    "include input instructions max_output_tokens metadata model parallel_tool_calls previous_response_id"
    " prompt_cache_key reasoning service_tier store stream temperature text tool_choice tools top_p truncation user"
)
_NATIVE_TOOLS = names(
    "code_interpreter computer_use_preview custom file_search image_generation mcp web_search web_search_preview"
)
_PREFIXES = {"message": "msg", "function_call": "fc", "reasoning": "rs", "function_call_output": "fc"}
_INPUT_PARTS = {"input_text", "input_image", "input_file", "input_audio"}
_OUTPUT_PARTS = {"output_text", "refusal"}


def respond(body: Mapping[str, Any], memory: Memory, think: Brain = answer) -> Reply:
    """Answer a request, or refuse it."""
    check_known(body, _FIELDS, "unknown parameter")
    items = _items(body)
    _check_items(items, body["model"], memory)
    _check_tools(body)
    said = think(_read(body, items))
    response = {
        "id": memory.name("resp_"),
        "object": "response",
        "created_at": 1,
        "model": body["model"],
        "status": "incomplete" if said.finish == "length" else "completed",
        "error": None,
        "incomplete_details": {"reason": "max_output_tokens"} if said.finish == "length" else None,
        "instructions": body.get("instructions"),
        "metadata": {},
        "output": list(_output(body["model"], said, memory)),
        "parallel_tool_calls": body.get("parallel_tool_calls", True),
        "temperature": body.get("temperature"),
        "tool_choice": body.get("tool_choice", "auto"),
        "tools": body.get("tools", []),
        "top_p": None,
        "usage": _usage(body, said, memory),
    }
    if not body.get("stream"):
        return Reply(response)
    numbered = ({**event, "sequence_number": n} for n, event in enumerate(_events(response)))
    return Reply(events=data_events(numbered, named=True), opening=2)


def _items(body: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    given = body["input"]
    items = [{"role": "user", "content": given}] if isinstance(given, str) else given
    return [{"type": "message", **item} for item in items]


def _read(body: Mapping[str, Any], items: list[Mapping[str, Any]]) -> Ask:
    asked = max((place for place, item in enumerate(items) if item.get("role") == "user"), default=-1)
    shape = (body.get("text") or {}).get("format") or {}
    choice = body.get("tool_choice")
    if isinstance(choice, Mapping):
        choice = choice["name"]
    results = [item["output"] for item in items[asked + 1 :] if item["type"] == "function_call_output"]
    return Ask(
        model=body["model"],
        question=joined(items[asked]["content"]) if asked >= 0 else "",
        results=[joined(result) for result in results],
        tools=[Tool(t["name"], t.get("parameters") or {}) for t in body.get("tools") or () if t["type"] == "function"],
        choice="any" if choice == "required" else str(choice or "auto"),
        schema=shape.get("schema"),
        json_mode=shape.get("type") == "json_object",
        max_tokens=body.get("max_output_tokens"),
        thinks=(body.get("reasoning") or {}).get("effort") not in (None, "none"),
    )


def _check_items(items: list[Mapping[str, Any]], model: str, memory: Memory) -> None:
    called: set[str] = set()
    for place, item in enumerate(items):
        where, kind = f"input[{place}]", item["type"]
        check_known([kind], _PREFIXES, where)
        if "id" in item:
            check(
                item["id"].startswith(_PREFIXES[kind]),
                f"{where}.id: expected an id that begins with {_PREFIXES[kind]!r}",
            )
        match kind:
            case "message":
                known = _OUTPUT_PARTS if item["role"] == "assistant" else _INPUT_PARTS
                _check_parts(item["content"], known, where)
            case "function_call":
                called.add(item["call_id"])
            case "function_call_output":
                check(item["call_id"] in called, f"{where}: no tool call found for function call output")
                called.remove(item["call_id"])
                _check_parts(item["output"], _INPUT_PARTS, where)
            case "reasoning":
                check(memory.signed(model, item.get("id")), f"{where}: item not found")
    check(not called, "input: no tool output found for function call")


def _check_parts(content: Any, known: set[str], where: str) -> None:
    for part in content if isinstance(content, list) else ():
        check_known([part.get("type")], known, f"{where}.content")


def _check_tools(body: Mapping[str, Any]) -> None:
    for place, tool in enumerate(body.get("tools") or ()):
        where = f"tools[{place}]"
        check_known([tool["type"]], {"function", *_NATIVE_TOOLS}, f"{where}.type")
        if tool["type"] == "function":
            check_known(tool, {"type", "name", "description", "parameters", "strict"}, where)
            check_schema(tool.get("parameters") or {"type": "object"}, f"{where}.parameters")
    choice = body.get("tool_choice")
    if isinstance(choice, Mapping) and choice["type"] == "function":
        check(choice["name"] in {tool.get("name") for tool in body["tools"]}, "tool_choice: there is no such tool")


def _output(model: str, said: Answer, memory: Memory) -> Iterator[dict[str, Any]]:
    if said.thought:
        summary = [{"type": "summary_text", "text": said.thought}]
        yield {"type": "reasoning", "id": memory.remember(model, memory.name("rs_")), "summary": summary}
    if said.text:
        part = {"type": "output_text", "text": said.text, "annotations": []}
        done = {"status": "completed", "role": "assistant"}
        yield {"type": "message", "id": memory.name("msg_"), **done, "content": [part]}
    for call in said.calls:
        ids = {"id": memory.name("fc_"), "call_id": memory.name("call_")}
        yield {"type": "function_call", **ids, "name": call.name, "arguments": call.json, "status": "completed"}


def _events(response: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    opening = {**response, "status": "in_progress", "incomplete_details": None, "output": [], "usage": None}
    yield {"type": "response.created", "response": opening}
    yield {"type": "response.in_progress", "response": opening}
    for index, item in enumerate(response["output"]):
        place = {"output_index": index, "item_id": item["id"]}
        started = {**item, "status": "in_progress", **_EMPTY[item["type"]]}
        yield {"type": "response.output_item.added", "output_index": index, "item": started}
        for event in _ITEM_EVENTS[item["type"]](item):
            yield {**event, **place}
        yield {"type": "response.output_item.done", "output_index": index, "item": item}
    yield {"type": f"response.{response['status']}", "response": response}


_EMPTY: Mapping[str, Mapping[str, Any]] = {
    "message": {"content": []},
    "function_call": {"arguments": ""},
    "reasoning": {"summary": []},
}
"""What an item has before anything is said."""


def _message_events(item: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    part = item["content"][0]
    place = {"content_index": 0}
    yield {"type": "response.content_part.added", **place, "part": {**part, "text": ""}}
    for piece in pieces(part["text"]):
        yield {"type": "response.output_text.delta", **place, "delta": piece, "logprobs": []}
    yield {"type": "response.output_text.done", **place, "text": part["text"], "logprobs": []}
    yield {"type": "response.content_part.done", **place, "part": part}


def _call_events(item: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for piece in pieces(item["arguments"]):
        yield {"type": "response.function_call_arguments.delta", "delta": piece}
    done = {"name": item["name"], "arguments": item["arguments"]}
    yield {"type": "response.function_call_arguments.done", **done}


def _reasoning_events(item: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    part = item["summary"][0]
    place = {"summary_index": 0}
    yield {"type": "response.reasoning_summary_part.added", **place, "part": {**part, "text": ""}}
    for piece in pieces(part["text"]):
        yield {"type": "response.reasoning_summary_text.delta", **place, "delta": piece}
    yield {"type": "response.reasoning_summary_text.done", **place, "text": part["text"]}
    yield {"type": "response.reasoning_summary_part.done", **place, "part": part}


_ITEM_EVENTS = {"message": _message_events, "function_call": _call_events, "reasoning": _reasoning_events}


def _usage(body: Mapping[str, Any], said: Answer, memory: Memory) -> dict[str, Any]:
    prompt = [body["input"], body.get("tools")]
    asked, known = size(prompt), memory.seen(body["model"], prompt)
    return {
        "input_tokens": asked,
        "output_tokens": said.tokens,
        "total_tokens": asked + said.tokens,
        "input_tokens_details": {
            "cached_tokens": asked // 2 if known else 0,
            "cache_write_tokens": 0 if known else asked // 2,
        },
        "output_tokens_details": {"reasoning_tokens": words(said.thought)},
    }
