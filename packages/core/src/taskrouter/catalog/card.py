"""What is known of a model: `ModelCard`. Unknown stays unknown (None), never zero."""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, field_validator

from taskrouter.profile import FAMILIES

Tier: TypeAlias = Literal["small", "medium", "large", "frontier"]
"""Rough size class of a model, by its price, where nothing better is known."""

Usd: TypeAlias = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Tokens: TypeAlias = Annotated[int, Field(gt=0)]
Probability: TypeAlias = Annotated[float, Field(ge=0, le=1)]

GENERAL = "general"
"""Key of a quality prior that holds for any task."""


class QualityPrior(BaseModel):
    """How often a model's answer is right on a task, as somebody published it."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    mean: Probability
    """Share of right answers."""
    weight: Annotated[float, Field(gt=0)] = 20.0
    """How many of the user's own labels the figure is worth: benchmarks are other people's work."""
    source: str
    """Where the figure stands: publication, table, date. A prior without a source is not cited."""


class Capabilities(BaseModel):
    """What a model can take. None: nobody has said; a step that needs it may not go there."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    tools: bool | None = None
    vision: bool | None = None
    json_schema: bool | None = None
    reasoning: bool | None = None


class WarmUp(BaseModel):
    """How a model wakes that sleeps when nobody calls it, as on serverless GPUs."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    cold_start_s: Annotated[float, Field(gt=0)]
    """What waking adds to the first answer, seconds."""
    idle_s: Annotated[float, Field(gt=0)] = 300.0
    """After how many seconds without a call it sleeps."""
    ping: bool = False
    """Whether `router.warm()` may wake it with a call of one token, which costs as much."""


class ModelCard(BaseModel):
    """The facts about one model that decisions rest on.

    Prices are US dollars per million tokens; windows are tokens; times are seconds.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    id: str
    """The name decisions use; the key in `candidates`."""
    model: str
    """LiteLLM-style model string, such as `anthropic/claude-sonnet-4-5`."""
    provider: str | None = None
    family: str | None = None
    """Line of models trained by one house, such as `claude` or `llama-3`."""
    tier: Tier | None = None
    input_usd_per_million: Usd | None = None
    output_usd_per_million: Usd | None = None
    cached_input_usd_per_million: Usd | None = None
    context_tokens: Tokens | None = None
    """Largest number of input tokens."""
    max_output_tokens: Tokens | None = None
    capabilities: Capabilities = Capabilities()
    regions: frozenset[str] | None = None
    """Regions where the model is served, such as `eu`; None: unknown, so no region may be required of it."""
    tags: frozenset[str] = frozenset()
    """Free labels that constraints can ask for, such as `private` or `on-prem`."""
    first_token_s: Annotated[float, Field(gt=0)] | None = None
    """Typical time to the first token, seconds."""
    output_tokens_per_s: Annotated[float, Field(gt=0)] | None = None
    carbon_g_per_million_output: Annotated[float, Field(ge=0)] | None = None
    """Grams of CO2-equivalent per million output tokens."""
    cache_ttl_s: Annotated[float, Field(gt=0)] | None = None
    """How long the provider keeps a prompt prefix cached after its last use, seconds."""
    warmup: WarmUp | None = None
    """For models that are put to sleep when nobody calls them."""
    quality: dict[str, QualityPrior] = {}
    """Cited priors per task type, and `general` for any."""
    source: str = "user"
    """Where the facts come from."""
    as_of: str | None = None
    """Date of the facts, ISO 8601."""

    @field_validator("quality")
    @classmethod
    def _known_tasks(cls, quality: dict[str, QualityPrior]) -> dict[str, QualityPrior]:
        for task in quality:
            if task not in FAMILIES and task != GENERAL:
                raise ValueError(f"unknown task type {task!r}; known: {', '.join(sorted(FAMILIES))}, {GENERAL}")
        return quality

    @property
    def priced(self) -> bool:
        """Whether both prices are known."""
        return self.input_usd_per_million is not None and self.output_usd_per_million is not None

    def cost_usd(self, input_tokens: int, output_tokens: int, cached_input_tokens: int = 0) -> float | None:
        """Price of a call in US dollars, or None where a price is unknown.

        Cached input is charged at the full price where no price for it is known: too dear rather than too cheap.
        """
        if self.input_usd_per_million is None or self.output_usd_per_million is None:
            return None
        cached_rate = self.cached_input_usd_per_million
        if cached_rate is None:
            cached_rate = self.input_usd_per_million
        fresh = max(0, input_tokens - cached_input_tokens)
        return (
            fresh * self.input_usd_per_million
            + cached_input_tokens * cached_rate
            + output_tokens * self.output_usd_per_million
        ) / 1e6

    def latency_s(self, output_tokens: int) -> float | None:
        """Expected seconds to the end of an answer of that length, or None where unknown."""
        if self.first_token_s is None or self.output_tokens_per_s is None:
            return None
        return self.first_token_s + output_tokens / self.output_tokens_per_s

    def carbon_g(self, output_tokens: int) -> float | None:
        """Expected grams of CO2-equivalent, or None where unknown."""
        if self.carbon_g_per_million_output is None:
            return None
        return output_tokens * self.carbon_g_per_million_output / 1e6
