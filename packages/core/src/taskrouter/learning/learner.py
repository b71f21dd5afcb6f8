"""`Learner`: remembers what was decided, takes labels as they come, and keeps the policy that follows from them.

The decision path reads one immutable `LearnedPolicy`. It is made anew in a thread of its own when a tenth more labels
have come, so that neither a step nor feedback waits for it.
"""

from __future__ import annotations

import logging
import random
import threading
from collections import Counter, OrderedDict, deque
from collections.abc import Collection, Iterable, Mapping
from typing import Any, Final, NamedTuple

from taskrouter.config import LearningConfig
from taskrouter.decision import Loss, Plan
from taskrouter.errors import raised_at
from taskrouter.learning.evidence import AGREEMENT_RIGHT, WEIGHTS, Remembered, labelled, remember, weak
from taskrouter.learning.fitting import Labelled, fit
from taskrouter.learning.identity import Identity
from taskrouter.learning.policy import FEW, LearnedPolicy, drawn, usable
from taskrouter.outcome import Outcome

logger = logging.getLogger("taskrouter.learning")

REMEMBERED: Final = 10_000
"""Answered steps whose labels are waited for; the oldest goes first."""
ROWS: Final = 50_000
"""Labelled steps that are learned from; the oldest goes first."""
IDENTITIES: Final = 10_000
"""Identities whose steps are counted."""
GROWTH: Final = 0.1
"""Share of new labels that calls for a new policy."""
FIRST: Final = 5
"""Labels before the first one."""
AGREEMENTS: Final = 20.0
"""Labels that the published precision of agreements is worth, before this router's own labels outweigh it."""


class Advice(NamedTuple):
    """A plan that was learned for a step's identity."""

    plan: Plan
    propensity: float
    loss: Loss
    detail: str
    """Why, in words."""
    alternatives: tuple[tuple[Plan, float], ...] = ()
    """The plans that might have been drawn instead, each with its probability."""


class Lesson(NamedTuple):
    """What one label taught, for whoever keeps it."""

    row: Labelled
    plans: Mapping[str, Plan]
    key: str | None = None
    """Of lessons with the same key only the latest counts, such as of a case that is run again; None: it adds up."""


class Learner:
    """Learns a plan per step identity from labels.

    Args:
        config: the section `[learning]`.
        incumbent: id of the model that losses are counted against.
        seed: of draws between plans, for reproducible runs.
        policy: what was learned before, such as by `taskrouter tune`.
    """

    def __init__(
        self, config: LearningConfig, incumbent: str, *, seed: int | None = None, policy: LearnedPolicy | None = None
    ) -> None:
        self._config = config
        self._incumbent = incumbent
        self._seed = seed
        self._rng = random.Random(seed)
        self._lock = threading.Lock()
        self._fitting = threading.Lock()
        self._remembered: OrderedDict[str, Remembered] = OrderedDict()
        self._rows: deque[Labelled] = deque()
        self._keyed: dict[str, Labelled] = {}
        self._known: Counter[tuple[str, str]] = Counter()
        self._traffic: Counter[str] = Counter()
        self._plans: dict[str, Plan] = {incumbent: Plan(models=(incumbent,))}
        self._fitted_from = 0
        self._taken = 0
        self._agreements = [AGREEMENT_RIGHT * AGREEMENTS, AGREEMENTS]
        self.unmatched = 0
        """Labels for steps that are not known here: they teach nothing."""
        self._given = policy is not None
        self.policy = policy

    def after_fork_in_child(self) -> None:
        """Take new locks: threads that stayed with the parent may hold the old ones. Draws are the child's own."""
        self._lock, self._fitting = threading.Lock(), threading.Lock()
        if self._seed is None:
            self._rng = random.Random()

    @property
    def labels(self) -> int:
        """Labelled steps that are learned from."""
        return len(self._rows) + len(self._keyed)

    @property
    def given(self) -> bool:
        """Whether the policy was given from outside, such as by `taskrouter tune`, and does not follow labels."""
        return self._given

    @property
    def max_loss(self) -> float:
        """Accepted pooled loss against the incumbent, as a share."""
        return self._config.max_loss

    def known(self, plan: str, identity: str | None = None) -> int:
        """Return how many labels of a plan are learned from, by its name: of one identity, or of all."""
        with self._lock:
            if identity is not None:
                return self._known[identity, plan]
            return sum(count for (_, name), count in self._known.items() if name == plan)

    @property
    def agreement_right(self) -> float:
        """How often agreements are right, as published and as labels have shown."""
        right, all_ = self._agreements
        return right / all_

    # --- the decision path ----------------------------------------------------------------------------------------

    def advise(self, identity: Identity, *, allowed: Collection[str], several: bool) -> Advice | None:
        """Return what was learned for a step, or None: then it goes as it would without labels.

        Args:
            identity: of the step.
            allowed: models that may take it now; a plan with another one is not advised.
            several: whether a plan of several models can be carried out.
        """
        policy = self.policy
        if policy is None or not (learned := policy.of(identity.key)):
            return None
        branches = usable(learned, allowed=allowed, several=several)
        if not branches:
            return None
        chosen = drawn(branches, self._rng.random())
        labels = policy.labels_of(identity.key)
        few = ", which is little" if labels < FEW else ""
        detail = f"learned from {labels:,} labelled steps of this identity{few}, chosen jointly over all of them"
        others = tuple((branch.plan, branch.share) for branch in branches if branch is not chosen)
        return Advice(chosen.plan, chosen.share, chosen.loss, detail, others)

    # --- labels -----------------------------------------------------------------------------------------------------

    def note(self, outcome: Outcome[Any], identity: Identity) -> list[Lesson]:
        """Remember an answered step, and learn what it teaches without anybody's word."""
        known = remember(outcome, identity)
        with self._lock:
            if identity.key in self._traffic or len(self._traffic) < IDENTITIES:
                self._traffic[identity.key] += 1
            self._remembered[outcome.decision_id] = known
            if len(self._remembered) > REMEMBERED:
                self._remembered.popitem(last=False)
        lessons = [Lesson(row, plans) for _, row, plans in weak(known, outcome, self.agreement_right)]
        self.adopt(lessons)
        return lessons

    def remembered(self, decision_id: str) -> Remembered | None:
        """Return what is known here of an answered step."""
        with self._lock:
            return self._remembered.get(decision_id)

    def label(
        self,
        decision_id: str,
        score: float,
        source: str,
        share: float = 1.0,
        *,
        known: Remembered | None = None,
    ) -> Lesson | None:
        """Learn from a label; None if the step is not known here.

        Args:
            decision_id: of the step.
            score: 0 to 1.
            source: who says so; `evidence.WEIGHTS` says what that is worth.
            share: part of the label that the step is credited with, where a whole run was labelled.
            known: what is known of the step from elsewhere, where it may not be remembered here.
        """
        with self._lock:
            known = self._remembered.get(decision_id, known)
            if known is None:
                self.unmatched += 1
                return None
            if known.agreed and source not in WEIGHTS:
                self._agreements[0] += share * score
                self._agreements[1] += share
        weight = share * WEIGHTS.get(source, 1.0)
        if weight <= 0.0:
            return None
        lesson = Lesson(*labelled(known, score, weight))
        self.adopt([lesson])
        return lesson

    def adopt(self, lessons: Iterable[Lesson]) -> None:
        """Take in labels, whoever had them: feedback, a store, a suite of cases, a shadow."""
        with self._lock:
            for row, plans, key in lessons:
                if key is None:
                    if len(self._rows) == ROWS:
                        self._forget(self._rows.popleft())
                    self._rows.append(row)
                else:
                    if (before := self._keyed.pop(key, None)) is not None:
                        self._forget(before)
                    self._keyed[key] = row
                self._known.update((row.identity.key, name) for name in row.scores)
                self._plans.update(plans)
                self._taken += 1
            due = (
                self._taken - self._fitted_from >= max(FIRST, GROWTH * self._fitted_from)
                and self._config.enabled
                and not self._given
                and not self._fitting.locked()
            )
            if due:
                self._fitted_from = self._taken  # now: many threads have labels at once, and one fit is enough
        if due:
            threading.Thread(target=self._fit_quietly, name="taskrouter-learning", daemon=True).start()

    def matched(self) -> None:
        """Count a label less as unmatched: its step was found after all."""
        with self._lock:
            self.unmatched -= 1

    def _forget(self, row: Labelled) -> None:
        for name in row.scores:
            place = row.identity.key, name
            self._known[place] -= 1
            if self._known[place] <= 0:
                del self._known[place]

    def fit(self) -> LearnedPolicy | None:
        """Learn from all labels now, and use what was learned; None where they do not show what to save."""
        with self._fitting:
            with self._lock:
                rows, plans = [*self._rows, *self._keyed.values()], dict(self._plans)
                traffic = dict(self._traffic)
                self._fitted_from = self._taken
            policy = (
                fit(rows, plans, self._incumbent, max_loss=self._config.max_loss, traffic=traffic) if rows else None
            )
            self.policy = policy
            return policy

    def _fit_quietly(self) -> None:
        try:
            self.fit()
        except Exception as error:  # noqa: BLE001 - learning may fail; the user's calls do not
            logger.warning("learning from %s labels failed: %s", self.labels, raised_at(error))
