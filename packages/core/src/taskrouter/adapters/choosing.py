"""The decision about one call: among the candidates that the request leaves, by the policy that holds for it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, NamedTuple

from taskrouter.adapters.identity import Identity
from taskrouter.decision import Decision
from taskrouter.errors import ConfigurationError
from taskrouter.policies import PolicySpec
from taskrouter.router import Router
from taskrouter.step import Step


class Chosen(NamedTuple):
    """A call, decided."""

    decision: Decision
    notes: Mapping[str, Any]
    """What the account of the answer says beside the usual."""


def choose(
    router: Router, step: Step, identity: Identity, allowed: Collection[str], policy: PolicySpec | None = None
) -> Chosen:
    """Decide where a call goes; in a dry run, to the incumbent, with a note of who would have answered.

    Args:
        router: the router.
        step: the step.
        identity: its identity, which may name a policy and a dry run.
        allowed: ids of the candidates that the request leaves.
        policy: the routed model's own, where it shares a router.

    Raises:
        RoutingError: no candidate can take the step.
    """
    use = None if set(allowed) == set(router.models) else list(allowed)
    policy = policy if identity.policy is None else identity.policy
    decision = router.route(step, policy=policy, use=use)
    if not identity.dry_run:
        return Chosen(decision, {})
    notes = {"dry_run": {"model": decision.model, "reason": decision.reason}}
    return Chosen(router.route(step, policy=policy, use=[router.incumbent]), notes)


def pinned(pool: Collection[str], *wishes: tuple[str | None, str]) -> list[str]:
    """Return the ids that a call leaves: the candidate that it names, or all.

    Args:
        pool: the candidates' ids.
        wishes: names with where they were said; the last one that is no None counts.

    Raises:
        ConfigurationError: there is no candidate of that name.
    """
    allowed = list(pool)
    for name, where in wishes:
        if name is None:
            continue
        if not isinstance(name, str) or name not in pool:
            raise ConfigurationError(f"{where}={name!r} is no candidate; the candidates are {', '.join(pool)}")
        allowed = [name]
    return allowed
