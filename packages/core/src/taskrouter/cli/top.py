"""`taskrouter top`: the steps of all routers with one ledger, as they pass."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Iterator
from contextlib import closing
from typing import Annotated, Any

import typer
from rich.live import Live

from taskrouter.cli.feed import Away, Feed
from taskrouter.cli.interrupts import as_interrupts
from taskrouter.cli.output import emit_json, err, out
from taskrouter.cli.stores import LedgerConfigOption, NamespaceOption, Place, StateOption, find_place
from taskrouter.cli.top_page import Frame
from taskrouter.ledger import Record


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("top")(top)


def top(
    state: StateOption = None,
    config: LedgerConfigOption = None,
    namespace: NamespaceOption = None,
    every: Annotated[float, typer.Option(min=0.1, max=3600, help="Seconds between two looks.")] = 1.0,
    seconds: Annotated[float | None, typer.Option(min=0, help="End after so many seconds.")] = None,
    once: Annotated[bool, typer.Option("--once", help="Print one frame and end.")] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON document per step as it passes; with --once, the figures.")
    ] = False,
) -> None:
    """Watch steps as they pass: what they cost, what was saved, what failed. Ends with Ctrl-C.

    It reads the ledger, so it sees the steps of all processes that share it. Without a terminal it prints one frame.
    """
    place = find_place(state, config, namespace)
    logging.getLogger("taskrouter").addHandler(logging.NullHandler())  # what is to be said stands in the frame
    with as_interrupts(), closing(_begun(place)) as feed:
        looks = _looks(every, seconds)
        if as_json and once:
            emit_json(feed.passing.to_dict(time.time()))
        elif as_json:
            _stream(feed, looks)
        elif once or not out.is_terminal or out.is_dumb_terminal:
            out.print(Frame(feed, str(place), time.time()))
        else:
            _watch(feed, str(place), looks)


def _begun(place: Place) -> Feed:
    with err.status("reading ..."):
        feed = Feed(place)
        feed.poll(time.time())
    return feed


def _looks(every_s: float, seconds: float | None) -> Iterator[None]:
    """Yield when it is time for another look."""
    end_s = None if seconds is None else time.monotonic() + seconds
    while True:
        left_s = every_s if end_s is None else min(every_s, end_s - time.monotonic())
        if left_s <= 0:
            return
        time.sleep(left_s)
        yield


def _watch(feed: Feed, title: str, looks: Iterator[None]) -> None:
    def frame() -> Frame:
        return Frame(feed, title, time.time(), fitted=True)

    with Live(frame(), console=out, screen=True, auto_refresh=False) as live:
        live.refresh()
        for _ in looks:
            feed.poll(time.time())
            live.update(frame(), refresh=True)


def _stream(feed: Feed, looks: Iterator[None]) -> None:
    away: Away | None = None
    for _ in looks:
        feed.poll(time.time(), lambda record: typer.echo(json.dumps(_line(feed, record), ensure_ascii=False)))
        if feed.away is not None and feed.away != away:
            why = f"not readable, trying again: {feed.away.why}"
            err.print(f"taskrouter: {why}", style="yellow", markup=False, highlight=False, soft_wrap=True)
        away = feed.away


def _line(feed: Feed, record: Record) -> dict[str, Any]:
    outcome = record.outcome
    return {
        "id": record.id,
        "at_s": record.at_s,
        "agent": record.agent,
        "node": record.node,
        "tenant": record.tenant,
        "trial": record.is_trial,
        "task_type": record.profile.task_type,
        "policy": record.policy,
        "reason": record.reason,
        "plan": str(record.plan.plan),
        "model": outcome.model,
        "status": outcome.status,
        "check": outcome.check,
        "error_type": outcome.error_type,
        "calls": len(outcome.calls),
        "served_other": feed.passing.served_by_other(record),
        "cost_usd": outcome.cost_usd,
        "baseline_usd": feed.passing.baseline_usd(record),
        "latency_s": outcome.latency_s,
    }
