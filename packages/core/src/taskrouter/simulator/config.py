"""What is simulated: the models, their speed, price, skill and faults, read from TOML."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeAlias, get_args

from pydantic import BaseModel, ConfigDict, Field, model_validator

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
]
"""A way in which a provider fails. Real providers do all of these."""

FAULTS: tuple[Fault, ...] = get_args(Fault)

Event: TypeAlias = Literal["ok"] | Fault
"""One entry of a script: `ok`, or the fault that the request meets."""

Duration: TypeAlias = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class FaultRates(_Section):
    """`[models.faults]`: the probability of each fault per request. A request meets one fault at most."""

    rate_limit: Probability = 0.0
    """429 with `Retry-After`."""
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
    retry_after_s: Duration = 1.0
    """What a `rate_limit` asks for."""
    hang_s: Duration = 600.0
    """How long a `timeout` hangs, in real seconds: `speed` does not shorten it."""

    @model_validator(mode="after")
    def _at_most_one(self) -> Self:
        total = sum(rate for _, rate in self.rates())
        if total > 1 + 1e-9:
            raise ValueError(f"the fault probabilities add up to {total:g}; a request meets one fault, so at most 1")
        return self

    def rates(self) -> tuple[tuple[Fault, float], ...]:
        """Return the probability of each fault."""
        return tuple((fault, getattr(self, fault)) for fault in FAULTS)


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
    models: Annotated[tuple[SimulatedModel, ...], Field(min_length=1)]

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
