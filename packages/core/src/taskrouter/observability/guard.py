"""Telemetry may fail; the user's call does not."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable
from traceback import extract_tb
from typing import ParamSpec

P = ParamSpec("P")
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
            place = extract_tb(error.__traceback__)[-1]
            logger.warning(
                "telemetry failed in %s: %s at %s:%s",
                work.__name__,
                type(error).__name__,
                place.filename,
                place.lineno,
            )

    return harmless
