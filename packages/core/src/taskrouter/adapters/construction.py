"""From the arguments of a routed model to its candidates and its router."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, Generic, NamedTuple, TypeAlias

from taskrouter.adapters.candidates import C, Candidates, Identified, cards
from taskrouter.config import ExecutionConfig, PolicyConfig, RouterConfig, validated
from taskrouter.errors import ConfigurationError
from taskrouter.policies import PolicySpec
from taskrouter.router import Router

ConfigSpec: TypeAlias = RouterConfig | Mapping[str, Any]

_OF_THE_ROUTER: Final = frozenset(inspect.signature(Router).parameters)
"""What a router takes; some of it a routed model does not."""


class Arguments(NamedTuple):
    """What every routed model is made from, whatever the framework."""

    candidates: Candidates = ()
    """The models to choose from."""
    incumbent: str | None = None
    """Id of the model that is used today."""
    policy: PolicySpec | None = None
    """A name, weights or a table."""
    router: Router | None = None
    """A router to share."""
    config: ConfigSpec | None = None
    """Everything else, in the shape of `taskrouter.toml`."""
    timeout: float | None = None
    """Seconds that a call may take; the same as `execution.timeout_s`."""
    max_retries: int | None = None
    """How often a candidate is asked again; the same as `execution.retries`."""


class Parts(NamedTuple, Generic[C]):
    """What a routed model consists of."""

    pool: dict[str, C]
    router: Router
    policy: PolicyConfig | None
    """A policy beside the router's own: with a shared router alone."""
    recipe: dict[str, Any] | None
    """Arguments by which another process makes the router anew; None for a shared one."""


def parts_of(
    given: Arguments, read: Callable[[Candidates, float], dict[str, C]], facts: Callable[[C], Mapping[str, Any]]
) -> Parts[C]:
    """Make the router, or check the one that is shared.

    Args:
        given: what the user gave.
        read: makes the candidates, given what the user gave and the seconds that a call may take.
        facts: what the framework knows of a candidate of its own, as fields of a `ModelConfig`.

    Raises:
        ConfigurationError: something of this is wrong; the message names it.
    """
    if given.router is not None:
        if not isinstance(given.router, Router):
            raise ConfigurationError(f"router is a {type(given.router).__name__}; it must be a taskrouter.Router")
        pool = read(given.candidates, given.router.execution.timeout_s)
        _check_shared(given.router, pool, given)
        _connect(given.router, pool)
        return Parts(pool, given.router, None if given.policy is None else PolicyConfig.of(given.policy), None)
    settings = _with_limits(given.config, {"timeout_s": given.timeout, "retries": given.max_retries})
    pool = read(given.candidates, settings.execution.timeout_s)
    made = Router(cards(pool, settings, facts), given.incumbent, given.policy, config=settings)
    _connect(made, pool)
    return Parts(pool, made, None, {"incumbent": given.incumbent, "policy": given.policy, "config": settings})


def check_arguments(owner: str, given: Iterable[str], known: Iterable[str]) -> None:
    """Say which argument is none: a framework would ignore it, and a slip of the pen would change nothing, silently.

    Args:
        owner: the class that has been given them.
        given: their names.
        known: the names that it knows beside those of `Arguments`.

    Raises:
        ConfigurationError: one of them is unknown.
    """
    known = {*known, *Arguments._fields}
    for name in given:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else "; give it to the candidates, or in `config`"
            if name in _OF_THE_ROUTER:
                hint = f"; give it to a router, and that to {owner}: router=Router(..., {name}=...)"
            raise ConfigurationError(f"{owner} has no argument {name!r}{hint}")


def _connect(router: Router, pool: Mapping[str, Identified]) -> None:
    """Tell the candidates that are called through the router's backends what it knows of them."""
    for name, candidate in pool.items():
        if candidate.pool_model is not None:
            candidate.pool_model.connect(router, name)


def _with_limits(config: ConfigSpec | None, limits: Mapping[str, Any]) -> RouterConfig:
    settings = config if isinstance(config, RouterConfig) else RouterConfig.load(config or {})
    said = {name: limit for name, limit in limits.items() if limit is not None}
    if not said:
        return settings
    execution = validated(ExecutionConfig, {**settings.execution.model_dump(), **said}, where="execution")
    return settings.model_copy(update={"execution": execution})


def _check_shared(router: Router, pool: Mapping[str, Any], given: Arguments) -> None:
    """Say what does not fit between a shared router and the candidates."""
    if given.config is not None:
        raise ConfigurationError("config and router are given together: the router has its configuration already")
    if given.timeout is not None or given.max_retries is not None:
        raise ConfigurationError("timeout and max_retries are the router's: set them where the shared router is made")
    known = ", ".join(router.models)
    for name in pool:
        if name not in router.models:
            raise ConfigurationError(f"candidates: {name!r} is not in the pool of the given router, which has {known}")
    if router.incumbent not in pool:
        raise ConfigurationError(f"candidates: the incumbent of the given router, {router.incumbent!r}, is missing")
    if given.incumbent not in (None, router.incumbent):
        raise ConfigurationError(
            f"incumbent={given.incumbent!r}, but the given router's incumbent is {router.incumbent!r}"
        )
