"""What is simulated: the models, their speed, price, skill and faults, read from TOML."""

from __future__ import annotations

from collections.abc import Mapping, Sized
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeAlias, TypeVar, get_args

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from taskrouter.catalog.card import Probability, Tokens, Usd
from taskrouter.config import read_toml, validated

Fault: TypeAlias = Literal[
    "rate_limit",
    "server_error",
    "overloaded",
    "bad_gateway",
    "timeout",
    "cut_stream",
    "cut_after_role",
    "drop_connection",
    "empty_answer",
    "invalid_tool_call",
    "malformed_json",
    "overloaded_529",
    "unauthorized",
    "forbidden",
    "not_found",
    "context_overflow",
    "bad_request",
    "rate_limit_date",
    "rate_limit_ms",
    "rate_limit_reset",
    "slow_start",
    "stall",
    "stall_after_role",
    "error_event",
    "error_after_role",
    "empty_stream",
    "refusal",
    "truncated",
    "wrong_schema",
    "html_answer",
]
"""A way in which a provider fails. Real providers do all of these.

The order is part of what a seed gives: new ones go to the end.
"""

FAULTS: tuple[Fault, ...] = get_args(Fault)

Event: TypeAlias = Literal["ok", Fault]
"""One entry of a script: `ok`, or the fault that the request meets."""

T = TypeVar("T", bound=Sized)


def _not_empty(value: T) -> T:
    if not value:
        raise ValueError("must not be empty")
    return value


NotEmpty = AfterValidator(_not_empty)
"""Instead of pydantic's `min_length`, which also calls a list empty whose only item is wrong."""

Duration: TypeAlias = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Rates(_Section):
    """The probability of each fault per request. A request meets one fault at most."""

    rate_limit: Probability = 0.0
    """429 with `Retry-After` in seconds."""
    server_error: Probability = 0.0
    """500 with the API's error document."""
    overloaded: Probability = 0.0
    """503 with the API's error document."""
    bad_gateway: Probability = 0.0
    """502 with an HTML page, as proxies send it."""
    timeout: Probability = 0.0
    """No answer until the client gives up, or for `hang_s`; then 504."""
    cut_stream: Probability = 0.0
    """The stream ends in the middle: no finish reason, no `[DONE]`, no error. A plain answer is dropped."""
    cut_after_role: Probability = 0.0
    """The stream ends after the chunk that opens it. A plain answer is dropped."""
    drop_connection: Probability = 0.0
    """The connection breaks in the middle of the body, which the HTTP client notices."""
    empty_answer: Probability = 0.0
    """200 with empty content."""
    invalid_tool_call: Probability = 0.0
    """A tool call that cannot be run: broken JSON, an unknown tool or wrong types. Without tools nothing happens."""
    malformed_json: Probability = 0.0
    """200 with a body that is no JSON."""
    overloaded_529: Probability = 0.0
    """529 with an error document as Anthropic writes it."""
    unauthorized: Probability = 0.0
    """401: the key is not accepted."""
    forbidden: Probability = 0.0
    """403: the key is good, the use is not allowed."""
    not_found: Probability = 0.0
    """404 `model_not_found`."""
    context_overflow: Probability = 0.0
    """400 `context_length_exceeded`, however short the prompt is."""
    bad_request: Probability = 0.0
    """400 `invalid_request_error`, however good the request is."""
    rate_limit_date: Probability = 0.0
    """429 with `Retry-After` as an HTTP date."""
    rate_limit_ms: Probability = 0.0
    """429 with `retry-after-ms` alone."""
    rate_limit_reset: Probability = 0.0
    """429 without `Retry-After`: `x-ratelimit-reset-requests` says when, as in `1.5s` or `6m0s`."""
    slow_start: Probability = 0.0
    """The answer begins `slow_start_s` later, then goes on as usual."""
    stall: Probability = 0.0
    """The stream stops in the middle and stays open for `hang_s`, then breaks. So does the body of a plain answer."""
    stall_after_role: Probability = 0.0
    """The same right after the chunk that opens the stream; a plain answer is headers and not a byte of the body."""
    error_event: Probability = 0.0
    """The stream sends an error in the middle and ends. A plain request meets 500."""
    error_after_role: Probability = 0.0
    """The same right after the chunk that opens the stream."""
    empty_stream: Probability = 0.0
    """The stream is `[DONE]` and nothing else. A plain answer is empty."""
    refusal: Probability = 0.0
    """The model declines: `refusal` instead of content, or the finish reason `content_filter`."""
    truncated: Probability = 0.0
    """Half the answer, with the finish reason `length`."""
    wrong_schema: Probability = 0.0
    """A structured answer that is JSON and breaks its schema. Without a schema nothing happens."""
    html_answer: Probability = 0.0
    """200 with a login page, as portals and proxies send it."""

    @model_validator(mode="after")
    def _at_most_one(self) -> Self:
        total = sum(rate for _, rate in self.rates())
        if total > 1 + 1e-9:
            raise ValueError(f"the fault probabilities add up to {total:g}; a request meets one fault, so at most 1")
        return self

    def rates(self) -> tuple[tuple[Fault, float], ...]:
        """Return the probability of each fault that can happen."""
        return tuple((fault, rate) for fault in FAULTS if (rate := getattr(self, fault)) > 0)


class Durations(_Section):
    """How long faults take, in real seconds: `speed` does not shorten them."""

    retry_after_s: Duration = 1.0
    """What a rate limit asks for."""
    hang_s: Duration = 600.0
    """How long a `timeout` or a stall hangs."""
    slow_start_s: Duration = 30.0
    """How much later a `slow_start` begins."""


class FaultRates(Rates, Durations):
    """`[models.faults]`: the probability of each fault, and how long faults take."""


class SimulatedModel(_Section):
    """`[[models]]`: one simulated model. Prices are US dollars per million tokens."""

    id: Annotated[str, Field(min_length=1)]
    """The name clients ask for."""
    input_usd_per_million: Usd
    output_usd_per_million: Usd
    cached_input_usd_per_million: Usd | None = None
    context_tokens: Tokens = 128_000
    """Longer prompts are refused with `context_length_exceeded`."""
    max_output_tokens: Tokens = 4_096
    first_token_s: Duration = 0.3
    """Seconds before the first token."""
    output_tokens_per_s: Annotated[float, Field(gt=0)] = 80.0
    tools: bool = True
    vision: bool = False
    json_schema: bool = True
    skill: Probability = 1.0
    """Share of prompts answered rightly. A wrong answer is wrong in a way that a check finds, and stays wrong."""
    script: tuple[Event, ...] = ()
    """What the first requests meet, one entry each; `faults` apply after that."""
    faults: FaultRates = FaultRates()


class SimulatorConfig(_Section):
    """The whole of a simulator's TOML file."""

    seed: int = 0
    """Seed of the faults and of which prompts a model gets wrong."""
    speed: Duration = 1.0
    """Factor on every simulated wait: 1 as configured, 0 no waiting."""
    require_key: bool = False
    """Refuse requests without an `Authorization: Bearer` header with 401; any key will do."""
    record_content: bool = False
    """Keep request bodies in `GET /sim/requests`."""
    min_cached_tokens: Annotated[int, Field(ge=0)] = 1_024
    """A prompt prefix seen before counts as cached from this length on."""
    models: Annotated[tuple[SimulatedModel, ...], NotEmpty]

    @model_validator(mode="after")
    def _unique_ids(self) -> Self:
        ids = [model.id for model in self.models]
        if twice := sorted({name for name in ids if ids.count(name) > 1}):
            raise ValueError(f"model ids must be unique; given twice: {', '.join(map(repr, twice))}")
        return self

    def model(self, name: str) -> SimulatedModel | None:
        """Return the model of that id, or None."""
        return next((model for model in self.models if model.id == name), None)


def load(source: str | Path | Mapping[str, Any] | None = None) -> SimulatorConfig:
    """Read a simulator's configuration from a TOML file or a mapping; without one, the bundled models.

    Raises:
        ConfigurationError: the file cannot be read, or a key is unknown or wrong; the message names it.
    """
    if isinstance(source, Mapping):
        return validated(SimulatorConfig, source, where="simulator configuration")
    path = Path(str(files("taskrouter.simulator") / "default.toml")) if source is None else Path(source)
    return validated(SimulatorConfig, read_toml(path), where=str(path))
