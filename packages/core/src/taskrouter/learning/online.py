"""Learning while serving: per step identity a mixture of plans that moves as labels come.

It starts at the default plan, what the router does without labels, and has three parts:

1. *Exploitation.* From what is believed of all identities (`beliefs`) the joint choice of `allocate`: the cheapest
   plans whose pooled loss stays within `max_loss`. A plan may take part only where it has labels and the lower bound of
   its gain passes a gate.
2. *Exploration.* A small share of the steps goes where Thompson sampling would send them (Thompson, Biometrika 1933):
   the same joint choice, made with gains that are drawn from the beliefs and averaged over draws. So it is a mixture
   with known shares, not a draw for each step. A budget bounds what it may lose and cost (`exploration`).
3. *Drift.* Where scores, costs or latencies shift (`drift`), old labels are discounted and the belief is widened: the
   plan has to pass the gate anew.

Nothing of this is done when a step is decided: the mixture is ready, a decision draws from it, and the share of the
plan is the exact propensity.
"""

from __future__ import annotations

import logging
import random
import threading
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any, Final, Self

from taskrouter.config import validated
from taskrouter.decision import Plan
from taskrouter.learning.beliefs import believe
from taskrouter.learning.cases import Arm, Case, named
from taskrouter.learning.drift import Drift, Quantity, Watched, Watches
from taskrouter.learning.exploration import ExplorationBudget, Ledger, Price
from taskrouter.learning.fitting import Labelled
from taskrouter.learning.identity import Identity
from taskrouter.learning.mixing import Beliefs, Shares, blend, branches_of, exploit, explore, mean_price, price
from taskrouter.learning.online_state import SCHEMA_VERSION, StoredLearner, restored_case, stored_case
from taskrouter.learning.policy import Branch, Chosen

MAX_LOSS: Final = 0.0075
"""Accepted pooled loss that is believed. Comparisons of answers mostly lose less than their prior says, so that the
loss that comes of it is smaller (`docs/learning.md`)."""
MOST_ARMS: Final = 5
MOST_CASES: Final = 1_000
"""Identities that are learned; those that come later keep their default."""
WARM: Final = 50.0
"""Labels before the first look."""
EVERY: Final = 25
"""Labels between two looks at all that is known; with more identities there are as many labels as identities."""
EXPLORING: Final = 0.01
"""Share of the steps that explores, where the budget allows it."""
ANNOUNCED_EVERY: Final = 8
"""Decisions of an identity between two whose announced prices are noted."""
MISSED: Final = 200
"""Decisions without the default plan after which the plan that is offered in its place becomes the default."""
EVENTS: Final = 100
"""Shifts that are remembered."""
KEPT: Final[Mapping[Quantity, float]] = {"quality": 0.1, "cost": 0.5, "latency": 0.5}
"""Share of a plan's labels that counts on after a shift. A price or a latency that changed may mean another model
behind the same name."""
DOUBT: Final[Mapping[Quantity, float]] = {"quality": 0.01, "cost": 0.0025, "latency": 0.0025}
"""Variance of the gain that a shift adds to the belief: one deviation is 10 or 5 points."""

logger = logging.getLogger("taskrouter.learning")


class _Ready:
    """What decisions of one identity draw from."""

    __slots__ = ("branches", "calls", "missed", "plain", "plans")

    def __init__(self, plans: list[Plan], branches: tuple[Branch, ...]) -> None:
        self.plans = plans
        """As they were offered at first; mostly they are offered alike again."""
        self.branches = branches
        self.plain = branches
        """The same without exploration."""
        self.calls = 0
        self.missed = 0


class OnlineLearner:
    """Chooses among few plans per step identity, and moves only as far as labels carry.

    Labels may come late, from any thread. They must be of people, tests, graders or judges: what a step shows without
    anybody's word (`evidence.weak`) says more of one plan than of another, and would mislead it.

    Args:
        incumbent: id of the model that losses are counted against.
        max_loss: accepted pooled loss that is believed, as a share (0.01 = 1 point).
        budget: what exploration may lose and cost.
        seed: of exploration and of `choose`; the same seed and the same steps give the same decisions.

    Attributes:
        budget_spent: the book of what exploration was expected to cost.
    """

    def __init__(
        self,
        incumbent: str,
        *,
        max_loss: float = MAX_LOSS,
        budget: ExplorationBudget | None = None,
        seed: int | None = None,
    ) -> None:
        self.incumbent = incumbent
        self.max_loss = max_loss
        self.budget_spent = Ledger(budget or ExplorationBudget())
        self._seeded = seed is not None
        self._seed = random.SystemRandom().getrandbits(32) if seed is None else seed
        self._draws = random.Random(self._seed)
        self._ready: dict[str, _Ready] = {}
        self._lock = threading.RLock()
        """Guards the cases and looks, which may take milliseconds."""
        self._cases: dict[str, Case] = {}
        self._labels = 0.0
        self._since = 0
        self._looks = 0
        self._book = threading.Lock()
        """Guards the ledger and the watches; never held for long, as serving waits for it."""
        self._parts: dict[tuple[str, str], tuple[float, Price]] = {}
        self._dearest = Price(0.0, 0.0)
        self._watches = Watches()
        self._events: deque[Drift] = deque(maxlen=EVENTS)

    @property
    def events(self) -> tuple[Drift, ...]:
        """The latest shifts, oldest first."""
        return tuple(self._events)

    def branches(self, identity: Identity, arms: Sequence[Arm]) -> tuple[Branch, ...]:
        """Return the plans for a step of that identity with their shares, which sum to 1.

        Args:
            identity: what kind of step it is.
            arms: what the step may take; the first is the default. The first five an identity is offered are learned,
                the incumbent among them: without it nothing is, and the default keeps all steps.
        """
        ready = self._ready.get(identity.key)
        if ready is None:
            return self._enter(identity, arms)
        ready.calls += 1
        if not ready.calls % ANNOUNCED_EVERY:
            self._announce(identity.key, arms)
        if [arm.plan for arm in arms] == ready.plans:
            return ready.branches
        return self._offered(identity.key, ready, arms)

    def choose(self, identity: Identity, arms: Sequence[Arm]) -> Chosen:
        """Draw a plan for a step from `branches`."""
        branches = self.branches(identity, arms)
        draw = self._draws.random()
        branch = branches[0]
        for branch in branches:
            draw -= branch.share
            if draw < 0.0:
                break
        case = self._cases.get(identity.key)
        return Chosen(branch.plan, branch.share, branch.loss, int(case.steps) if case else 0)

    def charge(
        self, identity: Identity, plan: Plan, *, cost_usd: float | None = None, latency_s: float | None = None
    ) -> None:
        """Book a step that was carried out, labelled or not: its part of exploration, and what it cost and took."""
        key, name = identity.key, str(plan)
        with self._book:
            part, per_step = self._parts.get((key, name), (0.0, None))
            self.budget_spent.book(per_step, part)
            if self._parts and not self.budget_spent.affords(self._dearest):
                self._close()
            shifts = [
                self._watches.see(key, name, sequence, value)
                for sequence, value in _spent(cost_usd, latency_s)
                if key in self._ready
            ]
        if any(shifts):
            with self._lock:
                self._shifted(shifts)

    def observe(self, row: Labelled) -> None:
        """Learn the labels of one step. Of an identity that never asked for a plan nothing is learned."""
        key = row.identity.key
        with self._lock:
            case = self._cases.get(key)
            if case is None:
                return
            case.record(row.scores, row.weight)
            with self._book:
                shifts = [self._watches.see(key, *seen) for seen in _scores(case, row)]
            self._labels += row.weight
            self._since += 1
            if any(shifts):
                self._shifted(shifts)
            elif self._labels >= WARM and self._since >= max(EVERY, len(self._cases)):
                self._look()

    def after_fork_in_child(self) -> None:
        """Take new locks: threads that stayed with the parent may hold the old ones. Draws are the child's own."""
        self._lock, self._book = threading.RLock(), threading.Lock()
        if not self._seeded:
            self._draws = random.Random()

    def to_dict(self) -> dict[str, Any]:
        """Return all that was learned as JSON-ready values, with a schema version."""
        with self._lock, self._book:
            return {
                "schema": SCHEMA_VERSION,
                "incumbent": self.incumbent,
                "max_loss": self.max_loss,
                "budget": asdict(self.budget_spent.budget),
                "spent": self.budget_spent.to_dict(),
                "seed": self._seed,
                "looks": self._looks,
                "labels": self._labels,
                "cases": {key: stored_case(case) for key, case in self._cases.items()},
                "watches": self._watches.to_list(),
            }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any], *, where: str = "online learner") -> Self:
        """Take up what `to_dict` wrote: the mixtures follow from the labels. Draws begin anew.

        Raises:
            ConfigurationError: the schema version is another, or a field is wrong; the message names it.
        """
        stored = validated(StoredLearner, data, where=where)
        budget = ExplorationBudget(points=stored.budget.points, usd=stored.budget.usd)
        learner = cls(stored.incumbent, max_loss=stored.max_loss, budget=budget, seed=stored.seed)
        learner.budget_spent.restore(stored.spent.model_dump())
        learner._labels = stored.labels
        learner._looks = stored.looks - 1
        learner._watches.restore(stored.watches)
        for key, case in stored.cases.items():
            restored = learner._cases[key] = restored_case(case)
            arms = list(restored.arms.values())
            default = restored.arms[restored.default]
            learner._ready[key] = _Ready([arm.plan for arm in arms], (_whole(default),))
        if learner._labels >= WARM:
            learner._look()
        return learner

    def _enter(self, identity: Identity, arms: Sequence[Arm]) -> tuple[Branch, ...]:
        alone = (_whole(arms[0]),)
        with self._lock:
            kept = _kept(arms, self.incumbent)
            if kept and len(self._cases) < MOST_CASES and identity.key not in self._cases:
                self._cases[identity.key] = Case(identity.task_type, named(kept))
                self._ready[identity.key] = _Ready([arm.plan for arm in arms], alone)
        return alone

    def _announce(self, key: str, arms: Sequence[Arm]) -> None:
        with self._lock:
            self._cases[key].announce(arms)

    def _offered(self, key: str, ready: _Ready, arms: Sequence[Arm]) -> tuple[Branch, ...]:
        """Fit the mixture to other plans than usual: what is not offered goes to the default of this step."""
        offered = {arm.plan for arm in arms}
        case = self._cases[key]
        with self._lock:
            self._admit(case, ready, arms)
        kept = [branch for branch in ready.branches if branch.plan in offered]
        if len(kept) == len(ready.branches):
            return ready.branches
        rest = 1.0 - sum(branch.share for branch in kept)
        default = next((branch for branch in kept if branch.plan == arms[0].plan), None)
        if default is None:
            return (_whole(arms[0])._replace(share=rest), *kept)
        return tuple(branch._replace(share=branch.share + rest) if branch is default else branch for branch in kept)

    def _admit(self, case: Case, ready: _Ready, arms: Sequence[Arm]) -> None:
        """Take in plans that are new, as far as there is room, and maybe another default.

        Where a comparison of answers comes first and there was none, it becomes the default. Another comparison does so
        only when the usual one has been missing for long: an outage does not do that.
        """
        for arm in arms:
            if len(case.arms) < MOST_ARMS:
                case.admit(arm)
        name, usual = str(arms[0].plan), case.arms[case.default].plan
        if name == case.default or arms[0].plan.kind == "single":
            return
        ready.missed += usual not in {arm.plan for arm in arms}
        if usual.kind != "single" and ready.missed < MISSED:
            return
        if name not in case.arms:
            spare = [other for other in case.arms if other not in (case.default, self.incumbent)]
            case.dismiss(min(spare, key=lambda other: (case.tallies[other].labels, -list(case.arms).index(other))))
            case.admit(arms[0])
        case.count_from(name)
        ready.missed = 0
        ready.plans = [arm.plan for arm in arms]
        ready.branches = ready.plain = (_whole(arms[0]),)

    def _look(self) -> None:
        """Look at all that is known, and make the mixtures anew."""
        self._since = 0
        self._looks += 1
        beliefs = believe(self._cases, self.incumbent)
        exploited = exploit(self._cases, beliefs, self.incumbent, self.max_loss)
        if not exploited:
            return
        draws = random.Random(f"{self._seed}:{self._looks}")
        explored = explore(self._cases, beliefs, exploited, self.incumbent, self.max_loss, draws)
        with self._book:
            share = self.budget_spent.share(mean_price(self._cases, beliefs, explored), EXPLORING, 4 * EVERY)
            self._publish(beliefs, exploited, explored, share)

    def _publish(self, beliefs: Beliefs, exploited: Shares, explored: Shares, share: float) -> None:
        self._parts = {}
        for key in exploited:
            case, ready = self._cases[key], self._ready[key]
            mixed = blend(case, exploited[key], explored[key], share)
            ready.branches, ready.plain = (branches_of(case, beliefs[key], of) for of in (mixed.shares, mixed.plain))
            for name, part in mixed.parts.items():
                self._parts[key, name] = part, price(case, beliefs[key], name)
        self._dearest = Price(
            max((part * one.loss for part, one in self._parts.values()), default=0.0),
            max((part * one.usd for part, one in self._parts.values()), default=0.0),
        )
        if self._parts and not self.budget_spent.affords(self._dearest):
            self._close()

    def _close(self) -> None:
        """Explore no more until the next look."""
        self._parts = {}
        for ready in self._ready.values():
            ready.branches = ready.plain

    def _shifted(self, shifts: Iterable[Drift | None]) -> None:
        for shift in filter(None, shifts):
            self._events.append(shift)
            logger.warning("%s; it is probed anew", shift)
            case = self._cases[shift.identity]
            if shift.plan in case.tallies:
                case.doubt(shift.plan, KEPT[shift.quantity], DOUBT[shift.quantity])
                if shift.quantity == "cost":
                    case.tallies[shift.plan].cost_usd *= shift.lately / shift.before
        self._look()


def _kept(arms: Sequence[Arm], incumbent: str) -> list[Arm]:
    """The default, the incumbent and the first others, five at most; nothing without the incumbent."""
    own = [arm for arm in arms if str(arm.plan) == incumbent]
    if not own:
        return []
    others = [arm for arm in arms[1:] if arm is not own[0]]
    first = [arms[0]] if arms[0] is own[0] else [arms[0], own[0]]
    return [*first, *others][:MOST_ARMS]


def _whole(arm: Arm) -> Branch:
    return Branch(arm.plan, 1.0, arm.loss)


def _spent(cost_usd: float | None, latency_s: float | None) -> Iterator[tuple[Watched, float]]:
    if cost_usd is not None:
        yield "cost", cost_usd
    if latency_s is not None:
        yield "latency", latency_s


def _scores(case: Case, row: Labelled) -> Iterator[tuple[str, Watched, float]]:
    """What is watched of a row: scores of plans that were carried out, and differences of proposers to the default."""
    base = row.scores.get(case.default)
    for name, scored in row.scores.items():
        if base is None or name == case.default:
            yield name, "quality", scored.score
        else:
            yield name, "difference", scored.score - base.score
