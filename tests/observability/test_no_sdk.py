"""Where OpenTelemetry's SDK is not installed: everything works, and nobody is told anything."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path

SCRIPT = """
    import asyncio, logging, sys

    class NoSDK:
        def find_spec(self, name, *_):
            if name.startswith(("opentelemetry.sdk", "opentelemetry.exporter", "opentelemetry.proto")):
                raise ModuleNotFoundError(name)

    sys.meta_path.insert(0, NoSDK())
    logging.basicConfig(level=logging.WARNING)
    from opentelemetry.trace import INVALID_SPAN, get_current_span
    from taskrouter import AllAttemptsFailedError, NoEligibleModelError, Plan, Router, Step
    import dataclasses

    def card(name):
        return {"id": name, "base_url": "http://127.0.0.1:9", "context_tokens": 128_000}

    router = Router([card("a"), card("b"), card("c")], "a", config={"execution": {"retries": 0}})
    step = Step(messages=[{"role": "user", "content": "hello"}])
    chunk = {"choices": [{"delta": {"content": "hi"}, "finish_reason": "stop"}]}

    def dead(model):
        if model == "a":
            raise ConnectionError
        return "hi"

    def broken(model):
        raise ConnectionError

    async def acall(model):
        return "hi"

    async def achunks(model):
        yield chunk

    async def asynchronous():
        outcome = await router.arun(step, acall)
        return outcome.text + str(len([c async for c in router.arun_stream(step, achunks)]))

    outcome = router.run(step, dead)
    print(outcome.status, outcome.text)
    print(len(list(router.run_stream(step, lambda model: iter([chunk])))))
    print(asyncio.run(asynchronous()))
    agree = dataclasses.replace(router.route(step), plan=Plan(kind="agree", models=("b", "c", "a")), fallbacks=())
    print(router.run(step, lambda model: "hi", decision=agree).text)
    router.feedback(outcome.decision_id, 1.0)
    try:
        router.run(step, broken)
    except AllAttemptsFailedError:
        print("exhausted")
    try:
        router.run(Step(messages=[{"role": "user", "content": "x" * 2_000_000}]), broken)
    except NoEligibleModelError:
        print("refused")
    assert get_current_span() is INVALID_SPAN
    assert not [name for name in sys.modules if name.startswith("opentelemetry.sdk")]
    router.close()
"""


def test_without_an_sdk_everything_works_in_silence() -> None:
    command = [sys.executable, "-W", "error", "-c", textwrap.dedent(SCRIPT)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=Path(__file__).parents[2])
    assert done.stdout.split("\n") == ["fallback hi", "1", "hi1", "hi", "exhausted", "refused", ""], done.stderr
    # What the router itself warns of is there; OpenTelemetry and our use of it say nothing.
    assert [line for line in done.stderr.splitlines() if "elemetry" in line or "taskrouter.routing" not in line] == []
