"""What a router is measured against: every model alone, their hull, the oracle and a random choice."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from taskrouter.errors import ConfigurationError
from taskrouter.evaluation.recordings import Prompt, Recording
from taskrouter.learning import Option, hull


@dataclass(frozen=True, slots=True, kw_only=True)
class Level:
    """A quality and its price: means per prompt."""

    score: float
    cost_usd: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Single(Level):
    """One model, used for every prompt."""

    model: str


def singles(recording: Recording) -> tuple[Single, ...]:
    """Every model alone, best first; of equal scores the cheaper first."""
    found = [_single(recording.prompts, model) for model in recording.models]
    return tuple(sorted(found, key=lambda single: (-single.score, single.cost_usd, single.model)))


def hull_of(alone: Sequence[Single]) -> tuple[Single, ...]:
    """The models on the upper convex hull of score over cost, cheapest first.

    Tossing a coin between two neighbours reaches every point between them: a router that lies below the hull is beaten
    by a coin.
    """
    by_model = {single.model: single for single in alone}
    names = hull({name: Option(single.score, single.cost_usd) for name, single in by_model.items()})
    return tuple(by_model[name] for name in names)


def oracle(recording: Recording) -> Level:
    """The best score of any model on each prompt, at the price of the cheapest model that reaches it."""
    best = [
        min((-prompt.outcomes[model].score, prompt.outcomes[model].cost_usd) for model in recording.models)
        for prompt in recording.prompts
    ]
    return Level(score=-sum(s for s, _ in best) / len(best), cost_usd=sum(c for _, c in best) / len(best))


def uniform(alone: Sequence[Single]) -> Level:
    """The expectation of drawing a model at random for each prompt."""
    return Level(
        score=sum(single.score for single in alone) / len(alone),
        cost_usd=sum(single.cost_usd for single in alone) / len(alone),
    )


def incumbent_of(train: Recording, named: str | None) -> str:
    """The model to compare with: the one named, else the best on the training prompts (of equals the cheaper).

    Raises:
        ConfigurationError: the named model is not in the recordings.
    """
    if named is None:
        return singles(train)[0].model
    if named not in train.models:
        raise ConfigurationError(
            f"the incumbent {named!r} is not in the recordings; the models are {', '.join(sorted(train.models))}"
        )
    return named


def _single(prompts: Sequence[Prompt], model: str) -> Single:
    outcomes = [prompt.outcomes[model] for prompt in prompts]
    return Single(
        model=model,
        score=sum(outcome.score for outcome in outcomes) / len(outcomes),
        cost_usd=sum(outcome.cost_usd for outcome in outcomes) / len(outcomes),
    )
