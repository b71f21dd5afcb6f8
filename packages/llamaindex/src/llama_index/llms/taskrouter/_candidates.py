"""The candidates as users give them, and what the router is told of each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from llama_index.core.base.llms.types import LLMMetadata
from llama_index.core.llms import LLM

from llama_index.llms.taskrouter._callbacks import Told
from llama_index.llms.taskrouter._clients import private_copy
from llama_index.llms.taskrouter._core_llm import CoreLLM
from llama_index.llms.taskrouter._vendors import LITELLM_PROVIDERS, vendor_of
from taskrouter import Capabilities, ConfigurationError, ModelCard
from taskrouter.adapters import Candidates, PoolModel, model_config, read_candidates

CandidateSpec: TypeAlias = LLM | str | Mapping[str, Any] | ModelCard
"""A LlamaIndex LLM, a LiteLLM model string (with the extra `litellm`), or a table as in `[[models]]`, which is called
through the router's own backends."""
_ADDRESSES = ("api_base", "base_url", "azure_endpoint", "endpoint_url")


@dataclass(frozen=True, slots=True)
class Candidate:
    """One model of the pool."""

    id: str
    spec: CandidateSpec = field(repr=False)  # integrations show their keys
    """What the user gave."""
    given: LLM = field(repr=False)
    """The user's own instance, never changed."""
    model: LLM = field(repr=False)
    """The copy that is called."""
    vendor: str
    """Whose integration it is; see `vendor_of`."""
    metadata: LLMMetadata | None
    """What the model says of itself; None: nothing."""

    @property
    def pool_model(self) -> PoolModel | None:
        """The model of the router's own backends that it stands for, if it does."""
        return self.model.pool_model if isinstance(self.model, CoreLLM) else None

    @property
    def thinks(self) -> bool:
        """Whether it asks for thinking of the kind whose vendor insists on the thought that opened a tool loop."""
        asked = getattr(self.model, "thinking_dict", None)
        return isinstance(asked, Mapping) and asked.get("type") == "enabled"


def candidates_of(given: Candidates, timeout_s: float, settings: Mapping[str, Any]) -> dict[str, Candidate]:
    """Return the candidates by id.

    Args:
        given: as users give them.
        timeout_s: seconds that a call may take; a candidate's own limit comes first.
        settings: fields that every candidate gets in place of its own, such as `temperature`.

    Raises:
        ConfigurationError: there is none, an id is taken twice, or one is no LLM.
    """
    return read_candidates(
        given,
        lambda key, spec, where: _candidate(key, spec, where, timeout_s, settings),
        single=(LLM,),
        kind="LLM",
        example='{"large": OpenAI(...)}',
    )


def _candidate(
    key: str | None, spec: CandidateSpec, where: str, timeout_s: float, settings: Mapping[str, Any]
) -> Candidate:
    given = _llm(spec, where)
    metadata = _metadata(given, where)
    name = key or (metadata.model_name if metadata is not None else type(given).__name__)
    called = private_copy(given, timeout_s, settings)
    called.callback_manager = Told(given.callback_manager)
    return Candidate(name, spec, given, called, vendor_of(given), metadata)


def _llm(spec: CandidateSpec, where: str) -> LLM:
    if isinstance(spec, str | Mapping | ModelCard):
        return CoreLLM(
            PoolModel(model_config(spec, where, "For a LlamaIndex LLM give an instance, such as OpenAI(...)"))
        )
    if not isinstance(spec, LLM):
        raise ConfigurationError(
            f"{where} is a {type(spec).__name__}; it must be a LlamaIndex LLM, a LiteLLM model string or a table as in "
            "[[models]]"
        )
    return spec


def _metadata(model: LLM, where: str) -> LLMMetadata | None:
    """Return what a model says of itself.

    Raises:
        ConfigurationError: its integration does not know the model, and would refuse every call.
    """
    cause = None
    try:
        metadata = model.metadata
        if isinstance(metadata, LLMMetadata):
            return metadata
    except (ValueError, NotImplementedError) as error:
        cause = error
    except Exception:  # noqa: BLE001 - some integrations ask a server, which may be down: then nothing is known
        return None
    raise ConfigurationError(
        f"{where}: {type(model).__name__} has no metadata for this model, and fails at every call without: give a "
        "name that it knows, an OpenAILike with its metadata, a LiteLLM string or a table as in [[models]]"
    ) from cause


def shared_prompt(pool: Mapping[str, Candidate]) -> str | None:
    """Return the system prompt that all candidates have: LlamaIndex puts in the one of the LLM that it is given.

    Raises:
        ConfigurationError: they differ.
    """
    prompts = {candidate.given.system_prompt for candidate in pool.values()}
    if len(prompts) > 1:
        raise ConfigurationError(
            "candidates have different system prompts, and LlamaIndex would use none of them: give `system_prompt` to "
            "the RoutedLLM"
        )
    return next(iter(prompts), None)


def facts_of(candidate: Candidate) -> dict[str, Any]:
    """Return what LlamaIndex knows of one of its own LLMs, as fields of a `ModelConfig`."""
    metadata, vendor = candidate.metadata, candidate.vendor
    provider = LITELLM_PROVIDERS.get(vendor, vendor)
    name = candidate.id if metadata is None or metadata.model_name == "unknown" else metadata.model_name
    facts: dict[str, Any] = {
        "id": candidate.id,
        "model": name if vendor in ("", "litellm") else f"{provider}/{name}",
        "base_url": next((url for n in _ADDRESSES if isinstance(url := getattr(candidate.given, n, None), str)), None),
        "context_tokens": window_of(candidate),
        "capabilities": _capabilities(candidate),
    }
    if provider and vendor != "litellm":
        facts["provider"] = provider
    return {key: value for key, value in facts.items() if value is not None}


def window_of(candidate: Candidate) -> int | None:
    """Return the window that a model declares, in tokens. LiteLLM says 2048 of what it does not know."""
    metadata = candidate.metadata
    if metadata is None or metadata.context_window <= 0:
        return None
    made_up = candidate.vendor == "litellm" and metadata.context_window == 2048
    return None if made_up else metadata.context_window


def _capabilities(candidate: Candidate) -> Capabilities:
    """Return whether a model calls tools, where that can be trusted: LiteLLM says no of what it does not know."""
    metadata = candidate.metadata
    if metadata is None or (candidate.vendor == "litellm" and not metadata.is_function_calling_model):
        return Capabilities()
    return Capabilities(tools=metadata.is_function_calling_model)
