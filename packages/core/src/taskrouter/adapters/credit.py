"""What a framework tells of the answers it got, such as a tool that failed, as feedback on the step that led to it.

All of it is weak evidence: a tool also fails when its service is down. So each kind has a source of its own, and what
learns from it can weigh it by how often it was right.
"""

from __future__ import annotations

import logging
import threading
from collections import OrderedDict
from weakref import WeakKeyDictionary, ref

from taskrouter.errors import FeedbackError
from taskrouter.router import Router

TOOL_ERROR = "tool_error"
REMEMBERED = 10_000
"""Failures that are known already."""

logger = logging.getLogger("taskrouter.adapters")


class Credit:
    """Feeds failures back to the steps of one router that led to them, each once. Use `credit_of`.

    Args:
        router: who made the steps.
    """

    def __init__(self, router: Router) -> None:
        self._router = ref(router)  # the router outlives it: whoever notes a step holds on to both
        self._blamed: OrderedDict[tuple[str, str], None] = OrderedDict()
        self._lock = threading.Lock()

    def blame(self, decision_id: str, source: str) -> None:
        """Record that a step led to a failure. Never raises: the user's call goes on."""
        with self._lock:
            if (decision_id, source) in self._blamed:
                return
            self._blamed[decision_id, source] = None
            if len(self._blamed) > REMEMBERED:
                self._blamed.popitem(last=False)
        router = self._router()
        if router is None:
            return
        try:
            router.feedback(decision_id, 0.0, source=source)
        except FeedbackError as error:
            logger.warning("a %s is not kept as feedback: %s", source, error)


def credit_of(router: Router) -> Credit:
    """Return the one that all models of a router share: what several of them see fail counts once."""
    with _LOCK:
        credit = _OF.get(router)
        if credit is None:
            credit = _OF[router] = Credit(router)
        return credit


_OF: WeakKeyDictionary[Router, Credit] = WeakKeyDictionary()
_LOCK = threading.Lock()
