"""The models of calibration's tests, with shadows on every step."""

from __future__ import annotations

from tests.core.calibration.conftest import court, models, router, table

__all__ = ["court", "models", "router", "table"]
