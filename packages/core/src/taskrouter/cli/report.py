"""`taskrouter report`: what the ledger says of money, speed, failures and quality, as a page, JSON or CSV."""

from __future__ import annotations

import re
import time
from contextlib import nullcontext
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Final

import typer

from taskrouter.cli.output import JsonOption, emit_json, err, out, usd
from taskrouter.cli.stores import LedgerConfigOption, NamespaceOption, StateOption, find_place, open_ledger
from taskrouter.errors import ConfigurationError
from taskrouter.explaining import plain
from taskrouter.reporting import Report, html_page, report
from taskrouter.reporting.csv_files import steps_file, write_tables

PAGE: Final = Path("report.html")
_SECONDS: Final = {"m": 60.0, "h": 3600.0, "d": 86_400.0, "w": 604_800.0}


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("report")(command)


def command(  # noqa: PLR0913, PLR0917 - they are the command's options
    since: Annotated[str, typer.Option(help="Start: 7d, 12h, a date such as 2026-05-01, or `all`.")] = "7d",
    until: Annotated[str | None, typer.Option(help="End, in the same forms; default: now.")] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--out", "-o", help=f"The page; default: {PAGE}, and none where only --json or --csv is asked for."
        ),
    ] = None,
    csv: Annotated[
        Path | None, typer.Option(help="Folder for all tables, or a file ending in .csv for every step.")
    ] = None,
    tenant: Annotated[str | None, typer.Option(help="Only steps of this tenant.")] = None,
    agent: Annotated[str | None, typer.Option(help="Only steps of this agent.")] = None,
    state: StateOption = None,
    config: LedgerConfigOption = None,
    namespace: NamespaceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Report what was spent and saved, how fast and how well it went, from the ledger of decisions.

    The page is one file without scripts that loads nothing. Savings are net of every extra call.
    """
    now_s = time.time()
    since_s, until_s = _moment(since, "--since", now_s), now_s if until is None else _moment(until, "--until", now_s)
    if since_s >= until_s:
        raise ConfigurationError(f"--since {since!r} is not before --until {until or 'now'!r}")
    rows = steps_file(csv) if csv is not None and csv.suffix == ".csv" else nullcontext()
    with open_ledger(find_place(state, config, namespace)) as ledger, rows as each:
        found = report(ledger, since_s=since_s, until_s=until_s, tenant=tenant, agent=agent, each=each)
    written = [] if csv is None else [csv]
    if csv is not None and csv.suffix != ".csv":
        write_tables(found, csv)
    if output is not None or not (as_json or csv is not None):
        written.append(_write(output or PAGE, html_page(found)))
    if as_json:
        emit_json(found.to_dict())
    else:
        _say(found)
    for path in written:
        err.print(f"written: {path}", style="dim", markup=False, highlight=False, soft_wrap=True)


def _moment(text: str, option: str, now_s: float) -> float:
    """Read a time: a stretch before now, a date or a date with a time (UTC where no zone is said), or `all`."""
    said = text.strip()
    if said == "all":
        return 0.0
    if (found := re.fullmatch(r"(\d{1,9}(?:\.\d+)?)([mhdw])", said)) is not None:
        return max(0.0, now_s - float(found[1]) * _SECONDS[found[2]])
    try:
        moment = datetime.fromisoformat(said)
        at_s = (moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        raise ConfigurationError(
            f"{option} {text!r}: it must be a time such as 30m, 12h, 7d or 4w, a date such as 2026-05-01, or `all`"
        ) from None
    # Nothing was written before the epoch, and what is open now is not open until a day to come.
    return min(max(at_s, 0.0), now_s)


def _write(path: Path, text: str) -> Path:
    try:
        path.write_text(text, encoding="utf-8", errors="replace")
    except OSError as error:
        raise ConfigurationError(f"--out {path}: cannot be written: {error.strerror or error}") from error
    return path


def _say(found: Report) -> None:
    """Say the answer in a few lines."""
    for line in _lines(found):
        out.print(plain(line), markup=False, highlight=False, soft_wrap=True)


def _lines(found: Report) -> list[str]:
    steps, money = found.steps, found.money
    if found.empty:
        of = " and ".join(
            f"{kind} {name!r}" for kind, name in (("tenant", found.tenant), ("agent", found.agent)) if name
        )
        whose = f" of {of}" if of else ""
        return [
            f"no steps{whose} in this time: try --since all, or see `taskrouter report --help` for where the ledger is"
        ]
    unpriced = f", and {money.unpriced_calls:,} calls of unknown price" if money.unpriced_calls else ""
    lines = [f"{steps.total:,} steps, {usd(money.spend_usd)} spent{unpriced}"]
    saved, share = money.saved_usd, money.saving
    if saved is not None and share is None:
        spent = f"{usd(-saved.value)} more spent than" if saved.value < 0 else "nothing saved against"
        lines.append(f"{spent} {' and '.join(money.incumbents)}, which would have cost nothing")
    elif saved is not None and share is not None:
        within = (
            "too few runs for an interval"
            if share.low is None or share.high is None
            else f"95 % within {100 * share.low:.1f} to {100 * share.high:.1f} %"
        )
        lines.append(
            f"{usd(abs(saved.value))} {'saved' if saved.value >= 0 else 'more spent'} against "
            f"{' and '.join(money.incumbents)}, net of every extra call: {100 * share.value:.1f} % ({within})"
        )
    else:
        lines.append("what was saved is unknown: no step has a known price of the incumbent")
    out_now = [breaker.endpoint for breaker in found.breakers if breaker.now != "closed"]
    lines.append(
        f"{steps.exhausted:,} unanswered, {steps.refused:,} refused, {steps.fallback:,} by a fallback; "
        f"breakers open: {', '.join(out_now) or 'none'}"
    )
    if found.served.mismatches:
        calls = found.served.calls
        lines.append(f"{calls:,} call{' was' if calls == 1 else 's were'} answered by another model than was asked for")
    if found.unreadable:
        lines.append(f"{sum(found.unreadable.values()):,} rows of the ledger could not be read and are in no figure")
    return lines
