"""The candidates as users give them, and what the router is told of each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from autogen_core.models import ChatCompletionClient, ModelFamily, ModelInfo

from autogen_taskrouter._clients import holder, private_copy, sdk_client, settings
from autogen_taskrouter._core_client import CoreClient
from taskrouter import Capabilities, ConfigurationError, ModelCard
from taskrouter.adapters import Candidates, PoolModel, model_config, read_candidates
from taskrouter.adapters.pairing import ANYBODYS, MISTRALS

CandidateSpec: TypeAlias = ChatCompletionClient | str | Mapping[str, Any] | ModelCard
"""A model client, a LiteLLM model string (with the extra `litellm`), or a table as in `[[models]]`, which is called
through the router's own backends."""
Kind: TypeAlias = Literal["openai", "anthropic", "core", "other"]
"""Whose client it is."""

_KINDS: Mapping[str, Kind] = {
    "BaseOpenAIChatCompletionClient": "openai",
    "BaseAnthropicChatCompletionClient": "anthropic",
    "CoreClient": "core",
}
"""By name: autogen-ext is not imported for it."""
_PROVIDERS = {
    "AzureOpenAIChatCompletionClient": "azure",
    "BaseOpenAIChatCompletionClient": "openai",
    "AnthropicBedrockChatCompletionClient": "bedrock",
    "BaseAnthropicChatCompletionClient": "anthropic",
    "BaseOllamaChatCompletionClient": "ollama",
    "AzureAIChatCompletionClient": "azure_ai",
}
"""LiteLLM's name of the provider that a class of clients calls."""
_WITHOUT_CLASSES = {"BaseAnthropicChatCompletionClient", "AzureAIChatCompletionClient"}
"""Clients that raise where an answer is to be of a class, whatever their `model_info` says."""
_OTHERS_AT_OPENAI = {"gemini-": "gemini", "claude-": "anthropic", "Llama-": "meta_llama"}
"""Beginnings of names for which AutoGen's OpenAI client knows another provider's address."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """One model of the pool."""

    id: str
    spec: CandidateSpec
    """What the user gave."""
    client: ChatCompletionClient
    """What is called: a copy, or what the user gave where it cannot be copied."""
    kind: Kind

    @property
    def pool_model(self) -> PoolModel | None:
        """The model of the router's own backends that it stands for, if it does."""
        return self.client.pool_model if isinstance(self.client, CoreClient) else None

    @property
    def info(self) -> ModelInfo:
        """What it can do: what it says of itself, without what its client refuses, or is thought to."""
        said = self.client.model_info
        if not _WITHOUT_CLASSES.isdisjoint(_classes(self.client)):
            return {**said, "structured_output": False}
        if self.kind == "other" and "multiple_system_messages" not in said:  # those of OpenAI's kind raise then
            return {**said, "multiple_system_messages": True}
        return said

    @property
    def call_ids(self) -> Any:
        """What ids of calls must look like."""
        return MISTRALS if ModelFamily.is_mistral(self.client.model_info.get("family", "")) else ANYBODYS


def candidates_of(given: Candidates, _timeout_s: float) -> dict[str, Candidate]:
    """Return the candidates by id.

    Raises:
        ConfigurationError: there is none, an id is taken twice, or one is no model client.
    """
    return read_candidates(
        given,
        _candidate,
        single=(ChatCompletionClient,),
        kind="model client",
        example='{"large": OpenAIChatCompletionClient(...)}',
    )


def facts_of(candidate: Candidate) -> dict[str, Any]:
    """Return what AutoGen knows of a client of its own kind, as fields of a `ModelConfig`."""
    name = _model_name(candidate.client) or candidate.id
    provider = _provider(candidate.client, name)
    info = candidate.info
    facts: dict[str, Any] = {
        "id": candidate.id,
        "model": f"{provider}/{name}" if provider else name,
        "provider": provider,
        "capabilities": Capabilities(
            tools=info.get("function_calling"), vision=info.get("vision"), json_schema=info.get("structured_output")
        ),
        "base_url": _address(candidate.client),
    }
    return {key: value for key, value in facts.items() if value is not None}


def _candidate(key: str | None, spec: CandidateSpec, where: str) -> Candidate:
    if isinstance(spec, str | Mapping | ModelCard):
        core = CoreClient(PoolModel(model_config(spec, where)))
        return Candidate(key or core.pool_model.card.id, spec, core, "core")
    if not isinstance(spec, ChatCompletionClient):
        raise ConfigurationError(
            f"{where} is a {type(spec).__name__}; it must be a ChatCompletionClient, a LiteLLM model string or a table "
            "as in [[models]]"
        )
    name = key or _model_name(spec) or type(spec).__name__
    if not isinstance(spec.model_info, Mapping):
        raise ConfigurationError(f"{where}: model_info of the {type(spec).__name__} is no ModelInfo; give it one")
    kinds = (_KINDS[cls] for cls in _classes(spec) if cls in _KINDS)
    return Candidate(name, spec, private_copy(spec), next(kinds, "other"))


def _classes(client: ChatCompletionClient) -> list[str]:
    return [cls.__name__ for cls in type(holder(client)).__mro__]


def _model_name(client: ChatCompletionClient) -> str | None:
    name = settings(client).get("model")
    return name if isinstance(name, str) else None


def _provider(client: ChatCompletionClient, model: str) -> str | None:
    found = next((_PROVIDERS[name] for name in _classes(client) if name in _PROVIDERS), None)
    if found != "openai":
        return found
    return next((other for start, other in _OTHERS_AT_OPENAI.items() if model.startswith(start)), found)


def _address(client: ChatCompletionClient) -> str | None:
    sdk = sdk_client(client)
    if sdk is None:
        return None
    return str(sdk.base_url.copy_with(userinfo=b"", query=None)).rstrip("/")  # keys may be in what is left out
