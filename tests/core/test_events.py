"""Plugins watch: they see every decision, attempt and outcome, and their failures stay their own."""

from __future__ import annotations

import re

import pytest

from taskrouter import Attempt, Decision, ModelCard, Outcome, Router, Step, hookimpl

STEP = Step(messages=[{"role": "user", "content": "Say hello."}])
POOL = [ModelCard(id=name, model=f"house/{name}", input_usd_per_million=1.0) for name in ("first", "second")]


class Watcher:
    def __init__(self) -> None:
        self.seen: list[tuple[str, object]] = []

    @hookimpl
    def taskrouter_decided(self, decision: Decision) -> None:
        self.seen.append(("decided", decision.id))

    @hookimpl
    def taskrouter_attempted(self, decision: Decision, attempt: Attempt) -> None:
        self.seen.append(("attempted", (decision.id, attempt.model, attempt.status)))

    @hookimpl
    def taskrouter_completed(self, outcome: Outcome[object]) -> None:
        self.seen.append(("completed", outcome.decision_id))


class Clumsy:
    @hookimpl
    def taskrouter_decided(self) -> None:
        raise RuntimeError("decided")

    @hookimpl
    def taskrouter_attempted(self) -> None:
        raise RuntimeError("attempted")

    @hookimpl
    def taskrouter_completed(self) -> None:
        raise RuntimeError("completed")


class Leaving:
    @hookimpl
    def taskrouter_decided(self) -> None:
        raise KeyboardInterrupt


def only_second(model: str) -> str:
    if model == "first":
        raise ValueError("no")
    return "hello"


def router(*plugins: object) -> Router:
    return Router(POOL, "first", plugins=plugins, config={"execution": {"retries": 0}})


def test_a_plugin_sees_the_decision_every_attempt_and_the_outcome_in_order() -> None:
    watcher = Watcher()
    outcome = router(watcher).run(STEP, only_second)
    done = outcome.decision_id
    assert watcher.seen == [
        ("decided", done),
        ("attempted", (done, "first", "failed")),
        ("attempted", (done, "second", "ok")),
        ("completed", done),
    ]


async def test_a_plugin_sees_the_same_of_asynchronous_steps_and_streams() -> None:
    async def call(model: str) -> str:
        return only_second(model)

    watcher = Watcher()
    shared = router(watcher)
    await shared.arun(STEP, call)
    assert list(shared.run_stream(STEP, lambda model: iter([only_second(model)]))) == ["hello"]
    kinds = [kind for kind, _ in watcher.seen]
    assert kinds == ["decided", "attempted", "attempted", "completed"] * 2


def test_a_step_without_an_answer_is_not_completed() -> None:
    watcher = Watcher()
    with pytest.raises(ExceptionGroup):
        router(watcher).run(STEP, lambda model: "")
    assert [kind for kind, _ in watcher.seen] == ["decided", "attempted", "attempted"]


def test_a_plugin_that_fails_is_logged_and_costs_nobody_the_answer(caplog: pytest.LogCaptureFixture) -> None:
    watcher = Watcher()
    assert router(watcher, Clumsy()).run(STEP, only_second).text == "hello"
    logged = [record.getMessage() for record in caplog.records if record.name == "taskrouter.plugins"]
    assert {re.sub(r":\d+$", "", said) for said in logged} == {
        f"a plugin failed in taskrouter_{kind}: RuntimeError at {__file__}"
        for kind in ("decided", "attempted", "completed")
    }


def test_an_interrupt_inside_a_plugin_is_still_an_interrupt() -> None:
    with pytest.raises(KeyboardInterrupt):
        router(Leaving()).route(STEP)
