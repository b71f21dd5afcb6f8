"""The tokens that a routed client and its views have used together, in all attempts."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from autogen_core.models import RequestUsage

from autogen_taskrouter._answer import request_usage
from taskrouter.errors import AllAttemptsFailedError, BudgetExceededError, StreamBroken
from taskrouter.outcome import Usage, sum_usage


class Meter:
    """Adds up what calls have used. Of calls that are cancelled the router's own ledger knows more."""

    def __init__(self) -> None:
        self._used = Usage()
        self._lock = threading.Lock()

    @property
    def used(self) -> RequestUsage:
        """All tokens so far."""
        return request_usage(self._used)

    def add(self, used: Usage) -> None:
        """Count a step."""
        with self._lock:
            self._used += used

    @contextmanager
    def failures(self) -> Iterator[None]:
        """Count what was used by a step that fails inside the block."""
        try:
            yield
        except (AllAttemptsFailedError, BudgetExceededError, StreamBroken) as error:
            self.add(_used_by(error))
            raise


def _used_by(error: BaseException) -> Usage:
    if isinstance(error, StreamBroken):
        return error.partial.usage or Usage()
    failed = error if isinstance(error, AllAttemptsFailedError) else error.__cause__
    return sum_usage(failed.attempts) if isinstance(failed, AllAttemptsFailedError) else Usage()
