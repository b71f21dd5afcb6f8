"""Structured output: each candidate asked in its own way, one parser that reads every way of answering."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from dataclasses import replace
from functools import cached_property
from operator import itemgetter
from typing import Any, TypeAlias, TypeVar

from langchain_core.exceptions import OutputParserException
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage, message_chunk_to_message
from langchain_core.messages.ai import add_ai_message_chunks
from langchain_core.output_parsers import (
    BaseCumulativeTransformOutputParser,
    JsonOutputParser,
    PydanticOutputParser,
)
from langchain_core.output_parsers.openai_tools import JsonOutputKeyToolsParser, PydanticToolsParser
from langchain_core.outputs import ChatGeneration, Generation
from langchain_core.runnables import Runnable, RunnableBinding, RunnableMap, RunnablePassthrough, RunnableSequence
from langchain_core.utils.function_calling import convert_to_openai_tool
from langchain_core.utils.pydantic import is_basemodel_subclass
from pydantic import ConfigDict
from pydantic.v1 import BaseModel as BaseModelV1

from langchain_taskrouter._candidates import Candidate
from langchain_taskrouter._credit import blame_for
from langchain_taskrouter._runs import PARSER_ERROR
from langchain_taskrouter._tools import BoundTools
from taskrouter import ConfigurationError, InvalidStepError, ResponseView, Step
from taskrouter.adapters import Credit
from taskrouter.outcome import ToolCall
from taskrouter.schemas import SchemaCheck
from taskrouter.step import Tool

Schema: TypeAlias = dict[str, Any] | type
C = TypeVar("C")
METHODS = ("function_calling", "json_schema", "json_mode")


class StructuredOutput:
    """What `with_structured_output` was asked for, and how each candidate is asked for it.

    Args:
        schema: a pydantic class, a `TypedDict`, a JSON Schema or a tool's schema; None only for `json_mode`.
        method: one of `METHODS`; None: each candidate's own default.
        options: further arguments for the candidates' `with_structured_output`, such as `strict`.
        lenient: whether an answer that breaks the schema is an answer, because the user asked to see it.

    Raises:
        ConfigurationError: the method is unknown, or the schema is no schema.
    """

    def __init__(
        self, schema: Schema | None, method: str | None, options: Mapping[str, Any], *, lenient: bool = False
    ) -> None:
        if method is not None and method not in METHODS:
            raise ConfigurationError(
                f"with_structured_output(method={method!r}): known methods: {', '.join(METHODS)}; without one every "
                "candidate uses its own default"
            )
        if schema is None and method != "json_mode":
            raise ConfigurationError("with_structured_output: schema is missing; only method='json_mode' needs none")
        self.schema = _titled(schema)
        self.method = method
        self._options = dict(options)
        self.tool: Tool | None = None if schema is None else _tool(self.schema)
        """The tool that stands for the answer in a step: whoever can call tools can be asked, whatever the method."""
        self._lenient = lenient
        self.offered: list[Tool] = [_shapeless(self.tool) if lenient else self.tool] if self.tool else []
        """All that the answer may call: beside it the tools among the options."""
        self.offered += BoundTools(options.get("tools") or ()).profiled()
        self._bound: dict[str, dict[str, Any] | ConfigurationError] = {}

    @cached_property
    def shown(self) -> dict[str, Any]:
        """What stands for it in the cache key and in traces."""
        how = {"method": self.method or "auto", **self._options}
        traced = {"ls_structured_output_format": {"kwargs": how, "schema": self.schema}} if self.tool else {}
        if self.tool is not None and self.method == "function_calling":
            return {"tools": [dict(self.tool)], "tool_choice": "any", **traced}
        if self.tool is None or self.method == "json_mode":
            return {"response_format": {"type": "json_object"}, **traced}
        function = self.tool["function"]
        schema = {"name": function["name"], "schema": function.get("parameters", {}), "how": repr(sorted(how.items()))}
        return {"response_format": {"type": "json_schema", "json_schema": schema}, **traced}

    def among(self, candidates: Iterable[Candidate]) -> list[str]:
        """Return the ids of the candidates that can be asked.

        Raises:
            ConfigurationError: there is none; the message says what stands in each one's way.
        """
        for candidate in candidates:
            if candidate.id not in self._bound:
                self._bound[candidate.id] = self._asked(candidate)
        able = [name for name, bound in self._bound.items() if not isinstance(bound, ConfigurationError)]
        if not able:
            each = "; ".join(str(bound) for bound in self._bound.values())
            raise ConfigurationError(f"with_structured_output: no candidate can be asked for it: {each}")
        return able

    def bound(self, candidate: Candidate) -> dict[str, Any]:
        """Return the keyword arguments by which a candidate is asked.

        Raises:
            ConfigurationError: the candidate cannot be asked in this way; the message says what it says itself.
        """
        known = self._bound.get(candidate.id)
        if known is None:
            known = self._bound[candidate.id] = self._asked(candidate)
        if isinstance(known, ConfigurationError):
            raise known
        return dict(known)

    def _asked(self, candidate: Candidate) -> dict[str, Any] | ConfigurationError:
        method = self._method_of(candidate)
        arguments = {**self._options, **({"method": method} if method else {})}
        try:
            asking = candidate.model.with_structured_output(self.schema, **arguments)  # type: ignore[arg-type]
        except (NotImplementedError, ValueError, TypeError) as error:  # what integrations raise for what they cannot do
            return ConfigurationError(f"{candidate.id!r}: {error}")
        first = asking.first if isinstance(asking, RunnableSequence) else asking
        bound: dict[str, Any] = {}
        while isinstance(first, RunnableBinding):
            bound = {**first.kwargs, **bound}
            first = first.bound
        if not isinstance(first, BaseChatModel):
            return ConfigurationError(f"{candidate.id!r}: its with_structured_output does not begin with the model")
        bound.pop("ls_structured_output_format", None)
        return bound

    def _method_of(self, candidate: Candidate) -> str | None:
        """Return the method for a candidate; what its integration would only get to by way of a warning, at once."""
        if isinstance(self.schema, type) and issubclass(self.schema, BaseModelV1) and self.method != "json_mode":
            return "function_calling"
        if self.method == "json_mode" and candidate.vendor == "anthropic" and self.schema is not None:
            return "json_schema"
        return self.method

    def view(self, seen: ResponseView) -> ResponseView:
        """Return what the router is to see of an answer: one in the text is the same as one in a tool call."""
        if seen.tool_calls or not seen.text or self.tool is None or self._lenient:
            return seen
        return replace(seen, tool_calls=(ToolCall(name=self.tool["function"]["name"], arguments=seen.text),))

    def parser(self, credit: Credit | None) -> StructuredParser:
        """Return what reads the answer, whichever candidate gave it."""
        return StructuredParser(wanted=self, credit=credit, lenient=self._lenient)


class StructuredParser(BaseCumulativeTransformOutputParser[Any]):
    """Reads a structured answer out of a tool call where there is one, else out of the text."""

    model_config = ConfigDict(arbitrary_types_allowed=True)

    wanted: Any
    credit: Any = None
    lenient: bool = False
    diff: bool = False

    @property
    def _type(self) -> str:
        return "taskrouter_structured"

    def parse_result(self, result: list[Generation], *, partial: bool = False) -> Any:
        """Read an answer.

        Raises:
            OutputParserException: it is not of the kind that was asked for.
            ValueError: it does not have the shape that was asked for.
        """
        message = result[0].message if isinstance(result[0], ChatGeneration) else None
        try:
            return self._parser(message).parse_result(result, partial=partial)
        except (OutputParserException, ValueError):  # pydantic's errors are of the second kind
            if self.credit is not None and message is not None and not partial:
                blame_for(self.credit, message, PARSER_ERROR)
            raise

    def parse(self, text: str) -> Any:
        """Read a text."""
        return self.parse_result([Generation(text=text)])

    def _transform(self, input: Iterator[str | BaseMessage]) -> Iterator[Any]:  # noqa: A002 - LangChain's name
        seen: list[str | BaseMessage] = []
        found = False
        for answer in super()._transform(_noted(input, seen)):
            found = True
            yield answer
        if not found and not self.lenient:
            yield self.parse_result([_whole(seen)])

    async def _atransform(
        self,
        input: AsyncIterator[str | BaseMessage],  # noqa: A002 - LangChain's name
    ) -> AsyncIterator[Any]:
        seen: list[str | BaseMessage] = []
        found = False
        async for answer in super()._atransform(_anoted(input, seen)):
            found = True
            yield answer
        if not found and not self.lenient:
            yield self.parse_result([_whole(seen)])

    def _parser(self, message: BaseMessage | None) -> Any:
        schema, tool = self.wanted.schema, self.wanted.tool
        pydantic = isinstance(schema, type) and is_basemodel_subclass(schema)
        if isinstance(message, AIMessage) and (message.tool_calls or message.invalid_tool_calls):
            if pydantic:
                return PydanticToolsParser(tools=[schema], first_tool_only=True)
            if tool is not None:
                return JsonOutputKeyToolsParser(key_name=tool["function"]["name"], first_tool_only=True)
        return PydanticOutputParser(pydantic_object=schema) if pydantic else JsonOutputParser()


def parsed(model: Runnable[Any, Any], parser: StructuredParser, *, include_raw: bool) -> Runnable[Any, Any]:
    """Return the model followed by the parser; with `include_raw` an answer that cannot be read is no error."""
    if not include_raw:
        return model | parser
    read = RunnablePassthrough.assign(parsed=itemgetter("raw") | parser, parsing_error=lambda _: None)
    unread = RunnablePassthrough.assign(parsed=lambda _: None)
    return RunnableMap(raw=model) | read.with_fallbacks([unread], exception_key="parsing_error")


def _shapeless(tool: Tool) -> Tool:
    return {**tool, "function": {**tool["function"], "parameters": {"type": "object"}}}


def _noted(chunks: Iterator[C], seen: list[C]) -> Iterator[C]:
    for chunk in chunks:
        seen.append(chunk)
        yield chunk


async def _anoted(chunks: AsyncIterator[C], seen: list[C]) -> AsyncIterator[C]:
    async for chunk in chunks:
        seen.append(chunk)
        yield chunk


def _whole(chunks: list[str | BaseMessage]) -> Generation:
    """Return a stream of which nothing could be read as one answer, to hear what is wrong with it."""
    messages = [chunk for chunk in chunks if isinstance(chunk, AIMessageChunk)]
    if not messages:
        return Generation(text="".join(chunk for chunk in chunks if isinstance(chunk, str)))
    return ChatGeneration(message=message_chunk_to_message(add_ai_message_chunks(*messages)))


def _titled(schema: Schema | None) -> Schema | None:
    """Return the schema with a name: every integration asks for one, and a bare JSON Schema has none."""
    if isinstance(schema, dict) and not any(name in schema for name in ("title", "name", "function", "toolSpec")):
        return {"title": "answer", **schema}
    return schema


def _tool(schema: Schema | None) -> Tool:
    if not isinstance(schema, dict | type):
        raise ConfigurationError(
            f"with_structured_output: a {type(schema).__name__} is no schema; give a pydantic class, a TypedDict or a "
            "JSON Schema"
        )
    try:
        tool = convert_to_openai_tool(schema)
        SchemaCheck().check(Step(messages=[{"role": "user", "content": ""}], tools=[tool]))
    except (ValueError, TypeError, InvalidStepError) as error:  # the first two by LangChain, for what it cannot convert
        raise ConfigurationError(f"with_structured_output: this is no schema: {error}") from error
    return tool
