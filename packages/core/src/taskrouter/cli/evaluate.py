"""`taskrouter evaluate`: every policy beside every model alone, on recorded outcomes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table
from typer.core import TyperCommand

from taskrouter.cli.output import JsonOption, emit_json, err, out, usd
from taskrouter.errors import ConfigurationError
from taskrouter.evaluation.baselines import Level
from taskrouter.evaluation.harness import evaluate
from taskrouter.evaluation.plot import check_plot, plot
from taskrouter.evaluation.recordings import Recording, read_recordings
from taskrouter.evaluation.report import PolicyScore, Report
from taskrouter.schemas import gathered_faults

FIT = "--fit"


class ManyFiles(TyperCommand):
    """Lets one `--fit` take several files, as a shell pattern gives them: `TEST... --fit TRAIN...`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Repeat `--fit` before each of its files; `ctx` is click's, which lives elsewhere in each Typer."""
        return super().parse_args(ctx, _repeat_fit(args))


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(name="evaluate", cls=ManyFiles)(_evaluate)


def _evaluate(
    test: Annotated[
        list[Path], typer.Argument(metavar="TEST...", help="Recordings to judge on (.jsonl or .jsonl.gz).")
    ],
    fit: Annotated[
        list[Path] | None,
        typer.Option(FIT, metavar="TRAIN...", help="Recordings to learn from; all files up to the next option."),
    ] = None,
    split: Annotated[
        float | None, typer.Option(min=0, max=1, help="Instead of --fit: learn from this random share of TEST.")
    ] = None,
    incumbent: Annotated[
        str | None, typer.Option(help="Model to compare with; by default the best one on TRAIN.")
    ] = None,
    step_identity: Annotated[
        bool, typer.Option("--step-identity/--no-step-identity", help="Whether policies see the task of a prompt.")
    ] = True,
    plot_file: Annotated[
        Path | None, typer.Option("--plot", metavar="FILE", help="Draw quality over cost (.png or .svg).")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of the split, the bootstrap and cross-validation.")] = 0,
    as_json: JsonOption = False,
) -> None:
    """Compare policies, and every model alone, on recorded outcomes of real models.

    A recording has one JSON document per line: a prompt, and for every model its score and cost. No model is called.
    """
    if plot_file is not None:
        check_plot(plot_file)
    judged, learned = _read(test, fit, split, seed)
    with err.status("") as status, gathered_faults() as faults:
        report = evaluate(
            judged,
            learned,
            incumbent=incumbent,
            step_identity=step_identity,
            seed=seed,
            progress=lambda doing: status.update(f"{doing} ..."),
        )
    _warn(report)
    _warn_of_schemas(faults)
    if plot_file is not None:
        plot(report, plot_file)
    if as_json:
        emit_json(report.to_dict())
    else:
        _show(report)
        if plot_file is not None:
            _say(f"Plot written to {plot_file}.")


def _repeat_fit(args: Sequence[str]) -> list[str]:
    """Turn `--fit a b --seed 1` into `--fit a --fit b --seed 1`."""
    repeated: list[str] = []
    inside = False
    for position, arg in enumerate(args):
        if arg == "--":
            return [*repeated, *args[position:]]
        if arg.startswith("-"):
            inside = arg == FIT or arg.startswith(f"{FIT}=")
        elif inside and args[position - 1] != FIT:
            repeated.append(FIT)
        repeated.append(arg)
    return repeated


def _read(
    test: Sequence[Path], fit: Sequence[Path] | None, split: float | None, seed: int
) -> tuple[Recording, Recording]:
    if fit and split is not None:
        raise ConfigurationError("--fit and --split exclude each other: name files to learn from, or split TEST")
    if fit:
        return read_recordings(test), read_recordings(fit)
    if split is None:
        raise ConfigurationError(
            "nothing to learn from: name recordings with --fit TRAIN.jsonl (after the TEST files), or pass --split 0.7 "
            "to learn from a random 70 % of TEST and judge on the rest"
        )
    learned, judged = read_recordings(test).split(split, seed=seed)
    return judged, learned


def _warn(report: Report) -> None:
    if report.leak:
        _caution(
            f"{report.overlap} of {report.prompts} test prompts were also trained on: policies that use labels look "
            "better than they are"
        )
    if report.unroutable:
        _caution(
            f"{report.unroutable} of {report.prompts} test prompts could not be routed (no eligible model, or a tool "
            "without a valid JSON Schema); they stayed with the incumbent"
        )
    if report.dropped_models:
        _caution(f"left out, for want of outcomes on every prompt: {', '.join(report.dropped_models)}")


def _warn_of_schemas(faults: set[str]) -> None:
    if faults:
        _caution(f"schemas of tools or answers with a fault deep inside: {len(faults)}, for example {min(faults)}")


def _caution(text: str) -> None:
    err.print(f"warning: {text}", style="yellow", markup=False, highlight=False, soft_wrap=True)


def _show(report: Report) -> None:
    _say(
        f"{report.prompts:,} prompts, {len(report.models)} models, learned from {report.train_prompts:,} prompts; "
        f"incumbent {report.incumbent.model}\n"
    )
    policies = _table("policy", "score", "USD/1k", "delta, points", "saving, %", "calls", "p50 s", "p95 s")
    for policy in report.policies:
        policies.add_row(*_policy_cells(policy), style="red" if policy.worse else None)
    out.print(policies, "")
    levels = _table("baseline", "score", "USD/1k", "delta, points", "saving, %")
    levels.add_column("")
    on_hull = {single.model for single in report.hull}
    for single in report.singles:
        mark = "incumbent" if single.model == report.incumbent.model else "hull" if single.model in on_hull else ""
        levels.add_row(*_level_cells(single.model, single, report.incumbent), mark)
    levels.add_row(*_level_cells("oracle", report.oracle, report.incumbent), "best per prompt")
    levels.add_row(*_level_cells("random", report.random, report.incumbent), "any model")
    out.print(levels, "")
    _say(_verdict(report))


def _say(text: str) -> None:
    out.print(text, markup=False, highlight=False, soft_wrap=True)


def _table(first: str, *headings: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column(first, overflow="fold")
    for heading in headings:
        table.add_column(heading, justify="right", no_wrap=True)
    return table


def _policy_cells(policy: PolicyScore) -> list[str]:
    low, high = policy.delta_ci
    saving = "-"
    if policy.saving is not None and policy.saving_ci is not None:
        saving = f"{100 * policy.saving:.0f} [{100 * policy.saving_ci[0]:.0f}, {100 * policy.saving_ci[1]:.0f}]"
    return [
        policy.name,
        f"{policy.score:.3f}",
        _per_thousand(policy.cost_usd),
        f"{policy.delta_points:+.1f} [{low:+.1f}, {high:+.1f}]",
        saving,
        f"{policy.calls_per_prompt:.2f}",
        _seconds(policy.latency_p50_s),
        _seconds(policy.latency_p95_s),
    ]


def _level_cells(name: str, level: Level, base: Level) -> list[Any]:
    saving = f"{100 * (1 - level.cost_usd / base.cost_usd):.0f}" if base.cost_usd else "-"
    delta = f"{100 * (level.score - base.score):+.1f}"
    return [name, f"{level.score:.3f}", _per_thousand(level.cost_usd), delta, saving]


def _per_thousand(cost_usd: float) -> str:
    return usd(1000 * cost_usd).removeprefix("$")


def _seconds(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def _verdict(report: Report) -> str:
    worse = [policy.name for policy in report.policies if policy.worse and policy.name != "default"]
    intervals = "Brackets: 95 % intervals, paired bootstrap over prompts. Every call is charged."
    if report.leak:
        intervals += " Test prompts were trained on: policies with labels look better than they are."
    if not worse:
        return f"{intervals}\nNo policy is significantly worse than the incumbent."
    return f"{intervals}\nSignificantly worse than the incumbent: {', '.join(worse)}."
