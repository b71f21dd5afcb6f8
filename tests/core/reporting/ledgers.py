"""A ledger as a week of work leaves it: a real router decides and calls simulated models, then time is put in.

Several agents, tenants and kinds of task; fallbacks, agreement, escalation, shadows, cancelled and unanswered steps,
labels, breakers, answers of another model than was asked for.
"""

from __future__ import annotations

import json
import math
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from taskrouter import ResponseView, Router, Step, StepContext, ToolCall
from taskrouter.decision import Loss, Plan
from taskrouter.errors import TaskRouterError
from taskrouter.learning import Branch, LearnedPolicy, Reckoning
from taskrouter.learning.files import write_policy
from taskrouter.ledger import DECISIONS, EVENTS, POOLS, Pool
from taskrouter.ledger.reading import FEEDBACK
from taskrouter.outcome import Usage
from taskrouter.state.opening import open_store
from taskrouter.state.store import Entry

NOW_S = 1_780_000_000.0
"""The end of the week: 2026-05-28, 20:26 UTC."""
DAY_S = 86_400.0
INCUMBENT = "gpt-large"
MODELS = {
    "gpt-large": ("openai/gpt-4o", 2.5, 10.0),
    "gpt-mini": ("openai/gpt-4o-mini", 0.15, 0.6),
    "llama-70b": ("groq/llama-3.3-70b-versatile", 0.59, 0.79),
    "claude-haiku": ("anthropic/claude-haiku-4-5", 1.0, 5.0),
}
"""Model string, and prices of a million tokens in and out."""
SPEED_S = {"gpt-large": 4.2, "gpt-mini": 1.6, "llama-70b": 0.7, "claude-haiku": 1.9}
RIGHT = {"gpt-large": 0.94, "gpt-mini": 0.945, "llama-70b": 0.9, "claude-haiku": 0.955}
SEARCH = {
    "type": "function",
    "function": {
        "name": "search",
        "parameters": {"type": "object", "properties": {"query": {"type": "string"}}, "required": ["query"]},
    },
}


class Kind(NamedTuple):
    """A kind of step."""

    agent: str
    node: str
    text: str
    tools: bool
    tokens: tuple[int, int]
    plans: dict[Plan, float]


def _one(model: str) -> Plan:
    return Plan(models=(model,))


KINDS = (
    Kind(
        "support",
        "triage",
        "Sort this ticket: my order has not arrived.",
        False,
        (900, 40),
        {_one("gpt-mini"): 0.8, _one("claude-haiku"): 0.1, _one("gpt-large"): 0.1},
    ),
    Kind(
        "support",
        "reply",
        "Write a polite reply to the customer.",
        False,
        (1500, 320),
        {_one("claude-haiku"): 0.85, _one("gpt-large"): 0.15},
    ),
    Kind(
        "research",
        "plan",
        "Plan how to compare three vendors, step by step.",
        False,
        (2200, 700),
        {_one("gpt-large"): 0.85, _one("claude-haiku"): 0.15},
    ),
    Kind(
        "research",
        "lookup",
        "Find the latest figures.",
        True,
        (1800, 60),
        {Plan(kind="agree", models=("gpt-mini", "llama-70b", "gpt-large")): 1.0},
    ),
    Kind(
        "research",
        "summarise",
        "Sum up the following report in five sentences.",
        False,
        (5200, 260),
        {_one("gpt-mini"): 0.6, _one("llama-70b"): 0.2, _one("claude-haiku"): 0.1, _one("gpt-large"): 0.1},
    ),
    Kind(
        "coder",
        "write",
        "Write a Python function that parses a date.",
        False,
        (2600, 900),
        {Plan(kind="gate", models=("claude-haiku", "gpt-large")): 1.0},
    ),
)
TENANTS = ("acme", "globex", "initech", None)


def make(folder: Path, *, steps: int = 400, seed: int = 5, kinds: tuple[Kind, ...] = KINDS) -> str:
    """Make a ledger in a folder and return its address."""
    raw = f"sqlite:///{folder}/raw.db"
    rng = random.Random(seed)
    version = _route(raw, folder, seed, steps, kinds)
    url = f"sqlite:///{folder}/taskrouter.db"
    _put_time_in(raw, url, rng, version)
    return url


def _route(url: str, folder: Path, seed: int, steps: int, kinds: tuple[Kind, ...]) -> str:
    models = [{**card, "capabilities": {"tools": True}} for card in _cards()]
    rng = random.Random(seed)
    config = {
        "router": {"incumbent": INCUMBENT, "seed": 3},
        "profiling": {"classifier": "rules"},
        "models": models,
        "execution": {"retries": 0},
        "health": {"failures": 1000, "error_rate": 1.0, "down_s": 0.1},
        "shadow": {"share": 0.08, "plans": ["gpt-mini"], "usd_per_day": 100.0},
        "learning": {"policy": str(_policy(folder, kinds))},
        "state": {"url": url},
    }
    with Router.from_config(config) as router:
        for number in range(steps):
            _step(router, f"{seed} {number}", number, rng.choice(kinds))
            assert router.shadow is not None
            assert router.shadow.wait(30.0)
        return router.route(Step(messages=[{"role": "user", "content": "Hello"}])).policy_version


def _step(router: Router, fate: str, number: int, kind: Kind) -> None:
    rng = random.Random(fate)
    context = StepContext(
        agent=kind.agent,
        node=kind.node,
        index=number % 6,
        run_id=f"run-{number // 6}",
        tenant=TENANTS[number // 6 % len(TENANTS)],
    )
    step = Step(
        messages=[{"role": "user", "content": kind.text}], tools=[SEARCH] if kind.tools else [], context=context
    )
    chance = rng.random()
    cancelled, all_down = chance < 0.01, 0.01 < chance < 0.022
    down = "claude-haiku" if rng.random() < 0.06 else "llama-70b" if rng.random() < 0.05 else ""
    call = _caller(fate, kind, down, cancelled=cancelled, all_down=all_down)
    try:
        done = router.run(step, call, lambda native: native, shadow=True)
    except (KeyboardInterrupt, TaskRouterError):
        return
    if rng.random() < 0.35:
        router.feedback(done.decision_id, float(rng.random() < RIGHT[done.model]))


def _caller(fate: str, kind: Kind, down: str, *, cancelled: bool, all_down: bool) -> Callable[[str], ResponseView]:
    """Models as this step meets them: what each does is settled before, in whatever order they are asked."""
    rng = random.Random(f"{fate} all")
    asked = rng.choice(("sales 2025", "margins", "headcount"))
    cached = rng.random() < 0.3

    def call(model: str) -> ResponseView:
        if cancelled:
            raise KeyboardInterrupt
        rng = random.Random(f"{fate} {model}")
        if all_down or model == down:
            raise ConnectionError("reset") if rng.random() < 0.5 else TimeoutError("slow")
        given, written = kind.tokens
        spread = math.exp(rng.gauss(0.0, 0.35))
        usage = Usage(
            input_tokens=int(given * spread),
            output_tokens=max(1, int(written * spread)),
            cached_input_tokens=int(given * spread * 0.6) if cached else 0,
        )
        served = MODELS[model][0].split("/")[1]
        if model == "llama-70b" and rng.random() < 0.04:
            served = "llama-3.1-8b-instant"
        if kind.tools:
            query = asked if rng.random() < 0.85 else "something else"
            tool = ToolCall(name="search", arguments=json.dumps({"query": query}), id="c1")
            return ResponseView(tool_calls=(tool,), finish_reason="tool_calls", usage=usage, model=served)
        finish = "length" if kind.node == "write" and model == "claude-haiku" and rng.random() < 0.15 else "stop"
        return ResponseView(text="Done.", finish_reason=finish, usage=usage, model=served)

    return call


def _policy(folder: Path, kinds: tuple[Kind, ...]) -> Path:
    branches = {}
    for number, kind in enumerate(kinds):
        key = f"{kind.agent}/{kind.node}{'+tools' if kind.tools else ''}"
        loss = Loss(0.01 * number, -0.03 - 0.02 * number, 0.05 + 0.02 * number, "labels")
        if kind.plans:
            branches[key] = tuple(Branch(plan, share, loss) for plan, share in kind.plans.items())
    learned = LearnedPolicy(INCUMBENT, branches, dict.fromkeys(branches, 100), Reckoning(0.0, 0.0, 0.1, 100))
    path = folder / "policy.json"
    write_policy(path, learned, None)
    return path


def _put_time_in(raw: str, url: str, rng: random.Random, version: str) -> None:
    """Copy the ledger with times of a week, latencies as models have them, and what happened beside the steps."""
    source, target = open_store(raw), open_store(url)
    records = [json.loads(row.text) for row in source.read(DECISIONS, limit=1_000_000)]
    times: dict[str, float] = {}
    for number, record in enumerate(records):
        times[record["id"]] = record["at_s"] = NOW_S - 7 * DAY_S * (1 - (number + 0.5) / len(records))
        _slow(record, rng)
    labels = [json.loads(row.text) for row in source.read(FEEDBACK, limit=1_000_000)]
    for label in labels:
        label["at_s"] = times.get(label["decision_id"], NOW_S - DAY_S) + 60.0
    for start in range(0, len(records), 1000):
        target.append(DECISIONS, [json.dumps(record) for record in records[start : start + 1000]])
    target.append(FEEDBACK, [json.dumps(label) for label in labels])
    target.append(EVENTS, [json.dumps(event) for event in _events()])
    target.put(POOLS, {version: Entry(value=pool().model_dump_json())})
    source.close()
    target.close()


def pool() -> Pool:
    """What the models cost."""
    cards = {card["id"]: card for card in _cards()}
    return Pool.model_validate({"incumbent": INCUMBENT, "policy": "safe", "models": cards})


def _cards() -> list[dict[str, Any]]:
    return [
        {"id": id_, "model": model, "input_usd_per_million": price_in, "output_usd_per_million": price_out}
        for id_, (model, price_in, price_out) in MODELS.items()
    ]


def _slow(record: dict[str, Any], rng: random.Random) -> None:
    total_s = 0.0
    for call in record["outcome"]["calls"]:
        call["latency_s"] = round(SPEED_S[call["model"]] * math.exp(rng.gauss(0.0, 0.4)), 4)
        call["first_token_s"] = round(call["latency_s"] * 0.3, 4)
        total_s += call["latency_s"]
    record["outcome"]["latency_s"] = round(total_s, 4)


def _events() -> list[dict[str, Any]]:
    def breaker(days_ago: float, endpoint: str, state: str, why: str = "") -> dict[str, Any]:
        return {"kind": "breaker", "at_s": NOW_S - days_ago * DAY_S, "endpoint": endpoint, "state": state, "why": why}

    def refused(days_ago: float, error_type: str, tenant: str | None) -> dict[str, Any]:
        at_s = NOW_S - days_ago * DAY_S
        return {"kind": "refused", "at_s": at_s, "error_type": error_type, "agent": "research", "tenant": tenant}

    return [
        breaker(5.20, "claude-haiku", "open", "5 failures in a row, the last: timeout"),
        breaker(5.12, "claude-haiku", "closed"),
        breaker(3.4, "llama-70b", "open", "6 of 10 calls within 60 s failed, the last: connection"),
        breaker(3.0, "llama-70b", "closed"),
        refused(2.5, "budget_exceeded", "globex"),
        refused(2.4, "budget_exceeded", "globex"),
        refused(1.1, "no_eligible_model", "acme"),
        breaker(0.06, "llama-70b", "open", "5 failures in a row, the last: rate_limited"),
    ]
