"""The parts of the page beneath the first screen."""

from __future__ import annotations

from collections.abc import Callable
from html import escape
from typing import Any

from taskrouter.reporting.amounts import Money
from taskrouter.reporting.figures import Report
from taskrouter.reporting.judged import Noteworthy
from taskrouter.reporting.page import strips
from taskrouter.reporting.page.formats import counted, moment, name, percent, shortened, usd
from taskrouter.reporting.page.frontier import frontier
from taskrouter.reporting.page.markup import note, table
from taskrouter.reporting.table import Table
from taskrouter.reporting.tables import tables_of


def money(report: Report) -> str:
    """The bill, the incumbent, every model alone, day by day."""
    tables, books = tables_of(report), report.money
    bill = tables["spend"]
    calls, unpriced = sum(line.calls for line in books.lines), books.unpriced_calls
    sums: list[tuple[Any, ...]] = [("in all", calls, books.spend_usd, books.compared_usd, unpriced)]
    if books.saved_usd is not None:
        saved_usd = books.saved_usd.value
        sums.append(("the incumbent, for the same answers", "", books.baseline_usd, books.baseline_usd, ""))
        sums.append(("saved, net" if saved_usd >= 0 else "more spent, net", "", abs(saved_usd), abs(saved_usd), ""))
    chart = strips.days(report.days)
    figure = (
        f"<figure>{chart}<figcaption>Filled: spent. Dashed: what the incumbent would have cost.</figcaption></figure>"
        if chart
        else ""
    )
    hidden = () if books.left_out_steps else ("compared_usd",)
    return (
        note(_baseline(books))
        + f'<div class="pair"><div>{table(bill, rows=99, hide=hidden, last=sums)}</div><div>{figure}</div></div>'
        + table(tables["alone"])
        + note(_best(books))
        + f"<details><summary>Day by day</summary>{table(tables['days'], rows=99, hide=hidden)}</details>"
    )


def _baseline(books: Money) -> str:
    left = (
        f" Left out on both sides for an unknown price: {counted(books.left_out_steps, 'step')}."
        if books.left_out_steps
        else ""
    )
    return (
        "The incumbent is reckoned at its own price for the tokens of the answer that was taken, with the same part of "
        "them cached. It might have written more or less. Every other call is charged to the routing: proposals, "
        "answers that did not pass, failed and cancelled calls, hedges, trials, and steps that nobody answered."
        f"{left} {_check(books)} {_sure(books)}"
    )


def _sure(books: Money) -> str:
    if books.saving is None or books.saving.low is None:
        return "No intervals: there are too few runs."
    return f"Intervals: 95 %, by resampling {counted(books.clusters, 'run')}."


def _check(books: Money) -> str:
    ratio = books.check.ratio
    if ratio is None:
        return "No step shows what the incumbent really costs beside another model's answer."
    return (
        f"On {counted(books.check.steps, 'step')} the incumbent was called as well: it did cost {ratio:.2f} times "
        "what was reckoned for them."
    )


def _best(books: Money) -> str:
    if books.best_single is None:
        return (
            "Which single model is the best is not known yet: that takes 20 labels of a model, on kinds of steps that "
            "make up half of the work."
        )
    return (
        f"The best single model by its labels is {shortened(books.best_single)}, each kind of step counted by how "
        "often it comes. "
        "Labels are of the steps that a model was given, which are not the same for all."
    )


def quality(report: Report) -> str:
    """The plot of quality over cost, and its numbers."""
    picture = frontier(report.frontier, report.hull)
    figure = (
        f"<figure>{picture}<figcaption>Filled: measured by labels, with 95 % intervals. Hollow: expected when the "
        "steps were decided. Square: incumbent; diamond: the steps as they were routed; dashed: what a mixture of "
        "single models reaches.</figcaption></figure>"
        if picture
        else note("Neither labels nor prices are known, so there is nothing to draw.")
    )
    return (
        f'<div class="pair"><div>{figure}</div><div>'
        + note(
            "Cost: what every compared step would have cost with one model alone, and what it did cost as routed, net."
        )
        + note(
            "Quality: mean score of labels. A model is labelled on the steps that it was given, easy or hard, so "
            "compare models only where their labels are of most of the work; the table says of how much."
        )
        + _hull(report)
        + f"</div></div>{table(tables_of(report)['frontier'])}"
    )


def _hull(report: Report) -> str:
    if len(report.hull) < 2:
        return ""
    named = ", ".join(shortened(name) for name in report.hull)
    return note(f"On the dashed line, which no mixture of single models exceeds: {named}.")


def work(report: Report) -> str:
    """Spend by agent, node, task type, tenant and model."""
    tables = tables_of(report)
    return "".join(table(tables[key]) for key in ("agent", "node", "task", "tenant", "models"))


def speed(report: Report) -> str:
    """Latency of steps and calls."""
    return note(
        "Steps: from the request to the whole answer, with retries and fallbacks. Models: single calls that were "
        "answered. First token: of streams."
    ) + table(tables_of(report)["latency"], empty="No times were recorded.")


def failures(report: Report) -> str:
    """How the steps went, errors, breakers, refused steps, other models than asked."""
    tables = tables_of(report)
    start_s = report.since_s or report.first_s or report.until_s
    strip = strips.breakers(report.breakers, start_s, report.until_s)
    figure = f"<figure>{strip}<figcaption>Red: the breaker let nothing through.</figcaption></figure>" if strip else ""
    changes = tables["breaker_events"]
    served = report.served
    return (
        f'<div class="pair"><div>{table(tables["outcomes"])}</div>'
        f"<div>{table(tables['errors'], empty='No call has failed.')}{table(tables['refused'])}</div></div>"
        f"<h3>Circuit breakers</h3>{figure}{table(tables['breakers'], empty='No breaker has opened.')}"
        + (
            f"<details><summary>Every change</summary>{table(_newest(changes), rows=100)}</details>"
            if changes.rows
            else ""
        )
        + '<h3 id="served">The model that answered</h3>'
        + table(tables["served"], empty="No answer came from another model than was asked for.")
        + note(f"Compared in {counted(served.compared, 'answered call')}; in {served.unknown:,} it cannot be told.")
    )


def _newest(given: Table) -> Table:
    return given._replace(rows=list(reversed(given.rows)))


def labels(report: Report) -> str:
    """Labels by step identity."""
    coverage = report.labels
    share = coverage.labelled / coverage.steps if coverage.steps else 0.0
    score = (
        f", mean score {percent(coverage.score.mean)} ({percent(coverage.score.low)} to {percent(coverage.score.high)})"
        if coverage.score is not None
        else ""
    )
    return note(
        f"{coverage.labelled:,} of {coverage.steps:,} answered steps are labelled ({percent(share)}){score}. A plan of "
        f"an identity rests on {coverage.enough} labels or more; online learning begins with {coverage.warm} labels "
        "in all."
    ) + table(tables_of(report)["labels"], empty="No step was answered.")


def decisions(report: Report) -> str:
    """The dearest and the least certain decisions, each with its explanation."""
    return (
        "<h3>The most expensive</h3>"
        + (_listed(report.dearest, lambda one: usd(one.cost_usd)) or note("No step of known price."))
        + "<h3>The least certain</h3>"
        + note(
            "By the width of the 95 % interval of what the choice may lose against the incumbent; at most two of "
            "one step identity while there are others."
        )
        + (_listed(report.least_certain, _width) or note("No decision says how certain it was."))
    )


def _width(one: Noteworthy) -> str:
    return "–" if one.width is None else f"± {50 * one.width:.1f} points"


def _listed(given: tuple[Noteworthy, ...], key: Callable[[Noteworthy], str]) -> str:
    return "".join(_details(one, key(one)) for one in given)


def _details(one: Noteworthy, figure: str) -> str:
    status = "" if one.status == "ok" else f", {escape(one.status)}"
    return (
        f"<details><summary><b>{escape(figure)}</b> {_where(one)}, {name(one.task_type)}: {name(one.plan)}{status} "
        f'<span class="small">{moment(one.at_s)}</span></summary><pre>{escape(one.explanation)}</pre></details>'
    )


def _where(one: Noteworthy) -> str:
    return " / ".join(name(part) for part in (one.agent, one.node) if part) or "a step without a name"


def about(report: Report) -> str:
    """Versions, and what was left out."""
    tables = tables_of(report)
    trials = report.steps.trials
    charged = f"{counted(trials, 'trial')} beside the steps: charged, and counted as no steps. " if trials else ""
    rows = "Unreadable rows are in no figure." if report.unreadable else "Every row of the ledger could be read."
    return (
        table(tables["versions"])
        + table(tables["unreadable"])
        + note(
            f"{charged}{rows} Neither prompts nor answers are in the ledger, nor on this page. "
            "The same figures: taskrouter report --json; one decision: taskrouter explain DECISION_ID."
        )
    )
