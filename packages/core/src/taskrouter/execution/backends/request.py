"""From a step to the keyword arguments of a chat-completions call, and what these ask for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from taskrouter.config import ModelConfig
from taskrouter.step import Step

_LENGTH_LIMITS = ("max_tokens", "max_completion_tokens", "max_output_tokens")


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


def length_limits(step: Step, models: Mapping[str, ModelConfig]) -> dict[str, int]:
    """Return the limits to an answer's length, in tokens, that the requests of a step would carry, by model id."""
    payload = step.payload if isinstance(step.payload, Mapping) else {}
    asked = _length_limit(payload)
    if asked is not None:
        return dict.fromkeys(models, asked)
    return {name: limit for name, model in models.items() if model.params and (limit := _length_limit(model.params))}


def answers_asked_for(step: Step) -> int:
    """Return how many answers a request of a step would ask for (`n`)."""
    asked = step.payload.get("n") if isinstance(step.payload, Mapping) else None
    return asked if isinstance(asked, int) and asked > 0 else 1


def _length_limit(parameters: Mapping[str, Any]) -> int | None:
    limits = (parameters.get(name) for name in _LENGTH_LIMITS)
    return next((limit for limit in limits if isinstance(limit, int) and limit > 0), None)
