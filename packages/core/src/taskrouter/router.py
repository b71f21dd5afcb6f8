"""`Router`: the one place that knows all the stages and puts them together."""

from __future__ import annotations

import asyncio
import hashlib
import json
import math
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Self, TypeVar

from opentelemetry._logs import LoggerProvider
from opentelemetry.metrics import MeterProvider
from opentelemetry.trace import TracerProvider
from pydantic import BaseModel

from taskrouter import __version__
from taskrouter.arguments import (
    checked_incumbent,
    checked_readers,
    checked_rules,
    checked_validators,
    named,
    said_of,
)
from taskrouter.budget import Budget, Purse, StepWallet
from taskrouter.catalog import Catalog
from taskrouter.config import (
    ExecutionConfig,
    LabellerConfig,
    ModelConfig,
    PolicyConfig,
    RouterConfig,
    RuleConfig,
    ShadowConfig,
    WindowedLimits,
)
from taskrouter.deciding import Decider
from taskrouter.decision import Decision
from taskrouter.errors import BudgetExceededError, ConfigurationError, NoEligibleModelError, TaskRouterError
from taskrouter.events import Events
from taskrouter.execution import (
    Engine,
    Gate,
    RoutedAsyncStream,
    RoutedStream,
    SilentObserver,
    View,
    chat_completion_view,
    drive,
    drive_async,
    streamed,
)
from taskrouter.execution.backends.request import length_limits
from taskrouter.execution.callers import synchronous
from taskrouter.execution.dispatch import Dispatcher
from taskrouter.execution.warming import warmed
from taskrouter.health import EndpointState, endpoints_of
from taskrouter.keeping import RouterState
from taskrouter.learning import LearnedPolicy
from taskrouter.learning.files import given_policy
from taskrouter.ledger import Ledger, LedgerObserver, pool_entry
from taskrouter.observability import RoutingLogs, Telemetry
from taskrouter.outcome import Outcome, ResponseView
from taskrouter.planning import (
    Planner,
    one_by_one,
)
from taskrouter.plugins import load_plugins, offered, registered
from taskrouter.policies import Policies, PolicySpec
from taskrouter.policy import Eligibility, RuleSet
from taskrouter.pool import Models, as_served, build_pool, places_of
from taskrouter.ports import Backend, Classifier, StepObserver, Validator
from taskrouter.profiling import Profiler
from taskrouter.sharing import TellingHealth
from taskrouter.step import Step
from taskrouter.teaching import LearningStatus, Teaching
from taskrouter.trials import Caller, Trials

if TYPE_CHECKING:
    from taskrouter.labelling import Labelling
    from taskrouter.shadow import Shadow

R = TypeVar("R")
C = TypeVar("C")


class Router:
    """Sends each step of an agent to the model that is good enough, cheapest and fast enough.

    Args:
        models: the pool: LiteLLM model strings, `ModelCard`s, or tables as in `[[models]]`, in a list or a mapping
            from id.
        incumbent: id of the model that is used today. The router stays with it whenever it is unsure.
        policy: `safe` (default), `balanced`, `economy`, weights such as `{"quality": 1, "cost": 0.5}`, or a table.
        rules: what holds for some steps only; `RuleConfig`s or tables as in `[[rules]]`.
        plugins: further plugins beside the installed ones.
        validators: checks of your own on whole answers, by name; one that returns false makes the attempt a failed one.
        config: everything else, in the shape of `taskrouter.toml`: `{"execution": {"timeout_s": 20}}`. What the
            arguments above say comes first.
        tracer_provider: where spans go; default: OpenTelemetry's global provider.
        meter_provider: where metrics go; default: OpenTelemetry's global provider.
        logger_provider: where events with content go, if they are asked for; default: OpenTelemetry's global provider.

    Raises:
        ConfigurationError: something of this is wrong; the message names it.
    """

    def __init__(  # noqa: PLR0913 - all but the first three are named
        self,
        models: Models | None = None,
        incumbent: str | None = None,
        policy: PolicySpec | None = None,
        *,
        rules: Sequence[RuleConfig | Mapping[str, Any]] | None = None,
        plugins: Sequence[object] = (),
        validators: Mapping[str, Validator] | None = None,
        config: RouterConfig | Mapping[str, Any] | None = None,
        tracer_provider: TracerProvider | None = None,
        meter_provider: MeterProvider | None = None,
        logger_provider: LoggerProvider | None = None,
    ) -> None:
        config = config if isinstance(config, RouterConfig) else RouterConfig.load(config or {})
        profiling = config.profiling
        self._pool = build_pool(config.models if models is None else models, Catalog.bundled())
        self._models = {model.id: model for model in self._pool}
        self._incumbent = checked_incumbent(config.router.incumbent if incumbent is None else incumbent, self._models)
        self._execution = config.execution
        self._rng = random.Random(config.router.seed)
        self._places = places_of(self._pool)

        self._plugins = load_plugins(plugins)
        backends = offered(registered(self._plugins, "taskrouter_backends"), "backend")
        self._dispatcher = Dispatcher(self._places, backends)
        self._gate = Gate(config.gates, checked_validators(self._plugins, validators))
        self._readers = checked_readers(self._plugins)
        rules = config.rules if rules is None else checked_rules(rules)
        policies = Policies(
            config.policy if policy is None else PolicyConfig.of(policy),
            rules,
            factories=offered(registered(self._plugins, "taskrouter_selectors"), "policy"),
            models=self._models,
        )

        classifiers = offered(registered(self._plugins, "taskrouter_classifiers"), "classifier")
        classifier: Classifier = named(classifiers, profiling.classifier, "profiling.classifier")
        version = _version(self._pool, self._incumbent, policies.default, rules, profiling)
        self._health = TellingHealth(
            endpoints_of(self._pool),
            config.health,
            balance=config.execution.balance,
            region=config.execution.region,
            rng=self._rng,
        )
        self._state = RouterState(config.state, config.budget, self._health, margin=config.router.margin)
        self._state.introduce(
            pool_entry(
                version,
                incumbent=self._incumbent,
                policy=policies.default.name,
                cards=self._pool,
                endpoints=self._places.values(),
            )
        )
        self._budgets = self._state.budgets
        self._telemetry = telemetry = Telemetry(
            config.telemetry,
            {**self._models, **self._places},
            version=__version__,
            classifier=classifier.name,
            tracer_provider=tracer_provider,
            meter_provider=meter_provider,
            logger_provider=logger_provider,
            redactors=offered(registered(self._plugins, "taskrouter_redactors"), "redactor"),
        )
        self._logs = logs = RoutingLogs({**self._models, **self._places})
        self._health.listeners += (
            lambda turn: telemetry.breaker(turn.endpoint_id, turn.state),
            lambda turn: logs.breaker(turn.name, turn.state),
        )
        self._events = Events(self._plugins)
        given = given_policy(config.learning, self._models, self._incumbent)
        self._standing = None if given is None else given.standing
        self._teaching = Teaching(
            config.learning,
            self._state,
            self._incumbent,
            seed=config.router.seed,
            policy=None if given is None else given.policy,
        )
        self._decider = Decider(
            models=self._models,
            incumbent=self._incumbent,
            profiler=Profiler(profiling, classifier),
            rules=RuleSet(rules),
            eligibility=Eligibility(as_served(self._pool), margin=config.router.margin),
            planner=Planner(self._pool, incumbent=list(self._models).index(self._incumbent)),
            policies=policies,
            policy_version=version,
            execution=config.execution,
            budgets=self._budgets,
            health=self._health,
            teaching=self._teaching,
            standing=self._standing,
        )
        self._shadow = self._shadowing(config.shadow, config.router.seed) if config.shadow.share else None
        labeller = profiling.labeller
        self._labelling = None if labeller is None else self._labelling_by(labeller, profiling.confidence_floor)

    @classmethod
    def from_config(
        cls,
        source: str | Path | Mapping[str, Any] | RouterConfig,
        *,
        plugins: Sequence[object] = (),
        tracer_provider: TracerProvider | None = None,
        meter_provider: MeterProvider | None = None,
        logger_provider: LoggerProvider | None = None,
    ) -> Self:
        """Build a router from a TOML file, or from a mapping of the same shape.

        Raises:
            ConfigurationError: the file cannot be read, or something in it is wrong; the message names file and key.
        """
        config = source if isinstance(source, RouterConfig) else RouterConfig.load(source)
        with said_of(source if isinstance(source, str | Path) else None):
            return cls(
                config=config,
                plugins=plugins,
                tracer_provider=tracer_provider,
                meter_provider=meter_provider,
                logger_provider=logger_provider,
            )

    @property
    def models(self) -> Mapping[str, ModelConfig]:
        """The pool by id, every card as the router sees it."""
        return MappingProxyType(self._models)

    @property
    def incumbent(self) -> str:
        """Id of the model that the router stays with when it is unsure."""
        return self._incumbent

    @property
    def policy(self) -> PolicyConfig:
        """The policy of steps for which no rule sets another."""
        return self._decider.policies.default

    @property
    def execution(self) -> ExecutionConfig:
        """How attempts are made: `[execution]`."""
        return self._execution

    @property
    def trials(self) -> Trials:
        """What sends steps to plans that nobody has chosen for them; made anew, as it keeps the router."""
        return Trials(
            models=self._models,
            incumbent=self._incumbent,
            known=self._decider.known,
            eligibility=self._decider.eligibility,
            plan=self._decider.plan,
            prepare=self._prepare,
            calls=self._dispatcher.calls,
            readers=self._readers,
            gate=self._gate,
            book=self._teaching.book,
        )

    @property
    def ledger(self) -> Ledger:
        """What is kept of every step: decisions, calls, labels. See `taskrouter.ledger.Ledger`; don't close it."""
        return self._state.reading()

    @property
    def shadow(self) -> Shadow | None:
        """What compares answers with those of other plans, behind the calls; None without `[shadow] share`."""
        return self._shadow

    @property
    def labelling(self) -> Labelling | None:
        """What asks, behind the calls, for the task type of steps that the classifier is unsure of.

        None without `[profiling] labeller`.
        """
        return self._labelling

    def backend(self, model: str) -> Backend:
        """Return what a model of the pool is called through: LiteLLM, the OpenAI SDK, a recording or a plugin's."""
        self._decider.policies.known([model], "backend")
        return self._dispatcher.backend(self._models[model])

    def route(
        self,
        step: Step,
        *,
        policy: PolicySpec | None = None,
        use: Sequence[str] | None = None,
        streamed: bool = False,
    ) -> Decision:
        """Decide where a step goes. Nothing is sent anywhere and nothing is reserved.

        Args:
            step: the step.
            policy: another policy for this step alone.
            use: allow only these models for this step.
            streamed: whether the answer is to be streamed. Plans that compare answers are then only chosen with
                `execution.buffer_streams`: what a reader has seen cannot be taken back.

        Raises:
            NoEligibleModelError: no model can take the step; it lists why.
            BudgetExceededError: no model that can take it fits into a budget that holds here.
            InvalidStepError: it is no `Step`, its task type is unknown, or a tool's schema is no JSON Schema.
        """
        decision = self._decider.decide(step, policy=policy, use=use, streamed=streamed)
        self._logs.decided(decision)
        self._events.decided(decision)
        return decision

    # --- answering through our own backends ---------------------------------------------------------------------

    def complete(self, step: Step, *, decision: Decision | None = None) -> Outcome[Any]:
        """Decide, and get the answer through the models' backends (LiteLLM, OpenAI SDK, replay, plugins).

        Args:
            step: the step; a mapping as its `payload` adds request parameters such as `temperature`.
            decision: a decision made before with `route`.

        Raises:
            RoutingError: no decision could be made; nothing was sent.
            ExecutionError: no model answered.
        """
        calls = self._dispatcher.calls(step)
        return self._answer(step, decision, calls.call, calls.view, own=True)

    async def acomplete(self, step: Step, *, decision: Decision | None = None) -> Outcome[Any]:
        """Do the same without blocking."""
        calls = self._dispatcher.calls(step)
        return await self._aanswer(step, decision, calls.acall, calls.view, own=True)

    def stream(self, step: Step, *, decision: Decision | None = None) -> RoutedStream[Any]:
        """Decide, and stream the answer's native chunks. Nothing is sent before the first one is asked for."""
        calls = self._dispatcher.calls(step)
        decision, engine = self._prepare(step, decision, streamed=True, own=True)
        return RoutedStream(decision, streamed(engine), calls.open, calls.view, self._completing(step, own=True))

    def astream(self, step: Step, *, decision: Decision | None = None) -> RoutedAsyncStream[Any]:
        """Do the same without blocking: `async for chunk in router.astream(step)`."""
        calls = self._dispatcher.calls(step)
        decision, engine = self._prepare(step, decision, streamed=True, own=True)
        return RoutedAsyncStream(decision, streamed(engine), calls.aopen, calls.view, self._completing(step, own=True))

    # --- answering through the caller's clients -----------------------------------------------------------------

    def run(
        self,
        step: Step,
        call: Callable[[str], R],
        view: Callable[[R], ResponseView] = chat_completion_view,
        *,
        decision: Decision | None = None,
        shadow: bool = False,
    ) -> Outcome[R]:
        """Decide, and get the answer through your own clients; retries, fallback and telemetry are the router's.

        Args:
            step: the step.
            call: given a model's id, calls it and returns its native answer. Switch off your client's own retries.
            view: reads a native answer; by default one in the chat-completions shape.
            decision: a decision made before with `route`.
            shadow: whether `call` may be called again later, from another thread, for `[shadow]`. It must do nothing
                but ask the model.

        Raises:
            RoutingError: no decision could be made; nothing was called.
            ExecutionError: no model answered.
        """
        calling = synchronous(call, instead="arun")
        return self._answer(step, decision, calling, lambda _, native: view(native), shadow=shadow)

    async def arun(
        self,
        step: Step,
        call: Callable[[str], Awaitable[R]],
        view: Callable[[R], ResponseView] = chat_completion_view,
        *,
        decision: Decision | None = None,
        shadow: bool = False,
    ) -> Outcome[R]:
        """Do the same without blocking. A cancelled call is never followed by another. Shadows call in the event loop
        that this was called in.
        """
        return await self._aanswer(
            step, decision, lambda command: call(command.model), lambda _, native: view(native), shadow=shadow
        )

    def run_stream(
        self,
        step: Step,
        open_stream: Callable[[str], Iterator[C]],
        view: Callable[[C], ResponseView] = chat_completion_view,
        *,
        decision: Decision | None = None,
        finishes: bool | Collection[str] = False,
    ) -> RoutedStream[C]:
        """Decide, and stream native chunks from your own clients.

        Chunks are held until the first meaningful one; until then every failure falls back, after it no model is
        switched and a failure raises `StreamBroken` with what had arrived.

        Args:
            step: the step.
            open_stream: given a model's id, opens its stream. Switch off your client's own retries.
            view: reads a native chunk; by default one in the chat-completions shape.
            decision: a decision made before with `route`.
            finishes: whether streams of these clients always end with a finish reason, or the ids of the models whose
                do: then one without was cut off.
        """
        decision, engine = self._prepare(step, decision, streamed=True, finishes=finishes)
        return RoutedStream(
            decision,
            streamed(engine),
            synchronous(open_stream, instead="arun_stream"),
            lambda _, chunk: view(chunk),
            self._completing(step),
        )

    def arun_stream(
        self,
        step: Step,
        open_stream: Callable[[str], AsyncIterator[C] | Awaitable[AsyncIterator[C]]],
        view: Callable[[C], ResponseView] = chat_completion_view,
        *,
        decision: Decision | None = None,
        finishes: bool | Collection[str] = False,
    ) -> RoutedAsyncStream[C]:
        """Do the same without blocking."""
        decision, engine = self._prepare(step, decision, streamed=True, finishes=finishes)
        return RoutedAsyncStream(
            decision,
            streamed(engine),
            lambda command: open_stream(command.model),
            lambda _, chunk: view(chunk),
            self._completing(step),
        )

    # --- budgets, feedback, health ------------------------------------------------------------------------------

    def budget(
        self,
        *,
        usd: float | None = None,
        tokens: int | None = None,
        deadline_s: float | None = None,
        steps: int | None = None,
        key: str | None = None,
    ) -> Budget:
        """Limit what the steps inside a `with` (or `async with`) block may use together.

        What a call may cost at most is set aside before it is made and settled with what it did cost. When half of the
        money is used, cheaper models gain in weight, ever more; when none fits, `BudgetExceededError` is raised before
        the call. Budgets nest: the inner one and the outer one both hold. Parallel branches are safe.

        Args:
            usd: US dollars.
            tokens: tokens, in and out together.
            deadline_s: seconds from entering the block until everything must be over; no call begins after that, and
                calls under way are given no longer.
            steps: steps; retries and fallbacks of a step are not counted again.
            key: a name. Blocks of the same key draw on the same amounts, in other processes too if `[state]` is shared.

        Raises:
            ConfigurationError: a limit is not above zero, or there is none.
        """
        budget = self._budgets.scope(usd=usd, tokens=tokens, steps=steps, deadline_s=deadline_s, key=key)
        if key is not None:
            self._state.begin()
        return budget

    def feedback(self, decision_id: str, score: float, *, source: str = "user") -> None:
        """Record how good the answer of a step was.

        The step may be of another process or long ago: where this one does not remember it, the ledger of decisions is
        asked. A label of a step that is nowhere is kept, counted by `learning.unmatched`, and teaches nothing.

        When this returns, the record is on the disk (SQLite), with the server (Redis, as durable as that server is), or
        in this process's memory (`memory:`). While a Redis is away it waits in memory until that is back; if the
        process ends before, it is lost, and a warning says so when the router is closed.

        Args:
            decision_id: `outcome.decision_id`.
            score: from 0, useless, to 1, just right.
            source: who says so, such as `user`, `test`, `judge`.

        Raises:
            FeedbackError: the id is none of ours, the score is out of range, or the file cannot be written.
        """
        self._teaching.feedback(decision_id, score, source)
        self._telemetry.judged((decision_id,), score, source, elsewhere=self._state.trace_of)

    def feedback_run(self, run_id: str, score: float, *, source: str = "user") -> None:
        """Record how well a whole run of an agent went, and credit its steps with it.

        One run counts as one label: each step gets a share, and the shares sum to 1. A step of which little was known
        (the quality expected of the model that answered had a large variance) gets more than one whose model is known
        to be good or bad at its task. Each share is one record, kept as durably as those of `feedback`.

        Args:
            run_id: `StepContext.run_id` of its steps. The answered steps of the latest runs of this process are known:
                1,000 runs, and of each the last 1,000 steps.
            score: from 0, useless, to 1, just right.
            source: who says so, such as `user`, `test`, `judge`.

        Raises:
            FeedbackError: no step of the run is known, the score is out of range, or the file cannot be written.
        """
        steps = self._teaching.feedback_run(run_id, score, source)
        self._telemetry.judged(steps, score, source, elsewhere=self._state.trace_of)

    @property
    def learning(self) -> LearningStatus:
        """How learning is doing in this process: labels, labels of unknown steps, and the ledger of decisions."""
        return self._teaching.status

    def learn(self) -> LearnedPolicy | None:
        """Learn from all labels that there are, now; it otherwise happens by itself, behind the calls.

        Returns:
            What later steps follow, or None where the labels do not show that anything can be saved. A policy that
            was given (`[learning] policy`) stays as it is: labels do not change what was certified.

        Raises:
            StoreUnavailable: the labels of other processes cannot be read now.
        """
        return self._teaching.learn()

    def health(self) -> tuple[EndpointState, ...]:
        """Return how every endpoint of the pool is doing: circuit breaker, error rate, latency, calls under way."""
        return self._health.states(time.monotonic())

    def warm(self, *, timeout_s: float = 10.0) -> Mapping[str, float | TaskRouterError]:
        """Import clients and connect to every endpoint, so that the first step does not wait for it.

        Returns:
            For every endpoint the seconds that it took, or what went wrong; that is not raised.

        Raises:
            ConfigurationError: the time limit is no number above zero.
        """
        if not isinstance(timeout_s, int | float) or not 0 < timeout_s < math.inf:
            raise ConfigurationError(f"warm(timeout_s={timeout_s!r:.40}): it must be a number of seconds above zero")
        return warmed(self._dispatcher, self._places.values(), timeout_s)

    # --- life cycle ---------------------------------------------------------------------------------------------

    def close(self) -> None:
        """Close the synchronous clients of the backends, write what state is not written, and close the store."""
        if self._shadow is not None:
            self._shadow.close()
        if self._labelling is not None:
            self._labelling.close()
        self._dispatcher.close()
        self._state.close()

    async def aclose(self) -> None:
        """Close the clients of the running event loop, and everything else."""
        if self._shadow is not None:
            await asyncio.to_thread(self._shadow.close)
        if self._labelling is not None:
            await asyncio.to_thread(self._labelling.close)
        await self._dispatcher.aclose()
        self._dispatcher.close()
        await asyncio.to_thread(self._state.close)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    def __repr__(self) -> str:
        return f"Router(models={list(self._models)}, incumbent={self._incumbent!r}, policy={self.policy.name!r})"

    # --- parts --------------------------------------------------------------------------------------------------

    def _answer(
        self,
        step: Step,
        decision: Decision | None,
        call: Callable[[Any], Any],
        view: View,
        *,
        own: bool = False,
        shadow: bool = False,
    ) -> Outcome[Any]:
        _, engine = self._prepare(step, decision, own=own)
        outcome = drive(engine.answer(), call, view)
        self._complete(step, outcome, own=own, caller=Caller(call, view) if shadow else None)
        return outcome

    async def _aanswer(
        self,
        step: Step,
        decision: Decision | None,
        call: Callable[[Any], Awaitable[Any]],
        view: View,
        *,
        own: bool = False,
        shadow: bool = False,
    ) -> Outcome[Any]:
        _, engine = self._prepare(step, decision, own=own)
        outcome = await drive_async(engine.answer(), call, view)
        caller = Caller(call, view, asyncio.get_running_loop()) if shadow else None
        self._complete(step, outcome, own=own, caller=caller)
        return outcome

    def _prepare(
        self,
        step: Step,
        decision: Decision | None,
        *,
        streamed: bool = False,
        own: bool = False,
        finishes: bool | Collection[str] = False,
        purses: Sequence[Purse] | None = None,
    ) -> tuple[Decision, Engine]:
        """Make the engine of a step.

        Args:
            step: the step.
            decision: a decision made before.
            streamed: whether the answer is streamed.
            own: the router makes the requests itself, and knows what they ask for.
            finishes: see `run_stream`.
            purses: what is charged in place of the budgets that hold for the step.
        """
        if decision is None:
            try:
                decision = self.route(step, streamed=streamed)
            except (NoEligibleModelError, BudgetExceededError) as error:
                self._telemetry.refused(step, error)
                self._logs.refused(step, error)
                self._state.refused(step, error)
                raise
        else:
            self._decider.check(step, decision)
            if streamed and not self._execution.buffer_streams:
                decision = one_by_one(decision)
        self._state.begin()
        self._teaching.begin()
        engine = Engine(
            step=step,
            decision=decision,
            cards=self._models,
            settings=self._execution,
            observer=self._observer(step, decision, streamed=streamed),
            rng=self._rng,
            started_s=time.monotonic(),
            expects_finish=True if own else finishes,
            unlimited=own and not length_limits(step, self._models),
            access=self._health,
            wallet=self._wallet(step, decision, purses),
            gate=self._gate,
            readers=self._readers,
        )
        if self._labelling is not None and purses is None:
            self._labelling.consider(step, decision)
        return decision, engine

    def _observer(self, step: Step, decision: Decision, *, streamed: bool) -> StepObserver:
        """Return what watches a step: spans and metrics, the ledger, plugins, each of them where there is one."""
        listening, ledger = self._telemetry.listening, self._state.ledger
        trace = self._telemetry.step_trace(step, decision, streamed=streamed) if listening else None
        observer: StepObserver = SilentObserver() if trace is None else trace
        if ledger is not None:
            observer = LedgerObserver(ledger, step, decision, observer, trace)
        return self._events.observing(decision, self._logs.observing(decision, observer, trace))

    def _wallet(self, step: Step, decision: Decision, purses: Sequence[Purse] | None = None) -> StepWallet | None:
        purses = self._budgets.in_force(step.context) if purses is None else purses
        if not purses:
            return None
        return StepWallet(purses, self._decider.need(step, decision.profile), wait_s=self._budgets.config.wait_s)

    def _shadowing(self, config: ShadowConfig, seed: int | None) -> Shadow:
        from taskrouter.shadow import Shadow  # noqa: PLC0415 - graders are many, and few routers have shadows

        limits = WindowedLimits(usd=config.usd_per_day, every="day")
        return Shadow(
            config,
            lambda: self.trials,
            purse=lambda: self._budgets.apart("shadows", limits),
            sidelined=lambda: self._health.sidelined(time.monotonic()),
            seed=seed,
        )

    def _labelling_by(self, config: LabellerConfig, floor: float) -> Labelling:
        from taskrouter.labelling import KeptLabels, Labelling, PoolAsk, make_labeller  # noqa: PLC0415 - few routers have a labeller

        limits = WindowedLimits(usd=config.usd_per_day, every="day")
        ask = PoolAsk(
            self._models,
            lambda: self.trials,
            purse=lambda: self._budgets.apart("labels", limits),
            sidelined=lambda: self._health.sidelined(time.monotonic()),
        )
        offers = offered(registered(self._plugins, "taskrouter_labellers"), "labeller")
        return Labelling(
            config,
            make_labeller(named(offers, config.name, "profiling.labeller"), config, ask),
            ask,
            self._decider.profiler.memory,
            floor=max(floor, config.confidence_floor),
            kept=KeptLabels(self._state.store, config.name) if self._state.store.shared else None,
        )

    def _completing(self, step: Step, *, own: bool = False) -> Callable[[Outcome[Any]], None]:
        return lambda outcome: self._complete(step, outcome, own=own)

    def _complete(self, step: Step, outcome: Outcome[Any], *, own: bool = False, caller: Caller | None = None) -> None:
        self._decider.answered(step, outcome.attempts)
        self._teaching.note(step, outcome)
        standing = self._standing
        if standing is not None and outcome.decision.identity is not None:
            standing.note(outcome.decision.identity)
        self._events.completed(outcome)
        if self._shadow is not None and (own or caller is not None):
            self._shadow.consider(step, outcome, caller)


def _version(*parts: object) -> str:
    """Hash everything that a decision depends on."""
    text = json.dumps(parts, default=_plain, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _plain(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json", exclude={"api_key", "params"})
    raise TypeError(type(value).__name__)
