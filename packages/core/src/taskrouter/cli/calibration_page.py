"""What `taskrouter calibrate` prints for people."""

from __future__ import annotations

from collections.abc import Mapping

from rich.markup import escape
from rich.table import Table

from taskrouter.calibration import CalibrationReport, IdentityReport, ModelReport
from taskrouter.calibration.report import GOOD_FROM, WORKS_FROM, Interval
from taskrouter.cli.output import err, out, usd

_STANDING = {
    "too few": f"too few labels: works from {WORKS_FROM}",
    "few": f"works; good from {GOOD_FROM}",
    "unsure": "unsure",
    "good": "good",
}


def show(report: CalibrationReport) -> None:
    """Print a report."""
    for note in report.notes:
        err.print(f"note: {note}", style="yellow", markup=False, highlight=False, soft_wrap=True)
    out.print(_models(report))
    out.print()
    out.print(_identities(report))
    out.print()
    for line in _lines(report):
        out.print(line, markup=False, highlight=False, soft_wrap=True)


def _models(report: CalibrationReport) -> Table:
    table = Table(box=None, pad_edge=False)
    for name in ("model", "cases"):
        table.add_column(name, justify="left" if name == "model" else "right")
    for name in ("quality, %", "against incumbent", "USD/1k", ""):
        table.add_column(name, justify="left" if not name else "right")
    for model in report.models:
        table.add_row(
            escape(model.model),
            str(model.graded),
            _percent(model.quality),
            "" if model.incumbent else _points(model.gain),
            "unknown" if model.cost_usd is None else f"{1000 * model.cost_usd:.4g}",
            escape(_remarks(model)),
        )
    return table


def _remarks(model: ModelReport) -> str:
    said = [name for name, is_so in (("incumbent", model.incumbent), ("new", model.new)) if is_so]
    for word, counts in (("failed", model.failed), ("not graded", model.skipped), ("may not take", model.barred)):
        if counts:
            said.append(f"{sum(counts.values())} {word} ({_counted(counts)})")
    if model.said:
        said.append("not called any more")
    return "; ".join(said)


def _counted(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {name}" if len(counts) > 1 else name for name, count in counts.items())


def _identities(report: CalibrationReport) -> Table:
    table = Table(box=None, pad_edge=False)
    table.add_column("identity", overflow="fold")
    table.add_column("labels", justify="right")
    table.add_column("plan", overflow="fold")
    table.add_column("loss, points", justify="right")
    table.add_column("")
    for one in sorted(report.identities, key=lambda one: (not one.changed, -one.cases)):
        table.add_row(
            escape(one.identity),
            str(one.labels),
            escape(_change(one)),
            "" if one.loss is None else _points(one.loss, sign=""),
            _STANDING[one.standing],
        )
    return table


def _change(one: IdentityReport) -> str:
    return f"{one.before} -> {one.now}" if one.changed else one.now


def _lines(report: CalibrationReport) -> list[str]:
    known = f", {report.known:,} known before" if report.known else ""
    graded = f", {report.regraded:,} only graded again" if report.regraded else ""
    unpriced = f" and {report.unpriced:,} calls of unknown price" if report.unpriced else ""
    lines = [f"{report.cases:,} cases; {report.asked:,} answers paid{known}{graded}; {usd(report.cost_usd)}{unpriced}"]
    if report.stopped is not None:
        budget = "" if report.budget_usd is None else f" of ${report.budget_usd:g}"
        why = f"the budget{budget} is used up" if report.stopped == "budget" else "it was interrupted"
        lines.append(f"{report.undone:,} pairs of case and model are not done: {why}; run it again to go on")
    changed = f"{report.changed:,} of {len(report.identities):,} identities go elsewhere now"
    lines.append(f"{changed}; {report.labels:,} labelled steps are learned from")
    if not report.kept:
        lines.append("nothing was kept for other processes: configure a shared [state]")
    return lines


def _percent(interval: Interval | None) -> str:
    if interval is None:
        return "-"
    return f"{100 * interval.mean:.1f} ({100 * interval.low:.0f} to {100 * interval.high:.0f})"


def _points(interval: Interval | None, sign: str = "+") -> str:
    if interval is None:
        return "-"
    mean, low, high = (f"{100 * value:{sign}.1f}" for value in interval)
    return f"{mean} ({low} to {high})"
