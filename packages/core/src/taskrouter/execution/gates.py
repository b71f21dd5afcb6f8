"""Cheap checks that turn a useless answer into a failed attempt."""

from __future__ import annotations

import json

from taskrouter.errors import BadAnswer, ModelCallError, Refused
from taskrouter.outcome import ResponseView, ToolCall
from taskrouter.step import Step


def fault(view: ResponseView, step: Step, model: str) -> ModelCallError | None:
    """Return what is wrong with a complete answer, or None: refused, empty, or a tool call that cannot be run."""
    if view.refused or view.finish_reason == "content_filter":
        return Refused(model)
    if not (view.text or view.tool_calls):
        return BadAnswer(model, detail="gave an empty answer")
    if view.tool_calls and step.tools:
        offered = {tool["function"]["name"] for tool in step.tools}
        for call in view.tool_calls:
            if detail := _wrong_call(call, offered):
                return BadAnswer(model, detail=detail)
    return None


def _wrong_call(call: ToolCall, offered: set[str]) -> str | None:
    if call.name not in offered:
        return f"called a tool that was not offered (offered: {', '.join(sorted(offered))})"
    try:
        arguments = json.loads(call.arguments or "{}")
    except ValueError:
        return f"called {call.name!r} with arguments that are not JSON"
    if not isinstance(arguments, dict):
        return f"called {call.name!r} with arguments that are no JSON object"
    return None
