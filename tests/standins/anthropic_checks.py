"""What Anthropic refuses."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from tests.standins.checks import check, check_known, check_schema, names
from tests.standins.reply import Memory

_FIELDS = names(
    "betas cache_control container context_management inference_geo max_tokens mcp_servers messages metadata model"
    " output_config service_tier stop_sequences stream system temperature thinking tool_choice tools top_k top_p"
)
_SERVER_RESULTS = {
    f"{tool}_tool_result"
    for tool in ("web_search", "web_fetch", "code_execution", "bash_code_execution", "text_editor_code_execution")
}
_BLOCKS = {
    "user": {"text", "image", "document", "tool_result", "search_result"},
    "assistant": {"text", "thinking", "redacted_thinking", "tool_use", "server_tool_use", *_SERVER_RESULTS},
}
_RESULT_BLOCKS = {"text", "image", "document", "search_result"}
_NATIVE_TOOLS = re.compile(
    r"(bash|code_execution|computer|memory|text_editor|tool_search_tool_\w+|web_fetch|web_search)_\d{8}"
)
_TOOL_FIELDS = names(
    "allowed_callers cache_control defer_loading description eager_input_streaming input_examples input_schema name"
    " strict type"
)
_ID = re.compile(r"[a-zA-Z0-9_-]+")
_SOURCES = {"image": {"base64", "url", "file"}, "document": {"base64", "text", "content", "url", "file"}}


def check_request(body: Mapping[str, Any], memory: Memory) -> None:
    """Refuse what Anthropic refuses."""
    check_known(body, _FIELDS, "extra inputs are not permitted")
    check(isinstance(body.get("max_tokens"), int) and body["max_tokens"] > 0, "max_tokens: field required")
    messages = body["messages"]
    check(messages and messages[0]["role"] == "user", "messages: the first message must use the role user")
    for place, message in enumerate(messages):
        _check_message(message, f"messages.{place}", body["model"], memory)
    _check_pairs(messages)
    _check_tools(body)
    _check_thinking(body)


def _check_message(message: Mapping[str, Any], where: str, model: str, memory: Memory) -> None:
    check(message["role"] in _BLOCKS, f"{where}.role: {message['role']!r} is not known")
    content = message["content"]
    check(content, f"{where}: content must be non-empty")
    for place, block in enumerate(content if isinstance(content, list) else ()):
        check_known([block.get("type")], _BLOCKS[message["role"]], f"{where}.content.{place}")
        _check_block(block, f"{where}.content.{place}")
        if block["type"] == "thinking":
            check(memory.signed(model, block.get("signature")), f"{where}.content.{place}: invalid signature")


def _check_block(block: Mapping[str, Any], where: str) -> None:
    match block["type"]:
        case "text":
            check_known(block, {"type", "text", "citations", "cache_control"}, where)
            check(block["text"].strip(), f"{where}: text content blocks must be non-empty")
        case "image" | "document":
            check_known([block["source"]["type"]], _SOURCES[block["type"]], f"{where}.source")
        case "tool_use":
            check_known(block, {"type", "id", "name", "input", "cache_control", "caller"}, where)
            check(_ID.fullmatch(block["id"]), f"{where}.id: the id does not match the pattern")
            check(isinstance(block["input"], Mapping), f"{where}.input: a dictionary is needed")
        case "tool_result":
            content = block.get("content")
            for part in content if isinstance(content, list) else ():
                check_known([part.get("type")], _RESULT_BLOCKS, f"{where}.content")
                _check_block(part, f"{where}.content")


def _check_pairs(messages: Sequence[Mapping[str, Any]]) -> None:
    """Every call is answered in the very next message, and nothing else is."""
    called: list[str] = []
    for place, message in enumerate(messages):
        answered = _ids(message, "tool_result", "tool_use_id")
        check(set(called) <= set(answered), f"messages.{place}: `tool_use` ids without `tool_result` blocks")
        check(set(answered) <= set(called), f"messages.{place}: unexpected `tool_use_id` in `tool_result` blocks")
        called = _ids(message, "tool_use", "id")
        check(len(called) == len(set(called)), f"messages.{place}: `tool_use` ids must be unique")
    check(not called, "messages: `tool_use` ids were found without `tool_result` blocks")


def _ids(message: Mapping[str, Any], kind: str, name: str) -> list[str]:
    content = message["content"]
    return [block[name] for block in content if block["type"] == kind] if isinstance(content, list) else []


def _check_tools(body: Mapping[str, Any]) -> None:
    offered = set()
    for place, tool in enumerate(body.get("tools") or ()):
        kind = tool.get("type") or "custom"
        where = f"tools.{place}"
        check(kind == "custom" or _NATIVE_TOOLS.fullmatch(kind), f"{where}: type {kind!r} is not known")
        if kind == "custom":
            check_known(tool, _TOOL_FIELDS, where)
            check_schema(tool.get("input_schema"), f"{where}.input_schema")
        offered.add(tool["name"])
    choice = body.get("tool_choice")
    if choice is not None:
        check(offered, "tool_choice may only be specified while providing tools")
        check_known([choice["type"]], {"auto", "any", "tool", "none"}, "tool_choice.type")
        check(choice["type"] != "tool" or choice["name"] in offered, "tool_choice.name: there is no such tool")


def _check_thinking(body: Mapping[str, Any]) -> None:
    """With thinking on, no call can be forced, and an open tool loop begins with the thought that opened it."""
    if (body.get("thinking") or {}).get("type") != "enabled":
        return
    forced = (body.get("tool_choice") or {}).get("type") in ("any", "tool")
    check(not forced, "thinking may not be enabled when tool_choice forces tool use")
    check(body["thinking"]["budget_tokens"] < body["max_tokens"], "max_tokens must be greater than the thinking budget")
    last = next((message for message in reversed(body["messages"]) if message["role"] == "assistant"), None)
    if last is not None and _ids(body["messages"][-1], "tool_result", "tool_use_id"):
        check(
            last["content"][0]["type"] in ("thinking", "redacted_thinking"),
            "expected `thinking` or `redacted_thinking`, but found another block, in the final assistant message",
        )
