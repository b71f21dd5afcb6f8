"""What has arrived of a streamed answer."""

from __future__ import annotations

from dataclasses import dataclass, field

from taskrouter.outcome import ResponseView, ToolCall, Usage


@dataclass(slots=True)
class _Fragment:
    name: str
    id: str | None
    pieces: list[str]


@dataclass(slots=True)
class Partial:
    """Folds the views of chunks into the view of the whole."""

    began: bool = False
    """Whether anything has arrived at all, readable or not."""
    meaningful: bool = False
    finish_reason: str | None = None
    _text: list[str] = field(default_factory=list, repr=False)
    _reasoning: list[str] = field(default_factory=list, repr=False)
    _calls: dict[int, _Fragment] = field(default_factory=dict, repr=False)
    _usage: Usage | None = None
    _model: str | None = None
    _response_id: str | None = None
    _refused: bool = False

    def add(self, chunk: ResponseView) -> None:
        """Take in one chunk."""
        if chunk.text:
            self._text.append(chunk.text)
        if chunk.reasoning:
            self._reasoning.append(chunk.reasoning)
        for call in chunk.tool_calls:
            self._add_call(call)
        self.meaningful = self.meaningful or chunk.meaningful
        self.finish_reason = chunk.finish_reason or self.finish_reason
        self._usage = chunk.usage or self._usage
        self._model = chunk.model or self._model
        self._response_id = chunk.response_id or self._response_id
        self._refused = self._refused or chunk.refused

    def view(self) -> ResponseView:
        """Return what has arrived so far."""
        return ResponseView(
            text="".join(self._text),
            reasoning="".join(self._reasoning),
            tool_calls=tuple(
                ToolCall(name=f.name, arguments="".join(f.pieces), id=f.id, index=index)
                for index, f in sorted(self._calls.items())
            ),
            finish_reason=self.finish_reason,
            usage=self._usage,
            model=self._model,
            response_id=self._response_id,
            refused=self._refused,
        )

    def _add_call(self, call: ToolCall) -> None:
        index = call.index
        if index is None:  # a fragment without a name continues the last call
            index = len(self._calls) if call.name or not self._calls else max(self._calls)
        fragment = self._calls.setdefault(index, _Fragment("", None, []))
        fragment.name = fragment.name or call.name
        fragment.id = fragment.id or call.id
        fragment.pieces.append(call.arguments)
