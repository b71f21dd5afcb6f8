"""What `taskrouter top` shows: one frame, for any width."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Final

from rich.console import Console, ConsoleOptions, Group, RenderResult
from rich.table import Table
from rich.text import Text

from taskrouter.cli.feed import Feed
from taskrouter.cli.output import usd
from taskrouter.cli.passing import MINUTES, ModelTotals, Totals
from taskrouter.explaining import plain
from taskrouter.ledger import Record

NARROW: Final = 60
"""Below this width a step is its place and what came of it alone."""
WIDE: Final = 100
"""From this width on the status has a column of its own, ..."""
WIDER: Final = 116
"""... and from this one the id, as much of it as `taskrouter explain` needs."""
MODELS: Final = 5
"""Models that are shown at most, where the height is limited."""
STEPS: Final = 20
"""Steps that are shown, where the height is not."""
_LEAST: Final = 5
"""Steps for which there is room before any model is shown."""
_HEADINGS: Final = 2
"""Lines that a table takes beside its rows: the one above it and its heading."""


class Frame:
    """Shows a feed as it is at a moment.

    Args:
        feed: what has passed.
        title: of the ledger.
        now_s: the moment, seconds since the epoch.
        fitted: whether to stay within the height of the console; else all models are shown, and the newest steps.
    """

    def __init__(self, feed: Feed, title: str, now_s: float, *, fitted: bool = False) -> None:
        self._feed, self._title, self._now_s, self._fitted = feed, title, now_s, fitted

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Lay it out."""
        passing, height = self._feed.passing, options.height or console.height
        totals = {minutes: passing.totals(minutes, self._now_s) for minutes in MINUTES}
        said = self._notes(totals[MINUTES[-1]])
        notes = [Text(plain(line), style=style, no_wrap=True, overflow="ellipsis") for line, style in said]
        yield Group(self._head(options.max_width), _totals(totals, options.max_width), *notes)
        left = height - len(MINUTES) - 2 - len(notes)
        if not passing.newest(1):
            yield _NOTHING_YET
            return
        models = passing.by_model()
        if self._fitted:
            models = models[: max(0, min(MODELS, left - 2 * _HEADINGS - _LEAST))]
        if models:
            yield ""
            yield _models(models, options.max_width)
            left -= _HEADINGS + len(models)
        yield ""
        newest = passing.newest(max(1, left - _HEADINGS) if self._fitted else STEPS)
        yield _steps(newest, options.max_width)

    def _head(self, width: int) -> Text:
        title = Text.assemble(("taskrouter top", "bold"), f"  {plain(self._title)}", no_wrap=True, overflow="ellipsis")
        title.truncate(width - 10, overflow="ellipsis", pad=True)
        return title.append(f"  {_clock(self._now_s)}", style="dim")

    def _notes(self, hour: Totals) -> Iterator[tuple[str, str]]:
        if (away := self._feed.away) is not None:
            yield f"not readable since {_clock(away.since_s)}, trying again: {away.why}", "red"
        for event in self._feed.passing.open_breakers(self._now_s):
            why = f" ({event.why})" if event.why else ""
            yield f"breaker of {event.endpoint} {event.state} since {_clock(event.at_s)}{why}", "yellow"
        if count := self._feed.passing.served_other:
            yield f"{_counted(count, 'call')} answered by another model than was asked for", "yellow"
        if hour.trials_usd:
            yield f"{usd(hour.trials_usd)} of it for trials: shadows, judges, calibration", "dim"
        if hour.unpriced:
            yield f"{_counted(hour.unpriced, 'step')} not wholly of known cost: no saving is reckoned", "dim"
        if self._feed.unreadable:
            yield f"{_counted(self._feed.unreadable, 'row')} of the ledger cannot be read, left out", "dim"
        if self._feed.passing.cut:
            yield f"more steps than are kept here: the figures are of the newest {self._feed.passing.kept:,}", "dim"


_NOTHING_YET = Text(
    "\nNo step within the last hour. A router's steps appear here as they pass, if its [state] url is this store.",
    style="dim",
)


def _totals(by_minutes: Mapping[int, Totals], width: int) -> Table:
    rows = [
        (
            f"{minutes} min",
            f"{totals.steps:,}",
            usd(totals.spent_usd),
            _saved(totals),
            _share(totals.errors, bad="bold red"),
            _share(totals.fallbacks, bad="yellow"),
            _seconds(totals.p50_s),
            _seconds(totals.p95_s),
        )
        for minutes, totals in by_minutes.items()
    ]
    return _figures(("", "steps", "spent", "saved", "failed", "fell back", "p50 s", "p95 s"), rows, width)


def _saved(totals: Totals) -> Text:
    if totals.saving is None:
        return Text("-" if not totals.answered else "unknown")
    return Text(f"{100 * totals.saving:.0f} %", style="green" if totals.saving > 0 else "")


def _models(rows: list[ModelTotals], width: int) -> Table:
    """Lay the models out so that their columns stand under those of the totals."""
    shown = [
        (
            Text(plain(row.model)),
            f"{row.answers:,}",
            usd(row.spent_usd),
            f"{row.calls:,}",
            Text(f"{row.failed:,}", style="red" if row.failed else ""),
            "",
            _seconds(row.p50_s),
            _seconds(row.p95_s),
        )
        for row in rows
    ]
    return _figures(("model", "answers", "spent", "calls", "failed", "", "p50 s", "p95 s"), shown, width)


def _steps(records: list[Record], width: int) -> Table:
    narrow, wide, wider = width < NARROW, width >= WIDE, width >= WIDER
    table = Table(box=None, pad_edge=False, expand=True, header_style="dim", padding=(0, 1, 0, 0))
    table.add_column("time", no_wrap=True, width=8)
    for name, ratio in (("agent/node", 5), *(() if narrow else (("task", 4), ("model", 4))), ("why", 5)):
        table.add_column(name, no_wrap=True, overflow="ellipsis", ratio=ratio)
    for name, shown in (("status", wide), ("id", wider)):
        if shown:
            table.add_column(name, no_wrap=True, width=9)
    table.add_column("cost", no_wrap=True, justify="right", width=9)
    table.add_column("s", no_wrap=True, justify="right", width=5)
    for record in records:
        status = [Text(_STATUS[record.outcome.status], style=_STYLE[record.outcome.status])] if wide else []
        table.add_row(
            _clock(record.at_s),
            Text(plain("/".join(name for name in (record.agent, record.node) if name) or "-")),
            *(() if narrow else (Text(plain(record.profile.task_type)), Text(plain(answered_by(record))))),
            Text(plain(why(record, with_status=not wide)), style=_STYLE[record.outcome.status]),
            *status,
            *([record.id[4:12]] if wider else []),
            _cost(record.outcome.cost_usd),
            _seconds(record.outcome.latency_s),
        )
    return table


_STATUS: Final = {"ok": "ok", "fallback": "fell back", "exhausted": "failed", "cancelled": "cancelled"}
_STYLE: Final = {"ok": "", "fallback": "yellow", "exhausted": "bold red", "cancelled": "dim"}


def answered_by(record: Record) -> str:
    """Say which model answered, and by what kind of plan if not alone."""
    plan = record.plan.plan
    if record.outcome.model is None:
        return str(plan)
    return record.outcome.model if plan.kind == "single" else f"{record.outcome.model} by {plan.kind}"


def why(record: Record, *, with_status: bool = True) -> str:
    """Say what stands out of a step: what went wrong, else the reason of the decision.

    Args:
        record: of the step.
        with_status: whether to say too how it ended, where that is not seen elsewhere.
    """
    outcome = record.outcome
    reason = _words(record.reason).removeprefix("incumbent ")  # that it is the incumbent stands beside it
    if outcome.status == "ok":
        return reason if outcome.check == "none" else f"{reason}, {outcome.check}"
    error = outcome.error_type or next((call.error_type for call in outcome.calls if call.error_type), None)
    said = [_STATUS[outcome.status]] if with_status else []
    return ": ".join([*said, _words(error)] if error else said)


def _words(code: str) -> str:
    return code.replace("_", " ")


def _figures(names: tuple[str, ...], rows: Sequence[tuple[str | Text, ...]], width: int) -> Table:
    """Lay figures out; where there is no room for all columns, whole ones are left out and not a part of each."""
    left_out: set[int] = set()
    for place in _FIRST_LEFT_OUT:
        if _NAME + sum(wide + 1 for i, wide in enumerate(_WIDTHS, 1) if i not in left_out) > width:
            left_out.add(place)
    shown = [place for place in range(1, len(names)) if place not in left_out]
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 1, 0, 0))
    room = width - sum(_WIDTHS[place - 1] for place in shown) - len(shown)
    table.add_column(names[0], no_wrap=True, overflow="ellipsis", width=min(32, max(_NAME, room)))
    for place in shown:
        table.add_column(names[place], no_wrap=True, overflow="ellipsis", justify="right", width=_WIDTHS[place - 1])
    for row in rows:
        table.add_row(row[0], *(row[place] for place in shown))
    return table


_NAME: Final = 8
"""The least width of the column of names."""
_FIRST_LEFT_OUT: Final = (6, 5, 7, 3)
"""Columns that are left out in a narrow window, first to last: p50, fell back, p95, and what was saved or called."""
_WIDTHS: Final = (7, 9, 7, 7, 9, 7, 7)
"""Of the columns of figures."""


def _share(share: float | None, *, bad: str) -> Text:
    if share is None:
        return Text("-")
    shown = f"{100 * share:.0f} %" if share >= 0.01 or not share else "< 1 %"
    return Text(shown, style=bad if share else "")


def _cost(value: float | None) -> str:
    """Write money so that a column of it can be compared at a glance."""
    return f"${value:.6f}" if value is not None and value < 1 else usd(value)


def _seconds(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:.2f}" if value < 100 else f"{value:,.0f}"


def _clock(at_s: float) -> str:
    return f"{datetime.fromtimestamp(at_s).astimezone():%H:%M:%S}"


def _counted(count: int, what: str) -> str:
    return f"{count:,} {what}{'' if count == 1 else 's'}"
