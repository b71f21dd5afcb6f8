"""Labelled steps whose true harm is known, and a policy with a certificate."""

from __future__ import annotations

import random
from collections.abc import Mapping

from taskrouter.decision import Loss, Plan
from taskrouter.learning import Branch, Identity, Labelled, LearnedPolicy, Reckoning, Scored
from taskrouter.learning.certificate import Certificate, Price

PLANS = {name: Plan(models=(name,)) for name in ("big", "small", "tiny")}
COSTS = {"big": 10.0, "small": 1.0, "tiny": 0.5}


def steps(rng: random.Random, count: int, harm: Mapping[str, Mapping[str, float]], drop: float = 1.0) -> list[Labelled]:
    """Steps of some identities on which each model falls behind the incumbent, by `drop`, as often as is said."""
    keys = list(harm)
    found = []
    for _ in range(count):
        key = rng.choice(keys)
        scores = {"big": Scored(1.0, COSTS["big"])}
        for name in ("small", "tiny"):
            lost = drop if rng.random() < harm[key][name] else 0.0
            scores[name] = Scored(1.0 - lost, COSTS[name])
        found.append(Labelled(identity=Identity(key, "chat"), scores=scores))
    return found


def policy_of(plans: Mapping[str, str], incumbent: str = "big") -> LearnedPolicy:
    """A policy that sends all steps of an identity to one model."""
    loss = Loss(0.0, -0.01, 0.01, "made up")
    branches = {key: (Branch(Plan(models=(model,)), 1.0, loss),) for key, model in plans.items()}
    return LearnedPolicy(incumbent, branches, dict.fromkeys(plans, 100), Reckoning(0.0, 0.01, 0.5, 100))


def certificate_of(policy: LearnedPolicy, **changes: object) -> Certificate:
    """A certificate of that policy, as `taskrouter tune` issues it."""
    pool = {model: Price(f"openai/{model}", 1.0, 4.0) for model in sorted({policy.incumbent, *policy.models})}
    keys = list(policy.branches)
    fields: dict[str, object] = {
        "incumbent": policy.incumbent,
        "max_loss": 0.01,
        "confidence": 0.9,
        "bound": 0.0094,
        "n": 412,
        "harmed": 1.0,
        "saving": 0.6,
        "method": "binomial",
        "pool": pool,
        "mix": {key: 1 / len(keys) for key in keys},
        "data_hash": "0123456789ab",
        "policy_hash": policy.version,
        "date": "2026-11-29",
    }
    return Certificate(**{**fields, **changes})  # type: ignore[arg-type] # fields by name
