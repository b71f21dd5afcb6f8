"""How long a decision takes, beside LiteLLM's complexity router on the same text, interleaved in one process.

    python benchmarks/decision_latency.py [--rounds 300] [--json]

Ours is the whole of `Router.route` over 20 models, the step's construction included: profile, constraints, scores,
ranking. Theirs is `ComplexityRouter.async_pre_routing_hook`, from messages to a model, called as `litellm.Router` calls
it; its classification alone stands beside it. Machines are noisy: the ratios are the result, the times are not.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import statistics
import time
from typing import Any

os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")

from taskrouter import ModelCard, Router, Step
from taskrouter.profile import TASK_TYPES

SIZES = (50, 500, 5000)
WARM_UP = 20
TARGETS_US = {50: 60.0, 500: 200.0, 5000: 400.0}
TARGET_RATIOS = {50: 7.0, 500: 14.0, 5000: 60.0}
_SENTENCES = (
    "Please read the quarterly report below and tell me which regions missed their targets.",
    "Write a Python function that parses the log lines and counts the errors per hour.",
    "The customer says that the invoice from last month was charged twice.",
    "Our deployment failed again after we moved the database to the new cluster.",
    "Use the numbers in the table and show how you got to the result.",
    "The meeting is on Thursday and the slides have to be ready by noon.",
    "In the second paragraph the author argues that the method does not scale.",
    "Keep the answer short and do not repeat the question.",
    "We have three suppliers, two of which can deliver before the end of the week.",
    "Compare both options and recommend one of them for a small team.",
    "The patient reported a mild headache and no other symptoms.",
    "Translate the last sentence into German and keep the tone friendly.",
    "It was a quiet morning and the harbour lay under a thin layer of fog.",
    "If the test passes on your machine but not in the pipeline, look at the clock first.",
    "The contract ends on the first of March unless one side gives notice.",
    "Return the fields name, date and amount as JSON.",
)


def prompt(tokens: int, rng: random.Random) -> str:
    """A text of about that many tokens (four characters each): sentences as agents meet them, in random order."""
    text = ""
    while len(text) < tokens * 4:
        text += rng.choice(_SENTENCES) + " "
    return text[: tokens * 4]


def our_router() -> Router:
    """A pool of twenty priced models with figures for every task."""
    cards = [
        ModelCard.model_validate(
            {
                "id": f"model-{i}",
                "model": f"house/model-{i}",
                "input_usd_per_million": 0.1 * (i + 1),
                "output_usd_per_million": 0.4 * (i + 1),
                "context_tokens": 128_000,
                "quality": {t: {"mean": 0.6 + 0.015 * i, "source": "benchmark"} for t in TASK_TYPES},
            }
        )
        for i in range(20)
    ]
    return Router(cards, incumbent="model-19", policy="balanced")


def their_router() -> Any:
    """LiteLLM's complexity router inside a `litellm.Router` of twenty models, as its users configure it."""
    import litellm

    deployments: list[dict[str, Any]] = [
        {"model_name": f"model-{i}", "litellm_params": {"model": f"openai/model-{i}", "api_key": "none"}}
        for i in range(20)
    ]
    tiers = {"SIMPLE": "model-0", "MEDIUM": "model-5", "COMPLEX": "model-10", "REASONING": "model-19"}
    deployments.append(
        {
            "model_name": "smart",
            "litellm_params": {
                "model": "auto_router/complexity_router",
                "complexity_router_config": {"tiers": tiers},
                "complexity_router_default_model": "model-19",
            },
        }
    )
    return litellm.Router(model_list=deployments).complexity_routers["smart"][0].strategy


async def measure(rounds: int) -> list[dict[str, float]]:
    """Time all, call by call in turn, on texts that differ from round to round."""
    ours, theirs = our_router(), their_router()
    rng = random.Random(0)
    rows = []
    for size in SIZES:
        own: list[float] = []
        whole: list[float] = []
        classify: list[float] = []
        for number in range(-WARM_UP, rounds):
            text = prompt(size, rng)
            started = time.perf_counter_ns()
            ours.route(Step(messages=[{"role": "user", "content": text}]))
            decided = time.perf_counter_ns()
            await theirs.async_pre_routing_hook("smart", {}, [{"role": "user", "content": text}])
            routed = time.perf_counter_ns()
            theirs.classify(text)
            classified = time.perf_counter_ns()
            if number >= 0:
                own.append((decided - started) / 1000)
                whole.append((routed - decided) / 1000)
                classify.append((classified - routed) / 1000)
        rows.append(_row(size, own, whole, classify))
    return rows


def _row(size: int, own: list[float], whole: list[float], classify: list[float]) -> dict[str, float]:
    p50 = statistics.median(own)
    return {
        "tokens": size,
        "taskrouter_p50_us": p50,
        "taskrouter_p99_us": statistics.quantiles(own, n=100)[98],
        "litellm_decision_p50_us": statistics.median(whole),
        "litellm_classify_p50_us": statistics.median(classify),
        "ratio": statistics.median(whole) / p50,
        "ratio_to_classify_alone": statistics.median(classify) / p50,
        "target_us": TARGETS_US[size],
        "target_ratio": TARGET_RATIOS[size],
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=300)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    rows = asyncio.run(measure(options.rounds))
    if options.json:
        print(json.dumps({"models": 20, "rounds": options.rounds, "sizes": rows}, indent=2))
        return
    print(f"{'tokens':>7} {'taskrouter p50':>15} {'p99':>8} {'litellm p50':>12} {'ratio':>7} {'classify only':>17}")
    for row in rows:
        print(
            f"{row['tokens']:>7} {row['taskrouter_p50_us']:>12.0f} µs {row['taskrouter_p99_us']:>5.0f} µs "
            f"{row['litellm_decision_p50_us']:>9.0f} µs {row['ratio']:>6.1f}x "
            f"{row['litellm_classify_p50_us']:>7.0f} µs {row['ratio_to_classify_alone']:>5.1f}x"
            f"   target <= {row['target_us']:.0f} µs, >= {row['target_ratio']:.0f}x"
        )


if __name__ == "__main__":
    main()
