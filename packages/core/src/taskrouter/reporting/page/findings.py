"""What is wrong, most urgent first: what whoever is on call reads before anything else."""

from __future__ import annotations

from typing import Final, Literal, NamedTuple, TypeAlias

from taskrouter.reporting.figures import Report
from taskrouter.reporting.page.formats import counted, moment, percent, shortened

Weight: TypeAlias = Literal["bad", "warn"]
NAMED: Final = 3
FAILING: Final = 0.1
"""Share of a model's calls that fail, from which on somebody should look, whoever answered in its place."""
CALLS: Final = 20
"""Calls below which a share says little."""


class Finding(NamedTuple):
    """Something that is not as it should be."""

    weight: Weight
    text: str
    where: str
    """Id of the part of the page that says more."""


def findings(report: Report) -> list[Finding]:
    """Return what is wrong; nothing where all is well."""
    steps, money = report.steps, report.money
    out = [breaker.endpoint for breaker in report.breakers if breaker.now != "closed"]
    changed_s = max((b.shifts[-1].at_s for b in report.breakers if b.now != "closed" and b.shifts), default=None)
    when = "" if changed_s is None else f" (last change {moment(changed_s)})"
    failing = [
        model.model
        for model in report.models
        if model.calls >= CALLS and (model.error_rate or 0.0) >= FAILING and model.model not in out
    ]
    missing = sum(not version.prices_known for version in report.versions)
    unreadable = sum(report.unreadable.values())
    every = [
        (out, Finding("bad", f"{_named(out)} cannot be called: breaker open{when}", "failures")),
        (
            steps.exhausted,
            Finding(
                "bad",
                f"{counted(steps.exhausted, 'step')} unanswered ({percent(steps.share(steps.exhausted))})",
                "failures",
            ),
        ),
        (
            steps.refused,
            Finding(
                "warn",
                f"{counted(steps.refused, 'step')} refused: {_named([r.error_type for r in report.refusals])}",
                "failures",
            ),
        ),
        (
            failing,
            Finding("warn", f"{100 * FAILING:.0f} % or more of the calls to {_named(failing)} failed", "failures"),
        ),
        (
            report.served.calls,
            Finding(
                "warn", f"{counted(report.served.calls, 'answer')} came from another model than was asked for", "served"
            ),
        ),
        (money.unpriced_calls, Finding("warn", f"{counted(money.unpriced_calls, 'call')} of unknown price", "money")),
        (
            missing,
            Finding("warn", f"prices of {counted(missing, 'version')} of the pool are not in the ledger", "about"),
        ),
        (unreadable, Finding("warn", f"{counted(unreadable, 'row')} of the ledger could not be read", "about")),
    ]
    return [finding for is_so, finding in every if is_so]


def _named(names: list[str]) -> str:
    shown = ", ".join(shortened(name, 40) for name in names[:NAMED])
    return shown if len(names) <= NAMED else f"{shown} and {len(names) - NAMED:,} more"
