"""What a failure says of the endpoint that was called, as one table."""

from __future__ import annotations

from enum import Enum, auto

from taskrouter import errors as e


class Verdict(Enum):
    """What a failed call says of an endpoint."""

    FAULT = auto()
    """It failed: this counts towards opening the breaker."""
    LIMITED = auto()
    """It asked to be left alone for a while, which is no fault: the rate gate closes for that long."""
    DOWN = auto()
    """It will fail until somebody changes something: a key, a name, a quota."""
    ALIVE = auto()
    """It answered, though not with what was wanted: neither a success nor a fault."""
    NOTHING = auto()
    """The failure is on our side."""


def verdict(error: e.ModelCallError) -> Verdict:
    """Return what a failure says; what is not known to say anything else is a fault."""
    match error:
        case e.LocalFailure():
            return Verdict.NOTHING
        case e.EmptyAnswer():
            return Verdict.FAULT
        case e.BadAnswer() | e.Refused() | e.ContextOverflow() | e.BadRequest() | e.ModelCallError(of_the_step=True):
            return Verdict.ALIVE
        case e.Unauthenticated() | e.ModelNotFound() | e.RateLimited(retryable=False):
            return Verdict.DOWN
        # "Retry after 0 s" asks for no pause: without a pause, the count of faults has to end it.
        case e.RateLimited() | e.Overloaded() if error.retry_after_s is not None and error.retry_after_s > 0:
            return Verdict.LIMITED
    return Verdict.FAULT


def concerns_quota(error: e.ModelCallError) -> bool:
    """Tell whether a failure is one of the account or key, which all endpoints of a quota group share.

    A key that may not use one model (403) may be good for the others.
    """
    return isinstance(error, e.RateLimited) or (isinstance(error, e.Unauthenticated) and error.status != 403)
