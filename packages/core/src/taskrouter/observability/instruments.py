"""The metrics of decisions, fallbacks, labels and money. Labels never carry an id, and their values are few."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from opentelemetry.context import Context
from opentelemetry.metrics import Meter, MeterProvider

from taskrouter.decision import Decision
from taskrouter.errors import ModelCallError
from taskrouter.observability import names as n
from taskrouter.observability.attributes import Target, baseline_usd
from taskrouter.observability.calls import recorder_of_calls
from taskrouter.observability.conventions import Convention
from taskrouter.observability.metering import histograms
from taskrouter.observability.metric_table import metrics
from taskrouter.observability.totals import totals
from taskrouter.observability.vocabulary import OTHER, Vocabulary
from taskrouter.outcome import Attempt, Ending

SOURCES: Final = frozenset({"user", "agreement", "judge", "grader", "suite"})
"""Sources of labels that are told apart. Others go as `other`: a source is free text, and may name a person."""
REASONS: Final = 64
"""Reason codes that are told apart: plugins may make up their own."""


class Instruments:
    """The instruments of one meter. Records of histograms are given the span that they belong to, for exemplars.

    Args:
        meter: of the provider.
        convention: whose names the convention's metrics have.
        provider: as it was given to the router; None: OpenTelemetry's global one.
    """

    def __init__(self, meter: Meter, convention: Convention, provider: MeterProvider | None = None) -> None:
        table = metrics(convention)
        counter, histogram = totals(meter, provider, table), histograms(meter, table)
        self._calls = recorder_of_calls(convention, counter, histogram)
        self._decision = histogram[n.DECISION_DURATION]
        self._decisions, self._refusals = counter[n.DECISIONS], counter[n.REFUSALS]
        self._fallbacks, self._breakers = counter[n.FALLBACKS], counter[n.BREAKERS]
        self._cost, self._baseline = counter[n.COST], counter[n.BASELINE]
        self._labels = counter[n.LABELS]
        self._reasons = Vocabulary(REASONS)

    def attempted(self, attempt: Attempt, target: Target, decision: Decision, within: Context) -> None:
        """Record one call."""
        self._calls.called(attempt, target.labels, within)
        if attempt.cost_usd:
            self._cost.add(attempt.cost_usd, {**_model(target), **_kind(decision), n.ATTEMPT_ROLE: attempt.role})

    def ended(self, decision: Decision, ending: Ending, targets: Mapping[str, Target], within: Context) -> None:
        """Record one step that is over."""
        kind = _kind(decision)
        labels = {n.DECISION_MODEL: decision.model, **kind}
        self._decision.record(decision.duration_s, labels, within)
        self._decisions.add(
            1,
            {
                **labels,
                n.DECISION_PROVIDER: targets[decision.model].provider,
                n.DECISION_REASON: self._reasons.known(decision.reason),
                n.OUTCOME_STATUS: ending.status,
            },
        )
        if ending.cost_usd is None:
            return  # a saving is claimed only where the whole price of an answer is known
        if baseline := baseline_usd(decision, targets[decision.incumbent].card, ending):
            self._baseline.add(baseline, {n.REQUEST_MODEL: decision.incumbent, **kind})

    def refused(self, error_type: str) -> None:
        """Record a step that was not decided."""
        self._refusals.add(1, {n.ERROR_TYPE: error_type})

    def fell_back(self, target: Target, error: ModelCallError) -> None:
        """Record that a model was left for another one."""
        self._fallbacks.add(1, {**_model(target), n.ERROR_TYPE: error.kind})

    def judged(self, source: str) -> None:
        """Record a label."""
        self._labels.add(1, {n.FEEDBACK_SOURCE: source if source in SOURCES else OTHER})

    def breaker(self, target: Target, endpoint_id: str, state: str) -> None:
        """Record that a circuit breaker has changed."""
        self._breakers.add(1, {**_model(target), n.BREAKER_ENDPOINT: endpoint_id, n.BREAKER_STATE: state})


def _model(target: Target) -> dict[str, str]:
    return {n.PROVIDER: target.provider, n.GENAI_REQUEST_MODEL: target.card.model}


def _kind(decision: Decision) -> dict[str, str]:
    return {n.TASK_TYPE: decision.profile.task_type, n.POLICY_NAME: decision.policy}
