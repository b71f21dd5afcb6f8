"""The router without a framework: decide, call, explain. Runs against simulated models: no key, no network.

    pip install 'taskrouter[openai,simulate]'
    python examples/core_router.py

With real models, leave the simulator out and name them: `Router(["openai/gpt-4.1-mini", "openai/gpt-4o"], ...)`.
"""

from __future__ import annotations

from typing import Any

from taskrouter import Router, Step, StepContext, simulator


def pool(base_url: str) -> dict[str, dict[str, Any]]:
    """Return two simulated models. The catalogue knows real ones; of these we have to say everything."""
    shared: dict[str, Any] = {"base_url": base_url, "context_tokens": 128_000, "capabilities": {"tools": True}}
    small = {"model": "sim-small", "input_usd_per_million": 0.10, "output_usd_per_million": 0.40}
    large = {"model": "sim-large", "input_usd_per_million": 3.00, "output_usd_per_million": 15.00}
    return {
        "small": shared | small | {"quality": {"extraction": {"mean": 0.94, "source": "invented"}}},
        "large": shared | large | {"quality": {"extraction": {"mean": 0.95, "source": "invented"}}},
    }


def main() -> None:
    step = Step(
        messages=[
            {"role": "system", "content": "You extract data. Reply with the value alone."},
            {"role": "user", "content": "Extract the invoice number.\n\nInvoice number: INV-2041. Total: 310 EUR."},
        ],
        context=StepContext(agent="clerk", node="extract"),
    )
    with (
        simulator.serve() as server,
        Router(pool(server.base_url), incumbent="large", policy="balanced") as router,
    ):
        decision = router.route(step)  # nothing is sent
        outcome = router.complete(step, decision=decision)
    print(decision.explain())
    print(f"answer    {outcome.text}")
    print(f"outcome   {outcome.status}, {len(outcome.attempts)} attempt, ${outcome.cost_usd:.6f}")


if __name__ == "__main__":
    main()
