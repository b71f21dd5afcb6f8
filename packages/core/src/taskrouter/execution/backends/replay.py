"""Answers from recordings: no network, no key, the same answer every time."""

from __future__ import annotations

import gzip
import hashlib
import json
from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path
from typing import Any

from taskrouter.config import ModelConfig
from taskrouter.errors import ConfigurationError, ModelCallError
from taskrouter.execution.views import chat_completion_view
from taskrouter.outcome import ResponseView
from taskrouter.step import Step


class ReplayBackend:
    """Answers a step with what a model answered when the same step was recorded.

    The recording is named by the model's `params.recording`: a JSON-lines file (or `.gz`) with `messages`, `tools` and
    `outcomes` by model, as `taskrouter evaluate` reads it.
    """

    def __init__(self) -> None:
        self._files: dict[str, dict[str, Mapping[str, Any]]] = {}

    def complete(self, model: ModelConfig, step: Step, timeout_s: float | None) -> Any:
        """Return the recorded answer as a chat completion."""
        del timeout_s
        outcome = self._outcome(model, step)
        return {
            "id": f"replay-{_key(step)[:12]}",
            "model": model.model,
            "choices": [
                {"message": _message(str(outcome.get("answer") or ""), step), "finish_reason": "stop"},
            ],
            "usage": {
                "prompt_tokens": outcome.get("input_tokens") or 0,
                "completion_tokens": outcome.get("output_tokens") or 0,
            },
        }

    async def acomplete(self, model: ModelConfig, step: Step, timeout_s: float | None) -> Any:
        """Return the recorded answer as a chat completion."""
        return self.complete(model, step, timeout_s)

    def stream(self, model: ModelConfig, step: Step, timeout_s: float | None) -> Iterator[Any]:
        """Return the recorded answer as a stream of one chunk."""
        yield self.complete(model, step, timeout_s)

    async def astream(self, model: ModelConfig, step: Step, timeout_s: float | None) -> AsyncIterator[Any]:
        """Return the recorded answer as a stream of one chunk."""
        return _stream_of(self.complete(model, step, timeout_s))

    def view(self, native: Any) -> ResponseView:
        """Read a completion."""
        return chat_completion_view(native)

    def close(self) -> None:
        """Forget the recordings."""
        self._files.clear()

    async def aclose(self) -> None:
        """Forget the recordings."""
        self.close()

    def _outcome(self, model: ModelConfig, step: Step) -> Mapping[str, Any]:
        recording = model.params.get("recording")
        if not isinstance(recording, str):
            raise ConfigurationError(f"model {model.id!r}: the backend 'replay' needs params.recording = 'FILE.jsonl'")
        if recording not in self._files:
            self._files[recording] = _read(Path(recording))
        outcomes = self._files[recording].get(_key(step), {})
        if model.model not in outcomes:
            raise ModelCallError(model.id, detail=f"has no recorded answer to this step in {recording}")
        outcome: Mapping[str, Any] = outcomes[model.model]
        return outcome


async def _stream_of(chunk: Any) -> AsyncIterator[Any]:
    yield chunk


def _read(path: Path) -> dict[str, Mapping[str, Any]]:
    opened = gzip.open if path.suffix == ".gz" else open
    recorded: dict[str, Mapping[str, Any]] = {}
    try:
        with opened(path, "rt", encoding="utf-8") as lines:
            for number, line in enumerate(lines, start=1):
                try:
                    row = json.loads(line)
                    recorded[_hash(row["messages"], row.get("tools") or [])] = row["outcomes"]
                except (ValueError, KeyError, TypeError) as error:
                    raise ConfigurationError(f"{path}:{number}: not a recording: {error!r}") from error
    except OSError as error:
        raise ConfigurationError(f"{path}: cannot be read: {error.strerror or error}") from error
    return recorded


def _key(step: Step) -> str:
    return _hash(list(step.messages), list(step.tools))


def _hash(messages: Any, tools: Any) -> str:
    text = json.dumps([messages, tools], sort_keys=True, ensure_ascii=False, default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def _message(answer: str, step: Step) -> dict[str, Any]:
    """Turn a canonical answer, a list of (name, arguments) where tools were offered, back into a message."""
    if step.tools:
        try:
            calls = [
                {"id": f"call_{n}", "type": "function", "function": {"name": name, "arguments": json.dumps(arguments)}}
                for n, (name, arguments) in enumerate(json.loads(answer))
            ]
        except (ValueError, TypeError):
            calls = []
        if calls:
            return {"role": "assistant", "content": None, "tool_calls": calls}
    return {"role": "assistant", "content": answer}
