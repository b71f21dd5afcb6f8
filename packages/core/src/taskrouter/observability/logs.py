"""What happens to steps, as records of the standard library's logging, with their facts beside the message.

No handler is installed and no level is set: that is the application's. A record never has a word of a prompt, an answer
or a provider's error in it.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from contextvars import Context
from typing import Any, Final

from taskrouter.catalog.served import same_model
from taskrouter.config import ModelConfig
from taskrouter.decision import Decision
from taskrouter.errors import ModelCallError, RoutingError, error_kind
from taskrouter.observability.guard import guarded
from taskrouter.observability.step_trace import StepTrace
from taskrouter.outcome import Attempt, Ending, ResponseView, Role
from taskrouter.ports import Endpoint, StepObserver, VisitObserver
from taskrouter.step import Step, StepContext

logger = logging.getLogger("taskrouter.routing")

EXTRAS: Final[Mapping[str, str]] = {
    "taskrouter_event": "What the record is of: `decided`, `refused`, `fallback`, `left`, `ended`, `served_other` or "
    "`breaker`",
    "taskrouter_decision_id": "Id of the decision",
    "taskrouter_agent": "Name of the agent",
    "taskrouter_node": "Node of the graph",
    "taskrouter_step_index": "Number of the step in its run",
    "taskrouter_run_id": "The run",
    "taskrouter_tenant": "The tenant",
    "taskrouter_task_type": "Task type",
    "taskrouter_policy": "Name of the policy",
    "taskrouter_reason": "Reason code of the decision",
    "taskrouter_plan": "`single`, `gate` or `agree`",
    "taskrouter_model": "The model that was decided, was called or has answered (its id in the pool)",
    "taskrouter_instead_of": "The model that was decided, where another one is called",
    "taskrouter_deployment": "The deployment that was called",
    "taskrouter_role": "Why it was called",
    "taskrouter_calls": "Calls made",
    "taskrouter_status": "`ok`, `fallback`, `exhausted` or `cancelled`",
    "taskrouter_error_type": "Kind of failure",
    "taskrouter_http_status": "HTTP status of the failure",
    "taskrouter_latency_s": "Seconds: of deciding, or of the whole step",
    "taskrouter_cost_usd": "Cost of all calls, US dollars; left out where it is unknown",
    "taskrouter_input_tokens": "Input tokens of all calls",
    "taskrouter_output_tokens": "Output tokens of all calls",
    "taskrouter_asked_model": "The model string that was asked for",
    "taskrouter_served_model": "The model that the provider says has answered",
    "taskrouter_endpoint": "The endpoint, or the quota group, whose circuit breaker has changed",
    "taskrouter_breaker": "What it is now",
}
"""What records carry in `extra`: only what is known."""
REMEMBERED: Final = 1_000
"""Pairs of an asked and a served model that are told of; beyond it no more are."""
_LONGEST = 200


class RoutingLogs:
    """The records of one router.

    Args:
        models: everything that may be called, by endpoint id.
    """

    def __init__(self, models: Mapping[str, ModelConfig]) -> None:
        self._models = models
        self._served: set[tuple[str, str]] = set()

    def decided(self, decision: Decision) -> None:
        """Tell, at DEBUG, where a step goes."""
        if logger.isEnabledFor(logging.DEBUG):
            _say_decided(decision)

    def refused(self, step: Step, error: RoutingError) -> None:
        """Tell, at INFO, of a step for which no decision could be made.

        Its caller gets the error; and a limit that holds, as somebody has set it, is nothing to warn of.
        """
        if logger.isEnabledFor(logging.INFO):
            _say_refused(step, error)

    def breaker(self, endpoint: str, state: str) -> None:
        """Tell, at INFO, that a circuit breaker has opened or closed."""
        if logger.isEnabledFor(logging.INFO):
            _say_breaker(endpoint, state)

    def observing(self, decision: Decision, inner: StepObserver, trace: StepTrace | None) -> StepObserver:
        """Return an observer that also writes records, if anybody reads them.

        Args:
            decision: what was decided.
            inner: the other observer.
            trace: the step's trace, where there is one: its span is current while a record is written.
        """
        return _LoggedStep(self, decision, inner, trace) if logger.isEnabledFor(logging.WARNING) else inner

    def check_served(self, decision: Decision, attempts: Sequence[Attempt]) -> None:
        """Tell, at WARNING and once, that another model answers than was asked: its price and quality are others."""
        for attempt in attempts:
            served = attempt.served_model
            if served is None or (attempt.endpoint_id, served) in self._served or len(self._served) >= REMEMBERED:
                continue
            self._served.add((attempt.endpoint_id, served))
            card = self._models[attempt.endpoint_id]
            if same_model(card.model, served, provider=card.provider) is False:
                _say_served_other(decision, attempt, card)


class _LoggedStep:
    """Passes everything on to another observer, and writes records of it."""

    __slots__ = ("_decision", "_informs", "_inner", "_logs", "_trace")

    def __init__(self, logs: RoutingLogs, decision: Decision, inner: StepObserver, trace: StepTrace | None) -> None:
        self._logs, self._decision, self._inner, self._trace = logs, decision, inner, trace
        self._informs = logger.isEnabledFor(logging.INFO)

    def visit_started(self, endpoint: Endpoint, role: Role, index: int) -> VisitObserver:
        visit = self._inner.visit_started(endpoint, role, index)
        if not self._informs:
            return visit
        if role == "fallback":
            _say_fallback(self._decision, endpoint, visit)
        return _LoggedVisit(self._decision, endpoint, role, visit)

    def step_ended(self, ending: Ending) -> None:
        self._inner.step_ended(ending)
        self._told(ending)

    @guarded
    def _told(self, ending: Ending) -> None:
        level = _level(ending)
        with nullcontext() if self._trace is None else self._trace.attached():
            self._logs.check_served(self._decision, ending.attempts)
            if logger.isEnabledFor(level):
                _say_ended(level, self._decision, ending)


class _LoggedVisit:
    """The same for one visit."""

    __slots__ = ("_decision", "_endpoint", "_inner", "_role")

    def __init__(self, decision: Decision, endpoint: Endpoint, role: Role, inner: VisitObserver) -> None:
        self._decision, self._endpoint, self._role, self._inner = decision, endpoint, role, inner

    def attempt_ended(self, attempt: Attempt) -> None:
        self._inner.attempt_ended(attempt)

    def ended(self, attempts: Sequence[Attempt], view: ResponseView | None, error: ModelCallError | None) -> None:
        if error is not None and attempts and attempts[-1].status == "failed":
            _say_left(self._decision, self._endpoint, self._role, len(attempts), error, self._inner)
        self._inner.ended(attempts, view, error)

    def attached(self) -> AbstractContextManager[object]:
        return self._inner.attached()

    def context(self) -> Context:
        return self._inner.context()


def _level(ending: Ending) -> int:
    """Return how loud the end of a step is.

    Frameworks often catch the error of a step that nothing answered and go on, so the warning may be all that is seen
    of it. A budget that is used up was set to be.
    """
    if ending.status != "exhausted":
        return logging.DEBUG
    return logging.INFO if ending.error_type == "budget_exceeded" else logging.WARNING


@guarded
def _say_decided(decision: Decision) -> None:
    facts = {
        "task_type": decision.profile.task_type,
        "policy": decision.policy,
        "reason": decision.reason,
        "plan": decision.plan.kind,
        "latency_s": decision.duration_s,
    }
    _say(
        logging.DEBUG,
        "decided",
        {"decision_id": decision.id, "model": decision.model, **facts, **_placed(decision.context)},
        "decision %s: model %r",
    )


@guarded
def _say_refused(step: Step, error: RoutingError) -> None:
    _say(
        logging.INFO,
        "refused",
        {"error_type": error_kind(error), **_placed(step.context)},
        "a step was not decided: %s",
    )


@guarded
def _say_breaker(endpoint: str, state: str) -> None:
    _say(logging.INFO, "breaker", {"endpoint": endpoint, "breaker": state}, "circuit breaker %r: %s")


@guarded
def _say_fallback(decision: Decision, endpoint: Endpoint, visit: VisitObserver) -> None:
    facts = {"decision_id": decision.id, "model": endpoint.model, "instead_of": decision.model}
    with visit.attached():
        _say(
            logging.INFO,
            "fallback",
            {**facts, "deployment": endpoint.deployment, **_placed(decision.context)},
            "decision %s: model %r is called as a fallback for %r",
        )


@guarded
def _say_left(
    decision: Decision, endpoint: Endpoint, role: Role, calls: int, error: ModelCallError, visit: VisitObserver
) -> None:
    facts = {"decision_id": decision.id, "model": endpoint.model, "error_type": error.kind, "calls": calls}
    more = {"role": role, "deployment": endpoint.deployment, "http_status": error.status}
    with visit.attached():
        _say(
            logging.INFO,
            "left",
            {**facts, **more, **_placed(decision.context)},
            "decision %s: model %r is given up: %s, after calls: %d",
        )


@guarded
def _say_ended(level: int, decision: Decision, ending: Ending) -> None:
    usage = ending.usage
    _say(
        level,
        "ended",
        {
            "decision_id": decision.id,
            "status": ending.status,
            "calls": len(ending.attempts),
            "latency_s": ending.latency_s,
            "model": None if ending.answered is None else ending.answered.model,
            "error_type": ending.error_type,
            "task_type": decision.profile.task_type,
            "policy": decision.policy,
            "cost_usd": ending.cost_usd,
            "input_tokens": usage.input_tokens,
            "output_tokens": usage.output_tokens,
            **_placed(decision.context),
        },
        "decision %s: step ended: %s, calls: %d, in %.3f s",
    )


@guarded
def _say_served_other(decision: Decision, attempt: Attempt, card: ModelConfig) -> None:
    _say(
        logging.WARNING,
        "served_other",
        {
            "model": attempt.model,
            "asked_model": card.model,
            "served_model": str(attempt.served_model)[:_LONGEST],
            "deployment": attempt.deployment,
            "decision_id": decision.id,
        },
        "model %r was asked for %r and %r has answered, which is said once: prices and quality may be others",
    )


def _placed(context: StepContext) -> dict[str, Any]:
    return {
        "agent": context.agent,
        "node": context.node,
        "step_index": context.index,
        "run_id": context.run_id,
        "tenant": context.tenant,
    }


def _say(level: int, event: str, facts: Mapping[str, Any], message: str) -> None:
    """Write a record. The message's places are filled with the first facts, in their order."""
    extra = {f"taskrouter_{name}": value for name, value in {"event": event, **facts}.items() if value is not None}
    logger.log(level, message, *list(facts.values())[: message.count("%")], extra=extra)
