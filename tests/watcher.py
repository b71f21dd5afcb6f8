"""A plugin through which tests see what a router does."""

from __future__ import annotations

from typing import Any

from taskrouter import Attempt, Decision, Outcome, hookimpl


class Watcher:
    """Keeps what happened."""

    def __init__(self) -> None:
        self.decisions: list[Decision] = []
        self.attempts: list[Attempt] = []
        self.outcomes: list[Outcome[Any]] = []

    @hookimpl
    def taskrouter_decided(self, decision: Decision) -> None:
        self.decisions.append(decision)

    @hookimpl
    def taskrouter_attempted(self, attempt: Attempt) -> None:
        self.attempts.append(attempt)

    @hookimpl
    def taskrouter_completed(self, outcome: Outcome[Any]) -> None:
        self.outcomes.append(outcome)
