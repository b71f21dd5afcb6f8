"""Counters that are asked for their sums when somebody collects.

A record of the SDK's takes some ten microseconds, an addition in a dictionary less than one, and a sum is all that
anybody reads of a counter.
"""

from __future__ import annotations

import threading
import weakref
from collections.abc import Iterable, Mapping, MutableMapping
from typing import Final

from opentelemetry import metrics
from opentelemetry.metrics import CallbackOptions, Meter, MeterProvider, Observation

from taskrouter.observability.metric_table import Metric


class Total:
    """The sums of one counter, by its labels."""

    def __init__(self) -> None:
        self._sums: dict[tuple[tuple[str, str], ...], float] = {}
        # It may be taken twice: a stream that nobody holds any more ends wherever its garbage is collected.
        self._lock = threading.RLock()

    def add(self, amount: float, labels: Mapping[str, str]) -> None:
        """Add an amount, which is not negative."""
        key = tuple(labels.items())
        with self._lock:
            self._sums[key] = self._sums.get(key, 0) + amount

    def observe(self, _: CallbackOptions) -> Iterable[Observation]:
        """Return the sums so far."""
        with self._lock:
            sums = list(self._sums.items())
        return [Observation(amount, dict(key)) for key, amount in sums]


def totals(meter: Meter, provider: MeterProvider | None, table: Iterable[Metric]) -> dict[str, Total]:
    """Return the counters of a table by name: one set for all routers that report to the same provider.

    Args:
        meter: of the provider.
        provider: as it was given to the router; None: OpenTelemetry's global one.
        table: what to count.
    """
    with _LOCK:
        known = _known_of(provider)
        for metric in table:
            if metric.kind == "counter" and metric.name not in known:
                total = known[metric.name] = Total()
                # Of a name the SDK keeps the first callback alone.
                meter.create_observable_counter(
                    metric.name, [total.observe], unit=metric.unit, description=metric.meaning
                )
        return {metric.name: known[metric.name] for metric in table if metric.kind == "counter"}


def _known_of(provider: MeterProvider | None) -> dict[str, Total]:
    if provider is None or provider is metrics.get_meter_provider():
        return _GLOBAL
    try:
        return _OWN.setdefault(provider, {})
    except TypeError:  # it cannot be weakly referenced
        return {}


_LOCK: Final = threading.Lock()
_GLOBAL: Final[dict[str, Total]] = {}
_OWN: Final[MutableMapping[MeterProvider, dict[str, Total]]] = weakref.WeakKeyDictionary()
