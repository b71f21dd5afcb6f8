"""`Labelling`: asks a labeller, behind the calls, what step identities are for that the classifier leaves open.

A step is decided by what is known when it comes, so the first steps of a new identity stay `unknown`, which is the safe
case. Each identity is asked about once; the answer goes to the memory of identities, where later steps find it.
"""

from __future__ import annotations

import logging
import math
import os
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple

from taskrouter.config import LabellerConfig, ModelConfig
from taskrouter.decision import Decision
from taskrouter.errors import (
    AllAttemptsFailedError,
    BadAnswer,
    BudgetExceededError,
    NoEligibleModelError,
    PluginError,
    StoreUnavailable,
    TaskRouterError,
)
from taskrouter.labelling.asking import PoolAsk, check_remote
from taskrouter.labelling.keeping import KeptLabels
from taskrouter.ports import Ask, Classification, Labeller, LabellerFactory
from taskrouter.profile import TASK_TYPES, UNKNOWN
from taskrouter.profiling.identity import Identity, IdentityMemory, identify
from taskrouter.step import Step
from taskrouter.worker import Worker

logger = logging.getLogger("taskrouter.labelling")

AGAIN_S: Final = 600.0
"""After a failure that may pass an identity is not asked about again for so long."""
LOOK_S: Final = 60.0
"""Seconds between two looks at what other processes' labellers have said."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LabellingStatus:
    """How labelling is doing, in this process."""

    asked: int
    """Times that the labeller was asked about a step identity."""
    answered: int
    """Of these, task types that are now remembered."""
    read: int
    """Step identities of which the store already knew what the labeller says."""
    without: Mapping[str, int]
    """Why others gave no label, by code: `unsure`, `bad_answer`, `budget`, what bars the step, ..."""
    dropped: int
    """Steps that were not asked about because too many waited, or as many identities as may be were asked about."""
    waiting: int
    """Step identities in the queue or under way."""


class _Job(NamedTuple):
    identity: Identity
    step: Step
    decision: Decision


class Labelling:
    """See the module.

    Args:
        config: the section `[profiling.labeller]`.
        labeller: who is asked.
        ask: what the labeller asks models by.
        memory: where task types are remembered.
        floor: probability below which a label is not used.
        kept: labels in the store; None where nobody else can see it.
        clock: seconds, monotonic.
    """

    def __init__(
        self,
        config: LabellerConfig,
        labeller: Labeller,
        ask: PoolAsk,
        memory: IdentityMemory,
        *,
        floor: float,
        kept: KeptLabels | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._config = config
        self._labeller = labeller
        self._ask = ask
        self._memory = memory
        self._floor = floor
        self._kept = kept
        self._clock = clock
        # Where a labeller that is remote sends things, as a model of which nothing else is known.
        self._place = ModelConfig(id="labeller", regions=config.regions, tags=config.tags)
        self._lock = threading.Lock()
        self._next_s: dict[Identity, float] = {}
        """When an identity may be asked about again."""
        self._labels: dict[Identity, Classification | None] = {}
        self._looked_at_s = -math.inf
        self._asked = self._answered = self._read = self._dropped = 0
        self._without: Counter[str] = Counter()
        self._said_full = self._said_failing = False
        self._worker: Worker[_Job | None] = Worker(self._do, queued=config.queued + 1, name="taskrouter-labels")
        self._begun = kept is None
        self._pid = os.getpid()

    @property
    def status(self) -> LabellingStatus:
        """How labelling is doing."""
        with self._lock:
            return LabellingStatus(
                asked=self._asked,
                answered=self._answered,
                read=self._read,
                without=dict(self._without),
                dropped=self._dropped,
                waiting=self._worker.waiting,
            )

    def consider(self, step: Step, decision: Decision) -> None:
        """Have a step asked about if nobody knows what it is. Takes microseconds and never raises."""
        try:
            if self._pid != os.getpid():
                self._rest()
            if not self._begun:
                self._begun = self._worker.offer(_LOOK)
            if decision.profile.evidence != "none":
                return
            identity = identify(step.view, step.context)
            if identity is not None:
                self._take(identity, step, decision)
        except Exception as error:  # noqa: BLE001 - a label may fail; the user's call does not
            logger.warning("a step could not be taken for a label: %s", type(error).__name__)

    def wait(self, timeout_s: float) -> bool:
        """Wait until nothing is left to do; tell whether it came to that within the time."""
        return self._worker.wait(timeout_s)

    def close(self) -> None:
        """Take nothing more, and let what is under way end if it does so soon."""
        self._worker.close()

    def _take(self, identity: Identity, step: Step, decision: Decision) -> None:
        if (label := self._labels.get(identity)) is not None:
            self._memory.remember(identity, label)  # it has fallen out of the memory, for others were used since
            return
        now_s = self._clock()
        with self._lock:
            next_s = self._next_s.get(identity)
            if next_s is not None and now_s < next_s:
                return
            if next_s is None and len(self._next_s) >= self._config.identities:
                self._dropped += 1
                first, self._said_full = not self._said_full, True
            else:
                first = False
                before = self._next_s.get(identity)
                self._next_s[identity] = math.inf
                if not self._worker.offer(_Job(identity, step, decision)):
                    self._dropped += 1
                    self._forget(identity, before)
        if first:
            logger.warning(
                "%d step identities were asked about, and no more are in this process: a system prompt that holds the "
                "time or a name is a new one at every step. `profiling.labeller.identities` sets how many",
                self._config.identities,
            )

    def _rest(self) -> None:
        """Begin anew in the child of a fork: the thread has stayed with the parent, and with it what waited."""
        self._pid = os.getpid()
        self._lock = threading.Lock()
        self._next_s = dict.fromkeys(self._labels, math.inf)
        self._begun = self._kept is None

    def _forget(self, identity: Identity, before: float | None) -> None:
        if before is None:
            del self._next_s[identity]
        else:
            self._next_s[identity] = before

    # --- in the thread ------------------------------------------------------------------------------------------

    def _do(self, job: _Job | None) -> None:
        try:
            self._look()
            if job is not None and job.identity not in self._labels:
                self._label(job)
        except Exception as error:  # noqa: BLE001 - whatever happens here is no concern of the user's calls
            self._failed(job, error)

    def _look(self) -> None:
        """Take in what the store knows, if it has not been looked at lately."""
        now_s = self._clock()
        if self._kept is None or now_s < self._looked_at_s + LOOK_S:
            return
        self._looked_at_s = now_s
        try:
            found = self._kept.read()
        except StoreUnavailable as error:
            logger.debug("labels could not be read: %s", str(error))
            return
        for identity, label in found.items():
            if identity not in self._labels:
                self._settle(identity, label)
                self._read += 1

    def _label(self, job: _Job) -> None:
        with self._ask.on_behalf_of(job.step, job.decision) as bounds:
            if getattr(self._labeller, "remote", True):
                check_remote(self._place, bounds)
            with self._lock:
                self._asked += 1
            found = self._labeller.label(job.step.view, job.step.context)
        label = _checked(found, self._labeller.name)
        if self._settle(job.identity, label):
            with self._lock:
                self._answered += 1
        else:
            self._count("unsure")
        if self._kept is not None:
            try:
                self._kept.write(job.identity, label)
            except StoreUnavailable as error:
                logger.debug("a label could not be kept: %s", str(error))

    def _settle(self, identity: Identity, label: Classification | None) -> bool:
        """Remember what was said if it is sure enough; tell whether it is."""
        sure = label is not None and label.alternatives[0][1] >= self._floor
        self._next_s[identity] = math.inf
        self._labels[identity] = label if sure else None
        if label is not None and sure:
            self._memory.remember(identity, label)
        return sure

    def _failed(self, job: _Job | None, error: Exception) -> None:
        code = _code(error)
        self._count(code)
        if job is not None and not isinstance(error, BadAnswer | PluginError):
            self._next_s[job.identity] = self._clock() + AGAIN_S
        if isinstance(error, NoEligibleModelError | BudgetExceededError):
            return
        level = logging.DEBUG if self._said_failing else logging.WARNING
        self._said_failing = True
        why: object = error if isinstance(error, TaskRouterError) else type(error).__name__
        logger.log(level, "the labeller %r failed, which is said once: %s", self._config.name, why)

    def _count(self, code: str) -> None:
        with self._lock:
            self._without[code] += 1


_LOOK: Final = None
"""The job of looking at what the store knows."""


def make_labeller(factory: LabellerFactory, config: LabellerConfig, ask: Ask) -> Labeller:
    """Build a labeller.

    Raises:
        ConfigurationError: its settings are wrong.
        PluginError: the factory fails, or what it makes cannot label.
    """
    try:
        labeller = factory(config, ask)
    except TaskRouterError:
        raise
    except Exception as error:
        raise PluginError(f"labeller {config.name!r} cannot be made: {type(error).__name__}: {error}") from error
    if not callable(getattr(labeller, "label", None)) or not isinstance(getattr(labeller, "name", None), str):
        raise PluginError(f"labeller {config.name!r} is made as a {type(labeller).__name__}; it must be a Labeller")
    return labeller


def _checked(found: Classification | None, name: str) -> Classification | None:
    """Return what a labeller said, as something that holds for the identity; None where it cannot tell."""
    if found is None or not found.alternatives or found.alternatives[0][0] == UNKNOWN:
        return None
    said = tuple((task_type, float(share)) for task_type, share in found.alternatives if task_type != UNKNOWN)
    if any(task_type not in TASK_TYPES or not 0.0 <= share <= 1.0 for task_type, share in said):
        raise PluginError(f"labeller {name!r} named a task type that there is not, or a probability out of range")
    return Classification(said, (f"said by the labeller {name!r}", *found.signals), of_identity=True)


def _code(error: Exception) -> str:
    """Return a low-cardinality code of why there is no label."""
    if isinstance(error, NoEligibleModelError):
        return error.rejections[0].code
    if isinstance(error, BudgetExceededError):
        return "budget"
    last = error.exceptions[-1] if isinstance(error, AllAttemptsFailedError) else error
    return str(getattr(last, "kind", type(last).__name__))
