"""The demo's report: one self-contained HTML page, no script, no network."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from taskrouter.cli.demo_scene import TASK, Run, step_row
from taskrouter.cli.output import usd
from taskrouter.reporting.page import STYLE


def page(main: Run, others: Sequence[Run], *, simulated: bool) -> str:
    """Return the page for a run and the runs it is compared with."""
    note = (
        "All models are simulated: prices, speeds and answers are invented for the demonstration."
        if simulated
        else "Answers of real models."
    )
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>TaskRouter demo</title><style>{STYLE}</style></head><body>"
        f"<h1>TaskRouter demo</h1><p class=note>{note}</p><p><b>Task.</b> {escape(TASK)}</p>"
        f"<h2>Every step</h2><div class=scroll>{_steps(main)}</div>"
        f"<h2>The run against the alternatives</h2><div class=scroll>{_totals(main, others)}</div>"
        f"<h2>Why</h2>{_explanations(main)}"
        f"<h2>The agent's answer</h2><pre>{escape(main.answer)}</pre></body></html>"
    )


def _steps(run: Run) -> str:
    head = _row(
        "th", ["#", "agent / node", "task type", "model", "why"], ["attempts", "tokens in", "out", "cost", "latency"]
    )
    rows = []
    for number, outcome in enumerate(run.outcomes, start=1):
        line = step_row(number, outcome)
        where = "/".join(part for part in (line["agent"], line["node"]) if part)
        why = line["why"].replace("_", " ")
        texts = [str(line["step"]), where, line["task_type"], line["model"], why]
        numbers = [
            str(line["attempts"]),
            f"{line['input_tokens']:,}",
            f"{line['output_tokens']:,}",
            usd(line["cost_usd"]),
            f"{line['latency_s']:.2f} s",
        ]
        rows.append(f"<tr>{_row('td', texts, numbers)}</tr>")
    return f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table>"


def _row(tag: str, texts: Sequence[str], numbers: Sequence[str]) -> str:
    cells = [f"<{tag}>{escape(text)}</{tag}>" for text in texts]
    cells += [f"<{tag} class=n>{escape(number)}</{tag}>" for number in numbers]
    return "".join(cells)


def _totals(main: Run, others: Sequence[Run]) -> str:
    runs = [main, *others]
    dearest = max((run.cost_usd or 0.0 for run in runs), default=0.0) or 1.0
    rows = []
    for run in runs:
        width = 14 * (run.cost_usd or 0.0) / dearest
        result = run.error or "answered"
        cost = "-" if run.error else usd(run.cost_usd)
        chosen = " class=chosen" if run is main else ""
        rows.append(
            f"<tr{chosen}>{_row('td', [run.name, run.kind, result], [cost, f'{run.busy_s:.2f} s'])}"
            f'<td><span class=bar style="width:{width:.2f}rem"></span></td></tr>'
        )
    head = _row("th", ["run", "kind", "result"], ["cost", "model time"])
    return f"<table><thead><tr>{head}<th></th></tr></thead><tbody>{''.join(rows)}</tbody></table>"


def _explanations(run: Run) -> str:
    return "".join(
        f"<details><summary>step {number}: {escape(outcome.model)}</summary>"
        f"<pre>{escape(outcome.decision.explain())}</pre></details>"
        for number, outcome in enumerate(run.outcomes, start=1)
    )
