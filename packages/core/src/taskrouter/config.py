"""`taskrouter.toml` as pydantic models: validated once, here, then trusted."""

from __future__ import annotations

import difflib
import os
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self, TypeAlias, TypeVar, get_args, get_origin

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    GetJsonSchemaHandler,
    JsonValue,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from taskrouter.catalog.card import ModelCard, Probability
from taskrouter.errors import ConfigurationError
from taskrouter.profile import DOMAINS, FAMILIES

Seconds = Annotated[float, Field(gt=0, le=86_400)]
"""A time limit or a pause: more than nothing, at most a day."""
M = TypeVar("M", bound=BaseModel)


def _env_reference(value: str) -> str:
    if not value.startswith("env:") or len(value) == len("env:"):
        raise ValueError("write 'env:NAME' and put the secret into that environment variable, never into the file")
    return value


SecretReference = Annotated[str, AfterValidator(_env_reference), Field(json_schema_extra={"pattern": "^env:."})]
"""`env:NAME`: the secret is read from the environment when it is needed and stored nowhere."""


def _task_type(value: str) -> str:
    if value not in FAMILIES:
        raise ValueError(f"unknown task type {value!r}; known: {', '.join(sorted(FAMILIES))}")
    return value


TaskType = Annotated[str, AfterValidator(_task_type)]


def _domain(value: str) -> str:
    if value not in DOMAINS:
        raise ValueError(f"unknown domain {value!r}; known: {', '.join(sorted(DOMAINS))}")
    return value


def _language(value: str) -> str:
    if not re.fullmatch("[a-z]{2,3}", value):
        raise ValueError(f"{value!r} is no language code; write ISO 639-1, such as 'de'")
    return value


def _name(value: str) -> str:
    if not 0 < len(value) <= 200 or value != value.strip() or not value.isprintable():
        raise ValueError(f"{value[:40]!r} is no usable name: write 1 to 200 visible characters on one line")
    return value


Name = Annotated[str, AfterValidator(_name)]
"""What people read in tables, traces and errors: not empty, no control characters, no space at its ends."""


def _http_url(value: str) -> str:
    if not re.match(r"https?://[^/\s]", value):
        shown = value.rpartition("@")[2]  # before it there may be a password
        raise ValueError(f"{shown!r} is no address; write it in full, such as 'http://localhost:8000/v1'")
    return value


def _printed(given: Iterable[tuple[str | None, Any]]) -> Iterator[tuple[str | None, Any]]:
    """Yield the fields of a table as its repr has them: without what may be secret in an address or a parameter."""
    for name, value in given:
        if name in ("base_url", "url") and isinstance(value, str) and "//" in value:
            yield name, re.sub("//[^/?#]*@", "//", value).partition("?")[0]
        elif name in ("params", "options"):
            yield name, dict.fromkeys(value, "…")
        else:
            yield name, value


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    def __repr_args__(self) -> Iterator[tuple[str | None, Any]]:
        return _printed(super().__repr_args__())


class RouterSection(_Section):
    """`[router]`."""

    incumbent: str | None = None
    """Id of the model that is used today; the safe choice whenever the router is unsure."""
    seed: int | None = None
    """Seed of backoff jitter and of exploration, for reproducible runs."""
    margin: Annotated[float, Field(ge=1)] = 1.35
    """Factor on the token estimate when it is compared with a context window (the estimate's error, p95)."""


class DeploymentConfig(_Section):
    """`[[models.deployments]]`: one place that serves a model. What is left out is as the model's table says."""

    name: Name
    """Tells it from the model's other deployments."""
    model: Name | None = None
    """LiteLLM-style model string there."""
    backend: str | None = None
    base_url: Annotated[str, AfterValidator(_http_url)] | None = None
    api_key: SecretReference | None = None
    region: Name | None = None
    """Region that it serves from; constraints on regions hold for each deployment."""
    quota_group: Name | None = None
    weight: Annotated[float, Field(gt=0)] = 1.0
    """Share of the calls, relative to the other deployments."""


class ModelConfig(ModelCard):
    """`[[models]]`: a model of the pool, how to reach it, and card fields that override the catalogue's."""

    model_config = ConfigDict(allow_inf_nan=False)

    id: Name
    """The name decisions use."""
    model: Name = ""
    """LiteLLM-style model string; the `id` where it is left out."""
    backend: str | None = None
    """`litellm`, `openai`, `replay` or a plugin's; default: `openai` with a `base_url`, else `litellm`."""
    base_url: Annotated[str, AfterValidator(_http_url)] | None = None
    """Address of an OpenAI-compatible server."""
    api_key: SecretReference | None = None
    params: dict[str, Any] = {}
    """Request parameters sent with every call, such as `temperature`."""
    quota_group: Name | None = None
    """Models that share one quota (an account, a key) share this name: a rate limit of one is one of all."""
    deployments: tuple[DeploymentConfig, ...] = ()
    """Several places that serve this model; calls are balanced over them. Without any, the model is its own."""

    def __repr_args__(self) -> Iterator[tuple[str | None, Any]]:
        return _printed(super().__repr_args__())

    @field_validator("deployments")
    @classmethod
    def _deployments_differ(cls, deployments: tuple[DeploymentConfig, ...]) -> tuple[DeploymentConfig, ...]:
        names = [deployment.name for deployment in deployments]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"deployment names must differ; given twice: {', '.join(map(repr, twice))}")
        return deployments

    @model_validator(mode="before")
    @classmethod
    def _model_defaults_to_id(cls, data: Any) -> Any:
        if isinstance(data, Mapping) and not data.get("model") and isinstance(data.get("id"), str):
            return {**data, "model": data["id"]}
        return data

    def at(self, deployment: DeploymentConfig) -> ModelConfig:
        """Return the same model as one of its deployments serves it."""
        own = deployment.model_dump(exclude={"name", "weight", "region"}, exclude_none=True)
        said = {name: getattr(deployment, name) for name in own}
        if deployment.region is not None:
            said["regions"] = frozenset({deployment.region})
        return self.model_copy(update={**said, "id": f"{self.id}@{deployment.name}", "deployments": ()})

    def served_in(self) -> frozenset[str] | None:
        """Return the regions that a call of the model can be sent to: those of its deployments, where it has any."""
        if not self.deployments:
            return self.regions
        return frozenset().union(*(self.at(place).regions or () for place in self.deployments)) or None

    def secret(self) -> str | None:
        """Read the key from the environment.

        Raises:
            ConfigurationError: the variable is not set.
        """
        if self.api_key is None:
            return None
        name = self.api_key.removeprefix("env:")
        if not (value := os.environ.get(name)):
            raise ConfigurationError(f"model {self.id!r}: api_key refers to {self.api_key!r}, but {name} is not set")
        return value


class Weights(_Section):
    """Importance of each quantity in a weighted objective; they need not sum to one."""

    quality: Annotated[float, Field(ge=0)] = 0.0
    cost: Annotated[float, Field(ge=0)] = 0.0
    latency: Annotated[float, Field(ge=0)] = 0.0
    carbon: Annotated[float, Field(ge=0)] = 0.0

    @model_validator(mode="after")
    def _some_weight(self) -> Self:
        if not (self.quality or self.cost or self.latency or self.carbon):
            raise ValueError("give at least one weight above zero: quality, cost, latency, carbon")
        return self


class PolicyConfig(_Section):
    """`[policy]`: what the router aims for."""

    name: str = "safe"
    """`safe`, `balanced`, `economy`, `weighted` or a plugin's."""
    max_loss: Probability = 0.02
    """`balanced`: expected loss of quality against the incumbent that is accepted, as a share (0.02 = 2 points), by
    your own figures and where answers are compared; published figures of one model must promise no loss."""
    quality_floor: Probability = 0.7
    """`economy`: expected quality, at the lower end of what is believed, below which a model is not used alone."""
    demanding: Probability = 0.75
    """`balanced`: steps of at least this complexity stay with the incumbent."""
    agreement: bool = True
    """`safe`, `balanced`, `economy`: ask two cheap models at once where their answers can be compared (tool calls,
    numbers), and the incumbent only where they differ. It costs time on the steps on which they do. For whole answers;
    streams need `execution.buffer_streams`."""
    weights: Weights | None = None
    """`weighted`: the importance of each quantity."""
    escalation: tuple[str, ...] = ()
    """Models to try after a failure, in this order: those behind the failed one, then those before it, and no others.
    Without it the incumbent comes first, then the rest by their score."""

    @field_validator("escalation")
    @classmethod
    def _escalation_ends(cls, chain: tuple[str, ...]) -> tuple[str, ...]:
        if twice := sorted({model for model in chain if chain.count(model) > 1}):
            raise ValueError(f"the chain loops: {', '.join(map(repr, twice))} stands in it more than once")
        return chain

    @model_validator(mode="before")
    @classmethod
    def _bare_weights(cls, data: Any) -> Any:
        if not isinstance(data, Mapping) or not (weights := [key for key in data if key in Weights.model_fields]):
            return data
        if len(weights) < len(data):
            named = ", ".join(map(repr, weights))
            raise ValueError(f"{named}: weights stand alone, or in a table `weights` beside name = 'weighted'")
        return {"name": "weighted", "weights": dict(data)}

    @model_validator(mode="after")
    def _weights_belong_to_weighted(self) -> Self:
        if (self.name == "weighted") != (self.weights is not None):
            raise ValueError("name = 'weighted' and a table `weights` go together")
        return self

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """Describe the three ways to write a policy: a name, weights alone, or a table."""
        weights = handler(Weights.__pydantic_core_schema__)
        return {"anyOf": [{"type": "string", "description": "A policy by its name."}, weights, handler(schema)]}

    @classmethod
    def of(cls, spec: PolicyConfig | str | Mapping[str, Any]) -> PolicyConfig:
        """Read a policy as users write it: a name, weights, or a table."""
        if isinstance(spec, PolicyConfig):
            return spec
        if not isinstance(spec, str | Mapping):
            raise ConfigurationError(f"policy is a {type(spec).__name__}; it must be a name, weights or a table")
        return validated(cls, {"name": spec} if isinstance(spec, str) else spec, where="policy")


class When(_Section):
    """Conditions of a rule; all that are given must hold. Text conditions may use `*` and `?`."""

    agent: str | None = None
    node: str | None = None
    tenant: str | None = None
    task_type: TaskType | None = None
    domain: Annotated[str, AfterValidator(_domain)] | None = None
    language: Annotated[str, AfterValidator(_language)] | None = None
    tags: frozenset[str] = frozenset()
    """Tags that the step must all carry."""
    tools: bool | None = None
    min_complexity: Probability | None = None
    max_complexity: Probability | None = None
    min_input_tokens: Annotated[int, Field(ge=0)] | None = None

    @model_validator(mode="after")
    def _some_complexity_fits(self) -> Self:
        low, high = self.min_complexity, self.max_complexity
        if low is not None and high is not None and low > high:
            raise ValueError(f"min_complexity {low:g} is above max_complexity {high:g}: no step can match")
        return self

    @property
    def reads_profile(self) -> bool:
        """Whether a condition can only be checked once the step has been profiled."""
        return any(getattr(self, name) is not None for name in _OF_PROFILE)


_OF_PROFILE = ("task_type", "domain", "language", "min_complexity", "max_complexity", "min_input_tokens")


class RuleConfig(_Section):
    """`[[rules]]`: what holds for the steps that match. Later rules add to earlier ones; constraints only tighten."""

    name: Name
    when: When = When()
    task_type: TaskType | None = None
    """Declare the task type of matching steps."""
    policy: PolicyConfig | None = None
    """Use another policy. A name is enough."""
    use: Annotated[tuple[str, ...], Field(min_length=1)] | None = None
    """Only these models."""
    avoid: frozenset[str] = frozenset()
    """None of these models."""
    regions: frozenset[str] | None = None
    """Only models served in one of these regions."""
    require_tags: frozenset[str] = frozenset()
    """Only models that carry all these tags."""
    max_cost_usd: Annotated[float, Field(gt=0)] | None = None
    """No model whose expected price for the step is above this, nor one whose price is unknown."""
    sensitivity: str | None = None
    """Privacy class recorded in the profile. Content of steps of another class than `public` is never captured."""

    @field_validator("policy", mode="before")
    @classmethod
    def _policy_by_name(cls, value: Any) -> Any:
        return {"name": value} if isinstance(value, str) else value

    @model_validator(mode="after")
    def _declares_from_context_only(self) -> Self:
        declares = "task_type" if self.task_type else "sensitivity" if self.sensitivity else None
        if declares and self.when.reads_profile:
            raise ValueError(f"a rule that declares `{declares}` may only look at the step's context, not its profile")
        return self


class LabellerConfig(_Section):
    """`[profiling.labeller]`: who is asked, behind the calls, what a step identity is for that the classifier leaves
    open.
    """

    name: Name
    """`llm`, `embeddings` or a plugin's."""
    model: Name | None = None
    """`llm`: id of the model of the pool that is asked. `embeddings`: what makes the vectors."""
    usd_per_day: Annotated[float, Field(gt=0, le=1e6)] = 0.1
    """The most that asking models of the pool may cost per day (UTC), on an account of its own, US dollars."""
    confidence_floor: Probability = 0.7
    """Below this probability an answer is not used: it would hold for every step of the identity."""
    identities: Annotated[int, Field(ge=1, le=1_000_000)] = 1000
    """How many step identities may be asked about in the life of a process."""
    queued: Annotated[int, Field(ge=1, le=10_000)] = 100
    """Step identities that may wait; what comes beyond is asked about later."""
    regions: frozenset[str] | None = None
    """Where a labeller that sends what it is shown out of the process sends it; steps that rules keep to other regions
    are not shown to it."""
    tags: frozenset[str] = frozenset()
    """Tags that it carries there, for rules with `require_tags`."""
    options: dict[str, JsonValue] = {}
    """The labeller's own settings."""


class ProfilingConfig(_Section):
    """`[profiling]`: how steps are understood."""

    classifier: str = "ngrams"
    """Name of the registered classifier."""
    confidence_floor: Probability = 0.5
    """Below this probability a task type is `unknown`."""
    identities: Annotated[int, Field(ge=0)] = 10_000
    """How many step identities (agent and system prompt) are remembered; 0 turns the memory off."""
    labeller: LabellerConfig | None = None
    """Who is asked where the classifier is unsure: a name, or a table. None: nobody."""

    @field_validator("labeller", mode="before")
    @classmethod
    def _labeller_by_name(cls, value: Any) -> Any:
        return {"name": value} if isinstance(value, str) else value

    @model_validator(mode="after")
    def _labels_are_remembered(self) -> Self:
        if self.labeller is not None and not self.identities:
            raise ValueError("a labeller needs the memory of identities: leave out `identities`, or set it above 0")
        return self


class ExecutionConfig(_Section):
    """`[execution]`: how long to wait and how often to try."""

    timeout_s: Seconds = 120.0
    """Time allowed for one call."""
    first_token_timeout_s: Seconds = 30.0
    """Time allowed for the first meaningful chunk of a stream."""
    stall_timeout_s: Seconds = 30.0
    """Time allowed between two chunks of a stream."""
    step_timeout_s: Seconds | None = None
    """Time allowed for the whole step, retries and fallbacks included."""
    retries: Annotated[int, Field(ge=0, le=10)] = 1
    """Further calls to the same model after a failure that may pass."""
    max_attempts: Annotated[int, Field(ge=1, le=50)] = 6
    """Calls for one step altogether."""
    backoff_base_s: Seconds = 0.5
    backoff_max_s: Seconds = 8.0
    max_retry_after_s: Seconds = 10.0
    """A provider that asks for a longer pause is left for the next model; without a next one we wait as asked, up to
    `timeout_s`."""
    hedge_quantile: Annotated[float, Field(ge=0.5, lt=1)] | None = None
    """Call the next model too when an answer takes longer than this share of the model's recent answers did; the first
    good one is taken and the other call cancelled. For whole answers, not for streams."""
    buffer_streams: bool = False
    """Hold a stream back until it is complete and has passed the checks of `[gates]`; then a failure can fall back to
    the end, and no word reaches the reader before the last one has been written."""
    balance: Literal["weighted", "least_latency"] = "weighted"
    """How calls are spread over the deployments of a model."""
    region: Name | None = None
    """Region that deployments are preferred from."""


Verdict = Literal["fail", "accept"]


class GatesConfig(_Section):
    """`[gates]`: which answers count as failed attempts. Empty answers and broken tool calls always do."""

    refused: Verdict = "fail"
    """The provider says that the model declined, or its content filter stopped the answer."""
    truncated: Literal["fail", "accept", "auto"] = "auto"
    """Plain text that was cut at the length limit. `auto`: a failure where the router makes the request and neither the
    step nor the card asks for a limit; a caller's own client may have one that is meant."""
    validator_error: Literal["fail", "accept", "raise"] = "fail"
    """What it means that a validator itself raises. It is always logged."""


class HealthConfig(_Section):
    """`[health]`: when a model that fails is left alone for a while."""

    enabled: bool = True
    failures: Annotated[int, Field(ge=1)] = 5
    """Failures in a row that open the circuit breaker."""
    error_rate: Annotated[float, Field(gt=0, le=1)] = 0.5
    """Share of failures within the window that opens it, ..."""
    min_calls: Annotated[int, Field(ge=1)] = 10
    """... from this many calls on."""
    window_s: Seconds = 60.0
    open_s: Seconds = 15.0
    """How long it stays open; then one call is let through as a probe. Doubles with every probe that fails."""
    max_open_s: Seconds = 300.0
    down_s: Seconds = 300.0
    """How long a model is left alone whose key is refused or that its provider does not know."""
    slow_after_s: Seconds | None = None
    """A model whose median latency within the window is above this counts as failing over: others come first."""


class Limits(_Section):
    """What may be used; at least one of them."""

    usd: Annotated[float, Field(gt=0, le=1e6, strict=True)] | None = None
    """US dollars."""
    tokens: Annotated[int, Field(gt=0, le=10**15, strict=True)] | None = None
    """Tokens, in and out together."""
    steps: Annotated[int, Field(gt=0, le=10**15, strict=True)] | None = None
    """Steps: model calls of the agent, retries and fallbacks of one not counted again."""

    @model_validator(mode="after")
    def _some_limit(self) -> Self:
        if self.usd is None and self.tokens is None and self.steps is None:
            raise ValueError("give at least one limit: usd, tokens, steps")
        return self


class WindowedLimits(Limits):
    """Limits that begin anew with every hour, day or month (UTC)."""

    every: Literal["hour", "day", "month"] | None = None
    """None: they never begin anew."""


class BudgetConfig(_Section):
    """`[budget]`: what steps may use together. All that apply hold at once."""

    run: WindowedLimits | None = None
    """For every run, by `StepContext.run_id`."""
    session: WindowedLimits | None = None
    """For every conversation, by `StepContext.session_id`."""
    tenant: WindowedLimits | None = None
    """For every tenant, by `StepContext.tenant`."""
    tenants: dict[str, WindowedLimits] = {}
    """For single tenants, in place of `tenant`."""
    total: WindowedLimits | None = None
    """For everything that goes through routers with the same state."""
    output_margin: Annotated[float, Field(ge=1)] = 4.0
    """Factor on the expected length of an answer when its price is reserved; a step's own limit takes its place."""
    wait_s: Annotated[float, Field(ge=0, le=3600)] = 2.0
    """How long a step waits for money that is only reserved by others, before it is refused."""


STATE_VARIABLE: Final = "TASKROUTER_STATE_URL"
"""Environment variable with the address of the store for all routers whose configuration names none."""


def _kept() -> str:
    return f"env:{STATE_VARIABLE}" if os.environ.get(STATE_VARIABLE, "").strip() else "memory:"


class StateConfig(_Section):
    """`[state]`: where breakers, budgets, learned tables and the ledger are kept."""

    url: str = Field(default_factory=_kept)
    """`memory:`, `sqlite:///path`, `redis://host/0`, or `env:NAME` for one with a password. By default the variable
    `TASKROUTER_STATE_URL` where it is set, else `memory:`."""
    refresh_s: Annotated[float, Field(ge=0.05, le=3600)] = 1.0
    """How often what other processes have written is read, and what is to be shared is written."""
    namespace: Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]{1,64}$")] = "default"
    """Routers of the same namespace share their state."""
    decisions: Annotated[int, Field(ge=0, le=10_000_000)] = 100_000
    """Decisions that the ledger keeps, about; the oldest go first. 0: there is no ledger."""
    decision_days: Annotated[float, Field(ge=0, le=36_500)] | None = 90.0
    """Days that it keeps a decision or an event at most; None or 0: age does not matter."""
    decision_mb: Annotated[float, Field(ge=0)] | None = 512.0
    """Megabytes that its decisions may take in the store, about; None or 0: any."""


class ExplorationConfig(_Section):
    """`[learning.exploration]`: what trying other plans may lose and cost."""

    points: Annotated[float, Field(gt=0, le=100)] = 0.2
    """Points of quality that exploring is expected to take off the mean of all steps so far, at most."""
    usd: Annotated[float, Field(gt=0, le=1e6)] = 10.0
    """US dollars that exploring steps are expected to cost beyond the default plan, in all, at most."""


class LearningConfig(_Section):
    """`[learning]`: what labels teach. Without labels nothing is learned, and nothing changes."""

    enabled: bool = True
    """Whether labels of answers change where later steps of the same identity go."""
    max_loss: Probability = 0.02
    """Accepted loss against the incumbent, pooled over all steps with labels, as a share (0.02 = 2 points); one
    standard error of what was measured is included."""
    policy: Path | None = None
    """A policy that was learned before, as `taskrouter tune` writes it; labels then change nothing. A relative path
    starts at the configuration's file, without one at the working directory."""
    exploration: ExplorationConfig | None = None
    """Online learning: plans are also tried, within this budget, and steps move as labels come. Without it the router
    learns from the labels that it gets and tries nothing by itself."""

    @model_validator(mode="after")
    def _a_given_policy_is_not_explored(self) -> Self:
        if self.policy is not None and self.exploration is not None:
            raise ValueError("`policy` and `exploration` exclude each other: what was tuned is not changed by trying")
        return self


class ShadowConfig(_Section):
    """`[shadow]`: what another plan would have answered, on a share of the steps, behind the user's calls."""

    share: Probability = 0.0
    """Share of the answered steps that are also sent to another plan; 0: none."""
    usd_per_day: Annotated[float, Field(gt=0, le=1e6)] = 1.0
    """The most that this may cost per day (UTC), judges included, on an account of its own, US dollars."""
    judge: str | dict[str, Any] | None = None
    """Id of the model that compares answers which do not come to the same, or the table of a grader that needs no
    expected answer. Without one, an answer that differs from the incumbent's counts as wrong."""
    plans: Literal["auto"] | tuple[str, ...] = "auto"
    """Models that may be tried; `auto`: those that are new, then those of which least is known."""
    queued: Annotated[int, Field(ge=1, le=10_000)] = 100
    """Steps that may wait; what comes beyond is dropped."""


ContentMode: TypeAlias = Literal["NO_CONTENT", "SPAN_ONLY", "EVENT_ONLY", "SPAN_AND_EVENT"]
"""Where messages, tools and answers are captured: nowhere, on chat spans, in events, or both."""


class TelemetryConfig(_Section):
    """`[telemetry]`."""

    enabled: bool = True
    usage_owner: Literal["taskrouter", "framework"] = "taskrouter"
    """`framework`: another instrumentation reports the same calls, so attempts are marked as chains and viewers count
    tokens once."""
    content: ContentMode | None = None
    """None: what `OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT` says, and without it `NO_CONTENT`."""
    content_max_chars: Annotated[int, Field(ge=100, le=1_000_000)] = 10_000
    """The longest part of a message that is captured, characters; an attribute may be ten times as long."""

    @field_validator("content", mode="before")
    @classmethod
    def _content_in_any_case(cls, value: Any) -> Any:
        return value.upper() if isinstance(value, str) else value


class RouterConfig(_Section):
    """The whole of `taskrouter.toml`."""

    router: RouterSection = RouterSection()
    models: tuple[ModelConfig, ...] = ()
    policy: PolicyConfig = PolicyConfig()
    rules: tuple[RuleConfig, ...] = ()
    profiling: ProfilingConfig = ProfilingConfig()
    execution: ExecutionConfig = ExecutionConfig()
    gates: GatesConfig = GatesConfig()
    health: HealthConfig = HealthConfig()
    budget: BudgetConfig = BudgetConfig()
    state: StateConfig = Field(default_factory=StateConfig)
    learning: LearningConfig = LearningConfig()
    shadow: ShadowConfig = ShadowConfig()
    telemetry: TelemetryConfig = TelemetryConfig()

    @field_validator("policy", mode="before")
    @classmethod
    def _policy_by_name(cls, value: Any) -> Any:
        return {"name": value} if isinstance(value, str) else value

    @classmethod
    def load(cls, source: str | Path | Mapping[str, Any]) -> RouterConfig:
        """Read a configuration from a TOML file or a mapping of the same shape.

        Raises:
            ConfigurationError: the file cannot be read, or a key is unknown or wrong; the message names it.
        """
        if isinstance(source, Mapping):
            return validated(cls, source, where="configuration")
        if not isinstance(source, str | Path):
            raise ConfigurationError(f"a configuration is a path or a mapping, not a {type(source).__name__}")
        path = Path(source)
        return validated(cls, read_toml(path), where=str(path)).relative_to(path.parent)

    def relative_to(self, folder: Path) -> RouterConfig:
        """Let the paths of a file start where it stands."""
        if self.learning.policy is None:
            return self
        learning = self.learning.model_copy(update={"policy": folder / self.learning.policy})
        return self.model_copy(update={"learning": learning})


def read_toml(path: Path) -> dict[str, Any]:
    """Read a TOML file.

    Raises:
        ConfigurationError: there is no such file, or it is not TOML; the message names line and column.
    """
    try:
        return tomllib.loads(read_text(path))
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(f"{path}: not valid TOML: {error}") from error
    except RecursionError:
        raise ConfigurationError(f"{path}: not valid TOML: it is nested too deeply") from None


def read_text(path: Path) -> str:
    """Read a text file that a user has named.

    Raises:
        ConfigurationError: there is no such file, or it is not UTF-8.
    """
    try:
        return path.read_text(encoding="utf-8-sig")  # some editors put a mark before the text
    except (OSError, ValueError) as error:
        named = "it is not UTF-8 text" if isinstance(error, UnicodeDecodeError) else "the path is not valid"
        raise ConfigurationError(f"{path}: cannot be read: {getattr(error, 'strerror', None) or named}") from error


def validated(cls: type[M], data: Any, *, where: str) -> M:
    """Validate `data`, or raise one `ConfigurationError` that names every wrong key."""
    try:
        return cls.model_validate(data)
    except ValidationError as error:
        found = error.errors(include_url=False, include_input=False)
        raise ConfigurationError(f"{where}: {'; '.join(_problem(cls, item) for item in found)}") from None


_IN_WORDS = {
    "missing": "is missing",
    "string_type": "must be text",
    "tuple_type": "must be a list",
    "frozen_set_type": "must be a list",
    "dict_type": "must be a table",
    "model_type": "must be a table",
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
    "too_short": "must not be empty",
}
"""For pydantic's messages that speak of Python where users write TOML."""


def _problem(cls: type[BaseModel], item: Mapping[str, Any]) -> str:
    location = item["loc"]
    key = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in location).lstrip(".")
    if item["type"] == "extra_forbidden":
        known = _keys(cls, location[:-1])
        near = difflib.get_close_matches(str(location[-1]), known, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"known here: {', '.join(sorted(known))}"
        return f"unknown key {key!r}; {hint}"
    message = str(item["msg"]).removeprefix("Value error, ")
    said = _IN_WORDS.get(item["type"]) or message.replace("Input should be", "must be", 1)
    return f"{key!r}: {said}" if key else said


def _keys(cls: type[BaseModel], location: tuple[Any, ...]) -> list[str]:
    """Names of the fields at that place, for a suggestion."""
    model: Any = cls
    parts = iter(part for part in location if not isinstance(part, int))
    for part in parts:
        field = getattr(model, "model_fields", {}).get(part)
        if field is None:
            return []
        inner = field.annotation
        if get_origin(inner) is dict:
            next(parts, None)  # the user's own key
        model = next((a for a in (inner, *get_args(inner)) if isinstance(a, type) and issubclass(a, BaseModel)), None)
    return list(getattr(model, "model_fields", {}))
