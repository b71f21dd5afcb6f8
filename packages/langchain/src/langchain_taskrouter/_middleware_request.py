"""An agent's request for one model call: what the router is told of it, and how each candidate gets it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from langchain.agents.middleware.types import ModelRequest, ModelResponse
from langchain.agents.structured_output import AutoStrategy, ProviderStrategy, ToolStrategy
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage, SystemMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from langchain_core.tools import BaseTool

from langchain_taskrouter._candidates import Candidate
from langchain_taskrouter._native import fitting
from langchain_taskrouter._request import TOOLS
from langchain_taskrouter._tools import BoundTools, choice_for
from langchain_taskrouter._view import result_view
from taskrouter import ResponseView
from taskrouter.outcome import Usage

AgentTool = BaseTool | dict[str, Any]
_CACHE_MARK, _CACHE_KEY = "cache_control", "prompt_cache_key"
"""Settings by which one vendor's prompt cache is steered, and which another vendor's API refuses."""


def conversation(request: ModelRequest[Any]) -> list[BaseMessage]:
    """Return the messages as a model gets them, the system message first."""
    return [*([request.system_message] if request.system_message else []), *request.messages]


def told(request: ModelRequest[Any]) -> dict[str, Any]:
    """Return the request as keyword arguments of a call, to be profiled."""
    # `model` is for the provider here: a candidate is named in `configurable`.
    settings = {name: value for name, value in request.model_settings.items() if name != "model"}
    wanted = request.response_format
    if isinstance(wanted, ProviderStrategy):
        return {**settings, **wanted.to_model_kwargs(), **_bound(request.tools)}
    return {**settings, **_bound([*request.tools, *_answer_tools(wanted)])}


def given_to(
    candidate: Candidate,
    model: BaseChatModel,
    request: ModelRequest[Any],
    messages: list[BaseMessage],
    *,
    home: str,
    defaults: Mapping[str, Any],
) -> ModelRequest[Any]:
    """Return the request as a candidate is to get it.

    The way of structured output is left to the agent, which finds it for the model that it sees.

    Args:
        candidate: the candidate.
        model: its model for the running event loop.
        request: the agent's.
        messages: the conversation as the candidate may see it, the system message first.
        home: the incumbent's vendor.
        defaults: settings of all candidates; the request's come first.
    """
    system = messages[0] if request.system_message else None
    choice, own = request.tool_choice, dict(candidate.options)
    if request.tools or request.response_format is not None:  # the agent binds its own
        bound = own.pop("tool_choice", None)
        choice = bound if choice is None else choice
        own.pop("tools", None)
    if request.response_format is not None:
        own.pop("response_format", None)
    tools: list[AgentTool] = fitting(request.tools, candidate.vendor, home)
    settings = {**own, **defaults, **request.model_settings}
    if not any(name in candidate.given._llm_type for name in ("anthropic", "taskrouter")):  # noqa: SLF001 - how LangChain itself tells who knows the mark
        tools = [_unmarked(tool) for tool in tools]
        settings.pop(_CACHE_MARK, None)
    if candidate.vendor not in ("openai", "fireworks"):
        settings.pop(_CACHE_KEY, None)
    return request.override(
        model=model,
        system_message=system if isinstance(system, SystemMessage) else None,
        messages=messages[1:] if request.system_message else messages,  # type: ignore[arg-type] # LangChain's own union of all messages
        tools=tools,
        tool_choice=choice_for(choice, candidate.vendor),
        model_settings=settings,
    )


def answer_of(response: ModelResponse[Any]) -> AIMessage | None:
    """Return the model's message in what the agent's handler gave, if there is one."""
    return next((message for message in response.result if isinstance(message, AIMessage)), None)


def response_view(response: ModelResponse[Any], *, asked: bool, shown: bool) -> ResponseView:
    """Read an answer for the router.

    Args:
        response: what the agent's handler gave.
        asked: whether a model was called for it; else it is somebody's own and has cost nothing.
        shown: whether it has been streamed.
    """
    message = answer_of(response)
    if message is None:
        return ResponseView()
    view = replace(result_view(ChatResult(generations=[ChatGeneration(message=message)])), shown=shown)
    if response.structured_response is not None:  # the agent has read it, so it is no call of a tool
        view = replace(view, text=view.text or "".join(call.arguments for call in view.tool_calls), tool_calls=())
    return view if asked else replace(view, usage=Usage())


def _bound(tools: Iterable[Any]) -> dict[str, Any]:
    bound = BoundTools([*tools])
    return {"tools": bound.shown, TOOLS: bound} if bound.given else {}


def _answer_tools(wanted: Any) -> list[dict[str, Any]]:
    """Return the tools by which a model that knows no better way gives a structured answer."""
    if wanted is None:
        return []
    if not isinstance(wanted, ToolStrategy):
        wanted = ToolStrategy(schema=wanted.schema if isinstance(wanted, AutoStrategy) else wanted)
    return [
        {
            "type": "function",
            "function": {"name": spec.name, "description": spec.description, "parameters": spec.json_schema},
        }
        for spec in wanted.schema_specs
    ]


def _unmarked(tool: AgentTool) -> AgentTool:
    if isinstance(tool, BaseTool):
        extras = tool.extras or {}
        return tool.model_copy(update={"extras": _without(extras)}) if _CACHE_MARK in extras else tool
    return _without(tool) if _CACHE_MARK in tool else tool


def _without(marked: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in marked.items() if name != _CACHE_MARK}
