"""What other processes do in the tests of shared state: functions that a fresh interpreter can import."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

from taskrouter import BudgetExceededError, Router, Step, StepContext
from taskrouter.errors import TaskRouterError
from taskrouter.state.opening import open_store

HELLO = [{"role": "user", "content": "Hello"}]
REFRESH_S = 0.1
PATIENCE_S = 30.0


def shared_router(url: str, refresh_s: float = REFRESH_S, **config: Any) -> Router:
    """A router of two models whose calls are the test's own functions."""
    price = {"input_usd_per_million": 1.0, "output_usd_per_million": 1.0}
    return Router.from_config(
        {
            "router": {"incumbent": "first"},
            "models": [{"id": name, "model": f"house/{name}", **price} for name in ("first", "second")],
            "execution": {"retries": 0},
            "health": {"failures": 2, "open_s": 60.0},
            "state": {"url": url, "refresh_s": refresh_s},
            **config,
        }
    )


def ask(router: Router, failing: str = "", **context: str) -> str:
    """Make a step in which one model may fail; return which one answered, or `refused`."""

    def call(model: str) -> dict[str, Any]:
        if model == failing:
            raise ConnectionError("reset")
        return {"choices": [{"message": {"content": "Hi"}, "finish_reason": "stop"}]}

    step = Step(messages=HELLO, context=StepContext(**context), payload={"max_tokens": 8})  # type: ignore[arg-type]
    try:
        return router.run(step, call).model
    except BudgetExceededError:
        return "refused"


def breaker(router: Router, model: str = "first") -> str:
    return next(state.breaker for state in router.health() if state.id == model)


def wait_until(holds: Callable[[], bool], timeout_s: float = PATIENCE_S) -> float:
    """Wait until something holds; return the seconds that it took."""
    began_s = time.monotonic()
    while not holds():
        assert time.monotonic() - began_s < timeout_s, "it never came to that"
        time.sleep(0.002)
    return time.monotonic() - began_s


def open_breaker(url: str) -> str:
    """Open a breaker in a process of its own, and end without closing the router."""
    router = shared_router(url, refresh_s=3600.0)
    while breaker(router) == "closed":
        ask(router, failing="first")
    return breaker(router)


def spend_steps(url: str, count: int) -> list[str]:
    """Make steps of one run in a process of its own."""
    with shared_router(url, budget={"run": {"steps": 10, "tokens": 1_000_000}}) as router:
        return [ask(router, run_id="ours") for _ in range(count)]


def give_feedback(url: str, decision_id: str) -> str:
    """Give feedback, and say whether it was taken."""
    router = shared_router(url)
    try:
        router.feedback(decision_id, 1.0)
    except TaskRouterError as error:
        return str(error)
    return "kept"


def feedback_in(url: str) -> list[dict[str, Any]]:
    """Return what a store has of feedback, in order."""
    store = open_store(url)
    found = [json.loads(record.text) for record in store.read("feedback")]
    store.close()
    return found
