"""Structured prediction: each candidate is asked in its own way, so that a provider's own JSON-schema mode survives.

To the router such a step is one with a single tool, whatever the way: the object is shown to it as a call of that tool.
"""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Mapping, Sequence
from contextlib import aclosing, closing
from typing import Any, NamedTuple

from llama_index.core.base.llms.types import ChatMessage
from llama_index.core.bridge.pydantic import PrivateAttr
from llama_index.core.llms import LLM
from llama_index.core.prompts import PromptTemplate
from llama_index.core.types import Model

from llama_index.llms.taskrouter._callbacks import ANSWERS
from llama_index.llms.taskrouter._view import whole_view
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
    """

    def __init__(self, output_cls: type[Model], kwargs: Mapping[str, Any]) -> None:
        self.tool = tool_of(output_cls)
        self._output_cls, self._kwargs = output_cls, kwargs
        self._name: str = self.tool["function"]["name"]

    def predict(self, model: LLM, messages: Sequence[ChatMessage]) -> Predicted:
        """Ask a candidate for the object."""
        answers: list[Any] = []
        token = ANSWERS.set(answers)
        try:
            value = model.structured_predict(self._output_cls, Fixed(messages), llm_kwargs=dict(self._kwargs))
        finally:
            ANSWERS.reset(token)
        return Predicted(value, _usage(answers))

    async def apredict(self, model: LLM, messages: Sequence[ChatMessage]) -> Predicted:
        """Do the same without blocking."""
        answers: list[Any] = []
        token = ANSWERS.set(answers)
        try:
            value = await model.astructured_predict(self._output_cls, Fixed(messages), llm_kwargs=dict(self._kwargs))
        finally:
            ANSWERS.reset(token)
        return Predicted(value, _usage(answers))

    def stream(self, model: LLM, messages: Sequence[ChatMessage]) -> Generator[Predicted, None, None]:
        """Ask a candidate for the object as it grows. A stream is stepped in a context of its own."""
        answers: list[Any] = []
        ANSWERS.set(answers)
        parts: Any = model.stream_structured_predict(self._output_cls, Fixed(messages), llm_kwargs=dict(self._kwargs))
        with closing(parts):
            for part in parts:
                yield Predicted(part, None)
        yield Predicted(None, _usage(answers))

    async def astream(self, model: LLM, messages: Sequence[ChatMessage]) -> AsyncGenerator[Predicted, None]:
        """Do the same without blocking."""
        answers: list[Any] = []
        ANSWERS.set(answers)
        ask: Callable[..., Awaitable[Any]] = model.astream_structured_predict
        parts = await ask(self._output_cls, Fixed(messages), llm_kwargs=dict(self._kwargs))
        async with aclosing(parts):
            async for part in parts:
                yield Predicted(part, None)
        yield Predicted(None, _usage(answers))

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


def _usage(answers: Sequence[Any]) -> Usage | None:
    """Return the tokens of the native answers beneath, if they were seen: some ways tell no callback."""
    counted = [used for answer in answers if answer is not None and (used := whole_view(answer).usage) is not None]
    return sum(counted[1:], counted[0]) if counted else None
