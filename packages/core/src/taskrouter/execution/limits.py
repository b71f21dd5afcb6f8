"""The clock of one step: what time it is, and how much of it is left."""

from __future__ import annotations

from dataclasses import dataclass

from taskrouter.config import ExecutionConfig


@dataclass(slots=True)
class TimeLimits:
    """Time limits of a step and of the budget that it runs under. All times are the driver's clock."""

    settings: ExecutionConfig
    deadline_at_s: float | None
    """The budget's deadline."""
    started_s: float
    now_s: float = 0.0
    _endless: bool = False
    """Whether there is no limit at all: the usual case, asked after at every chunk of a stream."""

    def __post_init__(self) -> None:
        self.now_s = self.started_s
        self._endless = self.deadline_at_s is None and self.settings.step_timeout_s is None

    def begin(self, at_s: float) -> None:
        """Start anew."""
        self.started_s = self.now_s = at_s

    def elapsed_s(self) -> float:
        """Seconds since the start."""
        return self.now_s - self.started_s

    def left_s(self) -> float | None:
        """Seconds that are left; None: no limit."""
        limit = self.settings.step_timeout_s
        left = None if limit is None else limit - self.elapsed_s()
        if self.deadline_at_s is None:
            return left
        until = self.deadline_at_s - self.now_s
        return until if left is None else min(left, until)

    def time_left(self) -> bool:
        """Tell whether anything may still begin."""
        if self._endless:
            return True
        left = self.left_s()
        return left is None or left > 0

    def leaves(self, pause_s: float) -> bool:
        """Tell whether there is time left after a pause."""
        left = self.left_s()
        return left is None or pause_s < left

    def overdue(self) -> bool:
        """Tell whether the budget's deadline has passed."""
        return self.deadline_at_s is not None and self.now_s >= self.deadline_at_s

    def within(self, seconds: float) -> float:
        """Return the smaller of a duration and what is left, above zero."""
        if self._endless:
            return seconds
        left = self.left_s()
        return seconds if left is None else max(0.001, min(seconds, left))
