"""What the two kinds of span say, as plain mappings: nothing here is a word of a prompt, an answer or a key."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from taskrouter.catalog.served import same_model
from taskrouter.config import ModelConfig
from taskrouter.decision import Decision
from taskrouter.errors import RoutingError, error_kind
from taskrouter.observability import names as n
from taskrouter.outcome import Attempt, Ending, ResponseView, Role, Usage, sum_cost_usd, sum_usage
from taskrouter.ports import Endpoint
from taskrouter.step import Step, StepContext

_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A model of the pool as spans and metrics name it; put together once, it goes with every call."""

    card: ModelConfig
    provider: str
    """The convention's name for the provider."""
    labels: Mapping[str, str]
    """What every metric of a call carries."""
    attributes: Mapping[str, Any]
    """What every span of a call carries."""
    counted: bool = True
    """Whether viewers are to count the tokens and the money of our spans."""

    @classmethod
    def of(cls, card: ModelConfig, *, usage_owner: str) -> Target:
        """Describe a model; see `TelemetryConfig.usage_owner`."""
        provider = n.provider_name(card.provider, card.model)
        labels = {n.OPERATION: "chat", n.PROVIDER: provider, n.GENAI_REQUEST_MODEL: card.model}
        attributes: dict[str, Any] = dict(labels)
        if usage_owner == "framework":
            attributes[n.OPENINFERENCE_KIND] = "CHAIN"
        if card.base_url and (address := urlsplit(card.base_url)).hostname:
            attributes[n.SERVER_ADDRESS] = address.hostname
            if port := address.port or _PORTS.get(address.scheme):
                attributes[n.SERVER_PORT] = port
        counted = usage_owner == "taskrouter"
        return cls(card=card, provider=provider, labels=labels, attributes=attributes, counted=counted)

    def serves_other(self, served: str | None) -> bool:
        """Tell whether the provider says that another model has answered than the one that was asked."""
        return same_model(self.card.model, served, provider=self.card.provider) is False


def route_start(step: Step, decision: Decision, targets: Mapping[str, Target], classifier: str) -> dict[str, Any]:
    """What is known of a step before its first call: all that a sampler may ask for."""
    board, profile = decision.board, decision.profile
    attributes: dict[str, Any] = {
        n.OPENINFERENCE_KIND: "CHAIN",
        n.DECISION_ID: decision.id,
        n.DECISION_MODEL: decision.model,
        n.DECISION_PROVIDER: targets[decision.model].provider,
        n.DECISION_REASON: decision.reason,
        n.DECISION_PLAN: decision.plan.kind,
        n.DECISION_CANDIDATES: [board.cards[i].id for i in board.order],
        n.DECISION_SCORES: [float(board.scores[i]) for i in board.order],
        n.DECISION_LATENCY_MS: decision.duration_s * 1e3,
        n.DECISION_PROPENSITY: decision.propensity,
        n.POLICY_NAME: decision.policy,
        n.POLICY_VERSION: decision.policy_version,
        n.CLASSIFIER_NAME: classifier if profile.evidence == "classifier" else profile.evidence,
        n.TASK_TYPE: profile.task_type,
        n.TASK_COMPLEXITY: profile.complexity,
        n.TASK_CONFIDENCE: profile.confidence,
        n.REQUEST_MODEL: decision.incumbent,
    }
    if decision.certificate is not None:
        # Of a promise only whether it stands: its numbers change with every policy.
        attributes[n.DECISION_CERTIFICATE] = "lapsed" if decision.certificate.startswith("lapsed") else "valid"
    if decision.of is not None:
        attributes[n.DECISION_OF] = decision.of
    attributes.update(_placed(step.context))
    return attributes


def route_end(decision: Decision, targets: Mapping[str, Target], ending: Ending) -> dict[str, Any]:
    """How a step ended, with the tokens and the money of all its calls."""
    usage = ending.usage
    attributes: dict[str, Any] = {
        n.OUTCOME_STATUS: ending.status,
        n.OUTCOME_CHECK: ending.check,
        n.ATTEMPT_COUNT: len(ending.attempts),
        n.FALLBACK_USED: any(attempt.role == "fallback" for attempt in ending.attempts),
        n.USAGE_INPUT: usage.input_tokens,
        n.USAGE_OUTPUT: usage.output_tokens,
    }
    if (cost := ending.cost_usd) is not None:
        attributes[n.COST_TOTAL] = cost
        attributes[n.COST_CURRENCY] = "USD"
    if ending.error_type is not None:
        attributes[n.ERROR_TYPE] = ending.error_type
    if (answered := ending.answered) is not None:
        attributes[n.OUTCOME_MODEL] = answered.model
        attributes[n.OUTCOME_PROVIDER] = targets[answered.model].provider
        if (baseline := baseline_usd(decision, targets[decision.incumbent].card, ending)) is not None:
            attributes[n.COST_BASELINE] = baseline
    return attributes


def baseline_usd(decision: Decision, incumbent: ModelConfig, ending: Ending) -> float | None:
    """Price of the same answer from the incumbent, its prompt cache as warm as that of the model that answered.

    None where nobody got one: of a trial, and of an answer that broke off or was given up. None too where the provider
    counts no tokens: they are not known then.
    """
    if ending.answered is None or ending.status not in ("ok", "fallback") or decision.is_trial:
        return None
    usage = ending.answered.usage
    if usage is None or not (usage.input_tokens or usage.output_tokens):
        return None
    return incumbent.cost_usd(usage.input_tokens, usage.output_tokens, usage.cached_input_tokens)


def refused_step(step: Step, error: RoutingError) -> dict[str, Any]:
    """What is known of a step for which no decision could be made."""
    kind = error_kind(error)
    return {n.OPENINFERENCE_KIND: "CHAIN", n.OUTCOME_STATUS: "refused", n.ERROR_TYPE: kind, **_placed(step.context)}


def _placed(context: StepContext) -> dict[str, Any]:
    """Where in the application a step came from, as far as that is known."""
    known = {
        n.STEP_AGENT: context.agent,
        n.STEP_NODE: context.node,
        n.STEP_INDEX: context.index,
        n.STEP_RUN_ID: context.run_id,
        n.STEP_TENANT: context.tenant,
        n.CONVERSATION_ID: context.session_id,
    }
    return {name: value for name, value in known.items() if value is not None}


def chat_start(
    target: Target, endpoint: Endpoint, step: Step, decision_id: str, role: Role, index: int, *, streamed: bool
) -> dict[str, Any]:
    """What is known of a call before it is made."""
    attributes = {**target.attributes, n.DECISION_ID: decision_id, n.ATTEMPT_INDEX: index, n.ATTEMPT_ROLE: role}
    if endpoint.deployment is not None:
        attributes[n.ATTEMPT_DEPLOYMENT] = endpoint.deployment
    if streamed:
        attributes[n.GENAI_REQUEST_STREAM] = True
    if step.context.session_id is not None:
        attributes[n.CONVERSATION_ID] = step.context.session_id
    return attributes


def _spent(usage: Usage, cost_usd: float | None) -> dict[str, Any]:
    """Tokens and money of a call under the names by which viewers count them."""
    attributes: dict[str, Any] = {}
    if usage.input_tokens or usage.output_tokens:
        attributes[n.INPUT_TOKENS] = usage.input_tokens
        attributes[n.OUTPUT_TOKENS] = usage.output_tokens
        if usage.cached_input_tokens:
            attributes[n.CACHED_TOKENS] = usage.cached_input_tokens
    if cost_usd is not None:
        attributes[n.COST_AMOUNT] = attributes[n.OPENINFERENCE_COST] = cost_usd
        attributes[n.COST_AMOUNT_CURRENCY] = "USD"
        attributes[n.COST_SOURCE] = "estimated" if usage.estimated else "catalogue"
    return attributes


def _spent_aside(usage: Usage, cost_usd: float | None) -> dict[str, Any]:
    """The same under names of ours: another instrumentation's span has the tokens, and no viewer may add them up."""
    attributes: dict[str, Any] = {}
    if usage.input_tokens or usage.output_tokens:
        attributes[n.USAGE_INPUT], attributes[n.USAGE_OUTPUT] = usage.input_tokens, usage.output_tokens
    if cost_usd is not None:
        attributes[n.COST_TOTAL], attributes[n.COST_CURRENCY] = cost_usd, "USD"
    return attributes


def chat_end(target: Target, attempts: Sequence[Attempt], view: ResponseView | None) -> dict[str, Any]:
    """How a model did: its last attempt's outcome, the tokens and the money of all of them."""
    booked, last = tuple(attempts), attempts[-1]
    attributes: dict[str, Any] = {n.ATTEMPT_OUTCOME: last.status, n.ATTEMPT_RETRIES: len(booked) - 1}
    if last.forced:
        attributes[n.ATTEMPT_FORCED] = True
    attributes.update((_spent if target.counted else _spent_aside)(sum_usage(booked), sum_cost_usd(booked)))
    if last.first_token_s is not None:
        attributes[n.FIRST_CHUNK] = last.first_token_s
    if view is not None:
        optional = {n.RESPONSE_MODEL: view.model, n.RESPONSE_ID: view.response_id}
        if target.serves_other(view.model):
            attributes[n.ATTEMPT_SERVED_OTHER] = True
        attributes.update((name, value) for name, value in optional.items() if value)
        if view.finish_reason:
            attributes[n.FINISH_REASONS] = [view.finish_reason]
    return attributes
