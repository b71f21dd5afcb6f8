"""`taskrouter replay`: what a new policy would have scored and cost on the decisions that were logged."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, TypeAlias

import typer
from rich.table import Table

from taskrouter.cli.output import JsonOption, emit_json, err, out, usd
from taskrouter.cli.pools import build_router, load_config, with_policy
from taskrouter.config import LearningConfig, RouterConfig, StateConfig
from taskrouter.evaluation.counterfactual import Replay, replay
from taskrouter.evaluation.logged import IN_WORDS, read_log
from taskrouter.evaluation.newpolicy import NewPolicy
from taskrouter.evaluation.offpolicy import MAX_UNSUPPORTED, MIN_ESS, Estimate, Mean

Write: TypeAlias = Callable[[float], str]
"""Shows a number."""


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("replay")(_replay)


def _replay(
    ledger: Annotated[
        str, typer.Argument(metavar="LEDGER", help="Address of a store, such as sqlite:///state.db, or a .jsonl file.")
    ],
    config: Annotated[Path, typer.Option("--config", "-c", help="The new configuration.")],
    policy: Annotated[str | None, typer.Option(help="Another policy than the configured one.")] = None,
    min_ess: Annotated[
        float, typer.Option(min=1, help="Refuse where the decisions are worth fewer steps of the new policy.")
    ] = MIN_ESS,
    max_unsupported: Annotated[
        float, typer.Option(min=0, max=1, help="Refuse where a larger share of the decisions lacks support.")
    ] = MAX_UNSUPPORTED,
    as_json: JsonOption = False,
) -> None:
    """Estimate from logged decisions what a new policy would have scored and cost. No model is called.

    The ledger must be of a policy that left some steps to chance, or of one that mostly did what the new one would do.
    """
    settings, origin = load_config(config)
    settings = with_policy(settings, policy)
    with err.status("") as status:
        status.update("reading ...")
        _check(settings, origin)
        log = read_log(ledger, namespace=settings.state.namespace)
        status.update(f"replaying {len(log.decisions):,} decisions ...")
        found = replay(log, NewPolicy(settings), min_ess=min_ess, max_unsupported=max_unsupported)
    for caution in _cautions(found):
        err.print(f"warning: {caution}", style="yellow", markup=False, highlight=False, soft_wrap=True)
    if as_json:
        emit_json(found.to_dict())
    else:
        _show(found)


def _check(settings: RouterConfig, origin: str) -> None:
    """Find what is wrong with the configuration as the router would, without touching its store."""
    alone = {"state": StateConfig(url="memory:", decisions=0), "learning": LearningConfig(enabled=False)}
    build_router(settings.model_copy(update=alone), origin).close()


def _cautions(found: Replay) -> Iterator[str]:
    for reason, count in found.skipped.items():
        yield f"skipped {count:,} {IN_WORDS[reason]}"
    if found.contradictory:
        yield f"{found.contradictory:,} decisions have labels that contradict each other; their mean counts"
    if found.unroutable:
        yield f"{found.unroutable:,} decisions could not be taken by any model of the new configuration; left out"
    if found.rules_left_out:
        yield (
            f"rules that look at tenants or tags, which the ledger does not keep, are taken not to match: "
            f"{', '.join(found.rules_left_out)}"
        )
    if found.unknown_models:
        yield (
            f"models in the ledger that the new configuration does not have: {', '.join(found.unknown_models)} "
            "(the same model must have the same id in both)"
        )
    if found.score is None:
        yield "no decision that was replayed has a label: nothing can be said of the score"
    if found.cost_usd is None:
        yield "no decision that was replayed has a known cost: nothing can be said of the cost"


def _show(found: Replay) -> None:
    learned = f" with the learned policy {found.learned}" if found.learned else ""
    _say(
        f"{found.decisions:,} decisions, {found.labelled:,} with labels; policy {found.policy}{learned}; "
        f"{100 * found.overlap.unsupported_share:.0f} % without support\n"
    )
    columns = [(found.score, _score), (found.cost_usd, _per_thousand)]
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("per step", "score", "USD/1k"):
        table.add_column(heading, no_wrap=True)
    for name, take in _ROWS.items():
        table.add_row(name, *("-" if one is None else _interval(take(one), write) for one, write in columns))
    table.add_row("change, DR", *("-" if one is None else _change(one.difference, write) for one, write in columns))
    table.add_row("steps", *("-" if one is None else f"{one.steps:,} worth {one.ess:,.0f}" for one, _ in columns))
    out.print(table, "")
    _say("Brackets: 95 % intervals. `worth`: how many steps of the new policy those of the log stand for.")
    for key, (without, every) in found.overlap.lacking.items():
        _say(f"without support: {key}, {without:,} of {every:,} decisions, left out")


_ROWS: Mapping[str, Callable[[Estimate], Mean]] = {
    "logged": lambda one: one.logged,
    "new, SNIPS": lambda one: one.snips,
    "new, DR": lambda one: one.dr,
    "new, IPS": lambda one: one.ips,
}


def _interval(mean: Mean, write: Write) -> str:
    return f"{write(mean.mean)} [{write(mean.low)}, {write(mean.high)}]"


def _change(mean: Mean, write: Write) -> str:
    return _interval(mean, lambda value: write(value) if value < 0 else f"+{write(value)}")


def _score(value: float) -> str:
    return f"{value:.3f}"


def _per_thousand(value: float) -> str:
    """Dollars for a thousand steps."""
    return f"{'-' if value < 0 else ''}{usd(abs(1000 * value)).removeprefix('$')}"


def _say(text: str) -> None:
    out.print(text, markup=False, highlight=False, soft_wrap=True)
