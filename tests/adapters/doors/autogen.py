"""AutoGen: `RoutedChatCompletionClient` over its clients for OpenAI and Anthropic.

AutoGen's client for Anthropic takes no class of answers: a step that asks for one goes to OpenAI's.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import replace
from itertools import groupby
from typing import Any

from autogen_core import FunctionCall
from autogen_core.models import (
    AssistantMessage,
    CreateResult,
    FunctionExecutionResult,
    FunctionExecutionResultMessage,
    LLMMessage,
    SystemMessage,
    UserMessage,
)
from autogen_core.tools import FunctionTool
from tests.adapters.door import (
    ANTHROPIC,
    OPENAI,
    Assistant,
    Call,
    Door,
    Kind,
    Lack,
    Lacks,
    Reply,
    Request,
    Result,
    System,
    Turn,
    User,
    Wire,
)
from tests.autogen.models import anthropic_at, info, openai_at

from autogen_taskrouter import RoutedChatCompletionClient


class AutoGen:
    """AutoGen's model clients, which are asynchronous only."""

    name = "autogen"
    wires = (OPENAI, ANTHROPIC)
    lacks: frozenset[Lack] = frozenset({"sync", "thinking"})
    nameless: Sequence[tuple[Wire, Kind]] = (
        (OPENAI, "whole"),
        (OPENAI, "streamed"),
        (ANTHROPIC, "whole"),
        (ANTHROPIC, "streamed"),
    )
    lingering: Sequence[Wire] = ()
    shaping = (OPENAI,)
    loggers = ("autogen_taskrouter",)

    def candidate(self, wire: Wire, url: str, *, key: str = "any", thinks: bool = False) -> Any:
        if thinks:  # a stream shows thoughts as text, and does not say which is which
            raise Lacks("thinking")
        if wire is ANTHROPIC:
            return anthropic_at(url, model=wire.model, api_key=key)
        return openai_at(f"{url}/v1", model=wire.model, api_key=key, model_info=info())

    def routed(self, candidates: Any = (), /, **arguments: Any) -> RoutedChatCompletionClient:
        return RoutedChatCompletionClient(candidates, **arguments)

    def messages(self, turns: Sequence[Turn]) -> list[Any]:
        native: list[LLMMessage] = []
        for results, group in groupby(turns, key=lambda turn: isinstance(turn, Result)):
            several = list(group)
            native += [_results(several)] if results else [message for turn in several for message in _native(turn)]
        return native

    def ask(self, routed: Any, request: Request) -> Reply:
        raise Lacks("sync")

    async def aask(self, routed: Any, request: Request) -> Reply:
        with warnings.catch_warnings():  # AutoGen's client logs what the SDK has parsed, which pydantic warns of
            warnings.filterwarnings("ignore", "Pydantic serializer warnings")
            return _reply(await routed.create(request.messages, **_arguments(request)), request)

    def stream(self, routed: Any, request: Request) -> Iterator[str | Reply]:
        raise Lacks("sync")

    async def astream(self, routed: Any, request: Request) -> AsyncIterator[str | Reply]:
        results: list[CreateResult] = []
        async with aclosing(routed.create_stream(request.messages, **_arguments(request))) as chunks:
            async for chunk in chunks:
                if isinstance(chunk, CreateResult):
                    results.append(chunk)
                else:
                    yield chunk
        yield replace(_reply(results[-1], request), accounts=len(results))

    def dump(self, routed: Any) -> str:
        component = routed.dump_component()
        return str(component.model_dump_json()) + str(component.model_dump())


DOOR: Door = AutoGen()


def _native(turn: Turn) -> list[LLMMessage]:
    match turn:
        case System(text):
            return [SystemMessage(content=text)]
        case User(text):
            return [UserMessage(content=text, source="user")]
        case Assistant(
            text, calls
        ):  # a message has text or calls, and a `thought` beside calls is for its author alone
            called = [FunctionCall(id=c.id, name=c.name, arguments=json.dumps(c.arguments)) for c in calls]
            contents: list[Any] = [content for content in (text, called) if content]
            return [AssistantMessage(content=content, source="agent") for content in contents]
        case _:
            raise AssertionError(turn)


def _results(turns: Any) -> FunctionExecutionResultMessage:
    return FunctionExecutionResultMessage(
        content=[
            FunctionExecutionResult(content=turn.text, name=turn.call.name, call_id=turn.call.id, is_error=False)
            for turn in turns
        ]
    )


def _arguments(request: Request) -> Mapping[str, Any]:
    given: dict[str, Any] = {}
    if request.tools:
        given["tools"] = [FunctionTool(tool, description=tool.__doc__ or "") for tool in request.tools]
    if request.schema is not None:
        given["json_output"] = request.schema
    if request.declared:
        given["extra_create_args"] = {"taskrouter": dict(request.declared)}
    return given


def _reply(result: Any, request: Request) -> Reply:
    calls = () if isinstance(result.content, str) else result.content
    text = result.content if isinstance(result.content, str) else ""
    account = result.taskrouter or None
    return Reply(
        text=text,
        calls=[Call(call.id, call.name, json.loads(call.arguments)) for call in calls],
        parsed=None if request.schema is None else request.schema.model_validate_json(text),
        input_tokens=result.usage.prompt_tokens,
        output_tokens=result.usage.completion_tokens,
        account=account,
        accounts=account is not None,
        native=[AssistantMessage(content=result.content, thought=result.thought, source="agent")],
    )
