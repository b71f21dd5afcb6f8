"""Simulated models, and a model behind HTTP that labels as it is told to."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import pytest
from tests.core.calibration.conftest import court, models, router, table
from tests.core.calibration.court import Court

__all__ = ["Tables", "court", "labelled", "models", "router", "table"]

Tables: TypeAlias = Callable[..., dict[str, Any]]


@pytest.fixture
def labelled(table: Tables, court: Court) -> Tables:
    """Return a configuration whose labeller is `llm`, asking a model of its own; `labeller` and `judge` add to it."""
    court.verdict = '{"task_type": "extraction", "confidence": 0.9}'

    def made(labeller: dict[str, Any] | None = None, card: dict[str, Any] | None = None, **config: Any) -> Any:
        config.setdefault("policy", {"name": "safe", "agreement": False})
        asked = {"name": "llm", "model": "judge", **(labeller or {})}
        config["profiling"] = {"labeller": asked, **config.get("profiling", {})}
        whole = table(**config)
        whole["models"].append({**court.card, "context_tokens": 100_000, **(card or {})})
        return whole

    return made
