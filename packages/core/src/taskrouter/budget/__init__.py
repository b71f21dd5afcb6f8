"""What steps may use together: reserved before a call, settled after it, checked where it cannot be raced."""

from taskrouter.budget.book import BudgetBook
from taskrouter.budget.ledger import Ledger
from taskrouter.budget.paying import affordable, pressure
from taskrouter.budget.purse import Need, Purse
from taskrouter.budget.scope import Budget
from taskrouter.budget.wallet import StepWallet

__all__ = ["Budget", "BudgetBook", "Ledger", "Need", "Purse", "StepWallet", "affordable", "pressure"]
