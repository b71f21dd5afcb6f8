"""One agent, once, with its spans sent to a viewer: `python -m benchmarks.viewer.run AGENT ADDRESS PROJECT`.

Each agent is a process of its own, because OpenTelemetry is set up once per process. What the router did is printed as
one JSON document: it is what the viewer must show.
"""

from __future__ import annotations

import asyncio
import importlib.util
import io
import json
import os
import sys
import time
from collections.abc import Callable
from contextlib import redirect_stdout
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor
from opentelemetry.trace import format_trace_id

from taskrouter import Outcome, Router, hookimpl, simulator
from taskrouter.cli.demo_scene import Scene, simulated
from taskrouter.config import TelemetryConfig
from taskrouter.observability import configure
from taskrouter.plugins import load_plugins, offered, registered
from taskrouter.ports import Demo

ROOT = Path(__file__).parents[2]


class Watcher:
    """A plugin that keeps what came of each step."""

    def __init__(self) -> None:
        self.steps: list[dict[str, Any]] = []

    @hookimpl
    def taskrouter_completed(self, outcome: Outcome[Any]) -> None:
        """Keep an outcome."""
        self.steps.append(step_of(outcome))


class Counter(SpanProcessor):
    """Counts what was sent."""

    def __init__(self) -> None:
        self.spans = 0

    def on_end(self, span: ReadableSpan) -> None:  # noqa: ARG002 - the SDK's signature
        """Count a span."""
        self.spans += 1


def step_of(outcome: Outcome[Any]) -> dict[str, Any]:
    """What a viewer must show of a step."""
    return {
        "task_type": outcome.decision.profile.task_type,
        "decision_id": outcome.decision.id,
        "visits": visits_of(outcome),
        "input_tokens": outcome.usage.input_tokens,
        "output_tokens": outcome.usage.output_tokens,
    }


def visits_of(outcome: Outcome[Any]) -> list[dict[str, Any]]:
    """The endpoints that were turned to, in order: retries of one are one span."""
    visits: list[dict[str, Any]] = []
    for attempt in outcome.attempts:
        same = visits and (visits[-1]["endpoint"], visits[-1]["role"]) == (attempt.endpoint_id, attempt.role)
        if not same:
            visits.append({"endpoint": attempt.endpoint_id, "role": attempt.role})
        visits[-1]["error_type"] = attempt.error_type
    return visits


def langgraph(watcher: Watcher, telemetry: TelemetryConfig) -> None:
    """The agent of `taskrouter demo`; one of its models is down."""
    agent: Demo = offered(registered(load_plugins(), "taskrouter_demos"), "demo")["langgraph"]
    models, pool = simulated()
    with simulator.serve(models) as server:
        config = pool(server.base_url).model_copy(update={"telemetry": telemetry})
        scene = Scene(config=config, demo=agent, docs=ROOT / "docs", base_url=server.base_url)
        scene.run("router", "router", seen=lambda outcome: watcher.steps.append(step_of(outcome)))


def llamaindex(watcher: Watcher, telemetry: TelemetryConfig) -> None:
    """`examples/llamaindex_rag.py`."""
    _example("llamaindex_rag", watcher, telemetry).main()


def autogen(watcher: Watcher, telemetry: TelemetryConfig) -> None:
    """`examples/autogen_team.py`, with AutoGen's own spans of agents."""
    asyncio.run(_example("autogen_team", watcher, telemetry).main())


@dataclass(frozen=True, slots=True)
class Agent:
    """What is run."""

    run: Callable[[Watcher, TelemetryConfig], None]
    instrument: Callable[[], None] | None = None
    """Switches OpenInference's spans of the framework on: it counts the tokens then."""


def _openinference_langchain() -> None:
    from openinference.instrumentation.langchain import LangChainInstrumentor

    LangChainInstrumentor().instrument()


def _openinference_llama_index() -> None:
    from openinference.instrumentation.llama_index import LlamaIndexInstrumentor

    LlamaIndexInstrumentor().instrument()


AGENTS = {
    "langgraph": Agent(langgraph),
    "llamaindex": Agent(llamaindex),
    "autogen": Agent(autogen),
    "langgraph-openinference": Agent(langgraph, _openinference_langchain),
    "llamaindex-openinference": Agent(llamaindex, _openinference_llama_index),
}


def _example(name: str, watcher: Watcher, telemetry: TelemetryConfig) -> Any:
    spec = importlib.util.spec_from_file_location(name, ROOT / "examples" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module: Any = ModuleType(name)
    spec.loader.exec_module(module)
    module.Printer = lambda: watcher
    module.Router = partial(Router, config={"telemetry": telemetry.model_dump()})
    return module


def main(name: str, address: str, project: str) -> None:
    """Run the agent in one span and print what it did."""
    agent = AGENTS[name]
    os.environ["AUTOGEN_DISABLE_RUNTIME_TRACING"] = "true"  # its messages between agents: 38 spans that hide the rest
    watcher = Watcher()
    started_s = time.monotonic()
    with configure(address, f"taskrouter-{name}", project=project), redirect_stdout(io.StringIO()):
        sdk: Any = trace.get_tracer_provider()
        sdk.add_span_processor(counter := Counter())
        if agent.instrument is not None:
            agent.instrument()
        tracer = trace.get_tracer("taskrouter.viewer_check")
        with tracer.start_as_current_span(f"{name} agent", attributes={"openinference.span.kind": "AGENT"}) as span:
            agent.run(watcher, TelemetryConfig(usage_owner="taskrouter" if agent.instrument is None else "framework"))
            trace_id = format_trace_id(span.get_span_context().trace_id)
    seconds = time.monotonic() - started_s
    counted = {"trace_id": trace_id, "spans": counter.spans, "run_s": seconds, "steps": watcher.steps}
    print(json.dumps({"agent": name, **counted}))


if __name__ == "__main__":
    main(*sys.argv[1:])
