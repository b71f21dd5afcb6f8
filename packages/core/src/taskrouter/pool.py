"""From what users write about their models to complete cards: their own facts first, the catalogue's for the rest."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias

from taskrouter.catalog import Catalog, ModelCard
from taskrouter.config import ModelConfig, validated
from taskrouter.errors import ConfigurationError

ModelSpec: TypeAlias = ModelCard | Mapping[str, Any] | str
"""A card, a table as in `[[models]]`, or a LiteLLM model string, which then is the id too."""

Models: TypeAlias = Iterable[ModelSpec] | Mapping[str, ModelSpec]

_WANTED = "it must be a ModelCard, a table or a model string"
_NO_FACTS = {"id", "model", "backend", "api_key", "params", "tags"}


def build_pool(models: Models, catalog: Catalog) -> tuple[ModelConfig, ...]:
    """Return the pool, every card completed from the catalogue.

    Raises:
        ConfigurationError: no model, an id taken twice, or a model of which nothing is known.
    """
    if isinstance(models, str | bytes | ModelCard) or not isinstance(models, Iterable):
        raise ConfigurationError(f"models must be a list of models or a mapping from id to model: {models!r:.80}")
    specs = [_with_id(*item) for item in models.items()] if isinstance(models, Mapping) else list(models)
    pool = tuple(_completed(_read(spec, position), position, catalog) for position, spec in enumerate(specs))
    if not pool:
        raise ConfigurationError("no model to route to: give at least one in `models` (or [[models]])")
    seen: set[str] = set()
    for position, model in enumerate(pool):
        if model.id in seen:
            raise ConfigurationError(f"models[{position}].id: {model.id!r} is taken twice; ids must differ")
        seen.add(model.id)
    return pool


def places_of(pool: Iterable[ModelConfig]) -> dict[str, ModelConfig]:
    """Return every endpoint of the pool by its id: the models, and their deployments."""
    places: dict[str, ModelConfig] = {}
    for model in pool:
        at = [model.at(deployment) for deployment in model.deployments] or [model]
        for place in at:
            if place.id in places:
                raise ConfigurationError(f"the endpoint {place.id!r} is there twice: rename a model or a deployment")
            places[place.id] = place
    return places


def as_served(pool: Iterable[ModelConfig]) -> list[ModelConfig]:
    """Return the pool with the regions that its deployments serve from: one of them is enough to take a step."""
    return [model.model_copy(update={"regions": model.served_in()}) if model.deployments else model for model in pool]


def _with_id(key: str, spec: ModelSpec) -> ModelSpec:
    if isinstance(spec, str):
        return {"id": key, "model": spec}
    if isinstance(spec, ModelCard):
        return {**_given(spec), "id": key}
    if isinstance(spec, Mapping):
        return {**spec, "id": key}
    raise ConfigurationError(f"models[{key!r}] is a {type(spec).__name__}; {_WANTED}")


def _read(spec: ModelSpec, position: int) -> ModelConfig:
    if isinstance(spec, ModelConfig):
        return spec
    if isinstance(spec, str):
        spec = {"id": spec}
    elif isinstance(spec, ModelCard):
        spec = _given(spec)
    elif not isinstance(spec, Mapping):
        raise ConfigurationError(f"models[{position}] is a {type(spec).__name__}; {_WANTED}")
    return validated(ModelConfig, spec, where=f"models[{position}]")


def _given(card: ModelCard) -> dict[str, Any]:
    """What the card says itself, so that the catalogue may still say the rest."""
    return {name: getattr(card, name) for name in card.model_fields_set}


def _completed(model: ModelConfig, position: int, catalog: Catalog) -> ModelConfig:
    known = catalog.resolve(model.model)
    given = model.model_fields_set
    if known is None:
        if given <= _NO_FACTS:
            near = catalog.suggest(model.model)
            hint = f" (did you mean {' or '.join(repr(name) for name in near)}?)" if near else ""
            raise ConfigurationError(
                f"models[{position}].model: {model.model!r} is not in the catalogue{hint}. For a model of your own, "
                "say what is known of it: a base_url, prices, or capabilities"
            )
        return model
    facts = {name: getattr(known, name) for name in ModelCard.model_fields if name not in given}
    if "capabilities" in given:
        said = {name: getattr(model.capabilities, name) for name in model.capabilities.model_fields_set}
        facts["capabilities"] = known.capabilities.model_copy(update=said)
    facts["quality"] = {**known.quality, **model.quality}
    facts.pop("id", None)
    return model.model_copy(update=facts)
