"""`taskrouter explain`: why a step went where it went, and what came of it, from the ledger."""

from __future__ import annotations

import re
from typing import Annotated, Any, Final

import typer

from taskrouter.cli.output import JsonOption, emit_json, out
from taskrouter.cli.stores import LedgerConfigOption, NamespaceOption, Place, StateOption, find_place, open_ledger
from taskrouter.errors import ConfigurationError, TaskRouterError
from taskrouter.ledger import Label, Ledger, Pool, Record, baseline_usd, explain_record
from taskrouter.ledger.explaining import local_time

NEWEST: Final = "last"
_ID: Final = re.compile(r"(?:dec_)?([0-9a-f]{8,16})")
_SHOWN: Final = 5
_SKEW_S: Final = 3600.0
"""By how much the clocks of the machines that share a ledger may differ."""


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("explain")(explain)


def explain(
    decision: Annotated[
        str,
        typer.Argument(
            metavar="DECISION_ID", help=f"Id of the decision, or the first 8 characters behind its `dec_`; `{NEWEST}`."
        ),
    ],
    state: StateOption = None,
    config: LedgerConfigOption = None,
    namespace: NamespaceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Explain a decision of the past: why it was made so, each call, what it cost, how it was labelled.

    Ids stand on spans (`taskrouter.decision.id`), in `outcome.decision_id` and in `taskrouter top --json`.
    """
    beginning = None if decision == NEWEST else _beginning(decision)
    place = find_place(state, config, namespace)
    with open_ledger(place) as ledger:
        record = _newest(ledger, place) if beginning is None else _only(ledger, beginning, place)
        pool = ledger.pools().get(record.policy_version)
        labels = [label for label in ledger.labels(since_s=record.at_s - _SKEW_S) if label.decision_id == record.id]
    if as_json:
        emit_json(_document(record, pool, labels))
    else:
        out.print(explain_record(record, pool=pool, labels=labels), markup=False, highlight=False, soft_wrap=True)


def _beginning(given: str) -> str:
    if (found := _ID.fullmatch(given.strip().lower())) is None:
        raise ConfigurationError(
            f"{given!r} is no id of a decision: it is `dec_` and 16 of 0-9a-f, of which the first 8 will do; "
            f"`{NEWEST}` is the newest one"
        )
    return f"dec_{found[1]}"


def _newest(ledger: Ledger, place: Place) -> Record:
    if (record := ledger.newest()) is None:
        raise TaskRouterError(f"{place}: there is no decision in it yet")
    return record


def _only(ledger: Ledger, beginning: str, place: Place) -> Record:
    found = ledger.search(beginning)
    ids = sorted({record.id for record in found.records})
    if len(ids) > 1:
        more = ", ..." if len(ids) > _SHOWN else ""
        raise TaskRouterError(f"{len(ids)} decisions begin with {beginning}: {', '.join(ids[:_SHOWN])}{more}")
    if ids:
        return found.records[-1]
    if found.since_s is None:
        raise TaskRouterError(f"{place}: there is no decision in it yet")
    held = f"{found.decisions:,} decision{'' if found.decisions == 1 else 's'} since {local_time(found.since_s)}"
    raise TaskRouterError(f"{place}: no decision begins with {beginning} among its {held}")


def _document(record: Record, pool: Pool | None, labels: list[Label]) -> dict[str, Any]:
    return {
        **record.model_dump(mode="json"),
        "baseline_usd": baseline_usd(record, pool),
        "labels": [label.model_dump(mode="json") for label in labels],
    }
