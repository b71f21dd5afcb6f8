"""What learning may cost: a budget of quality and of dollars, and the book in which it is kept."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

POINT = 0.01


@dataclass(frozen=True, slots=True, kw_only=True)
class ExplorationBudget:
    """What exploration may take, beside the default plan of each step."""

    points: float = 0.2
    """Points of quality that exploration is expected to take off the mean of all steps so far, at most: 0.2 allows two
    wrong answers more in a thousand steps. It grows with the steps, so that learning never ends."""
    usd: float = 10.0
    """US dollars that exploration may spend beyond the default plans, in all."""

    def __post_init__(self) -> None:
        """Check both amounts.

        Raises:
            ValueError: one is negative, or no number.
        """
        for name, amount in (("points", self.points), ("usd", self.usd)):
            if not amount >= 0.0:
                raise ValueError(f"the exploration budget's {name} is {amount!r}; it must be 0 or more")


class Price:
    """What one exploring step is expected to cost beyond the default plan: neither part is negative."""

    __slots__ = ("loss", "usd")

    def __init__(self, loss: float, usd: float) -> None:
        self.loss = max(0.0, loss)
        self.usd = max(0.0, usd)


class Ledger:
    """Books what exploration has cost. Not locked: its owner is.

    Args:
        budget: what may be spent.
    """

    def __init__(self, budget: ExplorationBudget) -> None:
        self.budget = budget
        self.steps = 0
        self.explored = 0.0
        """Exploring steps; a step that would have been taken anyway in part counts in part."""
        self.loss = 0.0
        """Expected score lost, summed over steps."""
        self.usd = 0.0

    @property
    def loss_left(self) -> float:
        """Expected score that may still be lost, summed over steps."""
        return self.budget.points * POINT * self.steps - self.loss

    @property
    def usd_left(self) -> float:
        """Dollars that may still be spent."""
        return self.budget.usd - self.usd

    def affords(self, price: Price) -> bool:
        """Whether a step of that price may still be taken."""
        return price.loss <= self.loss_left and price.usd <= self.usd_left

    def share(self, per_step: Price, most: float, horizon: int) -> float:
        """Return the share of steps that may explore until the next look, at most `most`.

        Args:
            per_step: what a step costs on average if all explored.
            most: the share that is wished for.
            horizon: steps until the next look, about.
        """
        share = most
        if per_step.loss > 0.0:
            share = min(share, (self.loss_left / horizon + self.budget.points * POINT) / per_step.loss)
        if per_step.usd > 0.0:
            share = min(share, self.usd_left / horizon / per_step.usd)
        return max(0.0, share)

    def book(self, price: Price | None, part: float = 1.0) -> None:
        """Count a step, and what the exploring part of it was expected to cost."""
        self.steps += 1
        if price is not None:
            self.explored += part
            self.loss += part * price.loss
            self.usd += part * price.usd

    def to_dict(self) -> dict[str, float]:
        """Return the amounts spent."""
        return {"steps": self.steps, "explored": self.explored, "loss": self.loss, "usd": self.usd}

    def restore(self, spent: Mapping[str, float]) -> None:
        """Take up amounts that were spent before.

        Raises:
            ValueError: an amount is negative or no number.
        """
        for name in ("steps", "explored", "loss", "usd"):
            if not (0.0 <= spent[name] < math.inf):
                raise ValueError(f"{name} is {spent[name]!r}; it must be 0 or more")
        self.steps = int(spent["steps"])
        self.explored, self.loss, self.usd = spent["explored"], spent["loss"], spent["usd"]
