"""Telling the ledger how every step ends, answered or not, whoever else is watching."""

from __future__ import annotations

from opentelemetry.trace import format_span_id, format_trace_id

from taskrouter.decision import Decision
from taskrouter.ledger.writing import LedgerWriter
from taskrouter.observability.step_trace import StepTrace
from taskrouter.outcome import Ending, Role
from taskrouter.ports import Endpoint, StepObserver, VisitObserver
from taskrouter.step import Step


class LedgerObserver:
    """Passes everything on to another observer, and how the step ended to the ledger too.

    Args:
        ledger: takes the record.
        step: the step.
        decision: what was decided.
        inner: the other observer.
        trace: the step's trace, where there is one: a record names it, so that it can be opened in a viewer.
    """

    def __init__(
        self, ledger: LedgerWriter, step: Step, decision: Decision, inner: StepObserver, trace: StepTrace | None = None
    ) -> None:
        self._ledger, self._step, self._decision, self._inner, self._trace = ledger, step, decision, inner, trace

    def visit_started(self, endpoint: Endpoint, role: Role, index: int) -> VisitObserver:
        """Pass it on."""
        return self._inner.visit_started(endpoint, role, index)

    def step_ended(self, ending: Ending) -> None:
        """Leave the record."""
        self._inner.step_ended(ending)
        if ending.attempts or ending.status != "cancelled":  # else nothing was ever asked
            self._ledger.note(self._step, self._decision, ending, trace=self._ids())

    def _ids(self) -> tuple[str, str] | None:
        context = None if self._trace is None else self._trace.span_context
        if context is None or not context.is_valid or not context.trace_flags.sampled:
            return None  # no viewer will have it
        return format_trace_id(context.trace_id), format_span_id(context.span_id)
