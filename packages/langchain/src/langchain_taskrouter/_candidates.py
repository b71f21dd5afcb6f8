"""The candidates as users give them, and what the router is told of each."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.language_models import BaseChatModel
from langchain_core.language_models.model_profile import ModelProfile
from langchain_core.runnables import Runnable, RunnableBinding, RunnableWithFallbacks
from langchain_core.runnables.retry import RunnableRetry

from langchain_taskrouter._callbacks import handlers_in, own_handlers
from langchain_taskrouter._clients import private_copy
from langchain_taskrouter._core_model import CoreModel
from taskrouter import Capabilities, ConfigurationError, ModelCard
from taskrouter.adapters import Candidates, PoolModel, model_config, read_candidates

CandidateSpec: TypeAlias = BaseChatModel | Runnable[Any, Any] | str | Mapping[str, Any] | ModelCard
"""A chat model, one with bound arguments, a LiteLLM model string (with the extra `litellm`), or a table as in
`[[models]]`, which is called through the router's own backends."""

_LITELLM_PROVIDERS = {
    "amazon_bedrock": "bedrock",
    "bedrock_converse": "bedrock",
    "fireworks": "fireworks_ai",
    "google_genai": "gemini",
    "google_vertexai": "vertex_ai",
    "mistralai": "mistral",
    "together": "together_ai",
}
"""LangChain's name of a provider (`ls_provider`) -> LiteLLM's, where they differ."""
_ADDRESSES = ("openai_api_base", "azure_endpoint", "anthropic_api_url", "base_url")


@dataclass(frozen=True, slots=True)
class Candidate:
    """One model of the pool."""

    id: str
    spec: CandidateSpec
    """What the user gave."""
    given: BaseChatModel
    """The user's own instance, never changed."""
    model: BaseChatModel
    """The copy that is called."""
    options: Mapping[str, Any]
    """The arguments bound to it."""
    vendor: str
    """Whose integration it is; see `vendor_of`."""

    @property
    def pool_model(self) -> PoolModel | None:
        """The model of the router's own backends that it stands for, if it does."""
        return self.model.pool_model if isinstance(self.model, CoreModel) else None


def candidates_of(given: Candidates, timeout_s: float) -> dict[str, Candidate]:
    """Return the candidates by id.

    Args:
        given: as users give them.
        timeout_s: seconds that a call may take; a candidate's own limit comes first.

    Raises:
        ConfigurationError: there is none, an id is taken twice, or one is no chat model.
    """
    return read_candidates(
        given,
        lambda key, spec, where: _candidate(key, spec, where, timeout_s),
        single=(BaseChatModel, Runnable),
        kind="chat model",
        example='{"large": ChatOpenAI(...)}',
    )


def _candidate(key: str | None, spec: CandidateSpec, where: str, timeout_s: float) -> Candidate:
    model, options = unwrapped(spec, where)
    ls_params = model._get_ls_params(**options)  # noqa: SLF001 - how LangChain itself asks a model for its name
    name = key or ls_params.get("ls_model_name") or type(model).__name__
    called = private_copy(model, timeout_s)
    if handlers := _callbacks_of(spec):
        called.callbacks = [*own_handlers(model), *handlers]
    return Candidate(name, spec, model, called, options, vendor_of(model))


def _callbacks_of(spec: object) -> list[BaseCallbackHandler]:
    """Return the handlers that `with_config(callbacks=...)` has put around a model."""
    found: list[BaseCallbackHandler] = []
    while isinstance(spec, RunnableBinding):
        found += handlers_in(spec.config.get("callbacks"))
        spec = spec.bound
    return found


def vendor_of(model: BaseChatModel) -> str:
    """Return whose integration a model is: `openai` for `langchain_openai`, also for a user's own class beneath.

    It says which messages and which tools of its own making the provider understands.
    """
    packages = (cls.__module__.partition(".")[0] for cls in type(model).__mro__)
    ours = ("langchain_core", "langchain_taskrouter")
    return next((p.removeprefix("langchain_") for p in packages if p.startswith("langchain_") and p not in ours), "")


def unwrapped(spec: CandidateSpec, where: str = "candidate") -> tuple[BaseChatModel, Mapping[str, Any]]:
    """Return the chat model that a candidate is, and the arguments bound to it.

    Raises:
        ConfigurationError: it is no chat model.
    """
    options: dict[str, Any] = {}
    while isinstance(spec, RunnableBinding):
        options = {**spec.kwargs, **options}
        spec = spec.bound
    if isinstance(spec, str | Mapping | ModelCard):
        card = model_config(spec, where, "For LangChain's own way give init_chat_model({})")
        return CoreModel(pool_model=PoolModel(card)), options
    if not isinstance(spec, BaseChatModel):
        mending = isinstance(spec, RunnableRetry | RunnableWithFallbacks)
        hint = "; retries and fallbacks are the router's part" if mending else ""
        raise ConfigurationError(
            f"{where} is a {type(spec).__name__}; it must be a chat model, a chat model with bound arguments, a "
            f"LiteLLM model string or a table as in [[models]]{hint}"
        )
    return spec, options


def facts_of(candidate: Candidate) -> dict[str, Any]:
    """Return what LangChain knows of one of its own models, as fields of a `ModelConfig`."""
    ls_params = candidate.given._get_ls_params(**candidate.options)  # noqa: SLF001 - as above
    provider = ls_params.get("ls_provider") or ""
    provider = _LITELLM_PROVIDERS.get(provider, provider)
    name = ls_params.get("ls_model_name") or candidate.id
    profile = candidate.given.profile or {}
    facts: dict[str, Any] = {
        "id": candidate.id,
        "model": f"{provider}/{name}" if provider else name,
        "provider": provider,
        "capabilities": Capabilities(**_capabilities(candidate.given, profile)),
        "context_tokens": profile.get("max_input_tokens"),
        "max_output_tokens": profile.get("max_output_tokens"),
        "base_url": next((url for n in _ADDRESSES if isinstance(url := getattr(candidate.given, n, None), str)), None),
    }
    return {key: value for key, value in facts.items() if value is not None}


def _capabilities(model: BaseChatModel, profile: ModelProfile) -> dict[str, bool]:
    said = {
        "tools": profile.get("tool_calling", type(model).bind_tools is not BaseChatModel.bind_tools),
        "vision": profile.get("image_inputs"),
        "json_schema": profile.get("structured_output"),
        "reasoning": profile.get("reasoning_output"),
    }
    return {name: value for name, value in said.items() if value is not None}


def shared_profile(models: Iterable[BaseChatModel]) -> ModelProfile | None:
    """Return what holds of every model: a capability that all have, the least of the limits.

    `create_agent` picks its way of structured output by this profile before any model is chosen.
    """
    profiles = [model.profile for model in models]
    if not all(profiles):
        return None
    known: list[dict[str, Any]] = [dict(profile or {}) for profile in profiles]
    shared: Any = {}
    for name in set.intersection(*(set(profile) for profile in known)):
        values = [profile[name] for profile in known]
        if all(isinstance(value, bool) for value in values):
            shared[name] = all(values)
        elif all(isinstance(value, int) for value in values):
            shared[name] = min(values)
    profile: ModelProfile = shared
    return profile
