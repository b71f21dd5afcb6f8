"""The candidates as users give them, and what the router is told of each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from agent_framework import BaseChatClient, FunctionInvocationLayer

from autogen_taskrouter.agent_framework._clients import private_copy
from autogen_taskrouter.agent_framework._core_client import CoreClient
from autogen_taskrouter.agent_framework._delegate import has_own_answers, own_middleware
from taskrouter import Capabilities, ConfigurationError, ModelCard
from taskrouter.adapters import Arguments, Candidates, Parts, PoolModel, model_config, parts_of, read_candidates
from taskrouter.catalog import Catalog

CandidateSpec: TypeAlias = BaseChatClient[Any] | str | Mapping[str, Any] | ModelCard
"""A chat client, a LiteLLM model string (with the extra `litellm`), or a table as in `[[models]]`, which is called
through the router's own backends."""

_LITELLM_PROVIDERS = {
    "azure.ai.openai": "azure",
    "azure_openai": "azure",
    "aws.bedrock": "bedrock",
    "gcp.gemini": "gemini",
    "gcp.gen_ai": "gemini",
    "gcp.vertex_ai": "vertex_ai",
    "mistral_ai": "mistral",
}
"""The framework's name of a provider (`OTEL_PROVIDER_NAME`) -> LiteLLM's, where they differ."""
_FINISHING = frozenset({"openai", "anthropic"})
"""Vendors whose streams always say why they ended."""
_NAMES = ("model", "model_id", "deployment_name")
"""Where clients hold their model's name."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """One model of the pool."""

    id: str
    spec: CandidateSpec
    """What the user gave."""
    given: BaseChatClient[Any]
    """The user's own instance, never changed."""
    client: BaseChatClient[Any]
    """The copy that is called."""
    vendor: str
    """Whose integration it is; see `vendor_of`."""

    @property
    def pool_model(self) -> PoolModel | None:
        """The model of the router's own backends that it stands for, if it does."""
        return self.client.pool_model if isinstance(self.client, CoreClient) else None

    @property
    def stores(self) -> bool:
        """Whether its provider keeps conversations unless it is told not to."""
        return self.given.STORES_BY_DEFAULT

    @property
    def finishes(self) -> bool:
        """Whether its streams always say why they ended: one that does not was cut off."""
        return self.vendor in _FINISHING and not has_own_answers(type(self.given))


def parts(given: Arguments) -> Parts[Candidate]:
    """Make the candidates and the router, or check the one that is shared.

    Raises:
        ConfigurationError: something of what is given is wrong; the message names it.
    """
    return parts_of(given, lambda candidates, _: candidates_of(candidates), facts_of)


def candidates_of(given: Candidates) -> dict[str, Candidate]:
    """Return the candidates by id.

    Raises:
        ConfigurationError: there is none, an id is taken twice, or one is no chat client.
    """
    return read_candidates(
        given,
        _candidate,
        single=(BaseChatClient,),
        kind="chat client",
        example='{"large": OpenAIChatCompletionClient(...)}',
    )


def _candidate(key: str | None, spec: CandidateSpec, where: str) -> Candidate:
    client = _client(spec, where)
    name = key or _name_of(client) or type(client).__name__
    return Candidate(name, spec, client, private_copy(client), vendor_of(client))


def _client(spec: CandidateSpec, where: str) -> BaseChatClient[Any]:
    if isinstance(spec, str | Mapping | ModelCard):
        return CoreClient(PoolModel(model_config(spec, where)))
    if not isinstance(spec, BaseChatClient):
        raise ConfigurationError(
            f"{where} is a {type(spec).__name__}; it must be a chat client (a BaseChatClient of agent_framework), a "
            "LiteLLM model string or a table as in [[models]]"
        )
    _, of_functions = own_middleware(spec)
    if of_functions:
        raise ConfigurationError(
            f"{where} has function middleware, which would never run, as tools are run once, by the routed client: "
            "give it to RoutedChatClient(middleware=[...])"
        )
    return spec


def vendor_of(client: object) -> str:
    """Return whose integration a client is: `openai` for `agent_framework_openai`, also for a user's class beneath."""
    packages = (cls.__module__.partition(".")[0] for cls in type(client).__mro__)
    return next((p.removeprefix("agent_framework_") for p in packages if p.startswith("agent_framework_")), "")


def facts_of(candidate: Candidate) -> dict[str, Any]:
    """Return what the framework knows of one of its own clients, as fields of a `ModelConfig`."""
    client = candidate.given
    provider = str(getattr(client, "otel_provider_name", None) or client.OTEL_PROVIDER_NAME)
    provider = "" if provider == "unknown" else _LITELLM_PROVIDERS.get(provider, provider)
    name = _name_of(client) or candidate.id
    model = f"{provider}/{name}" if provider else name
    facts: dict[str, Any] = {
        "id": candidate.id,
        "model": model,
        "provider": provider or None,
        "capabilities": Capabilities(**_capabilities(client, model)),
        "base_url": _address_of(client),
    }
    return {key: value for key, value in facts.items() if value is not None}


def _capabilities(client: BaseChatClient[Any], model: str) -> dict[str, bool]:
    """Return what follows from a client's kind, for models of which the catalogue does not know.

    The framework's own clients take tools and a response format.
    """
    if not isinstance(client, FunctionInvocationLayer):
        return {}
    known = Catalog.bundled().resolve(model)
    return {
        name: True for name in ("tools", "json_schema") if known is None or getattr(known.capabilities, name) is None
    }


def _name_of(client: object) -> str | None:
    names = (getattr(client, name, None) for name in _NAMES)
    return next((name for name in names if isinstance(name, str) and name), None)


def _address_of(client: BaseChatClient[Any]) -> str | None:
    address: str | None = client.service_url()  # None where there is none, as the framework's docstring has it
    return address if address and address.startswith("http") else None
