"""From the models of a pool to the places that can be called."""

from __future__ import annotations

from collections.abc import Sequence

from taskrouter.config import ModelConfig
from taskrouter.errors import ConfigurationError
from taskrouter.ports import Endpoint


def endpoints_of(models: Sequence[ModelConfig]) -> tuple[Endpoint, ...]:
    """Return the endpoints of a pool: the deployments of each model, or the model itself where it has none.

    Raises:
        ConfigurationError: two endpoints have the same id, such as model `a@b` and deployment `b` of model `a`.
    """
    endpoints = tuple(endpoint for model in models for endpoint in _of(model))
    seen: set[str] = set()
    for endpoint in endpoints:
        if endpoint.id in seen:
            raise ConfigurationError(f"two endpoints are called {endpoint.id!r}: rename the model or the deployment")
        seen.add(endpoint.id)
    return endpoints


def _of(model: ModelConfig) -> tuple[Endpoint, ...]:
    if not model.deployments:
        return (_endpoint(model, model, None, 1.0),)
    return tuple(_endpoint(model, model.at(place), place.name, place.weight) for place in model.deployments)


def _endpoint(model: ModelConfig, served: ModelConfig, deployment: str | None, weight: float) -> Endpoint:
    return Endpoint(
        id=served.id,
        model=model.id,
        deployment=deployment,
        quota_group=served.quota_group,
        regions=served.regions,
        weight=weight,
        warmup=served.warmup,
    )
