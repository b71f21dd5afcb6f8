"""The report: what the ledger says of money, speed, failures, labels and quality, and the page that shows it."""

from __future__ import annotations

from taskrouter.reporting.figures import Report
from taskrouter.reporting.gathering import report
from taskrouter.reporting.page import page as html_page

__all__ = ["Report", "html_page", "report"]
