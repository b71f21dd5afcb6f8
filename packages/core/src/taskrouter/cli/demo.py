"""`taskrouter demo`: a real agent, every step routed, called over HTTP, traced and priced."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib.resources import files
from pathlib import Path
from shutil import which
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich import box
from rich.table import Table

from taskrouter import simulator
from taskrouter.cli.demo_page import page
from taskrouter.cli.demo_scene import TASK, Run, Scene, simulated, step_row
from taskrouter.cli.output import JsonOption, emit_json, err, out, usd
from taskrouter.config import RouterConfig
from taskrouter.errors import ConfigurationError, ExecutionError, MissingExtraError
from taskrouter.observability.otlp_file import write_otlp_json
from taskrouter.outcome import Outcome
from taskrouter.plugins import load_plugins, offered, registered
from taskrouter.ports import Demo

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan, TracerProvider

_LOOK: dict[str, Any] = {"title_justify": "left", "box": box.SIMPLE_HEAD, "pad_edge": False, "padding": 0}
"""Narrow enough for a terminal of 80 columns."""
_SHORT = {
    "cheaper_within_loss": "within loss",
    "cheapest_above_floor": "above floor",
    "incumbent_no_cheaper": "none cheaper",
    "incumbent_unknown_task": "unknown task",
    "incumbent_no_evidence": "no evidence",
    "incumbent_demanding": "demanding",
}
POLICIES = ("safe", "balanced", "economy")


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("demo")(demo)


def demo(
    live: Annotated[Path | None, typer.Option(help="Use the real models of this configuration.")] = None,
    agent: Annotated[str | None, typer.Option(help="Which agent to run, where several are installed.")] = None,
    docs: Annotated[Path | None, typer.Option(help="Folder of Markdown files that the agent may search.")] = None,
    folder: Annotated[Path, typer.Option("--out", help="Where the trace and the report go.")] = Path("taskrouter-demo"),
    json: JsonOption = False,
) -> None:
    """Run an agent of several steps through the router, and compare it with every single model and policy."""
    chosen = _agent(agent)
    documents = _documents(docs)
    recorder = _Recorder.install()
    ledger = _new_ledger(folder)
    with _stage(live, chosen, documents, recorder.provider) as stage:
        scene = replace(stage, ledger=ledger)
        if not json:
            err.print(f"[bold]TaskRouter demo[/]  {chosen.summary}")
            err.print(f"Task: {TASK}\n", markup=False, highlight=False)
        tracer = recorder.provider.get_tracer("taskrouter.demo")
        with tracer.start_as_current_span("demo run", attributes={"openinference.span.kind": "AGENT"}):
            main = scene.run("router", "router", seen=lambda outcome: None if json else _progress(outcome))
        spans = recorder.finished()
        if main.error:
            raise ExecutionError(f"the demo's agent did not finish: {main.error}")
        others = [] if live else _alternatives(stage, quiet=json)
    trace, report = _write(folder, spans, page(main, others, simulated=live is None))
    if json:
        runs = {"run": main.to_dict(), "alternatives": [run.to_dict() for run in others]}
        files = {"trace": str(trace), "report": str(report), "ledger": str(ledger)}
        emit_json({**runs, **files, "simulated": live is None})
        return
    _show(main, others)
    if live is None:
        err.print("Simulated models, ten times faster than stated; prices and quality are invented.", style="dim")
    err.print(_further(trace, report, ledger), markup=False, highlight=False, soft_wrap=True)


@contextmanager
def _stage(live: Path | None, agent: Demo, docs: Path, provider: TracerProvider) -> Iterator[Scene]:
    """Set the stage: simulated models behind a local server, or the real ones of a configuration."""
    if live is not None:
        yield Scene(config=RouterConfig.load(live), demo=agent, docs=docs, tracer_provider=provider)
        return
    models, pool = simulated()
    with simulator.serve(models) as server:
        yield Scene(
            config=pool(server.base_url), demo=agent, docs=docs, base_url=server.base_url, tracer_provider=provider
        )


def _agent(name: str | None) -> Demo:
    agents: dict[str, Demo] = offered(registered(load_plugins(), "taskrouter_demos"), "demo")
    if not agents:
        raise ConfigurationError("no demo agent is installed: pip install 'langchain-taskrouter[demo]'")
    if name is not None and name not in agents:
        raise ConfigurationError(f"--agent: unknown agent {name!r}; installed: {', '.join(sorted(agents))}")
    return agents[name or min(agents)]


def _documents(given: Path | None) -> Path:
    folder = given or Path(str(files("taskrouter.cli") / "demo_docs"))
    if not any(folder.glob("*.md")):
        raise ConfigurationError(f"--docs: no Markdown files in {folder}; name a folder that has some")
    return folder


def _alternatives(scene: Scene, *, quiet: bool) -> list[Run]:
    plans: list[tuple[str, str, list[str] | None]] = [
        *((model.id, "single model", [model.id]) for model in scene.config.models),
        *((policy, "policy", None) for policy in POLICIES),
    ]
    untraced = replace(scene, tracer_provider=None)
    runs = []
    with err.status("") as status, _without_warnings():
        for name, kind, only in plans:
            if not quiet:
                status.update(f"the same task again with the {kind} {name!r}")
            runs.append(untraced.run(name, kind, only=only))
    return runs


@contextmanager
def _without_warnings() -> Iterator[None]:
    """Keep the log still: the model that is down fails alone too, as the table says."""
    logger = logging.getLogger("taskrouter.routing")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)


def _progress(outcome: Outcome[Any]) -> None:
    decision = outcome.decision
    via = f" after {len(outcome.attempts) - 1} failed calls to {decision.model}" if outcome.status == "fallback" else ""
    err.print(
        f"  {decision.context.node or '-':<12} {decision.profile.task_type:<16} -> {outcome.model}{via}",
        markup=False,
        highlight=False,
    )


def _show(main: Run, others: Sequence[Run]) -> None:
    steps = Table(title="Every step", **_LOOK)
    steps.add_column("#")
    steps.add_column("node", no_wrap=True)
    steps.add_column("task type", no_wrap=True)
    steps.add_column("model", no_wrap=True)
    for name in ("tries", "tokens", "cost", "time"):
        steps.add_column(name, justify="right", no_wrap=True)
    steps.add_column("why", no_wrap=True)
    for number, outcome in enumerate(main.outcomes, start=1):
        row = step_row(number, outcome)
        steps.add_row(
            *(str(row[key]) for key in ("step", "node", "task_type", "model", "attempts")),
            f"{row['input_tokens']}+{row['output_tokens']}",
            usd(row["cost_usd"]),
            f"{row['latency_s']:.2f} s",
            "fell back" if outcome.status == "fallback" else _SHORT.get(row["why"], row["why"].replace("_", " ")),
        )
    out.print(steps)
    totals = Table(title="The run against the alternatives", **_LOOK)
    for name in ("run", "kind", "result"):
        totals.add_column(name)
    for name in ("cost", "vs incumbent", "model time"):
        totals.add_column(name, justify="right")
    incumbent = main.outcomes[0].decision.incumbent
    reference = next((run.cost_usd for run in others if run.kind == "single model" and run.name == incumbent), None)
    for run in (main, *others):
        totals.add_row(
            run.name,
            run.kind,
            run.error or "answered",
            usd(run.cost_usd) if run.outcomes else "-",
            _relative(run, reference),
            f"{run.busy_s:.2f} s",
            style="bold" if run is main else None,
        )
    out.print(totals)


def _further(trace: Path, report: Path, ledger: Path) -> str:
    """Say what was written, and what to ask it. Commands are spelled so that they can be copied into the shell."""
    started = sys.argv[0] if Path(sys.argv[0]).stem == "taskrouter" else f"{sys.executable} -m taskrouter"
    command = "taskrouter" if which("taskrouter") else started
    kept = f"--state sqlite:///{ledger}"
    asked = (
        ("What it cost and saved", f"report {kept}"),
        ("Why the last step went where it went", f"explain last {kept}"),
        ("The trace in a viewer", f"view {trace}"),
    )
    questions = "\n".join(f"{question}:\n  {command} {words}" for question, words in asked)
    return f"trace   {trace}\nreport  {report}\nledger  {ledger}\n{questions}"


def _relative(run: Run, reference: float | None) -> str:
    if run.error or not reference or run.cost_usd is None:
        return "-"
    return f"{(run.cost_usd / reference - 1) * 100:+.0f} %"


def _new_ledger(folder: Path) -> Path:
    """Return where the run is recorded, without what an earlier one has left."""
    ledger = folder / "ledger.db"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for file in (ledger, *folder.glob("ledger.db-*")):
            file.unlink(missing_ok=True)
    except OSError as error:
        raise _not_writable(folder, error) from error
    return ledger


def _not_writable(folder: Path, error: OSError) -> ConfigurationError:
    return ConfigurationError(f"--out: {folder}: cannot be written: {error.strerror}")


def _write(folder: Path, spans: Sequence[ReadableSpan], html: str) -> tuple[Path, Path]:
    try:
        trace, report = folder / "trace.json", folder / "report.html"
        write_otlp_json(spans, trace)
        report.write_text(html, encoding="utf-8")
    except OSError as error:
        raise _not_writable(folder, error) from error
    return trace, report


@dataclass(frozen=True, slots=True)
class _Recorder:
    """Keeps the spans of the main run in memory."""

    provider: TracerProvider
    exporter: Any

    @classmethod
    def install(cls) -> _Recorder:
        try:
            from opentelemetry.sdk.resources import Resource  # noqa: PLC0415 - the SDK is the extra `otel`
            from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
            from opentelemetry.sdk.trace.export import SimpleSpanProcessor  # noqa: PLC0415
            from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter  # noqa: PLC0415
        except ModuleNotFoundError as error:
            raise MissingExtraError("opentelemetry-sdk", extra="otel", wanted_for="the demo's trace") from error
        exporter = InMemorySpanExporter()
        provider = TracerProvider(resource=Resource.create({"service.name": "taskrouter-demo"}))
        provider.add_span_processor(SimpleSpanProcessor(exporter))
        return cls(provider, exporter)

    def finished(self) -> Sequence[ReadableSpan]:
        spans: Sequence[ReadableSpan] = self.exporter.get_finished_spans()
        return spans
