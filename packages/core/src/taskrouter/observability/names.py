"""The names we emit. What they mean, and where they stand, is said in `attribute_table` and `metric_table`.

The GenAI conventions moved to open-telemetry/semantic-conventions-genai in May 2026 and are in development; the
constants package marks its copies deprecated, so ours stand here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

SCOPE: Final = "taskrouter"
SCHEMA_URL: Final = "https://opentelemetry.io/schemas/1.41.0"
"""Of the released conventions; see `conventions.SCHEMA_URLS`."""

# --- the route span -------------------------------------------------------------------------------------------------
DECISION_ID: Final = "taskrouter.decision.id"
DECISION_MODEL: Final = "taskrouter.decision.model"
DECISION_PROVIDER: Final = "taskrouter.decision.provider"
DECISION_REASON: Final = "taskrouter.decision.reason"
DECISION_PLAN: Final = "taskrouter.decision.plan"
DECISION_CANDIDATES: Final = "taskrouter.decision.candidates"
DECISION_SCORES: Final = "taskrouter.decision.scores"
DECISION_LATENCY_MS: Final = "taskrouter.decision.latency_ms"
DECISION_PROPENSITY: Final = "taskrouter.decision.propensity"
DECISION_OF: Final = "taskrouter.decision.of"
DECISION_CERTIFICATE: Final = "taskrouter.decision.certificate"
POLICY_NAME: Final = "taskrouter.policy.name"
POLICY_VERSION: Final = "taskrouter.policy.version"
CLASSIFIER_NAME: Final = "taskrouter.classifier.name"
TASK_TYPE: Final = "taskrouter.task.type"
TASK_COMPLEXITY: Final = "taskrouter.task.complexity"
TASK_CONFIDENCE: Final = "taskrouter.task.confidence"
REQUEST_MODEL: Final = "taskrouter.request.model"
STEP_AGENT: Final = "taskrouter.step.agent"
STEP_NODE: Final = "taskrouter.step.node"
STEP_INDEX: Final = "taskrouter.step.index"
STEP_RUN_ID: Final = "taskrouter.step.run_id"
STEP_TENANT: Final = "taskrouter.step.tenant"
OUTCOME_MODEL: Final = "taskrouter.outcome.model"
OUTCOME_PROVIDER: Final = "taskrouter.outcome.provider"
OUTCOME_STATUS: Final = "taskrouter.outcome.status"
OUTCOME_CHECK: Final = "taskrouter.outcome.check"
ATTEMPT_COUNT: Final = "taskrouter.attempt.count"
FALLBACK_USED: Final = "taskrouter.fallback.used"
COST_TOTAL: Final = "taskrouter.cost.total"
COST_CURRENCY: Final = "taskrouter.cost.currency"
COST_BASELINE: Final = "taskrouter.cost.baseline"
USAGE_INPUT: Final = "taskrouter.usage.input_tokens"
USAGE_OUTPUT: Final = "taskrouter.usage.output_tokens"
OPENINFERENCE_KIND: Final = "openinference.span.kind"

# --- the chat span --------------------------------------------------------------------------------------------------
OPERATION: Final = "gen_ai.operation.name"
PROVIDER: Final = "gen_ai.provider.name"
GENAI_REQUEST_MODEL: Final = "gen_ai.request.model"
GENAI_REQUEST_STREAM: Final = "gen_ai.request.stream"
RESPONSE_MODEL: Final = "gen_ai.response.model"
RESPONSE_ID: Final = "gen_ai.response.id"
FINISH_REASONS: Final = "gen_ai.response.finish_reasons"
FIRST_CHUNK: Final = "gen_ai.response.time_to_first_chunk"
INPUT_TOKENS: Final = "gen_ai.usage.input_tokens"
OUTPUT_TOKENS: Final = "gen_ai.usage.output_tokens"
CACHED_TOKENS: Final = "gen_ai.usage.cache_read.input_tokens"
COST_AMOUNT: Final = "gen_ai.usage.cost.amount"
COST_AMOUNT_CURRENCY: Final = "gen_ai.usage.cost.currency"
COST_SOURCE: Final = "gen_ai.usage.cost.source"
OPENINFERENCE_COST: Final = "llm.cost.total"
ATTEMPT_INDEX: Final = "taskrouter.attempt.index"
ATTEMPT_DEPLOYMENT: Final = "taskrouter.attempt.deployment"
ATTEMPT_FORCED: Final = "taskrouter.attempt.forced"
ATTEMPT_ROLE: Final = "taskrouter.attempt.role"
ATTEMPT_OUTCOME: Final = "taskrouter.attempt.outcome"
ATTEMPT_SERVED_OTHER: Final = "taskrouter.attempt.served_other"
ATTEMPT_RETRIES: Final = "taskrouter.attempt.retries"
ERROR_TYPE: Final = "error.type"
HTTP_STATUS: Final = "http.response.status_code"
SERVER_ADDRESS: Final = "server.address"
SERVER_PORT: Final = "server.port"
CONVERSATION_ID: Final = "gen_ai.conversation.id"

# --- content, on chat spans and in the event, where its capture is switched on ---------------------------------------
CONTENT_EVENT: Final = "gen_ai.client.inference.operation.details"
SYSTEM_INSTRUCTIONS: Final = "gen_ai.system_instructions"
INPUT_MESSAGES: Final = "gen_ai.input.messages"
OUTPUT_MESSAGES: Final = "gen_ai.output.messages"
TOOL_DEFINITIONS: Final = "gen_ai.tool.definitions"

# --- other spans, and labels of metrics alone -------------------------------------------------------------------------
FEEDBACK_SCORE: Final = "taskrouter.feedback.score"
FEEDBACK_SOURCE: Final = "taskrouter.feedback.source"
FEEDBACK_STEPS: Final = "taskrouter.feedback.steps"
BREAKER_ENDPOINT: Final = "taskrouter.breaker.endpoint"
BREAKER_STATE: Final = "taskrouter.breaker.state"
USAGE_TYPE: Final = "gen_ai.token.type"
MODALITY: Final = "gen_ai.token.modality"

# --- the metrics ----------------------------------------------------------------------------------------------------
OPERATION_DURATION: Final = "gen_ai.client.operation.duration"
TIME_TO_FIRST_CHUNK: Final = "gen_ai.client.operation.time_to_first_chunk"
USAGE_PER_CALL: Final = "gen_ai.client.token.usage"
INFERENCE_DURATION: Final = "gen_ai.client.inference.duration"
INFERENCE_FIRST_CHUNK: Final = "gen_ai.client.inference.time_to_first_chunk"
INFERENCE_INPUT_USAGE: Final = "gen_ai.client.inference.usage.input_tokens"
INFERENCE_OUTPUT_USAGE: Final = "gen_ai.client.inference.usage.output_tokens"
INFERENCE_CACHED_USAGE: Final = "gen_ai.client.inference.usage.cache_read.input_tokens"
INFERENCE_INPUT: Final = "gen_ai.client.inference.operation.input_tokens"
INFERENCE_OUTPUT: Final = "gen_ai.client.inference.operation.output_tokens"
DECISION_DURATION: Final = "taskrouter.decision.duration"
DECISIONS: Final = "taskrouter.decisions"
FALLBACKS: Final = "taskrouter.fallbacks"
REFUSALS: Final = "taskrouter.refusals"
COST: Final = "taskrouter.cost"
BASELINE: Final = "taskrouter.baseline"
LABELS: Final = "taskrouter.labels"
BREAKERS: Final = "taskrouter.breakers"

_PROVIDERS: Final[Mapping[str, str]] = {
    "anthropic": "anthropic",
    "azure": "azure.ai.openai",
    "azure_ai": "azure.ai.inference",
    "bedrock": "aws.bedrock",
    "cohere": "cohere",
    "cohere_chat": "cohere",
    "deepseek": "deepseek",
    "gemini": "gcp.gemini",
    "groq": "groq",
    "mistral": "mistral_ai",
    "openai": "openai",
    "perplexity": "perplexity",
    "vertex_ai": "gcp.vertex_ai",
    "watsonx": "ibm.watsonx.ai",
    "xai": "x_ai",
}


def provider_name(provider: str | None, model: str) -> str:
    """Return the convention's name for a LiteLLM provider; an unlisted one goes by its own name."""
    key = provider or (model.split("/", 1)[0] if "/" in model else "")
    return _PROVIDERS.get(key, key or "unknown")
