"""LangChain's runs: which one a call belongs to, and which step was the last one inside one that raised."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from typing import Any, TypeAlias, TypeVar
from uuid import UUID

from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.exceptions import ModelError
from langchain_core.tracers.context import register_configure_hook

from taskrouter import TaskRouterError

PARSER_ERROR, NODE_ERROR = "parser_error", "node_error"
REMEMBERED = 10_000
"""Runs under way."""
T = TypeVar("T")
Blame: TypeAlias = Callable[[str, str], None]
"""Called with a decision id and `PARSER_ERROR` or `NODE_ERROR`."""


class Runs(BaseCallbackHandler):
    """Knows the outermost run around each, and blames the last step within a node, or a chain, that raised.

    The innermost run that raised is the one: those around it only pass the exception on. A parser is a run of its own,
    so what it raises is blamed on the last step of the chain around it.
    """

    run_inline = True
    ignore_llm = ignore_chat_model = ignore_retriever = ignore_retry = ignore_custom_event = True

    def __init__(self) -> None:
        self._steps: OrderedDict[UUID, tuple[Blame, str]] = OrderedDict()
        """The last step within a run, by the run's id."""
        self._passing: OrderedDict[UUID, int] = OrderedDict()
        """Runs inside which an exception was raised that has been seen to, with its identity."""
        self._parsers: OrderedDict[UUID, None] = OrderedDict()
        self._roots: OrderedDict[UUID, UUID] = OrderedDict()
        """The outermost run around each one under way."""
        self._lock = threading.Lock()

    def note(self, run_id: UUID, blame: Blame, decision_id: str) -> None:
        """Remember the last step within a run."""
        with self._lock:
            _put(self._steps, run_id, (blame, decision_id))

    def root(self, run_id: UUID) -> UUID:
        """Return the outermost run around one: the run of the whole agent."""
        return self._roots.get(run_id, run_id)

    def on_chain_start(
        self,
        serialized: Any,
        inputs: Any,
        *,
        run_id: UUID,
        parent_run_id: UUID | None = None,
        run_type: str | None = None,
        **kwargs: Any,
    ) -> None:
        """Remember what the run belongs to, and whether it is a parser."""
        with self._lock:
            self._enter(run_id, parent_run_id)
            if run_type == "parser":
                _put(self._parsers, run_id, None)

    def on_tool_start(
        self, serialized: Any, input_str: str, *, run_id: UUID, parent_run_id: UUID | None = None, **kwargs: Any
    ) -> None:
        """Remember what the tool belongs to: it may be an agent itself."""
        with self._lock:
            self._enter(run_id, parent_run_id)

    def on_tool_end(self, output: Any, *, run_id: UUID, **kwargs: Any) -> None:
        """Forget the tool."""
        with self._lock:
            self._roots.pop(run_id, None)

    def on_tool_error(self, error: BaseException, *, run_id: UUID, **kwargs: Any) -> None:
        """Forget the tool."""
        with self._lock:
            self._roots.pop(run_id, None)

    def _enter(self, run_id: UUID, parent_run_id: UUID | None) -> None:
        _put(self._roots, run_id, run_id if parent_run_id is None else self._roots.get(parent_run_id, parent_run_id))

    def on_chain_end(self, outputs: Any, *, run_id: UUID, parent_run_id: UUID | None = None, **kwargs: Any) -> None:
        """Hand what was noted of a run on to the one around it."""
        with self._lock:
            self._roots.pop(run_id, None)
            self._passing.pop(run_id, None)
            self._parsers.pop(run_id, None)
            found = self._steps.pop(run_id, None)
            if found is not None and parent_run_id is not None:
                _put(self._steps, parent_run_id, found)

    def on_chain_error(
        self, error: BaseException, *, run_id: UUID, parent_run_id: UUID | None = None, **kwargs: Any
    ) -> None:
        """Blame a step, unless the exception has been seen to or tells nothing of an answer."""
        with self._lock:
            self._roots.pop(run_id, None)
            unread = self._parsers.pop(run_id, self) is None
            seen_to = self._passing.pop(run_id, None) == id(error)
            found = self._steps.pop(run_id, None)
            if parent_run_id is not None:
                if unread and not seen_to:  # the answer was given next to the parser, inside the run around both
                    found = self._steps.get(parent_run_id)
                _put(self._passing, parent_run_id, id(error))
        if found is not None and not seen_to and _tells(error):
            blame, decision_id = found
            blame(decision_id, PARSER_ERROR if unread else NODE_ERROR)


def enclosing_run(*configs: Mapping[str, Any]) -> UUID | None:
    """Return the id of the run that a call is made in, as the first of these configs says that knows it."""
    parents = (getattr(config.get("callbacks"), "parent_run_id", None) for config in configs)
    return next((parent for parent in parents if parent is not None), None)


def _put(kept: OrderedDict[UUID, T], run_id: UUID, value: T) -> None:
    kept[run_id] = value
    kept.move_to_end(run_id)
    if len(kept) > REMEMBERED:
        kept.popitem(last=False)


def _tells(error: BaseException) -> bool:
    """Whether an exception may be an answer's fault: not an interruption, and not the failure of the call itself."""
    if not isinstance(error, Exception) or isinstance(error, TaskRouterError | ModelError):
        return False
    return all(cls.__name__ != "GraphBubbleUp" for cls in type(error).__mro__)  # how LangGraph interrupts a node


RUNS = Runs()
register_configure_hook(ContextVar("taskrouter_runs", default=RUNS), inheritable=True)
