"""What a router learns from and how that is kept: labels, the steps they are of, and the policy that follows."""

from __future__ import annotations

import json
import logging
import math
import threading
import time
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from taskrouter.arms import arms_of
from taskrouter.config import LearningConfig
from taskrouter.decision import Plan, PlanKind
from taskrouter.errors import StoreUnavailable, raised_at
from taskrouter.keeping import RouterState
from taskrouter.learning import (
    Advice,
    Arm,
    ExplorationBudget,
    Identity,
    Labelled,
    LearnedPolicy,
    Learner,
    Lesson,
    OnlineLearner,
    RunCredit,
    Scored,
    identify,
)
from taskrouter.learning.evidence import WEIGHTS, labelled
from taskrouter.lessons import LessonBook
from taskrouter.outcome import Outcome
from taskrouter.planning import Planned
from taskrouter.profile import TaskProfile
from taskrouter.state import forks
from taskrouter.step import Step

logger = logging.getLogger("taskrouter.learning")


LOOK_S: Final = 60.0
"""Seconds between two looks at what others were taught, such as by `taskrouter calibrate`."""
MISSED: Final = 1000
"""Labels of unknown steps that are tried again; the oldest go first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LearningStatus:
    """How learning is doing, in this process."""

    labels: int
    """Labelled steps that are learned from, other processes' among them."""
    unmatched: int
    """Labels given here whose step is neither remembered here nor in the ledger: they are kept, and teach nothing."""
    decisions_written: int
    """Decisions of this process that the store has taken into the ledger."""
    decisions_dropped: int
    """Decisions of this process that did not get into the ledger."""


class _Missed(NamedTuple):
    decision_id: str
    score: float
    source: str


class Teaching:
    """Puts the learner, the credit of runs and the store together.

    Args:
        config: the section `[learning]`.
        state: keeps feedback, with what it taught.
        incumbent: id of the model that losses are counted against.
        seed: of draws between plans.
        policy: what was learned before.
    """

    def __init__(
        self,
        config: LearningConfig,
        state: RouterState,
        incumbent: str,
        *,
        seed: int | None,
        policy: LearnedPolicy | None = None,
    ) -> None:
        self._config = config
        self._state = state
        self.credit = RunCredit()
        self._reading = threading.Lock()
        self._read_to: str | None = None
        self._next_look_s = -math.inf
        self._missed: deque[_Missed] = deque(maxlen=MISSED)
        self._missing = threading.Lock()
        self._warned = False
        self.learner = Learner(config, incumbent, seed=seed, policy=policy)
        self._incumbent = incumbent
        self.online: OnlineLearner | None = None
        if config.enabled and config.exploration is not None:
            budget = ExplorationBudget(points=config.exploration.points, usd=config.exploration.usd)
            self.online = OnlineLearner(incumbent, budget=budget, seed=seed)
        self.book = LessonBook(state.store, self.learner, write=document, read=_lesson)
        forks.watch(self)

    @property
    def status(self) -> LearningStatus:
        """How learning is doing."""
        ledger = self._state.ledger
        return LearningStatus(
            labels=self.learner.labels,
            unmatched=self.learner.unmatched,
            decisions_written=0 if ledger is None else ledger.written,
            decisions_dropped=0 if ledger is None else ledger.dropped,
        )

    @property
    def active(self) -> bool:
        """Whether anything was learned that a decision could follow."""
        return self._config.enabled and (self.learner.policy is not None or self.online is not None)

    def begin(self) -> None:
        """Read, behind the calls, what was taught before this process began, and from time to time what is new."""
        now_s = time.monotonic()
        if now_s < self._next_look_s or not self._config.enabled or not self._state.store.shared:
            return
        self._next_look_s = now_s + LOOK_S
        threading.Thread(target=self._catch_up_quietly, name="taskrouter-labels", daemon=True).start()

    def advise(self, step: Step, profile: TaskProfile, planned: Planned, *, several: bool) -> tuple[str, Advice | None]:
        """Return the step's identity and what was learned for it."""
        identity = identify(step, profile)
        allowed = [card.id for card in planned.board.cards]
        advice = self.learner.advise(identity, allowed=allowed, several=several)
        if self.online is None:
            return identity.key, advice
        arms = arms_of(planned, profile, self._incumbent, advice)
        if not several:
            arms = [arm for arm in arms if len(arm.plan.models) == 1]
        return identity.key, _explored(self.online, identity, arms) or advice

    def note(self, step: Step, outcome: Outcome[Any]) -> None:
        """Remember an answered step, and learn what it teaches by itself."""
        try:
            self._note(step, outcome)
        except Exception as error:  # noqa: BLE001 - learning may fail; an answer that was paid for is not lost by it
            logger.warning("nothing was learned from %s: %s", outcome.decision_id, raised_at(error))

    def _note(self, step: Step, outcome: Outcome[Any]) -> None:
        self.credit.note(outcome)
        if not self._config.enabled:
            return
        identity = identify(step, outcome.decision.profile)
        self.learner.note(outcome, identity)
        if self.online is not None and outcome.decision.identity is not None:
            plan, cost_usd = outcome.decision.plan, outcome.cost_usd
            self.online.charge(identity, plan, cost_usd=cost_usd, latency_s=outcome.latency_s)

    def feedback(self, decision_id: str, score: float, source: str) -> None:
        """Keep a label and learn from it; see `Router.feedback`."""
        self._state.check_feedback(decision_id, score, source)
        lesson = self._label(decision_id, score, source) if self._config.enabled else None
        self._state.feedback(decision_id, score, source, lesson=None if lesson is None else document(lesson))

    def feedback_run(self, run_id: str, score: float, source: str) -> tuple[str, ...]:
        """Keep a run's label and learn from it; see `Router.feedback_run`. Return the ids of its decisions."""
        shares = self.credit.shares(run_id) if isinstance(run_id, str) else {}
        self._state.check_run(run_id, shares, score, source)
        lessons: dict[str, Mapping[str, Any]] = {}
        if self._config.enabled:
            for decision_id, share in shares.items():
                if lesson := self.learner.label(decision_id, score, source, share):
                    self._observe(lesson)
                    lessons[decision_id] = document(lesson)
        self._state.feedback_run(run_id, shares, score, source, lessons=lessons)
        return tuple(shares)

    def learn(self) -> LearnedPolicy | None:
        """Take in what other processes were taught, and learn from all of it now."""
        self.catch_up()
        return self.learner.policy if self.learner.given else self.learner.fit()

    def catch_up(self) -> None:
        """Read the labels that the store has and this process has not, its own excepted."""
        with self._reading:
            lessons: list[Lesson] = []
            try:
                for position, text in self._state.taught(after=self._read_to):
                    self._read_to = position
                    lessons.extend(self._read(text))
            finally:  # what was read is not read again, so it counts if the store goes away meanwhile
                self.learner.adopt(lessons)
                for lesson in lessons:
                    self._observe(lesson)
        self.book.catch_up()
        self._try_again()

    def before_fork(self) -> None:
        """Do nothing: a policy may be in the making, which takes long."""

    def after_fork_in_parent(self) -> None:
        """Do nothing."""

    def after_fork_in_child(self) -> None:
        """Take new locks: threads that stayed with the parent may hold the old ones."""
        self._reading, self._missing = threading.Lock(), threading.Lock()
        self._next_look_s = -math.inf
        self.credit.after_fork_in_child()
        self.learner.after_fork_in_child()
        self.book.after_fork_in_child()
        if self.online is not None:
            self.online.after_fork_in_child()

    def _label(self, decision_id: str, score: float, source: str) -> Lesson | None:
        """Learn from a label of a step that is remembered here, or that stands in the ledger."""
        known = self.learner.remembered(decision_id) or self._state.recall(decision_id)
        lesson = self.learner.label(decision_id, score, source, known=known)
        if lesson is not None:
            self._observe(lesson)
        elif known is None:
            with self._missing:
                self._missed.append(_Missed(decision_id, score, source))
                first, self._warned = not self._warned, True
            if first:
                logger.warning(
                    "feedback for %s is kept, but teaches nothing yet: no such decision is remembered here or stands "
                    "in the ledger. `router.learning.unmatched` counts them; this is said once",
                    decision_id,
                )
        return lesson

    def _observe(self, lesson: Lesson) -> None:
        if self.online is not None:
            self.online.observe(lesson.row)

    def _try_again(self) -> None:
        """Look for the steps of labels that came before the ledger had them."""
        with self._missing:
            missed = list(self._missed)
            self._missed.clear()
        for label in missed:
            if (known := self._state.recall(label.decision_id)) is None:
                with self._missing:
                    self._missed.append(label)
                continue
            if lesson := self.learner.label(label.decision_id, label.score, label.source, known=known):
                self._observe(lesson)
            self.learner.matched()

    def _read(self, text: str) -> Iterator[Lesson]:
        """Read what a record of feedback taught; one without a lesson may be of a step that the ledger has by now."""
        try:
            record = json.loads(text)
        except ValueError:
            return
        if not isinstance(record, dict):
            return
        if record.get("lesson"):
            yield from _lesson(record["lesson"])
        elif (label := _label(record)) and (known := self._state.recall(label.decision_id)) is not None:
            weight = label.share * WEIGHTS.get(label.source, 1.0)
            if weight > 0.0:
                yield Lesson(*labelled(known, label.score, weight))

    def _catch_up_quietly(self) -> None:
        try:
            self.catch_up()
        except StoreUnavailable as error:
            logger.debug("labels could not be read: %s", str(error))
        except Exception as error:  # noqa: BLE001 - learning may fail; the user's calls do not
            logger.warning("labels could not be read: %s", raised_at(error))


def _explored(online: OnlineLearner, identity: Identity, arms: list[Arm]) -> Advice | None:
    """Return what the online learner draws; None where a step has nothing to choose from."""
    if len(arms) < 2:
        return None
    chosen = online.choose(identity, arms)
    others = tuple((b.plan, b.share) for b in online.branches(identity, arms) if b.plan != chosen.plan)
    detail = (
        f"learned online from {chosen.labels:,} labelled steps of this identity; {chosen.propensity:.0%} go this way"
    )
    return Advice(chosen.plan, chosen.propensity, chosen.loss, detail, others)


def document(lesson: Lesson) -> dict[str, Any]:
    """Return a lesson as JSON-ready values."""
    row = lesson.row
    return {
        "identity": row.identity.key,
        "task_type": row.identity.task_type,
        "weight": row.weight,
        "plans": [
            {"plan": lesson.plans[name].to_dict(), "score": scored.score, "cost_usd": scored.cost_usd}
            for name, scored in row.scores.items()
        ],
    }


def _label(record: Mapping[str, Any]) -> _StoredFeedback | None:
    try:
        return _StoredFeedback.model_validate(record)
    except ValidationError:
        return None


def _lesson(data: Any) -> Iterator[Lesson]:
    """Read a lesson; one of another version teaches nothing."""
    try:
        stored = _StoredLesson.model_validate(data)
    except ValidationError as error:
        logger.warning("a record of feedback cannot be learned from: %s problems", error.error_count())
        return
    plans = {}
    scores = {}
    for entry in stored.plans:
        plan = Plan(kind=entry.plan.kind, models=entry.plan.models)
        plans[str(plan)] = plan
        scores[str(plan)] = Scored(entry.score, entry.cost_usd)
    identity = Identity(stored.identity, stored.task_type)
    yield Lesson(Labelled(identity=identity, scores=scores, weight=stored.weight), plans)


class _Stored(BaseModel):
    model_config = ConfigDict(frozen=True, allow_inf_nan=False)


class _StoredFeedback(_Stored):
    decision_id: str
    score: float = Field(ge=0, le=1)
    source: str = "user"
    share: float = Field(default=1.0, ge=0, le=1)


class _StoredPlan(_Stored):
    kind: PlanKind
    models: tuple[str, ...] = Field(min_length=1)


class _StoredLabel(_Stored):
    plan: _StoredPlan
    score: float = Field(ge=0, le=1)
    cost_usd: float | None = Field(default=None, ge=0)


class _StoredLesson(_Stored):
    identity: str
    task_type: str
    weight: float = Field(gt=0)
    plans: tuple[_StoredLabel, ...] = Field(min_length=1)
