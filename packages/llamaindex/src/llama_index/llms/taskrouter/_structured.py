"""Structured prediction: each candidate is asked in its own way, so that a provider's own JSON-schema mode survives.

To the router such a step is one with a single tool, whatever the way: the object is shown to it as a call of that tool.
"""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Mapping, Sequence
from contextlib import aclosing, closing
from typing import Any, NamedTuple, Self

from llama_index.core.base.llms.types import ChatMessage
from llama_index.core.bridge.pydantic import PrivateAttr
from llama_index.core.llms import LLM
from llama_index.core.prompts import PromptTemplate
from llama_index.core.types import Model, PydanticProgramMode

from llama_index.llms.taskrouter._callbacks import ANSWERS
from llama_index.llms.taskrouter._view import usage_of, whole_view
from taskrouter.adapters import ANSWERS as SDK_ANSWERS
from taskrouter.outcome import ResponseView, ToolCall, Usage
from taskrouter.step import Tool


class Fixed(PromptTemplate):  # type: ignore[no-redef] # a field of LlamaIndex's has the name `kwargs`
    """A prompt that is formatted already: its braces are the user's."""

    _said: list[ChatMessage] = PrivateAttr()

    def __init__(self, said: Sequence[ChatMessage]) -> None:
        super().__init__(template="")
        self._said = list(said)

    def format_messages(self, llm: Any = None, **kwargs: Any) -> list[ChatMessage]:
        """Return the messages, with what an output parser adds to them."""
        messages = [message.model_copy() for message in self._said]
        return messages if self.output_parser is None else self.output_parser.format_messages(messages)


class Predicted(NamedTuple):
    """An object that a candidate gave, or a part of one in a stream; None at a stream's end."""

    value: Any
    usage: Usage | None


def tool_of(output_cls: type[Model]) -> Tool:
    """Return a class as the tool that stands for it."""
    schema = output_cls.model_json_schema()
    name = schema.get("title") or output_cls.__name__
    return {
        "type": "function",
        "function": {"name": name, "description": output_cls.__doc__ or "", "parameters": schema},
    }


class Prediction:
    """One structured prediction.

    Args:
        output_cls: the class of the object.
        kwargs: the user's `llm_kwargs`. Each attempt gets its own: integrations write into them.
        mode: the routed LLM's `pydantic_program_mode`, which may have been set later.
    """

    def __init__(self, output_cls: type[Model], kwargs: Mapping[str, Any], mode: PydanticProgramMode) -> None:
        self.tool = tool_of(output_cls)
        self._mode = {} if mode is PydanticProgramMode.DEFAULT else {"pydantic_program_mode": mode}
        self._output_cls, self._kwargs = output_cls, kwargs
        self._name: str = self.tool["function"]["name"]

    def predict(self, model: LLM, messages: Sequence[ChatMessage]) -> Predicted:
        """Ask a candidate for the object."""
        with _Seen() as seen:
            value = self._asked(model).structured_predict(*self._given(messages))
        return Predicted(value, seen.usage)

    async def apredict(self, model: LLM, messages: Sequence[ChatMessage]) -> Predicted:
        """Do the same without blocking."""
        with _Seen() as seen:
            value = await self._asked(model).astructured_predict(*self._given(messages))
        return Predicted(value, seen.usage)

    def stream(self, model: LLM, messages: Sequence[ChatMessage]) -> Generator[Predicted, None, None]:
        """Ask a candidate for the object as it grows. A stream is stepped in a context of its own."""
        seen = _Seen().begin()
        parts: Any = self._asked(model).stream_structured_predict(*self._given(messages))
        part = None
        with closing(parts):
            for part in parts:
                yield Predicted(part, None)
        self._check_whole(part)
        yield Predicted(None, seen.usage)

    async def astream(self, model: LLM, messages: Sequence[ChatMessage]) -> AsyncGenerator[Predicted, None]:
        """Do the same without blocking."""
        seen = _Seen().begin()
        ask: Callable[..., Awaitable[Any]] = self._asked(model).astream_structured_predict
        parts = await ask(*self._given(messages))
        part = None
        async with aclosing(parts):
            async for part in parts:
                yield Predicted(part, None)
        self._check_whole(part)
        yield Predicted(None, seen.usage)

    def _check_whole(self, last: Any) -> None:
        """Raise if a stream ended with a part: what does not fit the class is shown as an object of another one."""
        if not all(
            isinstance(value, self._output_cls) for value in (last if last and isinstance(last, list) else [last])
        ):
            raise ValueError("the stream ended before there was an object of the class")

    def _given(self, messages: Sequence[ChatMessage]) -> tuple[Any, Fixed, dict[str, Any]]:
        return self._output_cls, Fixed(messages), dict(self._kwargs)

    def _asked(self, model: LLM) -> LLM:
        return model.model_copy(update=self._mode) if self._mode else model

    def view(self, predicted: Predicted) -> ResponseView:
        """Read a whole object."""
        return ResponseView(
            tool_calls=(ToolCall(name=self._name, arguments=_json(predicted.value)),), usage=predicted.usage
        )

    def chunk_view(self, predicted: Predicted) -> ResponseView:
        """Read a part of one: that there is one is enough, for the next part repeats it."""
        if predicted.value is None:
            return ResponseView(usage=predicted.usage)
        return ResponseView(tool_calls=(ToolCall(name=self._name, index=0),))


def _json(value: Any) -> str:
    dump = getattr(value, "model_dump_json", None)
    return str(dump()) if callable(dump) else json.dumps(value, default=str)


class _Seen:
    """The native answers beneath a prediction: callbacks tell of them, or else the SDK's client, as for Anthropic's."""

    def __init__(self) -> None:
        self._told: list[Any] = []
        self._given: list[Any] = []

    def begin(self) -> Self:
        """Look from here on, to the end of the context that is running."""
        self._tokens = ANSWERS.set(self._told), SDK_ANSWERS.set(self._given)
        return self

    def __enter__(self) -> Self:
        return self.begin()

    def __exit__(self, *_: object) -> None:
        told, given = self._tokens
        ANSWERS.reset(told)
        SDK_ANSWERS.reset(given)

    @property
    def usage(self) -> Usage | None:
        """The tokens of all of them; None: nobody says."""
        told = [whole_view(answer).usage for answer in self._told if answer is not None]
        counted = [used for used in told or map(usage_of, self._given) if used is not None]
        return sum(counted[1:], counted[0]) if counted else None
