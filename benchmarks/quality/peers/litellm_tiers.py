"""LiteLLM's complexity router: its own code says the tier of a prompt, the pool's prices say which model a tier is.

As a user gets it: the models in four groups by price, and in each group the best one on the training prompts, which is
kinder to it than any guess. Tuned: the cheapest models for the tiers that lose at most one point on training prompts.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from benchmarks.quality.data import Array, Result, Trial
from benchmarks.quality.peers.tables import joint_choices
from benchmarks.quality.peers.tuning import MAX_LOSS

from taskrouter.evaluation.recordings import Recording

TIERS = ("SIMPLE", "MEDIUM", "COMPLEX", "REASONING")
CLASSIFIERS = {"litellm": "heuristic", "litellm v2": "heuristic_v2"}
"""Its two classifiers that call nothing: the default, and the one that was trained."""


def results(trial: Trial) -> dict[str, Result]:
    """Both classifiers, as a user gets them and tuned."""
    found = {}
    groups = _groups(trial)
    for name, classifier in CLASSIFIERS.items():
        tiers = trial.grid.tiers(classifier, classify)
        found[name] = trial.pick(groups[tiers[trial.test]])
        choices = joint_choices(trial, tiers[trial.train], MAX_LOSS)
        found[f"{name}, tuned"] = trial.pick(np.array([choices.get(t, trial.incumbent) for t in tiers[trial.test]]))
    return found


def _groups(trial: Trial) -> Array:
    """The model of each tier."""
    scores = trial.grid.scores[trial.train].mean(axis=0)
    by_price = np.lexsort((scores, trial.grid.costs_usd[trial.train].mean(axis=0)))  # of equal prices the best is last
    return np.array([part[scores[part].argmax()] for part in np.array_split(by_price, len(TIERS))])


async def classify(recording: Recording, classifier: str) -> list[int]:
    """Ask the router as `litellm.Router` asks it; return the place of each prompt's tier."""
    strategy = _strategy(classifier)
    found = []
    for prompt in recording.prompts:
        request = {"tools": list(prompt.step.tools)} if prompt.step.tools else {}
        answer = await strategy.async_pre_routing_hook("smart", request, [dict(m) for m in prompt.step.messages])
        found.append(TIERS.index(answer.model))
    return found


def _strategy(classifier: str) -> Any:
    import litellm

    deployments: list[dict[str, Any]] = [
        {"model_name": tier, "litellm_params": {"model": f"openai/{tier.lower()}", "api_key": "none"}} for tier in TIERS
    ]
    deployments.append(
        {
            "model_name": "smart",
            "litellm_params": {
                "model": "auto_router/complexity_router",
                "complexity_router_config": {"classifier_type": classifier, "tiers": {tier: tier for tier in TIERS}},
                "complexity_router_default_model": TIERS[-1],
            },
        }
    )
    return litellm.Router(model_list=deployments).complexity_routers["smart"][0].strategy
