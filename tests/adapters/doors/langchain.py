"""LangChain: `RoutedChatModel` over `ChatOpenAI` and `ChatAnthropic`."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import aclosing, closing
from dataclasses import replace
from typing import Any

from langchain_anthropic import ChatAnthropic
from langchain_core.load import dumps
from langchain_core.messages import (
    AIMessage,
    AIMessageChunk,
    BaseMessage,
    HumanMessage,
    SystemMessage,
    ToolMessage,
    message_chunk_to_message,
)
from langchain_openai import ChatOpenAI
from pydantic import SecretStr
from tests.adapters.door import (
    ANTHROPIC,
    OPENAI,
    Assistant,
    Call,
    Door,
    Kind,
    Lack,
    Reply,
    Request,
    System,
    Turn,
    User,
    Wire,
)
from tests.standins.models import THINKING

from langchain_taskrouter import RoutedChatModel


class LangChain:
    """LangChain's chat models, synchronous and not."""

    name = "langchain"
    wires = (OPENAI, ANTHROPIC)
    lacks: frozenset[Lack] = frozenset()
    nameless: Sequence[tuple[Wire, Kind]] = ()
    lingering: Sequence[Wire] = ()
    shaping = (OPENAI, ANTHROPIC)
    loggers = ("langchain_taskrouter",)

    def candidate(self, wire: Wire, url: str, *, key: str = "any", thinks: bool = False) -> Any:
        if wire is ANTHROPIC:
            more: dict[str, Any] = {"thinking": THINKING} if thinks else {}
            return ChatAnthropic(**{"model": wire.model, "base_url": url, "api_key": SecretStr(key), **more})
        return ChatOpenAI(model=wire.model, base_url=f"{url}/v1", api_key=SecretStr(key))

    def routed(self, candidates: Any = (), /, **arguments: Any) -> RoutedChatModel:
        return RoutedChatModel(candidates, **arguments)

    def messages(self, turns: Sequence[Turn]) -> list[Any]:
        return [_native(turn) for turn in turns]

    def ask(self, routed: Any, request: Request) -> Reply:
        return _reply(_bound(routed, request).invoke(request.messages, _config(request)))

    async def aask(self, routed: Any, request: Request) -> Reply:
        return _reply(await _bound(routed, request).ainvoke(request.messages, _config(request)))

    def stream(self, routed: Any, request: Request) -> Iterator[str | Reply]:
        chunks: list[AIMessageChunk] = []
        with closing(_bound(routed, request).stream(request.messages, _config(request))) as native:
            for chunk in native:
                chunks.append(chunk)
                yield chunk.text
        yield _summed(chunks)

    async def astream(self, routed: Any, request: Request) -> AsyncIterator[str | Reply]:
        chunks: list[AIMessageChunk] = []
        async with aclosing(_bound(routed, request).astream(request.messages, _config(request))) as native:
            async for chunk in native:
                chunks.append(chunk)
                yield chunk.text
        yield _summed(chunks)

    def dump(self, routed: Any) -> str:
        return dumps(routed) + str(routed.model_dump())


DOOR: Door = LangChain()


def _native(turn: Turn) -> BaseMessage:
    match turn:
        case System(text):
            return SystemMessage(text)
        case User(text):
            return HumanMessage(text)
        case Assistant(text, calls):
            return AIMessage(text, tool_calls=[{"id": c.id, "name": c.name, "args": dict(c.arguments)} for c in calls])
        case _:
            return ToolMessage(turn.text, tool_call_id=turn.call.id, name=turn.call.name)


def _bound(routed: Any, request: Request) -> Any:
    if request.schema is not None:
        return routed.with_structured_output(request.schema, include_raw=False)
    return routed.bind_tools(list(request.tools)) if request.tools else routed


def _config(request: Request) -> Any:
    return {"configurable": {"taskrouter": dict(request.declared)}} if request.declared else None


def _reply(answer: Any) -> Reply:
    if not isinstance(answer, AIMessage):
        return Reply(parsed=answer, text=json.dumps(answer.model_dump()))
    usage: Any = answer.usage_metadata or {}
    account = answer.response_metadata.get("taskrouter")
    return Reply(
        text=answer.text,
        calls=[Call(str(call["id"]), call["name"], call["args"]) for call in answer.tool_calls],
        input_tokens=usage.get("input_tokens"),
        output_tokens=usage.get("output_tokens"),
        account=account,
        accounts=account is not None,
        native=[answer],
    )


def _summed(chunks: Sequence[AIMessageChunk]) -> Reply:
    first, *others = chunks
    whole = _reply(message_chunk_to_message(sum(others, first)))
    return replace(whole, accounts=sum("taskrouter" in chunk.response_metadata for chunk in chunks))
