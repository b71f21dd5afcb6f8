"""What the framework tells of the answers it got: a tool that failed, a parser that could not read, a node that raised.

All of it is weak evidence: a tool also fails when its service is down. So each kind has a source of its own, and what
learns from it can weigh it by how often it was right.
"""

from __future__ import annotations

import logging
import threading
from collections import OrderedDict
from collections.abc import Sequence
from uuid import UUID
from weakref import WeakKeyDictionary, ref

from langchain_core.messages import AIMessage, BaseMessage, ToolMessage

from langchain_taskrouter._identity import KEY
from langchain_taskrouter._runs import RUNS
from taskrouter import FeedbackError, Router

TOOL_ERROR = "tool_error"
REMEMBERED = 10_000
"""Failures that are known already."""

logger = logging.getLogger("taskrouter.langchain")


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

    def read(self, messages: Sequence[BaseMessage]) -> None:
        """Blame the steps whose tool calls failed, as the tool messages at the end of a conversation say."""
        failed = set()
        for message in reversed(messages):
            if isinstance(message, ToolMessage):
                if message.status == "error":
                    failed.add(message.tool_call_id)
            elif isinstance(message, AIMessage):
                if failed and not failed.isdisjoint(call["id"] for call in message.tool_calls):
                    self.blame_for(message, TOOL_ERROR)
                return
            else:
                return

    def blame_for(self, message: BaseMessage, source: str) -> None:
        """Blame the step that a message is the answer of, if it says so."""
        said = message.response_metadata.get(KEY)
        if isinstance(said, dict) and isinstance(decision_id := said.get("decision_id"), str):
            self.blame(decision_id, source)

    def answered(self, run_id: UUID, decision_id: str) -> None:
        """Note which run of LangChain's (a graph's node, a chain) the step that was just answered belongs to."""
        RUNS.note(run_id, self, decision_id)


def credit_of(router: Router) -> Credit:
    """Return the one that all models of a router share: what several of them see fail counts once."""
    with _LOCK:
        credit = _OF.get(router)
        if credit is None:
            credit = _OF[router] = Credit(router)
        return credit


_OF: WeakKeyDictionary[Router, Credit] = WeakKeyDictionary()
_LOCK = threading.Lock()
