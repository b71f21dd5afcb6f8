"""Histograms, made from the table of metrics; counters are in `totals`."""

from __future__ import annotations

from collections.abc import Iterable

from opentelemetry.metrics import Histogram, Meter

from taskrouter.observability.metric_table import Metric


def histograms(meter: Meter, table: Iterable[Metric]) -> dict[str, Histogram]:
    """Return the histograms of a table by name, with their buckets."""
    return {
        metric.name: meter.create_histogram(
            metric.name,
            unit=metric.unit,
            description=metric.meaning,
            explicit_bucket_boundaries_advisory=metric.buckets,
        )
        for metric in table
        if metric.kind == "histogram"
    }
