"""From a step to the keyword arguments of a chat-completions call."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from taskrouter.config import ModelConfig
from taskrouter.step import Step


def chat_completion_request(model: ModelConfig, step: Step, *, stream: bool) -> dict[str, Any]:
    """Return the request's parameters: those of the model's card first, then those of the step, then its contents."""
    request: dict[str, Any] = dict(model.params)
    if isinstance(step.payload, Mapping):
        request.update(step.payload)
    request["messages"] = list(step.messages)
    if step.tools:
        request["tools"] = list(step.tools)
    if step.response_schema is not None:
        schema = step.response_schema
        name = str(schema.get("title") or "answer").replace(" ", "_")
        request["response_format"] = {"type": "json_schema", "json_schema": {"name": name, "schema": dict(schema)}}
    if stream:
        request["stream"] = True
        request["stream_options"] = {"include_usage": True}
    return request
