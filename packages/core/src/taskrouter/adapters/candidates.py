"""The candidates as users give them, and what the router is told of each."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Protocol, TypeAlias, TypeVar

from taskrouter.adapters.pool_model import PoolModel
from taskrouter.catalog import ModelCard
from taskrouter.config import ModelConfig, RouterConfig, validated
from taskrouter.errors import ConfigurationError

Candidates: TypeAlias = Mapping[str, Any] | Iterable[Any]
"""A mapping from id to candidate, or a list of candidates, whose ids are their models' names."""


class Identified(Protocol):
    """A candidate, as far as this module cares."""

    @property
    def id(self) -> str:
        """The id that decisions use."""
        ...

    @property
    def pool_model(self) -> PoolModel | None:
        """The model of the router's own backends that it stands for; None: it is one of the framework's own."""
        ...


C = TypeVar("C", bound=Identified)


def read_candidates(
    given: Candidates,
    make: Callable[[str | None, Any, str], C],
    *,
    single: tuple[type, ...],
    kind: str,
    example: str,
) -> dict[str, C]:
    """Return the candidates by id.

    Args:
        given: as users give them.
        make: given an id (None in a list), what the user gave and where it stands, makes the candidate.
        single: classes of which one candidate is; one alone is no collection of them.
        kind: what the framework calls a candidate: `chat model`.
        example: how a mapping of them is written.

    Raises:
        ConfigurationError: there is none, an id is taken twice, or `make` takes one for nothing it knows.
    """
    if isinstance(given, (str, ModelCard, single)) or not isinstance(given, Iterable):
        raise ConfigurationError(
            f"candidates is a mapping from id to {kind}, or a list of {kind}s, not a {type(given).__name__}"
        )
    named = given.items() if isinstance(given, Mapping) else ((None, spec) for spec in given)
    pool: dict[str, C] = {}
    for position, (key, spec) in enumerate(named):
        if isinstance(given, Mapping) and not (isinstance(key, str) and key):
            raise ConfigurationError(f"candidates[{key!r}]: an id is a text of a character or more, not {key!r:.40}")
        candidate = make(key, spec, f"candidates[{position if key is None else key!r}]")
        if candidate.id in pool:
            raise ConfigurationError(
                f"candidates[{position}]: the id {candidate.id!r} is taken twice; give a mapping with ids of your own"
            )
        pool[candidate.id] = candidate
    if not pool:
        raise ConfigurationError(f"candidates is empty: give a {kind} or more, such as {example}")
    return pool


def model_config(spec: str | Mapping[str, Any] | ModelCard, where: str, elsewhere: str = "") -> ModelConfig:
    """Return what is said of a candidate that is called through the router's own backends.

    Args:
        spec: a LiteLLM model string, a table as in `[[models]]`, or a card.
        where: where it stands.
        elsewhere: what to do with a string in the framework's own form (`openai:gpt-4o`), with `{}` for the string.

    Raises:
        ConfigurationError: it is none of these, or something in the table is wrong.
    """
    if isinstance(spec, ModelCard):
        return ModelConfig(**{name: getattr(spec, name) for name in spec.model_fields_set})
    if isinstance(spec, Mapping):
        name = spec.get("model") or spec.get("id")
        return validated(ModelConfig, {"id": name, **spec}, where=where)
    provider, colon, name = spec.partition(":")
    if colon and provider.replace("_", "").isalpha() and "/" not in provider and provider != "ft":
        raise ConfigurationError(
            f"{where} is {spec!r}; a string is a LiteLLM model string, such as '{provider}/{name}'"
            + (f". {elsewhere.format(repr(spec))}" if elsewhere else "")
        )
    return ModelConfig(id=spec, model=spec)


def cards(pool: Mapping[str, C], config: RouterConfig, facts: Callable[[C], Mapping[str, Any]]) -> list[ModelConfig]:
    """Return what the router is told of each candidate: the user's `[[models]]` first, then what the framework knows.

    Args:
        pool: the candidates.
        config: the user's configuration.
        facts: what the framework knows of a candidate of its own, as fields of a `ModelConfig`.

    Raises:
        ConfigurationError: the configuration names a model that is no candidate.
    """
    own = {model.id: model for model in config.models}
    if unknown := sorted(set(own) - set(pool)):
        raise ConfigurationError(f"models: {unknown[0]!r} is no candidate; the candidates are {', '.join(pool)}")
    found = (
        facts(candidate) if candidate.pool_model is None else _said_of(candidate.pool_model, candidate.id)
        for candidate in pool.values()
    )
    return [_card(each, own.get(name)) for name, each in zip(pool, found, strict=True)]


def _said_of(model: PoolModel, name: str) -> Mapping[str, Any]:
    """Return what the user says of a model; the catalogue knows the rest."""
    return {**{key: getattr(model.card, key) for key in model.card.model_fields_set}, "id": name}


def _card(found: Mapping[str, Any], own: ModelConfig | None) -> ModelConfig:
    if own is None:
        return ModelConfig(**found)
    said = {name: getattr(own, name) for name in own.model_fields_set}
    if said.get("model") == own.id:  # the default of a table that gives no model string
        del said["model"]
    return ModelConfig(**{**found, **said})
