"""Microsoft's Agent Framework: `RoutedChatClient` over `OpenAIChatCompletionClient` and `OpenAIChatClient`."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Any

from agent_framework import ChatResponse, ChatResponseUpdate, Content, FunctionTool, Message
from agent_framework_openai import OpenAIChatClient, OpenAIChatCompletionClient
from tests.adapters.door import (
    OPENAI,
    RESPONSES,
    Assistant,
    Call,
    Door,
    Kind,
    Lack,
    Lacks,
    Reply,
    Request,
    System,
    Turn,
    User,
    Wire,
)

from autogen_taskrouter.agent_framework import RoutedChatClient


class AgentFramework:
    """The framework's chat clients, which are asynchronous."""

    name = "agent_framework"
    wires = (OPENAI, RESPONSES)
    lacks: frozenset[Lack] = frozenset({"sync", "thinking"})
    nameless: Sequence[tuple[Wire, Kind]] = ()
    lingering: Sequence[Wire] = ()
    shaping = (OPENAI, RESPONSES)
    loggers = ("autogen_taskrouter",)

    def candidate(self, wire: Wire, url: str, *, key: str = "any", thinks: bool = False) -> Any:
        if thinks:
            raise Lacks("thinking")
        client = OpenAIChatCompletionClient if wire is OPENAI else OpenAIChatClient
        return client(model=wire.model, base_url=f"{url}/v1", api_key=key)

    def routed(self, candidates: Any = (), /, **arguments: Any) -> RoutedChatClient:
        return RoutedChatClient(candidates, **arguments)

    def messages(self, turns: Sequence[Turn]) -> list[Any]:
        return [_native(turn) for turn in turns]

    def ask(self, routed: Any, request: Request) -> Reply:
        raise Lacks("sync")

    async def aask(self, routed: Any, request: Request) -> Reply:
        answer = await routed.get_response(request.messages, **_arguments(request))
        return _reply(answer, parsed=answer.value)

    def stream(self, routed: Any, request: Request) -> Iterator[str | Reply]:
        raise Lacks("sync")

    async def astream(self, routed: Any, request: Request) -> AsyncIterator[str | Reply]:
        updates: list[ChatResponseUpdate] = []
        async with routed.get_response(request.messages, stream=True, **_arguments(request)) as native:
            async for update in native:
                updates.append(update)
                yield "".join(c.text or "" for c in update.contents if c.type == "text" and c.merge_mode != "replace")
            answer = await native.get_final_response()
        yield _reply(answer, accounts=sum("taskrouter" in (update.additional_properties or {}) for update in updates))

    def dump(self, routed: Any) -> str:
        return str(routed.to_json()) + str(routed.to_dict())


DOOR: Door = AgentFramework()


def _native(turn: Turn) -> Message:
    match turn:
        case System(text):
            return Message("system", [text])
        case User(text):
            return Message("user", [text])
        case Assistant(text, calls):
            said = [Content.from_text(text)] if text else []
            called = [Content.from_function_call(c.id, c.name, arguments=json.dumps(c.arguments)) for c in calls]
            return Message("assistant", [*said, *called])
        case _:
            return Message("tool", [Content.from_function_result(turn.call.id, result=turn.text)])


def _arguments(request: Request) -> dict[str, Any]:
    options: dict[str, Any] = {}
    if request.tools:
        options["tools"] = [_declared(FunctionTool(name=tool.__name__, func=tool)) for tool in request.tools]
    if request.schema is not None:
        options["response_format"] = request.schema
    declared = {"taskrouter": dict(request.declared)} if request.declared else {}
    return {"options": options, "client_kwargs": declared}


def _declared(tool: FunctionTool) -> FunctionTool:
    """Return a tool that the framework's loop leaves to the application."""
    description = tool.func.__doc__ or "" if tool.func else ""
    return FunctionTool(name=tool.name, description=description, func=None, input_model=tool.parameters())


def _reply(answer: ChatResponse[Any], accounts: int | None = None, parsed: Any = None) -> Reply:
    usage: Any = answer.usage_details or {}
    account = answer.additional_properties.get("taskrouter")
    contents = [content for message in answer.messages for content in message.contents]
    return Reply(
        text=answer.text,
        calls=[
            Call(str(content.call_id), str(content.name), content.parse_arguments() or {})
            for content in contents
            if content.type == "function_call"
        ],
        parsed=parsed,
        input_tokens=usage.get("input_token_count"),
        output_tokens=usage.get("output_token_count"),
        account=account,
        accounts=(account is not None) if accounts is None else accounts,
        native=answer.messages,
    )
