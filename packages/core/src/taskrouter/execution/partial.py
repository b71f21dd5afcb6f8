"""What has arrived of a streamed answer."""

from __future__ import annotations

from dataclasses import dataclass, field

from taskrouter.outcome import ResponseView, ToolCall, Usage


@dataclass(slots=True)
class _Fragment:
    index: int
    said: int | None
    """The index that the provider gave it."""
    name: str = ""
    id: str | None = None
    pieces: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Partial:
    """Folds the views of chunks into the view of the whole."""

    began: bool = False
    """Whether anything has arrived at all, readable or not."""
    meaningful: bool = False
    finish_reason: str | None = None
    _text: list[str] = field(default_factory=list, repr=False)
    _reasoning: list[str] = field(default_factory=list, repr=False)
    _calls: list[_Fragment] = field(default_factory=list, repr=False)
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
                ToolCall(name=f.name, arguments="".join(f.pieces), id=f.id, index=f.index)
                for f in sorted(self._calls, key=lambda f: f.index)
            ),
            finish_reason=self.finish_reason,
            usage=self._usage,
            model=self._model,
            response_id=self._response_id,
            refused=self._refused,
        )

    def _add_call(self, call: ToolCall) -> None:
        fragment = self._continued(call)
        if fragment is None:
            taken = [f.index for f in self._calls]
            index = max(taken, default=-1) + 1 if call.index is None or call.index in taken else call.index
            fragment = _Fragment(index, call.index)
            self._calls.append(fragment)
        fragment.name = fragment.name or call.name
        fragment.id = fragment.id or call.id
        fragment.pieces.append(call.arguments)

    def _continued(self, call: ToolCall) -> _Fragment | None:
        """Return the call that a fragment goes on with; None where it begins another."""
        if call.index is None:  # a fragment without a name continues the last call
            return self._calls[-1] if self._calls and not call.name else None
        fragment = next((f for f in reversed(self._calls) if f.said == call.index), None)
        # Some providers give every one of parallel calls the index 0; a name and an id of its own tell a call.
        other = fragment is not None and call.name and call.id and fragment.id not in (None, call.id)
        return None if other else fragment
