"""Who speaks in a conversation: the candidates as transcripts see them, and which of them gave an answer."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any
from urllib.parse import urlsplit

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage

from langchain_taskrouter._candidates import Candidate
from langchain_taskrouter.transcripts.vendors import ONE_SYSTEM_MESSAGE
from taskrouter.adapters import KEY

_ADDRESSES = ("azure_endpoint", "openai_api_base", "anthropic_api_url", "base_url", "endpoint", "endpoint_url")
_NAMES = ("model_name", "model", "model_id", "deployment_name")
_DATED = re.compile(r"-(\d{8}|\d{4}-\d{2}-\d{2}|latest)$")
_VENDORS = {"bedrock": "aws", "bedrock_converse": "aws", "azure": "openai"}
"""LangChain's `model_provider` in an answer -> the vendor, where they differ."""
_DEFAULT_HOSTS = frozenset({"api.openai.com", "api.anthropic.com"})
_ASKS = frozenset({"thinking", "extra_body", "reasoning", "include", "previous_response_id", "conversation"})
"""Options of a call on which a speaker depends."""


@dataclass(frozen=True, slots=True)
class Speaker:
    """A candidate, as far as transcripts care."""

    id: str
    """The candidate's id."""
    vendor: str = ""
    """Whose integration it is (`vendor_of`); empty: nobody's whose blocks are known."""
    names: frozenset[str] = frozenset()
    """The model names that its answers carry."""
    home: str = ""
    """The integration's class and the address it calls: what is stored there, is there for those of the same home."""
    thinks: bool = False
    """Its next call asks for thinking of the kind (`{"type": "enabled"}`) whose vendor insists on seeing the thought
    that opened a tool loop. Adaptive thinking and OpenAI's reasoning do not insist.
    """
    responses_api: bool = False
    """It speaks OpenAI's Responses API."""
    remembers: bool = False
    """Its next call continues a conversation that is stored at the vendor."""
    systems: bool = True
    """It takes a system message within the conversation."""


class Standing(Enum):
    """What a reader is to the one who gave an answer."""

    SAME_MODEL = "same model"
    SAME_VENDOR = "same vendor"
    OTHER = "other vendor"


def speaker_of(candidate: Candidate, options: Mapping[str, Any] | None = None) -> Speaker:
    """Return a candidate as transcripts see it.

    Args:
        candidate: the candidate.
        options: the keyword arguments of the call, which go before those bound to it.
    """
    model = candidate.model
    options = {**candidate.options, **(options or {})}
    vendor = candidate.vendor
    return Speaker(
        id=candidate.id,
        vendor=vendor,
        names=_names(model),
        home=_home(model, vendor),
        thinks=_thinks(model, options),
        responses_api=_speaks_responses(model, options),
        remembers=any(options.get(name) for name in ("previous_response_id", "conversation")),
        systems=bool((model.profile or {}).get("mid_conversation_system_messages")) or vendor not in ONE_SYSTEM_MESSAGE,
    )


def speakers_of(
    pool: Mapping[str, Candidate],
    options: Mapping[str, Any] | None = None,
    known: Mapping[str, Speaker] | None = None,
) -> Mapping[str, Speaker]:
    """Return the candidates as transcripts see them, by id.

    Args:
        pool: the candidates by id.
        options: the keyword arguments of the call.
        known: the same without any options; it is returned again where these ask for nothing that matters.
    """
    if known is not None and not (options and _ASKS & options.keys()):
        return known
    return {name: speaker_of(candidate, options) for name, candidate in pool.items()}


def spoken_by(message: BaseMessage, speakers: Mapping[str, Speaker]) -> str | None:
    """Return the id of the candidate that gave an answer; None: unknown, or more than one could have.

    Args:
        message: an assistant message.
        speakers: the candidates by id.
    """
    facts = message.response_metadata
    account = facts.get(KEY)
    if isinstance(account, Mapping) and account.get("model") in speakers:
        return str(account["model"])
    name = facts.get("model_name") or facts.get("model")
    if not isinstance(name, str):
        return None
    vendor = _vendor(facts)
    could = [s for s in speakers.values() if name in s.names and vendor in (None, s.vendor)]
    if not could:
        undated = _DATED.sub("", name)
        bare = {s.id for s in speakers.values() if undated in {_DATED.sub("", own) for own in s.names}}
        could = [s for s in speakers.values() if s.id in bare and vendor in (None, s.vendor)]
    if not could or len({(s.vendor, s.home) for s in could}) > 1:
        return None
    return could[0].id


def standing(reader: Speaker, message: AIMessage, speakers: Mapping[str, Speaker]) -> Standing:
    """Return what a reader is to the one who gave an answer.

    Of an answer whose giver nobody knows (it is older than the router) its metadata and its blocks tell the vendor; the
    benefit of the doubt goes to the models of that vendor.
    """
    giver = spoken_by(message, speakers)
    if giver == reader.id:
        return Standing.SAME_MODEL
    if giver is not None:
        return _between(reader, speakers[giver])
    vendor = _vendor(message.response_metadata)
    if vendor is not None:
        named = any(message.response_metadata.get(key) for key in ("model_name", "model"))
        same = Standing.SAME_VENDOR if named else Standing.SAME_MODEL
    else:
        vendor, same = _shown(message), Standing.SAME_MODEL
    return same if vendor and vendor == reader.vendor else Standing.OTHER


def _between(reader: Speaker, giver: Speaker) -> Standing:
    if not reader.vendor or reader.vendor != giver.vendor or reader.home != giver.home:
        return Standing.OTHER
    same = bool(reader.names & giver.names) and reader.responses_api == giver.responses_api
    return Standing.SAME_MODEL if same else Standing.SAME_VENDOR


def _vendor(facts: Mapping[str, Any]) -> str | None:
    provider = facts.get("model_provider")
    return _VENDORS.get(provider, provider) if isinstance(provider, str) else None


def _shown(message: AIMessage) -> str | None:
    """Return the vendor that an answer's own blocks and fields tell of."""
    for key, vendor in _FIELDS.items():
        if message.additional_kwargs.get(key):
            return vendor
    for block in message.content:
        if isinstance(block, str):
            continue
        name = block.get("type")
        if name == "reasoning" and ("summary" in block or str(block.get("id")).startswith("rs_")):
            return "openai"
        if name == "thinking" and isinstance(block.get("thinking"), list):
            return "mistralai"
        if isinstance(name, str) and name in _BLOCKS:
            return _BLOCKS[name]
    return None


_FIELDS = {
    "__openai_function_call_ids__": "openai",
    "tool_outputs": "openai",
    "__gemini_function_call_thought_signatures__": "google_genai",
}
_BLOCKS = {
    **dict.fromkeys(("thinking", "redacted_thinking", "tool_use", "server_tool_use", "mcp_tool_use"), "anthropic"),
    **dict.fromkeys(("web_search_tool_result", "web_fetch_tool_result", "code_execution_tool_result"), "anthropic"),
    **dict.fromkeys(("function_call", "custom_tool_call", "web_search_call", "file_search_call"), "openai"),
    **dict.fromkeys(("code_interpreter_call", "mcp_call", "computer_call", "image_generation_call"), "openai"),
    **dict.fromkeys(("executable_code", "code_execution_result", "function_call_signature"), "google_genai"),
    "reasoning_content": "aws",
}


def _names(model: BaseChatModel) -> frozenset[str]:
    said = (getattr(model, name, None) for name in _NAMES)
    return frozenset(name.removeprefix("models/") for name in said if isinstance(name, str) and name)


def _home(model: BaseChatModel, vendor: str) -> str:
    packages = ((cls.__module__.partition(".")[0], cls.__name__) for cls in type(model).__mro__)
    cls = next((name for package, name in packages if package == f"langchain_{vendor}"), type(model).__name__)
    urls = (getattr(model, name, None) for name in _ADDRESSES)
    address = next((urlsplit(url).netloc.rpartition("@")[2] for url in urls if isinstance(url, str) and url), "")
    return f"{cls}@{address}" if address and address not in _DEFAULT_HOSTS else cls


def _thinks(model: BaseChatModel, options: Mapping[str, Any]) -> bool:
    asked = options.get("thinking") or getattr(model, "thinking", None)
    for name in ("extra_body", "model_kwargs", "additional_model_request_fields"):
        more = options.get(name) or getattr(model, name, None)
        asked = asked or (more.get("thinking") if isinstance(more, Mapping) else None)
    return isinstance(asked, Mapping) and asked.get("type") == "enabled"


def _speaks_responses(model: BaseChatModel, options: Mapping[str, Any]) -> bool:
    """Whether a model of OpenAI's kind will call the Responses API: it decides by its own fields and the options."""
    decides = getattr(model, "_use_responses_api", None)
    if not callable(decides):
        return False
    return bool(decides({**(getattr(model, "model_kwargs", None) or {}), **options}))
