"""What outcomes teach: the table of scores per step identity, and the joint choice of models that follows from it."""

from taskrouter.learning.allocation import Allocation, Option, Work, allocate, hull
from taskrouter.learning.credit import RunCredit
from taskrouter.learning.table import Estimate, OutcomeTable, Path

__all__ = ["Allocation", "Estimate", "Option", "OutcomeTable", "Path", "RunCredit", "Work", "allocate", "hull"]
