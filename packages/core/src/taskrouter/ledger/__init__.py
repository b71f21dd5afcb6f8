"""The ledger of decisions: what was decided for every answered step, what it might have been, and what came of it."""

from __future__ import annotations

from taskrouter.ledger.lookup import LedgerLookup
from taskrouter.ledger.record import DECISIONS, VERSION, Noted, noted, record_of
from taskrouter.ledger.stored import Record
from taskrouter.ledger.writing import LedgerWriter

__all__ = ["DECISIONS", "VERSION", "LedgerLookup", "LedgerWriter", "Noted", "Record", "noted", "record_of"]
