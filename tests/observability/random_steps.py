"""Steps as chance has them: agents, tenants, plans, streams, failures, retries, hedges, trials, unknown prices."""

from __future__ import annotations

import asyncio
import dataclasses
import random
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from tests.core.observability.recorder import Recorder, card
from tests.watcher import Watcher

from taskrouter import Plan, Router, RoutingError, Step, StepContext, TaskRouterError, hookimpl

PRICED, UNPRICED = ("first", "second", "third", "eu"), "unpriced"
TASKS = ("chat", "summarization", "reasoning", "code_generation", None)
SOURCES = ("user", "judge", "somebody@example.com")
STATUSES = (400, 429, 500, 503)
RULES = [{"name": "cheap", "when": {"agent": "agent-1*"}, "use": ["second", "third", UNPRICED]}]
SHADOW = {"share": 0.2, "plans": ["second"], "queued": 10_000}


class Broken(Exception):  # noqa: N818 - it plays a client's error
    """What a client raises."""

    def __init__(self, status: int) -> None:
        super().__init__("canary")
        self.status_code = status


class Everything(Watcher):
    """Keeps every call, of trials too, and reads a number out of an answer."""

    @hookimpl
    def taskrouter_answers(self) -> dict[str, Any]:
        return {"first letter": lambda step, view: view.text[:1] or None}


class Chance:
    """A router and models that do what chance wants."""

    def __init__(self, recorder: Recorder, seed: int, **execution: Any) -> None:
        self.rng, self.watcher = random.Random(seed), Everything()
        unpriced = {"input_usd_per_million": None, "output_usd_per_million": None, "cached_input_usd_per_million": None}
        pool = [card(name) for name in PRICED[:3]]
        pool += [card("eu", deployments=[{"name": "a"}, {"name": "b"}]), card(UNPRICED, **unpriced)]
        self.router = recorder.router(
            pool,
            plugins=[self.watcher],
            rules=RULES,
            execution={"retries": 1, "backoff_max_s": 0.001, "buffer_streams": True, **execution},
            health={"failures": 1000},
            shadow=SHADOW,
            router={"seed": seed},
        )

    def step(self) -> Step:
        """A step of some agent of some tenant, in a run of its own."""
        one = self.rng.randrange(1_000_000)
        context = StepContext(
            agent=f"agent-{one % 300}",
            node=self.rng.choice([None, "draft", "review"]),
            run_id=f"run-{one}",
            session_id=f"session-{one}",
            tenant=f"tenant-{one % 70}",
            index=one % 9,
        )
        asked = [{"role": "user", "content": f"What is {one} + 25?"}]
        return Step(messages=asked, context=context, task_type=self.rng.choice(TASKS))

    def call(self, model: str) -> Any:
        """Answer, or fail in one of many ways."""
        chance = self.rng.random()
        if chance < 0.1:
            raise Broken(self.rng.choice(STATUSES))
        if chance < 0.14:
            raise ConnectionError("canary")
        if chance < 0.17:
            raise TimeoutError("canary")
        text = "" if chance < 0.2 else str(self.rng.randrange(3))
        return _answer(text, None if chance < 0.3 else self._usage())

    def chunks(self, model: str) -> Iterator[Any]:
        """Stream, or fail before or after the first word."""
        if self.rng.random() < 0.1:
            raise Broken(self.rng.choice(STATUSES))
        yield _chunk("4")
        if self.rng.random() < 0.1:
            raise ConnectionError("canary")
        yield _chunk("2", "stop", usage=None if self.rng.random() < 0.2 else self._usage())

    def decided(self, step: Step, *, streamed: bool = False) -> Any:
        """A plan of chance's own for some steps; None: the router is to decide."""
        kind: Any = self.rng.choice(["single", "gate", "agree", None])
        decision = self.router.route(step, streamed=streamed)
        if kind is None or set(decision.ranking[0].plan.models) <= {"second", "third", UNPRICED}:
            return decision
        models = self.rng.sample([*PRICED, UNPRICED], 1 if kind == "single" else 3)
        return dataclasses.replace(decision, plan=Plan(kind=kind, models=tuple(models)), fallbacks=("first",))

    def _usage(self) -> dict[str, Any]:
        cached = self.rng.choice([0, 0, 13])
        return {
            "prompt_tokens": self.rng.randrange(20, 5000),
            "completion_tokens": self.rng.randrange(1, 900),
            "prompt_tokens_details": {"cached_tokens": cached},
        }

    # --- ways to ask --------------------------------------------------------------------------------------------

    def plain(self) -> None:
        """Ask; a part of the answers is compared behind the calls."""
        step = self.step()
        self.router.run(step, self.call, decision=self.decided(step), shadow=True)

    def awaited(self) -> None:
        """Ask without blocking."""
        step = self.step()

        async def call(model: str) -> Any:
            await asyncio.sleep(0)
            return self.call(model)

        asyncio.run(_run(self.router, step, call, self.decided(step)))

    def streamed(self) -> None:
        """Read a stream, some of them not to the end."""
        step = self.step()
        with self.router.run_stream(step, self.chunks, decision=self.decided(step, streamed=True)) as stream:
            for number, _ in enumerate(stream):
                if number == 0 and self.rng.random() < 0.2:
                    break

    def refused(self) -> None:
        """Ask for what no model can take."""
        self.router.run(Step(messages=[{"role": "user", "content": "x" * 2_000_000}]), self.call)

    def judged(self) -> None:
        """Ask, and say how it was."""
        step = self.step()
        outcome = self.router.run(step, self.call)
        self.router.feedback(outcome.decision_id, self.rng.random(), source=self.rng.choice(SOURCES))

    def go(self, steps: int) -> None:
        """Take as many steps."""
        ways: Sequence[Callable[[], None]] = [self.plain, self.awaited, self.streamed, self.judged]
        for number in range(steps):
            way = self.refused if number % 100 == 99 else self.rng.choice(ways)
            try:
                way()
            except (TaskRouterError, RoutingError):
                continue
        assert self.router.shadow is not None
        assert self.router.shadow.wait(120)

    def hedged(self, steps: int) -> None:
        """Take steps whose first call is slow, so that a second one is made beside it."""
        for _ in range(30):
            self.router._health.admit("first", time.monotonic())
            self.router._health.succeeded("first", time.monotonic(), latency_s=0.001)

        async def call(model: str) -> Any:
            if model == "first":
                await asyncio.Event().wait()
            return _answer("42", self._usage())

        for _ in range(steps):
            step = dataclasses.replace(self.step(), context=StepContext(agent="hedger"))
            asyncio.run(_run(self.router, step, call, None))


async def _run(router: Router, step: Step, call: Any, decision: Any) -> None:
    await router.arun(step, call, decision=decision)


def _answer(text: str, usage: Any) -> dict[str, Any]:
    choice = {"message": {"content": text}, "finish_reason": "stop"}
    return {"choices": [choice], **({} if usage is None else {"usage": usage})}


def _chunk(text: str, finish: str | None = None, usage: Any = None) -> dict[str, Any]:
    choice = {"delta": {"content": text}, "finish_reason": finish}
    return {"choices": [choice], **({} if usage is None else {"usage": usage})}
