"""The report as a page."""

from __future__ import annotations

from taskrouter.reporting.page.page import page
from taskrouter.reporting.page.style import STYLE

__all__ = ["STYLE", "page"]
