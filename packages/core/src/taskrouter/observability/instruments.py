"""Metrics: the convention's for every call, ours for decisions, fallbacks and money. Labels never carry an id."""

from __future__ import annotations

from opentelemetry.metrics import Meter

from taskrouter.decision import Decision
from taskrouter.errors import ModelCallError
from taskrouter.observability import names as n
from taskrouter.observability.attributes import Target
from taskrouter.outcome import Attempt

_SECONDS = [0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92]
_TOKENS = [1, 4, 16, 64, 256, 1024, 4096, 16384, 65536, 262144, 1048576, 4194304, 16777216, 67108864]
_DECISION_SECONDS = [1e-5, 2e-5, 5e-5, 1e-4, 2e-4, 5e-4, 1e-3, 1e-2, 1e-1, 1.0]


class Instruments:
    """The instruments of one meter."""

    def __init__(self, meter: Meter) -> None:
        self._duration = meter.create_histogram(
            n.OPERATION_DURATION,
            unit="s",
            description="Duration of a call to a model.",
            explicit_bucket_boundaries_advisory=_SECONDS,
        )
        self._tokens = meter.create_histogram(
            n.USAGE_PER_CALL,
            unit="{token}",
            description="Tokens of a call to a model.",
            explicit_bucket_boundaries_advisory=_TOKENS,
        )
        self._decision = meter.create_histogram(
            n.DECISION_DURATION,
            unit="s",
            description="Time spent deciding where a step goes.",
            explicit_bucket_boundaries_advisory=_DECISION_SECONDS,
        )
        self._decisions = meter.create_counter(n.DECISIONS, unit="{decision}", description="Steps decided.")
        self._fallbacks = meter.create_counter(
            n.FALLBACKS, unit="{fallback}", description="Models left after a failure."
        )
        self._cost = meter.create_counter(n.COST, unit="USD", description="Known cost of calls.")

    def decided(self, decision: Decision) -> None:
        """Record one decision."""
        labels = {
            n.DECISION_MODEL: decision.model,
            n.TASK_TYPE: decision.profile.task_type,
            n.POLICY_NAME: decision.policy,
        }
        self._decision.record(decision.duration_s, labels)
        self._decisions.add(1, {**labels, n.DECISION_REASON: decision.reason})

    def attempted(self, attempt: Attempt, target: Target, task_type: str) -> None:
        """Record one call."""
        labels = target.labels
        failed = attempt.error_type is not None
        self._duration.record(attempt.latency_s, {**labels, n.ERROR_TYPE: attempt.error_type} if failed else labels)
        if attempt.usage is not None and attempt.status == "ok":
            self._tokens.record(attempt.usage.input_tokens, {**labels, n.USAGE_TYPE: "input"})
            self._tokens.record(attempt.usage.output_tokens, {**labels, n.USAGE_TYPE: "output"})
        if attempt.cost_usd:
            self._cost.add(attempt.cost_usd, {**labels, n.TASK_TYPE: task_type})

    def fell_back(self, target: Target, error: ModelCallError) -> None:
        """Record that a model was left for another one."""
        self._fallbacks.add(1, {**target.labels, n.ERROR_TYPE: error.kind})
