"""Telemetry may fail; the user's call does not."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from taskrouter.errors import raised_at

P = ParamSpec("P")
T = TypeVar("T")
logger = logging.getLogger("taskrouter.observability")


def guarded(work: Callable[P, None]) -> Callable[P, None]:
    """Make a function log its failure instead of raising it."""

    @functools.wraps(work)
    def harmless(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            work(*args, **kwargs)
        except Exception as error:  # noqa: BLE001 - whatever a tracer, a processor or an instrument raises
            # Neither the error's text nor its context is logged: the context may be a provider's error, which quotes
            # the prompt.
            logger.warning("telemetry failed in %s: %s", work.__name__, raised_at(error))

    return harmless


def spared(make: Callable[[], T], otherwise: Callable[[], T]) -> T:
    """Make something, or log that it failed and make something else."""
    try:
        return make()
    except Exception as error:  # noqa: BLE001 - whatever a provider raises
        logger.warning("telemetry is off: %s", raised_at(error))
        return otherwise()
