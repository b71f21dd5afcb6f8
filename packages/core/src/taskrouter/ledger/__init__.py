"""The ledger of decisions: what was decided for every step, what it might have been, and what came of it."""

from __future__ import annotations

from taskrouter.ledger.explaining import explain_record
from taskrouter.ledger.happening import EVENTS, Event, EventLog
from taskrouter.ledger.lookup import LedgerLookup
from taskrouter.ledger.pools import POOLS, Pool, PoolEntry, pool_entry
from taskrouter.ledger.pricing import baseline_usd, served_other, taken_call
from taskrouter.ledger.reading import Found, Label, Ledger
from taskrouter.ledger.record import DECISIONS, VERSION, Noted, noted, record_of
from taskrouter.ledger.retention import Retention
from taskrouter.ledger.stored import Record
from taskrouter.ledger.watching import LedgerObserver
from taskrouter.ledger.writing import LedgerWriter

__all__ = [
    "DECISIONS",
    "EVENTS",
    "POOLS",
    "VERSION",
    "Event",
    "EventLog",
    "Found",
    "Label",
    "Ledger",
    "LedgerLookup",
    "LedgerObserver",
    "LedgerWriter",
    "Noted",
    "Pool",
    "PoolEntry",
    "Record",
    "Retention",
    "baseline_usd",
    "explain_record",
    "noted",
    "pool_entry",
    "record_of",
    "served_other",
    "taken_call",
]
