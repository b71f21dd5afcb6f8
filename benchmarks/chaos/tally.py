"""What came of the steps of a soak."""

from __future__ import annotations

import statistics
import threading
from array import array
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from benchmarks.chaos.provider import HEALTHY
from benchmarks.chaos.questions import kind, right
from benchmarks.chaos.stage import Said

from taskrouter import Decision, Outcome, hookimpl
from taskrouter.budget.purse import nano_usd
from taskrouter.errors import StreamBroken
from taskrouter.outcome import Attempt

_INSTANT_KINDS = {"server_error", "overloaded", "empty_answer"}


class Figures(NamedTuple):
    """Median and 99th percentile, milliseconds."""

    p50: float
    p99: float
    steps: int

    @classmethod
    def of(cls, seconds: Sequence[float]) -> Figures:
        """Sum values up."""
        if len(seconds) < 2:
            return cls(float("nan"), float("nan"), len(seconds))
        return cls(1000 * statistics.median(seconds), 1000 * statistics.quantiles(seconds, n=100)[98], len(seconds))

    def __str__(self) -> str:
        return f"p50 {self.p50:.2f} ms, p99 {self.p99:.2f} ms ({self.steps:,} steps)"


@dataclass(slots=True)
class Tally:
    """What came of all steps, in as little memory as possible; a plugin."""

    steps: int = 0
    by_status: Counter[str] = field(default_factory=Counter)
    by_model: Counter[str] = field(default_factory=Counter)
    attempts: int = 0
    failures: Counter[str] = field(default_factory=Counter)
    booked_nano_usd: int = 0
    plain_s: array[float] = field(default_factory=lambda: array("d"))
    """Whole time of steps that were answered at once."""
    gap_s: array[float] = field(default_factory=lambda: array("d"))
    """Of steps that failed over: time in neither a call nor a pause, by failed call."""
    instant_s: array[float] = field(default_factory=lambda: array("d"))
    """Of those in which all failures were instant: the whole time without the pauses."""
    timed: bool = True
    """Whether times are taken."""
    problems: list[str] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @hookimpl
    def taskrouter_attempted(self, decision: Decision, attempt: Attempt) -> None:
        """Count a call."""
        del decision
        with self._lock:
            self.attempts += 1
            self.booked_nano_usd += nano_usd(attempt.cost_usd or 0.0)
            if attempt.error_type:
                self.failures[attempt.error_type] += 1

    def answered(self, number: int, outcome: Outcome[Any], said: Said) -> None:
        """Count an answer, and look whether it is right."""
        with self._lock:
            self.steps += 1
            self.by_status[outcome.status] += 1
            self.by_model[outcome.model] += 1
            if self.timed:
                self._time(outcome)
            if said.models != {outcome.model}:
                self.problems.append(
                    f"step {number}: chunks of {sorted(said.models)} in the answer of {outcome.model!r}"
                )
            if not right(number, said, wrong_by=int(outcome.model != HEALTHY)):
                self.problems.append(f"step {number}: wrong answer of {outcome.model!r}")

    def failed(self, number: int, error: Exception) -> None:
        """Count a step without a whole answer."""
        with self._lock:
            self.steps += 1
            if isinstance(error, StreamBroken) and kind(number) == "stream" and error.partial.text:
                self.by_status["broken"] += 1
                return
            self.by_status["lost"] += 1
            self.problems.append(f"step {number} is lost: {error!r:.300}")

    def _time(self, outcome: Outcome[Any]) -> None:
        failed = [attempt for attempt in outcome.attempts if attempt.status != "ok"]
        waited_s = sum(attempt.waited_s for attempt in outcome.attempts)
        if not failed:
            self.plain_s.append(outcome.latency_s)
            return
        calls_s = sum(attempt.latency_s for attempt in outcome.attempts)
        self.gap_s.append((outcome.latency_s - calls_s - waited_s) / len(failed))
        if {attempt.error_type for attempt in failed} <= _INSTANT_KINDS and len(failed) == 1:
            self.instant_s.append(outcome.latency_s - waited_s)


@dataclass(slots=True)
class Report:
    """What a soak says, and what is wrong."""

    lines: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def say(self, what: str, text: object) -> None:
        """Add a line."""
        self.lines.append(f"  {what:<46}{text}")

    def check(self, right: bool, problem: str) -> None:
        """Note a problem unless something is right."""
        if not right:
            self.problems.append(problem)
