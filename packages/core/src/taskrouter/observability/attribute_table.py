"""Every attribute that we emit, in one table: on which span, when, of which type, and what it means.

The tables in `docs/tracing.md` are made from it, and a test compares it with what is emitted.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias, cast

from taskrouter.observability import names as n

Place: TypeAlias = Literal["route", "chat", "feedback", "link"]
"""The kinds of span, and the links between them."""
Moment: TypeAlias = Literal["start", "end"]
"""`start`: samplers see it, too. `end`: it is added later."""
ValueType: TypeAlias = Literal["string", "int", "double", "boolean", "string[]", "double[]"]
Origin: TypeAlias = Literal["facts", "context", "content"]
"""Whose words they are. `facts`: names and figures of ours, of the configuration and of the provider's protocol;
`context`: what the application says of a step, as it says it; `content`: words of requests and answers, which are there
only where their capture is switched on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Attribute:
    """One attribute."""

    name: str
    type: ValueType
    meaning: str
    """Markdown, for `docs/tracing.md`."""
    on: Mapping[Place, Moment]
    """Where it stands; empty for labels that stand on metrics alone."""
    origin: Origin = "facts"


def _row(name: str, kind: ValueType, meaning: str, *, origin: Origin = "facts", **on: Moment) -> Attribute:
    return Attribute(name=name, type=kind, meaning=meaning, on=cast("Mapping[Place, Moment]", on), origin=origin)


_DECISION = (
    _row(
        n.DECISION_ID,
        "string",
        "Id of the decision, to give feedback by and to find it in the ledger",
        route="start",
        chat="start",
        feedback="start",
        link="start",
    ),
    _row(n.DECISION_MODEL, "string", "The model that was chosen (its id in the pool)", route="start"),
    _row(n.DECISION_PROVIDER, "string", "Its provider, by the convention's name", route="start"),
    _row(n.DECISION_REASON, "string", "[Reason code](policies.md#reason-codes)", route="start"),
    _row(
        n.DECISION_PLAN,
        "string",
        "`single`, `gate` or `agree`: [the kind of plan](execution.md#plans-of-several-models)",
        route="start",
    ),
    _row(n.DECISION_CANDIDATES, "string[]", "Eligible models, best first", route="start"),
    _row(n.DECISION_SCORES, "double[]", "Their scores, in the same order", route="start"),
    _row(n.DECISION_LATENCY_MS, "double", "Time spent deciding, milliseconds", route="start"),
    _row(n.DECISION_PROPENSITY, "double", "Probability with which the model was chosen", route="start"),
    _row(
        n.DECISION_OF,
        "string",
        "Of a trial, such as a [shadow](learning.md): the decision for whose step it is made, to which it has a link",
        route="start",
    ),
    _row(
        n.DECISION_CERTIFICATE,
        "string",
        "`valid` or `lapsed`, where a learned policy with a [certificate](certificates.md) was followed",
        route="start",
    ),
    _row(n.POLICY_NAME, "string", "Name of the policy; `trial` where nobody gets the answer", route="start"),
    _row(n.POLICY_VERSION, "string", "Hash of pool, policy and rules", route="start"),
    _row(
        n.CLASSIFIER_NAME,
        "string",
        "The classifier, or `declared`, `identity`, `none` where another evidence decided",
        route="start",
    ),
    _row(n.TASK_TYPE, "string", "Task type", route="start"),
    _row(n.TASK_COMPLEXITY, "double", "0 to 1", route="start"),
    _row(n.TASK_CONFIDENCE, "double", "0 to 1", route="start"),
    _row(n.REQUEST_MODEL, "string", "The incumbent: the model you would have called", route="start"),
    _row(n.STEP_AGENT, "string", "Name of the agent", route="start", origin="context"),
    _row(n.STEP_NODE, "string", "Node of the graph", route="start", origin="context"),
    _row(n.STEP_INDEX, "int", "Number of the step in its run", route="start", origin="context"),
    _row(n.STEP_RUN_ID, "string", "The run", route="start", origin="context"),
    _row(n.STEP_TENANT, "string", "The tenant", route="start", origin="context"),
    _row(n.CONVERSATION_ID, "string", "The session", route="start", chat="start", origin="context"),
)
_OUTCOME = (
    _row(n.OUTCOME_MODEL, "string", "The model whose answer was taken, a hedge perhaps", route="end"),
    _row(n.OUTCOME_PROVIDER, "string", "Its provider", route="end"),
    _row(
        n.OUTCOME_STATUS,
        "string",
        "`ok`, `fallback`, `exhausted` or `cancelled`; `refused` where nothing could be decided",
        route="end",
    ),
    _row(
        n.OUTCOME_CHECK,
        "string",
        "What came of the plan's check: `agreed`, `disagreed`, `passed`, `escalated` or `none`",
        route="end",
    ),
    _row(n.ATTEMPT_COUNT, "int", "Calls altogether", route="end"),
    _row(
        n.FALLBACK_USED,
        "boolean",
        "Whether a model outside the decided plan was called because those in it failed or could not be called."
        " Another deployment, a hedge and an escalation are none",
        route="end",
    ),
    _row(
        n.COST_TOTAL,
        "double",
        "Cost of all attempts; left out where it is unknown. On chat spans this one, its currency and"
        ' `taskrouter.usage.*` stand only with `usage_owner = "framework"`, in place of `gen_ai.usage.*`',
        route="end",
        chat="end",
    ),
    _row(n.COST_CURRENCY, "string", "`USD`", route="end", chat="end"),
    _row(
        n.COST_BASELINE,
        "double",
        "What the answer's tokens would have cost with the incumbent; left out where nothing answered",
        route="end",
    ),
    _row(n.USAGE_INPUT, "int", "Input tokens of all attempts", route="end", chat="end"),
    _row(n.USAGE_OUTPUT, "int", "Output tokens of all attempts", route="end", chat="end"),
    _row(
        n.ERROR_TYPE,
        "string",
        "[Kind of failure](execution.md#what-each-failure-does); on the route span that of what was raised",
        route="end",
        chat="end",
    ),
    _row(
        n.OPENINFERENCE_KIND,
        "string",
        '`CHAIN`; on chat spans only with `usage_owner = "framework"`',
        route="start",
        chat="start",
    ),
)
_CALL = (
    _row(n.OPERATION, "string", "`chat`", chat="start"),
    _row(n.PROVIDER, "string", "Provider; `unknown` where nobody says", chat="start"),
    _row(n.GENAI_REQUEST_MODEL, "string", "The model string that was asked for", chat="start"),
    _row(n.GENAI_REQUEST_STREAM, "boolean", "True for streams", chat="start"),
    _row(n.RESPONSE_MODEL, "string", "The model that the provider says has answered", chat="end"),
    _row(n.RESPONSE_ID, "string", "The provider's id of the answer", chat="end"),
    _row(n.FINISH_REASONS, "string[]", "Why the answer ended", chat="end"),
    _row(n.FIRST_CHUNK, "double", "Seconds to the first meaningful chunk", chat="end"),
    _row(n.INPUT_TOKENS, "int", "Input tokens of the visit, retries included", chat="end"),
    _row(n.OUTPUT_TOKENS, "int", "Output tokens", chat="end"),
    _row(n.CACHED_TOKENS, "int", "Input tokens read from the provider's cache", chat="end"),
    _row(n.COST_AMOUNT, "double", "Cost of the visit; left out where it is unknown", chat="end"),
    _row(n.COST_AMOUNT_CURRENCY, "string", "`USD`", chat="end"),
    _row(
        n.COST_SOURCE,
        "string",
        "`catalogue` (provider's tokens, known prices) or `estimated` (estimated tokens)",
        chat="end",
    ),
    _row(n.OPENINFERENCE_COST, "double", "The same amount, for viewers that follow OpenInference", chat="end"),
    _row(n.ATTEMPT_INDEX, "int", "Number of the visit's first attempt within the step, from 1", chat="start"),
    _row(n.ATTEMPT_DEPLOYMENT, "string", "The deployment that was called, where the model has several", chat="start"),
    _row(n.ATTEMPT_ROLE, "string", "`primary`, `propose`, `escalation`, `fallback` or `hedge`", chat="start"),
    _row(n.ATTEMPT_OUTCOME, "string", "`ok`, `failed` or `cancelled`", chat="end"),
    _row(n.ATTEMPT_RETRIES, "int", "Calls after the first", chat="end"),
    _row(
        n.ATTEMPT_FORCED,
        "boolean",
        "True where the endpoint was called only because"
        " [nothing better was left](execution.md#models-that-cannot-be-called)",
        chat="end",
    ),
    _row(
        n.ATTEMPT_SERVED_OTHER,
        "boolean",
        "True where the provider says that [another model](#another-model-than-asked) has answered",
        chat="end",
    ),
    _row(n.HTTP_STATUS, "int", "HTTP status of the failure", chat="end"),
    _row(n.SERVER_ADDRESS, "string", "Host of `base_url`", chat="start"),
    _row(n.SERVER_PORT, "int", "Its port", chat="start"),
)
_CONTENT = (
    _row(n.SYSTEM_INSTRUCTIONS, "string", "Instructions of the system, JSON", chat="end", origin="content"),
    _row(n.INPUT_MESSAGES, "string", "Messages of the request, JSON", chat="end", origin="content"),
    _row(n.TOOL_DEFINITIONS, "string", "Tools that were offered, JSON", chat="end", origin="content"),
    _row(n.OUTPUT_MESSAGES, "string", "The answer, JSON", chat="end", origin="content"),
)
_FEEDBACK = (
    _row(n.FEEDBACK_SCORE, "double", "The label, 0 to 1", feedback="start"),
    _row(n.FEEDBACK_SOURCE, "string", "Who says so", feedback="start", origin="context"),
    _row(n.FEEDBACK_STEPS, "int", "Of a label of a run: its steps, with a link to each", feedback="start"),
)
_LABELS = (
    _row(n.USAGE_TYPE, "string", "`input` or `output`"),
    _row(n.MODALITY, "string", "`unknown`: providers do not tell text from images"),
    _row(n.BREAKER_ENDPOINT, "string", "The model, or `model@deployment`"),
    _row(n.BREAKER_STATE, "string", "`open`, `closed` or `down`"),
)
ATTRIBUTES: Final = (*_DECISION, *_OUTCOME, *_CALL, *_CONTENT, *_FEEDBACK, *_LABELS)
"""By span, those of the route span first, in the order in which people look for them."""
