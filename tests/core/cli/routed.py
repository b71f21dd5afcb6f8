"""Ledgers that commands read: written by a real router whose calls are this module's functions."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from taskrouter import ModelCard, Router, Step, StepContext
from taskrouter.errors import RateLimited
from taskrouter.ledger import POOLS, Ledger, Pool, Record
from taskrouter.profile import TASK_TYPES
from taskrouter.state.opening import open_store
from taskrouter.state.store import Entry

INPUT_TOKENS, OUTPUT_TOKENS = 1000, 100


def card(name: str, price: float, quality: float) -> ModelCard:
    return ModelCard.model_validate(
        {
            "id": name,
            "model": f"house/{name}",
            "context_tokens": 100_000,
            "input_usd_per_million": price,
            "output_usd_per_million": price,
            "quality": {task: {"mean": quality, "source": "our own test"} for task in TASK_TYPES},
        }
    )


CARDS = [card("small", 1.0, 0.90), card("large", 10.0, 0.90)]


def kept(url: str, **config: Any) -> Router:
    """A router that sends what it knows to `small`, a tenth of the price of `large`."""
    settings = {"execution": {"retries": 0}, "state": {"url": url, "refresh_s": 0.1}, **config}
    return Router(CARDS, "large", "balanced", config=settings)


def ask(router: Router, *, failing: tuple[str, ...] = (), served: str | None = None, **context: Any) -> str:
    """Make a step of a known task; return its id."""

    def call(model: str) -> dict[str, Any]:
        if model in failing:
            raise RateLimited(model)
        return {
            "model": served or model,
            "choices": [{"message": {"content": "Hi"}, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": INPUT_TOKENS, "completion_tokens": OUTPUT_TOKENS},
        }

    step = Step(messages=[{"role": "user", "content": "Hello"}], task_type="extraction", context=StepContext(**context))
    return router.run(step, call).decision_id


def price(url: str) -> None:
    """Tell the store what the models cost, for every decision in it."""
    with Ledger.open(url) as ledger:
        versions = {record.policy_version for record in ledger.records()}
    pool = Pool(incumbent="large", policy="balanced", models={one.id: one for one in CARDS})
    store = open_store(url)
    store.put(POOLS, {version: Entry(value=pool.model_dump_json()) for version in versions})
    store.close()


def records(url: str) -> list[Record]:
    with Ledger.open(url) as ledger:
        return list(ledger.records())


def written(folder: Path, steps: int = 3, **context: Any) -> str:
    """The address of a ledger with some steps, the last of which fell back."""
    url = f"sqlite:///{folder}/taskrouter.db"
    with kept(url) as router:
        for _ in range(steps - 1):
            ask(router, agent="clerk", node="extract", **context)
        ask(router, failing=("small",), agent="clerk", node="answer", **context)
    price(url)
    return url


if __name__ == "__main__":
    with kept(sys.argv[1]) as routing:
        print("ready", flush=True)
        for line in sys.stdin:
            print(ask(routing, agent="live", node=line.strip()), flush=True)
