"""A run of forty steps with a budget, while its main provider goes down and comes back. No key, no network.

    pip install 'taskrouter[openai,simulate]'
    python examples/run_through_an_outage.py

The calls, retries, fallbacks and the money are the router's real ones; the models, their prices and the outage are
simulated.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

from taskrouter import BudgetExceededError, Router, Step, StepContext, simulator

MODELS = [
    {"id": "sim-small", "input_usd_per_million": 0.10, "output_usd_per_million": 0.40},
    {"id": "sim-large", "input_usd_per_million": 3.00, "output_usd_per_million": 15.00},
]
OUTAGE = {
    "phases": [
        {
            "name": "the provider drowns",
            "models": ["sim-large"],
            "after_requests": 8,
            "requests": 5,
            "faults": ["overloaded_529", "empty_answer", "drop_connection", "error_event"],
        }
    ]
}
CONFIG = {"execution": {"backoff_base_s": 0.01}, "health": {"failures": 3, "open_s": 0.01}}


def pool(base_url: str) -> list[dict[str, Any]]:
    """Return the simulated models as the router's pool."""
    return [{**model, "base_url": base_url} for model in MODELS]


def main() -> None:
    served: Counter[str] = Counter()
    attempts = failed = 0
    with (
        simulator.serve({"speed": 0.0, "models": MODELS}, chaos=OUTAGE) as server,
        Router(pool(server.base_url), incumbent="sim-large", config=CONFIG) as router,
        router.budget(usd=0.05, deadline_s=60, steps=50) as budget,
    ):
        for index in range(1, 41):
            step = Step(
                messages=[{"role": "user", "content": f"What is {index} * 12?"}],
                context=StepContext(agent="clerk", run_id="run-1", index=index),
            )
            try:
                outcome = router.complete(step)
            except BudgetExceededError as error:
                print(f"step {index}: {error}")
                break
            served[outcome.model] += 1
            attempts += len(outcome.attempts)
            failed += sum(attempt.status == "failed" for attempt in outcome.attempts)
    answered = ", ".join(f"{count} by {model}" for model, count in served.most_common())
    print(f"answered  {sum(served.values())} of 40 steps: {answered}")
    print(f"attempts  {attempts}, of which {failed} failed")
    print(f"budget    ${budget.spent_usd:.4f} of ${budget.limit_usd} spent, ${budget.held_usd:.4f} still reserved")


if __name__ == "__main__":
    main()
