"""The conventions' metrics of a call to a model, in either version; see `conventions`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from opentelemetry.context import Context
from opentelemetry.metrics import Histogram

from taskrouter.observability import names as n
from taskrouter.observability.conventions import Convention
from taskrouter.observability.totals import Total
from taskrouter.outcome import Attempt, Usage


class CallRecorder(Protocol):
    """Records a call under the names of one version."""

    def called(self, attempt: Attempt, labels: Mapping[str, str], within: Context) -> None:
        """Record one call.

        Args:
            attempt: the call.
            labels: what every metric of a call to this model carries.
            within: has the call's span, for exemplars.
        """


def recorder_of_calls(
    convention: Convention, counter: Mapping[str, Total], histogram: Mapping[str, Histogram]
) -> CallRecorder:
    """Return the recorder of a version, with its instruments by name."""
    return _Newest(counter, histogram) if convention == "newest" else _Released(histogram)


class _Released:
    """One histogram of tokens for both directions."""

    def __init__(self, histogram: Mapping[str, Histogram]) -> None:
        self._duration = histogram[n.OPERATION_DURATION]
        self._first_chunk = histogram[n.TIME_TO_FIRST_CHUNK]
        self._tokens = histogram[n.USAGE_PER_CALL]

    def called(self, attempt: Attempt, labels: Mapping[str, str], within: Context) -> None:
        self._duration.record(attempt.latency_s, _ended(labels, attempt), within)
        if attempt.first_token_s is not None:
            self._first_chunk.record(attempt.first_token_s, labels, within)
        if (usage := _counted(attempt)) is not None:
            self._tokens.record(usage.input_tokens, {**labels, n.USAGE_TYPE: "input"}, within)
            self._tokens.record(usage.output_tokens, {**labels, n.USAGE_TYPE: "output"}, within)


class _Newest:
    """Counters for what is used altogether, histograms for what a call uses."""

    def __init__(self, counter: Mapping[str, Total], histogram: Mapping[str, Histogram]) -> None:
        self._duration = histogram[n.INFERENCE_DURATION]
        self._first_chunk = histogram[n.INFERENCE_FIRST_CHUNK]
        self._input, self._output = histogram[n.INFERENCE_INPUT], histogram[n.INFERENCE_OUTPUT]
        self._inputs, self._outputs = counter[n.INFERENCE_INPUT_USAGE], counter[n.INFERENCE_OUTPUT_USAGE]
        self._cached = counter[n.INFERENCE_CACHED_USAGE]

    def called(self, attempt: Attempt, labels: Mapping[str, str], within: Context) -> None:
        self._duration.record(attempt.latency_s, _ended(labels, attempt), within)
        if attempt.first_token_s is not None:
            self._first_chunk.record(attempt.first_token_s, labels, within)
        if (usage := _counted(attempt)) is None:
            return
        # What a provider does not tell apart is `unknown`, says the convention, even if it is all text.
        used = {**labels, n.MODALITY: "unknown"}
        self._inputs.add(usage.input_tokens, used)
        self._outputs.add(usage.output_tokens, used)
        if usage.cached_input_tokens:
            self._cached.add(usage.cached_input_tokens, used)
        self._input.record(usage.input_tokens, labels, within)
        self._output.record(usage.output_tokens, labels, within)


def _ended(labels: Mapping[str, str], attempt: Attempt) -> Mapping[str, str]:
    return labels if attempt.error_type is None else {**labels, n.ERROR_TYPE: attempt.error_type}


def _counted(attempt: Attempt) -> Usage | None:
    """Return the provider's count, be the answer of use or not. Metrics never carry what we have estimated."""
    usage = attempt.usage
    if usage is None or usage.estimated or not (usage.input_tokens or usage.output_tokens):
        return None
    return usage
