"""What the router reads of a LlamaIndex answer: its text, reasoning, tool calls, finish reason and usage.

Integrations keep the provider's own answer in `raw`. Where that is a chat completion, whole or a chunk, core reads it;
else what LlamaIndex made of it is read.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias

from llama_index.core.base.llms.types import ChatMessage, ChatResponse, CompletionResponse, ThinkingBlock, ToolCallBlock

from llama_index.llms.taskrouter._calls import calls_of
from taskrouter.execution import chat_completion_view
from taskrouter.outcome import ResponseView, ToolCall, Usage

Response: TypeAlias = ChatResponse | CompletionResponse
_FINISH = ("finish_reason", "stop_reason", "done_reason")
_STATUSES = {"completed": "stop", "incomplete": "length"}
"""What OpenAI's Responses say instead."""
_INPUT, _OUTPUT = ("prompt_tokens", "input_tokens"), ("completion_tokens", "output_tokens")
_CACHED, _BESIDE = "cache_read_input_tokens", ("cache_read_input_tokens", "cache_creation_input_tokens")
"""Anthropic counts what its cache has to do with beside `input_tokens`."""
_DETAILS = ("prompt_tokens_details", "input_tokens_details")
"""OpenAI says what of the input was cached."""


def whole_view(response: Response) -> ResponseView:
    """Read a whole answer."""
    if _is_completion(response.raw):
        view = chat_completion_view(response.raw)
        if view.text or view.tool_calls or view.refused:
            return view
    facts = _facts(response)
    if isinstance(response, CompletionResponse):
        return ResponseView(text=response.text, **_ending(facts))
    message = response.message
    calls = tuple(ToolCall(name=call.name, arguments=call.json, id=call.id) for call in calls_of(message))
    return ResponseView(
        text=message.content or _otherwise(message),
        reasoning="".join(block.content or "" for block in message.blocks if isinstance(block, ThinkingBlock)),
        tool_calls=calls,
        **_ending(facts),
    )


class ChunkReader:
    """Reads the chunks of one stream after the other: LlamaIndex's hold all so far, the engine wants what is new.

    Args:
        whose: takes in which candidate a chunk is of, by the chunk's `id`.
    """

    def __init__(self, whose: dict[int, str]) -> None:
        self._whose = whose
        self.begin("")

    def begin(self, model_id: str) -> None:
        """Forget the stream so far: a candidate's begins."""
        self._model_id = model_id
        self._calls = 0
        self._told = False
        self._usage: Usage | None = None

    def view(self, chunk: Response) -> ResponseView:
        """Read the next chunk."""
        self._whose[id(chunk)] = self._model_id
        if _is_completion(chunk.raw):
            return chat_completion_view(chunk.raw)
        facts = _facts(chunk)
        ending = _ending(facts)
        self._usage = ending["usage"] = ending["usage"] or self._usage
        thought = facts.get("thinking_delta")
        return ResponseView(
            text=chunk.delta or "",
            reasoning=thought if isinstance(thought, str) else "",
            tool_calls=self._new_calls(chunk, ended=ending["finish_reason"] is not None),
            **ending,
        )

    def _new_calls(self, chunk: Response, *, ended: bool) -> tuple[ToolCall, ...]:
        """Return the calls that begin with this chunk, and when the answer has ended the arguments of all."""
        if isinstance(chunk, CompletionResponse):
            return ()
        calls = calls_of(chunk.message) if _has_calls(chunk.message) else []
        begun, self._calls = self._calls, max(self._calls, len(calls))  # some show a call once, and all at the end
        new = [ToolCall(name=c.name, id=c.id, index=i) for i, c in enumerate(calls) if i >= begun]
        if ended and not self._told:
            self._told = True
            new += [ToolCall(name="", arguments=call.json, index=index) for index, call in enumerate(calls)]
        return tuple(new)


def _is_completion(raw: Any) -> bool:
    """Whether it is a chat completion: a text completion's choices have a text and no message."""
    choices = raw.get("choices") if isinstance(raw, dict) else getattr(raw, "choices", None)
    if choices is None:
        return False
    return not choices or getattr(choices[0], "text", None) is None


def _has_calls(message: ChatMessage) -> bool:
    return bool(message.additional_kwargs) or any(isinstance(block, ToolCallBlock) for block in message.blocks)


def _otherwise(message: ChatMessage) -> str:
    """Return words that stand for an answer without text, such as an image; empty: there is none."""
    kinds = [b.block_type for b in message.blocks if b.block_type in ("image", "audio", "video", "document")]
    return f"[{kinds[0]}]" if kinds else ""


def _facts(response: Response) -> Mapping[str, Any]:
    """Return what is said of an answer, wherever an integration has put it."""
    raw = response.raw
    if hasattr(whole := getattr(raw, "response", None), "status"):  # the last event of OpenAI's Responses
        raw = whole
    facts: dict[str, Any] = dict(raw) if isinstance(raw, dict) else {}
    if raw is not None and not facts:
        facts = {
            name: getattr(raw, name, None) for name in (*_FINISH, "status", "usage", "usage_metadata", "model", "id")
        }
    message = response.message.additional_kwargs if isinstance(response, ChatResponse) else {}
    for more in (message, response.additional_kwargs):
        facts.update((name, value) for name, value in more.items() if value is not None)
    return facts


def usage_of(native: Any) -> Usage | None:
    """Return the tokens of an SDK's own answer."""
    return _usage(getattr(native, "usage", None))


def _ending(facts: Mapping[str, Any]) -> dict[str, Any]:
    changed = facts.get("delta")  # where Anthropic's events say it; LlamaIndex's completions keep nothing else
    finish = next((said for name in _FINISH if (said := facts.get(name) or getattr(changed, name, None))), None)
    finish = finish or _STATUSES.get(str(facts.get("status")))
    model, response_id = facts.get("model"), facts.get("id")
    return {
        "finish_reason": str(finish) if finish else None,
        "usage": _usage(facts.get("usage") or facts.get("usage_metadata") or facts),
        "model": model if isinstance(model, str) else None,
        "response_id": response_id if isinstance(response_id, str) else None,
        "refused": finish == "refusal",
    }


def _usage(counted: Any) -> Usage | None:
    asked, answered = _count(counted, _INPUT), _count(counted, _OUTPUT)
    if asked is None and answered is None:
        return None
    beside = sum(_count(counted, (name,)) or 0 for name in _BESIDE)
    details = next((given for name in _DETAILS if (given := _get(counted, name)) is not None), None)
    return Usage(
        input_tokens=(asked or 0) + beside,
        output_tokens=answered or 0,
        cached_input_tokens=_count(counted, (_CACHED,)) or _count(details, ("cached_tokens",)) or 0,
    )


def _count(counted: Any, names: Iterable[str]) -> int | None:
    return next((value for name in names if isinstance(value := _get(counted, name), int)), None)


def _get(owner: Any, name: str) -> Any:
    return owner.get(name) if isinstance(owner, Mapping) else getattr(owner, name, None)
