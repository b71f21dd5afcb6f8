"""LlamaIndex: `RoutedLLM` over its `OpenAI` and `Anthropic`."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import aclosing, closing
from dataclasses import replace
from typing import Any

from llama_index.core.base.llms.types import ChatMessage, ChatResponse, TextBlock, ToolCallBlock
from llama_index.core.prompts import ChatPromptTemplate
from llama_index.core.tools import FunctionTool
from llama_index.llms.anthropic import Anthropic
from llama_index.llms.openai import OpenAI
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

from llama_index.llms.taskrouter import RoutedLLM

THINKING = {"type": "enabled", "budget_tokens": 1024}


class LlamaIndex:
    """LlamaIndex's LLMs, synchronous and not."""

    name = "llamaindex"
    wires = (OPENAI, ANTHROPIC)
    lacks: frozenset[Lack] = frozenset()
    nameless: Sequence[tuple[Wire, Kind]] = ((ANTHROPIC, "streamed"),)
    lingering: Sequence[Wire] = ()
    shaping = (OPENAI, ANTHROPIC)
    loggers = ("taskrouter",)

    def candidate(self, wire: Wire, url: str, *, key: str = "any", thinks: bool = False) -> Any:
        if wire is ANTHROPIC:
            more: dict[str, Any] = {"thinking_dict": THINKING, "max_tokens": 2048} if thinks else {}
            return Anthropic(model=wire.model, base_url=url, api_key=key, **more)
        return OpenAI(model=wire.model, api_base=f"{url}/v1", api_key=key)

    def routed(self, candidates: Any = (), /, **arguments: Any) -> RoutedLLM:
        return RoutedLLM(candidates, **arguments)

    def messages(self, turns: Sequence[Turn]) -> list[Any]:
        return [_native(turn) for turn in turns]

    def ask(self, routed: Any, request: Request) -> Reply:
        if request.schema is not None:
            return _parsed(routed.structured_predict(request.schema, _prompt(request), _declared(request)))
        if request.tools:
            return _reply(routed.chat_with_tools(_tools(request), chat_history=request.messages, **_asked(request)))
        return _reply(routed.chat(request.messages, **_declared(request)))

    async def aask(self, routed: Any, request: Request) -> Reply:
        if request.schema is not None:
            return _parsed(await routed.astructured_predict(request.schema, _prompt(request), _declared(request)))
        if request.tools:
            answer = await routed.achat_with_tools(_tools(request), chat_history=request.messages, **_asked(request))
            return _reply(answer)
        return _reply(await routed.achat(request.messages, **_declared(request)))

    def stream(self, routed: Any, request: Request) -> Iterator[str | Reply]:
        if request.tools:
            native = routed.stream_chat_with_tools(_tools(request), chat_history=request.messages, **_asked(request))
        else:
            native = routed.stream_chat(request.messages, **_declared(request))
        chunks: list[ChatResponse] = []
        with closing(native):
            for chunk in native:
                chunks.append(chunk)
                yield chunk.delta or ""
        yield _last(chunks)

    async def astream(self, routed: Any, request: Request) -> AsyncIterator[str | Reply]:
        if request.tools:
            asked = routed.astream_chat_with_tools(_tools(request), chat_history=request.messages, **_asked(request))
        else:
            asked = routed.astream_chat(request.messages, **_declared(request))
        chunks: list[ChatResponse] = []
        async with aclosing(await asked) as native:
            async for chunk in native:
                chunks.append(chunk)
                yield chunk.delta or ""
        yield _last(chunks)

    def dump(self, routed: Any) -> str:
        return json.dumps(routed.to_dict()) + str(routed.model_dump()) + str(routed.to_payload())


DOOR: Door = LlamaIndex()


def _native(turn: Turn) -> ChatMessage:
    match turn:
        case System(text):
            return ChatMessage(text, role="system")
        case User(text):
            return ChatMessage(text, role="user")
        case Assistant(text, calls):
            said = [TextBlock(text=text)] if text else []
            called = [ToolCallBlock(tool_call_id=c.id, tool_name=c.name, tool_kwargs=dict(c.arguments)) for c in calls]
            return ChatMessage(role="assistant", blocks=[*said, *called])
        case _:
            more = {"tool_call_id": turn.call.id, "name": turn.call.name}
            return ChatMessage(turn.text, role="tool", additional_kwargs=more)


def _tools(request: Request) -> list[FunctionTool]:
    return [FunctionTool.from_defaults(tool) for tool in request.tools]


def _declared(request: Request) -> dict[str, Any]:
    return {"taskrouter": dict(request.declared)} if request.declared else {}


def _asked(request: Request) -> dict[str, Any]:
    return {"allow_parallel_tool_calls": True, **_declared(request)}


def _prompt(request: Request) -> ChatPromptTemplate:
    return ChatPromptTemplate(message_templates=request.messages)


def _parsed(value: Any) -> Reply:
    return Reply(parsed=value, text=value.model_dump_json())


def _reply(answer: ChatResponse) -> Reply:
    account = answer.additional_kwargs.get("taskrouter")
    asked, answered = _usage(answer)
    return Reply(
        text=answer.message.content or "",
        calls=[_call(block) for block in answer.message.blocks if isinstance(block, ToolCallBlock)],
        input_tokens=asked,
        output_tokens=answered,
        account=account,
        accounts=account is not None,
        native=[answer.message],
    )


def _last(chunks: Sequence[ChatResponse]) -> Reply:
    """A chunk holds all so far, so the last one is the whole. Anthropic's cuts its answers into blocks."""
    whole = _reply(chunks[-1])
    text = "".join(chunk.delta or "" for chunk in chunks)
    return replace(whole, text=text, accounts=sum("taskrouter" in chunk.additional_kwargs for chunk in chunks))


def _call(block: ToolCallBlock) -> Call:
    given = block.tool_kwargs
    return Call(str(block.tool_call_id), block.tool_name, json.loads(given) if isinstance(given, str) else given)


def _usage(answer: ChatResponse) -> tuple[int | None, int | None]:
    """LlamaIndex leaves tokens where its integrations put them."""
    said = answer.additional_kwargs
    if "prompt_tokens" in said:
        return said["prompt_tokens"], said["completion_tokens"]
    counted = answer.message.additional_kwargs.get("usage") or (answer.raw or {}).get("usage")
    if counted is None:
        return None, None
    read = counted if isinstance(counted, dict) else vars(counted)
    return read.get("input_tokens"), read.get("output_tokens")
