"""From the arguments of a routed model to its candidates and its router."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple, TypeAlias

from langchain_taskrouter._candidates import Candidate, Candidates, cards, read_candidates
from langchain_taskrouter._core_model import CoreModel
from taskrouter import ConfigurationError, Router, RouterConfig
from taskrouter.config import ExecutionConfig, PolicyConfig, validated

PolicySpec: TypeAlias = PolicyConfig | str | Mapping[str, Any]
ConfigSpec: TypeAlias = RouterConfig | Mapping[str, Any]


class Parts(NamedTuple):
    """What a routed model consists of."""

    pool: dict[str, Candidate]
    router: Router
    policy: PolicyConfig | None
    """A policy beside the router's own: with a shared router alone."""
    recipe: dict[str, Any] | None
    """By which another process makes the router anew; None for a shared one."""


def parts_of(
    candidates: Candidates,
    incumbent: str | None,
    policy: PolicySpec | None,
    router: Router | None,
    config: ConfigSpec | None,
    limits: Mapping[str, Any],
) -> Parts:
    """Make the router, or check the one that is shared.

    Args:
        candidates: as users give them.
        incumbent: id of the model that is used today.
        policy: a name, weights or a table.
        router: one to share.
        config: everything else.
        limits: keys of `[execution]` that LangChain's models name otherwise; None: as configured.

    Raises:
        ConfigurationError: something of this is wrong; the message names it.
    """
    if router is None:
        settings = _with_limits(config, limits)
        pool = read_candidates(candidates, settings.execution.timeout_s)
        made = Router(cards(pool, settings), incumbent, policy, config=settings)
        parts = Parts(pool, made, None, {"incumbent": incumbent, "policy": policy, "config": settings})
    else:
        pool = read_candidates(candidates, router.execution.timeout_s)
        _check_shared(router, pool, incumbent, config, limits)
        parts = Parts(pool, router, None if policy is None else PolicyConfig.of(policy), None)
    for candidate in parts.pool.values():
        if isinstance(candidate.model, CoreModel):
            candidate.model.connect(parts.router, candidate.id)
    return parts


def check_fields(given: Iterable[str], known: Iterable[str]) -> None:
    """Say which argument is none: LangChain would ignore it, and a slip of the pen would change nothing, silently.

    Raises:
        ConfigurationError: one of them is unknown.
    """
    known = [*known, "config", "timeout", "max_retries"]
    for name in given:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else "; give it to the candidates, or in `config`"
            raise ConfigurationError(f"RoutedChatModel has no argument {name!r}{hint}")


def _with_limits(config: ConfigSpec | None, limits: Mapping[str, Any]) -> RouterConfig:
    settings = config if isinstance(config, RouterConfig) else RouterConfig.load(config or {})
    given = {name: limit for name, limit in limits.items() if limit is not None}
    if not given:
        return settings
    execution = validated(ExecutionConfig, {**settings.execution.model_dump(), **given}, where="execution")
    return settings.model_copy(update={"execution": execution})


def _check_shared(
    router: Router, pool: Mapping[str, Candidate], incumbent: str | None, config: object, limits: Mapping[str, Any]
) -> None:
    """Say what does not fit between a shared router and the candidates."""
    if config is not None:
        raise ConfigurationError("config and router are given together: the router has its configuration already")
    if any(limit is not None for limit in limits.values()):
        raise ConfigurationError("timeout and max_retries are the router's: set them where the shared router is made")
    known = ", ".join(router.models)
    for name in pool:
        if name not in router.models:
            raise ConfigurationError(f"candidates: {name!r} is not in the pool of the given router, which has {known}")
    if router.incumbent not in pool:
        raise ConfigurationError(f"candidates: the incumbent of the given router, {router.incumbent!r}, is missing")
    if incumbent not in (None, router.incumbent):
        raise ConfigurationError(f"incumbent={incumbent!r}, but the given router's incumbent is {router.incumbent!r}")
