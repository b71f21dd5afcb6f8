"""What a failure means for the next attempt: the whole of the retry and fallback policy, as one table and a formula."""

from __future__ import annotations

import random
from enum import Enum, auto

from taskrouter import errors as e
from taskrouter.config import ExecutionConfig


class Reaction(Enum):
    """What to do after a failed attempt."""

    RETRY = auto()
    """The same model again after a pause, then the next."""
    NEXT = auto()
    """The next model."""
    LARGER = auto()
    """The next model with a larger context window."""
    ONCE_MORE = auto()
    """One other model; a second one that says the same ends the step: the request itself is wrong."""
    RAISE = auto()
    """End the step at once: no other model can help."""


_REACTIONS: dict[type[e.ModelCallError], Reaction] = {
    e.RateLimited: Reaction.RETRY,
    e.Overloaded: Reaction.RETRY,
    e.ServerFailed: Reaction.RETRY,
    e.ConnectionFailed: Reaction.RETRY,
    e.ContextOverflow: Reaction.LARGER,
    e.BadRequest: Reaction.ONCE_MORE,
    e.LocalFailure: Reaction.RAISE,
    e.StreamBroken: Reaction.RAISE,  # its text has been shown
}


def reaction(error: e.ModelCallError) -> Reaction:
    """Return what a failure calls for; what is not in the table goes to the next model."""
    found = _REACTIONS.get(type(error), Reaction.NEXT)
    return Reaction.NEXT if found is Reaction.RETRY and not error.retryable else found


def backoff_s(error: e.ModelCallError, retry: int, settings: ExecutionConfig, rng: random.Random) -> float:
    """Return the pause before retry number `retry` (from 0): exponential with full jitter, Retry-After as its floor.

    Full jitter after Marc Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015.
    """
    pause = rng.uniform(0.0, min(settings.backoff_max_s, settings.backoff_base_s * 2.0**retry))
    return max(pause, error.retry_after_s or 0.0)
