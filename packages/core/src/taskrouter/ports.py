"""The shapes that replaceable parts have: what a plugin implements, and all that a stage knows of its neighbours."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from contextvars import Context
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeAlias

from taskrouter.catalog.card import ModelCard
from taskrouter.config import ModelConfig, PolicyConfig
from taskrouter.decision import QualityEstimate, ScorePart
from taskrouter.errors import ModelCallError
from taskrouter.outcome import Attempt, OutcomeStatus, ResponseView, Role
from taskrouter.profile import TaskProfile
from taskrouter.step import Step, StepContext, StepView

if TYPE_CHECKING:
    from taskrouter.router import Router


class Classification(NamedTuple):
    """What a classifier says of a step."""

    alternatives: tuple[tuple[str, float], ...]
    """(task type, probability), best first; empty when nothing speaks."""
    signals: tuple[str, ...] = ()
    """What spoke, in words; never a piece of the prompt."""
    of_identity: bool = False
    """Whether the system prompt or the name of the agent or node decided alone: such a result holds for every later
    step of the same identity and is remembered."""


class Classifier(Protocol):
    """Tells the task type of a step. Pure and fast: microseconds, no I/O."""

    name: str

    def classify(self, view: StepView, context: StepContext) -> Classification:
        """Return the task types that fit, with calibrated probabilities."""
        ...


@dataclass(frozen=True, slots=True)
class Slate:
    """The eligible models of one step, as columns, for a selector to choose from."""

    profile: TaskProfile
    cards: Sequence[ModelCard]
    quality: Sequence[QualityEstimate]
    general: Sequence[QualityEstimate]
    """Expected quality over all kinds of work; not cited where no general figure is known."""
    losses: Sequence[float]
    """Expected quality minus the incumbent's, always below 0: the score of a model that may not replace it."""
    costs: Sequence[float | None]
    """Expected price of the step in US dollars; None where unknown."""
    incumbent: int | None
    """Position of the incumbent; None when it is not eligible."""
    incumbent_quality: QualityEstimate
    """The incumbent's quality, whether it is eligible or not."""
    incumbent_general: QualityEstimate
    whole_pool: bool
    """Whether no model was rejected: what follows from the pool and the task type alone may then be remembered."""


class Choice(NamedTuple):
    """A selector's answer: a score per model of the slate, and the reason for the highest."""

    scores: Sequence[float]
    reason: str
    """Low-cardinality code."""
    detail: str
    """The reason in words, with its numbers."""
    parts: Sequence[tuple[ScorePart, ...]] = ()
    propensity: float = 1.0


class Selector(Protocol):
    """A policy: scores the eligible models of a step; the highest score wins. Pure."""

    name: str

    def choose(self, slate: Slate) -> Choice:
        """Score every model of the slate, in its order. The slate is never empty."""
        ...


SelectorFactory: TypeAlias = Callable[[PolicyConfig], Selector]
"""Builds a selector from its configuration."""


class Backend(Protocol):
    """A way to call models. Raises its client's own errors: the engine classifies them."""

    def complete(self, model: ModelConfig, step: Step, timeout_s: float | None) -> Any:
        """Call the model and return its client's native answer."""
        ...

    async def acomplete(self, model: ModelConfig, step: Step, timeout_s: float | None) -> Any:
        """Call the model and return its client's native answer."""
        ...

    def stream(self, model: ModelConfig, step: Step, timeout_s: float | None) -> Iterator[Any]:
        """Open a stream of native chunks. Closing the iterator closes the connection."""
        ...

    async def astream(self, model: ModelConfig, step: Step, timeout_s: float | None) -> AsyncIterator[Any]:
        """Open a stream of native chunks. Closing the iterator closes the connection."""
        ...

    def view(self, native: Any) -> ResponseView:
        """Read a native answer, or one native chunk of a stream."""
        ...

    def close(self) -> None:
        """Close the synchronous clients."""
        ...

    async def aclose(self) -> None:
        """Close the clients of the running event loop."""
        ...


BackendFactory: TypeAlias = Callable[[], Backend]


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoStage:
    """What a demo agent gets to play with."""

    router: Router
    base_url: str
    """OpenAI-compatible address of the simulator; empty with `--live`."""
    docs: str
    """Folder with the documents that the agent may search."""
    task: str
    """The task for the agent."""


class Demo(Protocol):
    """An agent of some framework that `taskrouter demo` runs through the router."""

    summary: str
    """One line: the framework and what the agent does."""

    def run(self, stage: DemoStage) -> str:
        """Run the agent to its end and return its final answer."""
        ...


class StepObserver(Protocol):
    """Watches one step being carried out. The engine calls it in order; it must not raise."""

    def visit_started(self, model: str, role: Role, index: int) -> None:
        """The engine turns to a model; same-model retries belong to one visit. `index` is the first attempt's."""
        ...

    def attempt_ended(self, attempt: Attempt) -> None:
        """One call ended, well or badly."""
        ...

    def visit_ended(self, attempts: Sequence[Attempt], view: ResponseView | None, error: ModelCallError | None) -> None:
        """The engine leaves the model, with its answer or its last error (neither after a cancellation)."""
        ...

    def step_ended(self, status: OutcomeStatus, attempts: Sequence[Attempt]) -> None:
        """The step is over. Called exactly once."""
        ...

    def attached(self) -> AbstractContextManager[object]:
        """Make the visit's span current, for a call that ends before the control returns."""
        ...

    def context(self) -> Context:
        """Return a private context in which the visit's span is current, for stepping a stream."""
        ...
