"""Steps of every kind that telemetry knows, for tests that ask what is emitted at all."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from tests.core.learning.certified import certificate_of, policy_of
from tests.core.observability.recorder import HELLO, STEP, Recorder, card, completion

from taskrouter import AllAttemptsFailedError, Plan, Router, RoutingError, Step, StepContext
from taskrouter.learning import identify
from taskrouter.learning.files import write_policy

CONTEXT = StepContext(agent="writer", node="draft", index=3, run_id="run-1", session_id="talk-1", tenant="acme")
TOOL = {"type": "function", "function": {"name": "look_up", "parameters": {"type": "object", "properties": {}}}}
PLACED = Step(messages=STEP.messages, task_type="chat", context=CONTEXT)
ASKED = Step(
    messages=[{"role": "system", "content": "Be brief."}, *STEP.messages],
    tools=[TOOL],
    task_type="chat",
    context=CONTEXT,
)


class Unwell(Exception):  # noqa: N818 - it plays a client's error with an HTTP status
    status_code = 503


def answering(*failing: str) -> Callable[[str], Any]:
    """Calls that answer, but for those of some models."""

    def call(model: str) -> Any:
        if model in failing:
            raise Unwell
        return completion()

    return call


def play(recorder: Recorder, directory: Path) -> None:
    """Make a recorder see everything: answers, streams, plans, failures, refusals, labels, breakers and content."""
    with recorder.router() as router:
        _answered(router)
        _failed(router)
        _judged(router)
    _planned(recorder)
    _forced(recorder)
    _certified(recorder, directory)
    with recorder.router(telemetry={"usage_owner": "framework", "content": "SPAN_ONLY"}) as captured:
        captured.run(ASKED, answering())


def _answered(router: Router) -> None:
    outcome = router.run(PLACED, answering())
    list(router.run_stream(PLACED, lambda model: iter(HELLO)))
    trial = dataclasses.replace(router.route(PLACED), of=outcome.decision_id, policy="trial")
    router.run(PLACED, answering(), decision=trial)


def _failed(router: Router) -> None:
    router.run(PLACED, answering("first"))
    with suppress(AllAttemptsFailedError):
        router.run(PLACED, answering("first", "second"))
    with suppress(RoutingError):
        router.run(dataclasses.replace(PLACED, messages=[{"role": "user", "content": "x" * 2_000_000}]), answering())
    for state in ("open", "down", "closed"):
        router._telemetry.breaker("first", state)


def _judged(router: Router) -> None:
    router.feedback(router.run(PLACED, answering()).decision_id, 1.0)
    router.feedback_run("run-1", 0.5, source="judge")


def _planned(recorder: Recorder) -> None:
    with recorder.router([card(name) for name in ("a", "b", "first")]) as router:
        plan = Plan(kind="agree", models=("a", "b", "first"))
        router.run(PLACED, answering(), decision=dataclasses.replace(router.route(PLACED), plan=plan, fallbacks=()))


def _forced(recorder: Recorder) -> None:
    """Call a deployment although its breaker is open: there is no other."""
    with recorder.router([card("first", deployments=[{"name": "eu"}])], health={"failures": 1}) as router:
        for calls in (answering("first"), answering()):
            with suppress(AllAttemptsFailedError):
                router.run(PLACED, calls)


def _certified(recorder: Recorder, directory: Path) -> None:
    """Follow a learned policy that has a certificate."""
    with recorder.router() as router:
        identity = identify(PLACED, router.route(PLACED).profile).key
    policy = policy_of({identity: "second"}, incumbent="first")
    write_policy(directory / "policy.json", policy, certificate_of(policy))
    with recorder.router(learning={"policy": str(directory / "policy.json")}) as router:
        router.run(PLACED, answering())
