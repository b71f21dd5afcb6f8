"""Every metric that we emit, in one table, from which the instruments are made, and the table in `docs/tracing.md`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from taskrouter.observability import names as n
from taskrouter.observability.conventions import Convention


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """One instrument."""

    name: str
    kind: Literal["counter", "histogram"]
    unit: str
    """As in UCUM; what is counted stands in braces."""
    meaning: str
    labels: tuple[str, ...]
    """Each point has these."""
    sometimes: tuple[str, ...] = ()
    """Labels of the points that they apply to."""
    buckets: tuple[float, ...] = ()
    """Upper bounds, for histograms."""
    convention: Convention | None = None
    """The version of the GenAI conventions that has it; None: it is ours, and always there."""


_CALL = (n.OPERATION, n.PROVIDER, n.GENAI_REQUEST_MODEL)
_MODEL = (n.PROVIDER, n.GENAI_REQUEST_MODEL)
_KIND = (n.TASK_TYPE, n.POLICY_NAME)

# The conventions' own.
_SECONDS = tuple(0.01 * 2**i for i in range(14))
_FIRST_CHUNK_SECONDS = (0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0)
_TOKENS = tuple(float(4**i) for i in range(14))
# Deciding takes 60 to 400 µs: a decade each way has the steps that tell a good day from a bad one.
_DECISION_SECONDS = (1e-5, 2e-5, 5e-5, 1e-4, 2e-4, 5e-4, 1e-3, 1e-2, 1e-1, 1.0)

METRICS: Final = (
    Metric(
        name=n.OPERATION_DURATION,
        kind="histogram",
        unit="s",
        meaning="Duration of a call to a model.",
        labels=_CALL,
        sometimes=(n.ERROR_TYPE,),
        buckets=_SECONDS,
        convention="released",
    ),
    Metric(
        name=n.TIME_TO_FIRST_CHUNK,
        kind="histogram",
        unit="s",
        meaning="Time to the first meaningful chunk of a streamed answer.",
        labels=_CALL,
        buckets=_FIRST_CHUNK_SECONDS,
        convention="released",
    ),
    Metric(
        name=n.USAGE_PER_CALL,
        kind="histogram",
        unit="{token}",
        meaning="Tokens of a call, as its provider counted them.",
        labels=(*_CALL, n.USAGE_TYPE),
        buckets=_TOKENS,
        convention="released",
    ),
    Metric(
        name=n.INFERENCE_DURATION,
        kind="histogram",
        unit="s",
        meaning="Duration of a call to a model.",
        labels=_CALL,
        sometimes=(n.ERROR_TYPE,),
        buckets=_SECONDS,
        convention="newest",
    ),
    Metric(
        name=n.INFERENCE_FIRST_CHUNK,
        kind="histogram",
        unit="s",
        meaning="Time to the first meaningful chunk of a streamed answer.",
        labels=_CALL,
        buckets=_FIRST_CHUNK_SECONDS,
        convention="newest",
    ),
    Metric(
        name=n.INFERENCE_INPUT_USAGE,
        kind="counter",
        unit="{token}",
        meaning="Input tokens used, cached ones included.",
        labels=(*_CALL, n.MODALITY),
        convention="newest",
    ),
    Metric(
        name=n.INFERENCE_OUTPUT_USAGE,
        kind="counter",
        unit="{token}",
        meaning="Output tokens used.",
        labels=(*_CALL, n.MODALITY),
        convention="newest",
    ),
    Metric(
        name=n.INFERENCE_CACHED_USAGE,
        kind="counter",
        unit="{token}",
        meaning="Input tokens read from the provider's cache.",
        labels=(*_CALL, n.MODALITY),
        convention="newest",
    ),
    Metric(
        name=n.INFERENCE_INPUT,
        kind="histogram",
        unit="{token}",
        meaning="Input tokens of a call.",
        labels=_CALL,
        buckets=_TOKENS,
        convention="newest",
    ),
    Metric(
        name=n.INFERENCE_OUTPUT,
        kind="histogram",
        unit="{token}",
        meaning="Output tokens of a call.",
        labels=_CALL,
        buckets=_TOKENS,
        convention="newest",
    ),
    Metric(
        name=n.DECISION_DURATION,
        kind="histogram",
        unit="s",
        meaning="Time spent deciding where a step goes.",
        labels=(n.DECISION_MODEL, *_KIND),
        buckets=_DECISION_SECONDS,
    ),
    Metric(
        name=n.DECISIONS,
        kind="counter",
        unit="{decision}",
        meaning="Decided steps that are over.",
        labels=(n.DECISION_MODEL, n.DECISION_PROVIDER, *_KIND, n.DECISION_REASON, n.OUTCOME_STATUS),
    ),
    Metric(
        name=n.REFUSALS,
        kind="counter",
        unit="{step}",
        meaning="Steps for which no decision could be made.",
        labels=(n.ERROR_TYPE,),
    ),
    Metric(
        name=n.FALLBACKS,
        kind="counter",
        unit="{fallback}",
        meaning="Models that were left for a fallback, by what they failed with.",
        labels=(*_MODEL, n.ERROR_TYPE),
    ),
    Metric(
        name=n.COST,
        kind="counter",
        unit="USD",
        meaning="Cost of all calls whose price is known, failed ones and trials included.",
        labels=(*_MODEL, *_KIND, n.ATTEMPT_ROLE),
    ),
    Metric(
        name=n.BASELINE,
        kind="counter",
        unit="USD",
        meaning="What the incumbent would have cost for the same answers, of steps whose cost is known.",
        labels=(n.REQUEST_MODEL, *_KIND),
    ),
    Metric(
        name=n.LABELS,
        kind="counter",
        unit="{label}",
        meaning="Labels (feedback) that were given for steps.",
        labels=(n.FEEDBACK_SOURCE,),
    ),
    Metric(
        name=n.BREAKERS,
        kind="counter",
        unit="{transition}",
        meaning="Changes of circuit breakers that calls of this process caused, by the state they came to.",
        labels=(*_MODEL, n.BREAKER_ENDPOINT, n.BREAKER_STATE),
    ),
)


def metrics(convention: Convention) -> tuple[Metric, ...]:
    """Return the metrics that are emitted under a version of the conventions."""
    return tuple(metric for metric in METRICS if metric.convention in (None, convention))
