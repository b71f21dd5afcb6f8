"""Ledgers for tests: made by a router that draws among plans, and by hand."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from taskrouter import ResponseView, Router, Step, StepContext
from taskrouter.decision import Loss, Plan
from taskrouter.learning import Branch, LearnedPolicy, Reckoning
from taskrouter.learning.files import write_policy

ANSWER = ResponseView(text="yes", finish_reason="stop")
RIGHT: Mapping[str, Mapping[str, float]] = {
    "clerk/": {"small": 0.9, "large": 0.9},
    "planner/": {"small": 0.3, "large": 0.9},
}
"""How often each model is right, by identity."""
PRICES = {"small": 1.0, "large": 10.0}


def config(**sections: Any) -> dict[str, Any]:
    """A pool of two models and no opinion."""
    return {
        "router": {"incumbent": "large", "seed": 7},
        "profiling": {"classifier": "rules"},
        "models": [
            {
                "id": id_,
                "model": f"house/{id_}",
                "context_tokens": 8000,
                "input_usd_per_million": usd,
                "output_usd_per_million": usd,
            }
            for id_, usd in PRICES.items()
        ],
        **sections,
    }


def policy_file(folder: Path, shares: Mapping[str, Mapping[str, float]], name: str = "policy.json") -> Path:
    """A learned policy with these shares per identity."""
    loss = Loss(0.0, -0.1, 0.1, "labels")
    branches = {
        key: tuple(Branch(Plan(models=(model,)), share, loss) for model, share in plans.items())
        for key, plans in shares.items()
    }
    policy = LearnedPolicy("large", branches, dict.fromkeys(shares, 100), Reckoning(0.0, 0.0, 0.1, 100))
    path = folder / name
    write_policy(path, policy, None)
    return path


def logged(folder: Path, *, share: float = 0.5, steps: int = 400, labelled: float = 1.0, seed: int = 1) -> str:
    """Make a ledger with labels; a router sends `share` of the steps to the small model. Return its address."""
    url = f"sqlite:///{folder}/state.db"
    shares = {key: {"small": share, "large": 1 - share} if share else {"large": 1.0} for key in RIGHT}
    learned = policy_file(folder, shares, "logging.json")
    rng = random.Random(seed)
    with Router.from_config(config(state={"url": url}, learning={"policy": str(learned)})) as router:
        for _ in range(steps):
            key = rng.choice([*RIGHT])
            context = StepContext(agent=key.rstrip("/"))
            step = Step(messages=[{"role": "user", "content": "What now?"}], context=context)
            done = router.run(step, lambda _: ANSWER, lambda native: native)
            if rng.random() < labelled:
                router.feedback(done.decision_id, float(rng.random() < RIGHT[key][done.model]))
    return url


def record(number: int = 1, **fields: Any) -> dict[str, Any]:
    """A record written by hand."""
    return {
        "v": 1,
        "id": f"dec_{number:016x}",
        "identity": "clerk/",
        "profile": {"task_type": "chat", "input_tokens": 10, "output_tokens": 10},
        "plan": {"kind": "single", "models": ["large"]},
        "propensity": 1.0,
        "outcome": {"model": "large", "cost_usd": 0.001},
        **fields,
    }


def file_of(folder: Path, *documents: Any) -> str:
    """Write lines; return the path."""
    path = folder / "ledger.jsonl"
    path.write_text("".join(f"{json.dumps(document)}\n" for document in documents), encoding="utf-8")
    return str(path)
