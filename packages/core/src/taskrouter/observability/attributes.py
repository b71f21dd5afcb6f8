"""What the two kinds of span say, as plain mappings: nothing here is a word of a prompt, an answer or a key."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from taskrouter.config import ModelConfig
from taskrouter.decision import Decision
from taskrouter.observability import names as n
from taskrouter.outcome import Attempt, Check, OutcomeStatus, ResponseView, Role, Usage, sum_cost_usd, sum_usage
from taskrouter.ports import Endpoint
from taskrouter.step import Step

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
        return cls(card=card, provider=provider, labels=labels, attributes=attributes)


def route_start(step: Step, decision: Decision, targets: Mapping[str, Target], classifier: str) -> dict[str, Any]:
    """What is known of a step before its first call: all that a sampler may ask for."""
    board, profile, context = decision.board, decision.profile, step.context
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
    known = {
        n.DECISION_CERTIFICATE: _certified(decision.certificate),
        n.STEP_AGENT: context.agent,
        n.STEP_NODE: context.node,
        n.STEP_INDEX: context.index,
        n.STEP_RUN_ID: context.run_id,
        n.STEP_TENANT: context.tenant,
        n.CONVERSATION_ID: context.session_id,
    }
    attributes.update((name, value) for name, value in known.items() if value is not None)
    return attributes


def _certified(certificate: str | None) -> str | None:
    """Of a promise only whether it stands: its numbers change with every policy."""
    return None if certificate is None else "lapsed" if certificate.startswith("lapsed") else "valid"


def route_end(
    decision: Decision,
    targets: Mapping[str, Target],
    status: OutcomeStatus,
    attempts: Sequence[Attempt],
    answered: Attempt | None,
    check: Check,
) -> dict[str, Any]:
    """How a step ended, with the tokens and the money of all its calls."""
    booked = tuple(attempts)
    usage = sum_usage(booked)
    attributes: dict[str, Any] = {
        n.OUTCOME_STATUS: status,
        n.OUTCOME_CHECK: check,
        n.ATTEMPT_COUNT: len(booked),
        n.FALLBACK_USED: any(attempt.role == "fallback" for attempt in booked),
        n.USAGE_INPUT: usage.input_tokens,
        n.USAGE_OUTPUT: usage.output_tokens,
    }
    if (cost := sum_cost_usd(booked)) is not None:
        attributes[n.COST_TOTAL] = cost
        attributes[n.COST_CURRENCY] = "USD"
    if answered is not None:
        attributes[n.OUTCOME_MODEL] = answered.model
        attributes[n.OUTCOME_PROVIDER] = targets[answered.model].provider
        if (baseline := _baseline_usd(targets[decision.incumbent].card, answered.usage)) is not None:
            attributes[n.COST_BASELINE] = baseline
    return attributes


def _baseline_usd(incumbent: ModelConfig, usage: Usage | None) -> float | None:
    """Price of the same answer from the incumbent, its prompt cache as warm as that of the model that answered."""
    if usage is None:
        return None
    return incumbent.cost_usd(usage.input_tokens, usage.output_tokens, usage.cached_input_tokens)


def chat_start(
    target: Target, endpoint: Endpoint, step: Step, role: Role, index: int, *, streamed: bool
) -> dict[str, Any]:
    """What is known of a call before it is made."""
    attributes = {**target.attributes, n.ATTEMPT_INDEX: index, n.ATTEMPT_ROLE: role}
    if endpoint.deployment is not None:
        attributes[n.ATTEMPT_DEPLOYMENT] = endpoint.deployment
    if streamed:
        attributes[n.GENAI_REQUEST_STREAM] = True
    if step.context.session_id is not None:
        attributes[n.CONVERSATION_ID] = step.context.session_id
    return attributes


def chat_end(attempts: Sequence[Attempt], view: ResponseView | None) -> dict[str, Any]:
    """How a model did: its last attempt's outcome, the tokens and the money of all of them."""
    booked, last = tuple(attempts), attempts[-1]
    attributes: dict[str, Any] = {n.ATTEMPT_OUTCOME: last.status, n.ATTEMPT_RETRIES: len(booked) - 1}
    usage = sum_usage(booked)
    if last.forced:
        attributes[n.ATTEMPT_FORCED] = True
    if usage.input_tokens or usage.output_tokens:
        attributes[n.INPUT_TOKENS] = usage.input_tokens
        attributes[n.OUTPUT_TOKENS] = usage.output_tokens
        if usage.cached_input_tokens:
            attributes[n.CACHED_TOKENS] = usage.cached_input_tokens
    if (cost := sum_cost_usd(booked)) is not None:
        attributes[n.COST_AMOUNT] = attributes[n.OPENINFERENCE_COST] = cost
        attributes[n.COST_AMOUNT_CURRENCY] = "USD"
        attributes[n.COST_SOURCE] = "estimated" if usage.estimated else "catalogue"
    if last.first_token_s is not None:
        attributes[n.FIRST_CHUNK] = last.first_token_s
    if view is not None:
        optional = {n.RESPONSE_MODEL: view.model, n.RESPONSE_ID: view.response_id}
        attributes.update((name, value) for name, value in optional.items() if value)
        if view.finish_reason:
            attributes[n.FINISH_REASONS] = [view.finish_reason]
    return attributes
