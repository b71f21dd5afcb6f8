"""Access for engines without a health record: every model is its own endpoint and may always be called."""

from __future__ import annotations

from collections.abc import Container, Sequence

from taskrouter.errors import ModelCallError
from taskrouter.ports import Admission, Endpoint


class OpenAccess:
    """Admits everything once and remembers nothing."""

    def admit(
        self, model: str, now_s: float, *, tried: Container[str] = (), regions: frozenset[str] | None = None
    ) -> Admission | None:
        """Admit the model, unless it was tried."""
        return None if model in tried else Admission(endpoint=Endpoint(id=model, model=model))

    def least_bad(
        self, models: Sequence[str], now_s: float, *, tried: Container[str] = (), regions: frozenset[str] | None = None
    ) -> Admission | None:
        """Find nothing: what can be admitted was."""
        return None

    def succeeded(
        self, endpoint_id: str, now_s: float, *, latency_s: float, first_token_s: float | None = None
    ) -> None:
        """Ignore it."""

    def failed(self, endpoint_id: str, error: ModelCallError, now_s: float, *, latency_s: float, probe: bool) -> None:
        """Ignore it."""

    def released(self, endpoint_id: str, now_s: float, *, probe: bool, latency_s: float = 0.0) -> None:
        """Ignore it."""

    def cold_start_s(self, endpoint_id: str, now_s: float) -> float:
        """Know of no cold starts."""
        return 0.0

    def latency_s(self, model: str, quantile: float = 0.5) -> float | None:
        """Know of no latency."""
        return None
