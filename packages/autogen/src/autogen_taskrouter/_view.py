"""What the router reads of AutoGen's answers: text, thoughts, calls, why they ended, and what they used."""

from __future__ import annotations

from autogen_core.models import CreateResult

from autogen_taskrouter._candidates import Kind
from taskrouter.outcome import ResponseView, ToolCall, Usage

_OPENED, _CLOSED = "<think>", "</think>"
"""Between these AutoGen's OpenAI client streams what a model thinks."""


def result_view(result: CreateResult) -> ResponseView:
    """Read a whole answer."""
    finish = None if result.finish_reason == "unknown" else result.finish_reason
    text = result.content if isinstance(result.content, str) else ""
    return ResponseView(
        text=text,
        reasoning=result.thought or "",
        tool_calls=_calls(result),
        finish_reason=finish,
        usage=usage_of(result),
    )


def usage_of(result: CreateResult) -> Usage | None:
    """Read token counts: none where all are zero; an answer out of a cache has cost nothing."""
    if result.cached:
        return Usage()
    counted = result.usage
    if not (counted.prompt_tokens or counted.completion_tokens):
        return None
    return Usage(input_tokens=counted.prompt_tokens or 0, output_tokens=counted.completion_tokens or 0)


class ChunkReader:
    """Reads the chunks of one stream after the other. The result at its end repeats what the chunks have said."""

    def __init__(self) -> None:
        self.begin("other")

    def begin(self, kind: Kind) -> None:
        """Forget the stream so far: one of that kind of client begins."""
        self._kind = kind
        self._spoke = self._thinks = False

    def view(self, chunk: str | CreateResult) -> ResponseView:
        """Read the next chunk."""
        if isinstance(chunk, CreateResult):
            return self._last(chunk)
        if chunk.startswith(_OPENED):
            self._thinks = True
        if self._thinks:
            self._thinks = not chunk.rstrip().endswith(_CLOSED)
            return ResponseView(reasoning=chunk)
        self._spoke = self._spoke or bool(chunk)
        return ResponseView(text=chunk)

    def _last(self, result: CreateResult) -> ResponseView:
        finish = self._finish(result)
        if finish is None:  # cut off: what it says is not all, and half a call is none
            return ResponseView(usage=usage_of(result))
        text = result.content if isinstance(result.content, str) and not self._spoke else ""
        return ResponseView(
            text=text, tool_calls=_calls(result), finish_reason=finish, usage=usage_of(result), model=None
        )

    def _finish(self, result: CreateResult) -> str | None:
        """Return why a stream ended; None: it was cut off.

        Clients of OpenAI's and Anthropic's kind say `unknown` then. OpenAI's does so too where a server counts the
        tokens in the chunk that ends the answer; then there are counts. Other clients may never say why.
        """
        unknown = result.finish_reason == "unknown"
        cut = unknown and (self._kind in ("anthropic", "core") or (self._kind == "openai" and usage_of(result) is None))
        return None if cut else result.finish_reason


def _calls(result: CreateResult) -> tuple[ToolCall, ...]:
    if isinstance(result.content, str):
        return ()
    return tuple(
        ToolCall(name=call.name, arguments=call.arguments, id=call.id or None, index=index)
        for index, call in enumerate(result.content)
    )
