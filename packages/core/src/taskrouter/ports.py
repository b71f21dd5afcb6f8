"""The shapes that replaceable parts have: what a plugin implements, and all that a stage knows of its neighbours."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Collection, Container, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from contextvars import Context
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeAlias

from taskrouter.catalog.card import ModelCard, WarmUp
from taskrouter.config import LabellerConfig, ModelConfig, PolicyConfig
from taskrouter.decision import Plan, QualityEstimate, ScorePart
from taskrouter.errors import BudgetExceededError, ModelCallError
from taskrouter.outcome import Attempt, Ending, ResponseView, Role
from taskrouter.profile import TaskProfile
from taskrouter.step import Message, Step, StepContext, StepView

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


class Labeller(Protocol):
    """Gives a second opinion on what a step identity is for, where the classifier was unsure.

    It is called in a thread behind the user's calls, one call at a time, and may take its time: block, read files, ask
    a model. What it says is remembered for every later step of the same agent, node and system prompt, so it should
    hear these alone; the user's text in the view is that of one step.
    """

    name: str
    remote: bool
    """Whether what it is shown leaves this process by another way than `Ask`. Then only steps are shown to it that may
    go where `[profiling.labeller]` says it sends them (`regions`, `tags`)."""

    def label(self, view: StepView, context: StepContext) -> Classification | None:
        """Return the task types that fit, with probabilities, or None where it cannot tell.

        Whatever it raises is counted, and no concern of the user's call.
        """
        ...


class Ask(Protocol):
    """Asks a model of the pool on behalf of the step that is being labelled; for use inside `Labeller.label` only.

    The question goes nowhere that the step itself may not go, and the call is charged to the account of labels.
    """

    models: Collection[str]
    """Ids of the models that there are."""

    def __call__(self, messages: Sequence[Message], *, model: str) -> str:
        """Return the text of the model's answer.

        Raises:
            NoEligibleModelError: the step may not be sent to this model, or it is out for the moment.
            BudgetExceededError: the day's money is used up.
            ExecutionError: the model gave no answer.
        """
        ...


LabellerFactory: TypeAlias = Callable[[LabellerConfig, Ask], Labeller]
"""Builds a labeller from its configuration; called once, when a router is built that is to use it."""


class Sidelined(NamedTuple):
    """Why a model is left out of the choice at the moment; it may still be tried when everything else has failed."""

    code: str
    """Low-cardinality code: `breaker_open`, `probing`, `rate_limited`, `down`, `slow`."""
    detail: str
    """The same for people, with the numbers."""
    until_s: float
    """When it may be called again, on the caller's clock; the least bad of several is the one with the smallest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Conditions:
    """What holds at the moment of a decision beside the cards. All mappings are by model id and may be partial."""

    sidelined: Mapping[str, Sidelined] = field(default_factory=dict)
    latency_s: Mapping[str, float] = field(default_factory=dict)
    """Latency as observed lately, seconds; it takes the place of the card's."""
    cached_tokens: Mapping[str, int] = field(default_factory=dict)
    """Tokens of this prompt that the model's provider is expected to have in its prompt cache."""
    cost_weight: float = 0.0
    """Price on money, from 0 to infinity: rises as a budget runs out. A model loses this times its cost as a share of
    the dearest eligible model's."""
    latency_weight: float = 0.0
    """The same for time, as a deadline comes near."""


WELL = Conditions()
"""Nothing to consider beside the cards."""


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
    latency_s: Mapping[str, float] | None = None
    """Latency as observed lately, seconds, by model id; for a model that is not in it, what its card says."""


class Choice(NamedTuple):
    """A selector's answer: a score per model of the slate, and the reason for the highest."""

    scores: Sequence[float]
    reason: str
    """Low-cardinality code."""
    detail: str
    """The reason in words, with its numbers."""
    parts: Sequence[tuple[ScorePart, ...]] = ()
    propensity: float = 1.0
    alternatives: tuple[tuple[Plan, float], ...] = ()
    """Other plans that might have been chosen, each with its probability, where the choice was drawn."""


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

Validator: TypeAlias = Callable[[Step, ResponseView], bool]
"""A check of one's own on whole answers: true if the answer will do. It runs in the caller's thread, so it is fast."""

Redactor: TypeAlias = Callable[[str], str]
"""Takes private things out of a text before it is captured. It runs in the caller's thread, so it is fast; one that
raises keeps the whole content back."""

AnswerReader: TypeAlias = Callable[[Step, ResponseView], str | None]
"""Reads what an answer comes to, for models whose answers are compared: equal texts mean that they agree; None: this
reader cannot tell. It runs in the caller's thread, so it is fast."""


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


class VisitObserver(Protocol):
    """Watches one endpoint being called, retries included. Visits of one step may overlap."""

    def attempt_ended(self, attempt: Attempt) -> None:
        """One call ended, well or badly."""
        ...

    def ended(self, attempts: Sequence[Attempt], view: ResponseView | None, error: ModelCallError | None) -> None:
        """The engine leaves the endpoint, with its answer or its last error (neither after a cancellation)."""
        ...

    def attached(self) -> AbstractContextManager[object]:
        """Make the visit's span current, for a call that ends before the control returns."""
        ...

    def context(self) -> Context:
        """Return a private context in which the visit's span is current, for a call that runs beside others."""
        ...


class StepObserver(Protocol):
    """Watches one step being carried out. The engine calls it in order; it must not raise."""

    def visit_started(self, endpoint: Endpoint, role: Role, index: int) -> VisitObserver:
        """The engine turns to an endpoint. `index` is the first attempt's."""
        ...

    def step_ended(self, ending: Ending) -> None:
        """The step is over. Called exactly once."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """One place to call: a model, or one deployment of it."""

    id: str
    """The model's id, or `model@deployment`."""
    model: str
    deployment: str | None = None
    quota_group: str | None = None
    regions: frozenset[str] | None = None
    weight: float = 1.0
    warmup: WarmUp | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Admission:
    """Leave to call an endpoint."""

    endpoint: Endpoint
    probe: bool = False
    """Whether this call finds out if the endpoint has recovered."""
    forced: bool = False
    """Whether it is called only because nothing better is left."""
    note: str = ""
    """Why it is forced."""


class Access(Protocol):
    """Knows which endpoints can be called now, and is told how calls went. Times are the driver's clock."""

    def admit(
        self, model: str, now_s: float, *, tried: Container[str] = (), regions: frozenset[str] | None = None
    ) -> Admission | None:
        """Choose a usable endpoint of a model that is not in `tried`; None: there is none."""
        ...

    def least_bad(
        self, models: Sequence[str], now_s: float, *, tried: Container[str] = (), regions: frozenset[str] | None = None
    ) -> Admission | None:
        """Choose an endpoint although none is usable."""
        ...

    def succeeded(
        self, endpoint_id: str, now_s: float, *, latency_s: float, first_token_s: float | None = None
    ) -> None:
        """A call was answered."""
        ...

    def failed(self, endpoint_id: str, error: ModelCallError, now_s: float, *, latency_s: float, probe: bool) -> None:
        """A call failed; `probe` as in its admission."""
        ...

    def released(self, endpoint_id: str, now_s: float, *, probe: bool, latency_s: float = 0.0) -> None:
        """A call, or the leave for one, was given up without a verdict; `probe` as in its admission."""
        ...

    def cold_start_s(self, endpoint_id: str, now_s: float) -> float:
        """Seconds that waking the endpoint would add now."""
        ...

    def latency_s(self, model: str, quantile: float = 0.5) -> float | None:
        """Latency of a model as observed lately; None with too few calls."""
        ...


class Refusal(NamedTuple):
    """Why a call may not be made: it could exceed a budget."""

    error: BudgetExceededError
    may_pass: bool
    """Whether it would fit once the calls under way have been settled."""


class Wallet(Protocol):
    """The budgets that one step draws on. Several of its calls may be open at once."""

    blocking: bool
    """Whether `reserve` may wait for another machine."""
    deadline_at_s: float | None
    """When the step must be over, on the driver's clock."""
    wait_s: float
    """How long a step may wait altogether for money that others have only set aside."""

    def reserve(self, model: str) -> object | Refusal:
        """Set aside the most that a call of the model may cost; return a handle to settle it by."""
        ...

    def settle(self, reservation: object, attempt: Attempt) -> None:
        """Book what a call has cost in place of what was set aside."""
        ...

    def give_back(self, reservation: object) -> None:
        """Release what was set aside for a call that was never made."""
        ...

    def overdue(self) -> BudgetExceededError:
        """Say that the deadline has passed."""
        ...
