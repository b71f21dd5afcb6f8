"""What plans of several models lose, as measured on published answers: `training/plan_priors.py` makes the figures.

The less the two models can do beside the incumbent, the more their agreement loses: they share more mistakes. So the
expected loss is a line over the gap between the incumbent's general figure and the mean of theirs.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any, Final, NamedTuple

from taskrouter.decision import Z95, Loss
from taskrouter.planning.checks import Check

ABILITY: Final[dict[Check, str]] = {
    "tool_calls": "tool_use",
    "number": "reasoning",
    "code": "reasoning",
    "choice": "open_qa",
    "json": "extraction",
}
"""The task type whose figures tell who is able to give such an answer."""

OTHER: Final = "other"
"""Key of what may be expected of a kind that was not measured, from those that were."""

BEYOND: Final = 0.15
"""Gap beyond the usual one up to which pairs were seen; on what lies further out nothing was measured."""
CERTAIN: Final = 0.01
"""Shares are kept this far from 0 and 1 before they become log-odds."""


class Measured(NamedTuple):
    """What was measured of the agreement of two models, for one kind of comparison. Losses are shares of quality."""

    loss: float
    """Mean loss against the incumbent, at the usual gap."""
    gap: float
    """The usual gap: the incumbent's general figure less the mean of the pair's."""
    slope: float
    """Loss for one more unit of the gap."""
    sd: float
    """Standard deviation of the loss between pairs and between tasks."""
    agree_shift: float
    """How much more often pairs agree than independent ones would both be right, in log-odds."""
    prompts: int
    tasks: int
    pairs: int
    """Pairs and incumbents that it was measured with."""
    source: str

    def expected(self, gap: float, gap_sd: float = 0.0) -> Loss:
        """Return the loss that is expected of a pair at that gap, which is known to `gap_sd`."""
        off = gap - self.gap
        mean = self.loss + self.slope * off
        # Outside what was seen the line itself is in doubt.
        deviation = math.hypot(self.sd, self.slope * max(0.0, abs(off) - BEYOND), self.slope * gap_sd)
        source = f"agreement of two models, measured on {self.prompts} prompts with {self.pairs} pairs ({self.source})"
        return Loss(mean, mean - Z95 * deviation, mean + Z95 * deviation, source)

    def agreeing(self, both_right: float) -> float:
        """Return the share of the steps on which two models agree that would both be right on that share by chance."""
        return 1.0 / (1.0 + math.exp(-log_odds(both_right) - self.agree_shift))


def log_odds(share: float) -> float:
    """Return the log-odds of a share, which is kept a little away from 0 and 1."""
    inside = min(max(share, CERTAIN), 1.0 - CERTAIN)
    return math.log(inside / (1.0 - inside))


def figures_of(check: Check) -> Measured | None:
    """Return what is known of a kind of comparison: measured, else taken from the other kinds.

    None for documents: nobody knows how often two of them are equal, and calls that never agree are lost money.
    """
    known = measured()
    return known.get(check) or (None if check == "json" else known.get(OTHER))


@cache
def measured() -> Mapping[str, Measured]:
    """Return what was measured, by the kind of comparison."""
    text = files("taskrouter.catalog").joinpath("data/plans.json").read_text(encoding="utf-8")
    return read(json.loads(text))


def read(document: Mapping[str, Any]) -> Mapping[str, Measured]:
    """Read what `training/plan_priors.py` has written."""
    return {kind: Measured(**figures) for kind, figures in document["agreement"].items()}
