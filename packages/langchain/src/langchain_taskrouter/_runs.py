"""LangChain's runs: which one a call belongs to, and which step was the last one inside one that raised."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from contextlib import suppress
from contextvars import ContextVar
from typing import Any, Protocol, Self, TypeVar
from uuid import UUID
from weakref import ReferenceType, ref

from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.exceptions import ModelError
from langchain_core.tracers.context import register_configure_hook

from langchain_taskrouter._errors import is_interrupt
from taskrouter import TaskRouterError

PARSER_ERROR, NODE_ERROR = "parser_error", "node_error"
REMEMBERED = 10_000
"""Runs under way."""
_SEEN_TO = "_taskrouter_seen_to"
"""Set on an exception that has been seen to: it is the same object in every run that it passes."""
_NETWORK = frozenset({"httpx", "httpcore", "requests", "aiohttp", "urllib3"})
T = TypeVar("T")


class Blamer(Protocol):
    """Who is told that a step led to a failure."""

    def blame(self, decision_id: str, source: str) -> None:
        """Take note; `source` is `PARSER_ERROR` or `NODE_ERROR`."""


class Runs(BaseCallbackHandler):
    """Knows the outermost run around each, and blames the last step within a node, or a chain, that raised.

    The innermost run that raised is the one: those around it only pass the exception on. A member of a chain, such as a
    parser, is a run of its own beside the model's, so what it raises is blamed on the last step of the chain.
    """

    run_inline = True
    ignore_llm = ignore_chat_model = ignore_retry = ignore_custom_event = True

    def __init__(self) -> None:
        self._steps: OrderedDict[UUID, tuple[ReferenceType[Blamer], str]] = OrderedDict()
        """The last step within a run, by the run's id."""
        self._members: OrderedDict[UUID, str] = OrderedDict()
        """Runs that are members of a chain, with what their failure is called."""
        self._roots: OrderedDict[UUID, UUID] = OrderedDict()
        """The outermost run around each one under way."""
        self._lock = threading.Lock()

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self  # a config with its callbacks may be copied, and there is one of this

    def __reduce__(self) -> str:
        return "RUNS"

    def note(self, run_id: UUID, blamer: Blamer, decision_id: str) -> None:
        """Remember the last step within a run."""
        with self._lock:
            _put(self._steps, run_id, (ref(blamer), decision_id))

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
        tags: Sequence[str] | None = None,
        run_type: str | None = None,
        **kwargs: Any,
    ) -> None:
        """Remember what the run belongs to, and whether it is a member of a chain."""
        with self._lock:
            self._enter(run_id, parent_run_id)
            if run_type == "parser":
                _put(self._members, run_id, PARSER_ERROR)
            elif any(tag.startswith("seq:step:") for tag in tags or ()):
                _put(self._members, run_id, NODE_ERROR)

    def on_chain_end(self, outputs: Any, *, run_id: UUID, parent_run_id: UUID | None = None, **kwargs: Any) -> None:
        """Hand what was noted of a run on to the one around it."""
        with self._lock:
            self._leave(run_id, parent_run_id)

    def on_chain_error(
        self, error: BaseException, *, run_id: UUID, parent_run_id: UUID | None = None, **kwargs: Any
    ) -> None:
        """Blame a step, unless the exception has been seen to or tells nothing of an answer."""
        with self._lock:
            source = self._members.pop(run_id, None)
            found = self._steps.pop(run_id, None)
            self._roots.pop(run_id, None)
            if found is None and source is not None and parent_run_id is not None:
                found = self._steps.get(parent_run_id)
        if not _seen_to(error) and found is not None and _tells(error) and (blamer := found[0]()) is not None:
            blamer.blame(found[1], source or NODE_ERROR)

    def on_tool_start(
        self, serialized: Any, input_str: str, *, run_id: UUID, parent_run_id: UUID | None = None, **kwargs: Any
    ) -> None:
        """Remember what the tool belongs to: it may be an agent itself."""
        with self._lock:
            self._enter(run_id, parent_run_id)

    def on_tool_end(self, output: Any, *, run_id: UUID, parent_run_id: UUID | None = None, **kwargs: Any) -> None:
        """Hand what was noted of the tool on to the run around it."""
        with self._lock:
            self._leave(run_id, parent_run_id)

    def on_tool_error(
        self, error: BaseException, *, run_id: UUID, parent_run_id: UUID | None = None, **kwargs: Any
    ) -> None:
        """Forget the tool: the message that tells of its failure says which step called it."""
        with self._lock:
            self._leave(run_id, None)

    def on_retriever_start(
        self, serialized: Any, query: str, *, run_id: UUID, parent_run_id: UUID | None = None, **kwargs: Any
    ) -> None:
        """Remember what the retriever belongs to: it may ask a model."""
        with self._lock:
            self._enter(run_id, parent_run_id)

    def on_retriever_end(
        self, documents: Any, *, run_id: UUID, parent_run_id: UUID | None = None, **kwargs: Any
    ) -> None:
        """Hand what was noted of the retriever on to the run around it."""
        with self._lock:
            self._leave(run_id, parent_run_id)

    def on_retriever_error(
        self, error: BaseException, *, run_id: UUID, parent_run_id: UUID | None = None, **kwargs: Any
    ) -> None:
        """Forget the retriever."""
        with self._lock:
            self._leave(run_id, None)

    def _enter(self, run_id: UUID, parent_run_id: UUID | None) -> None:
        _put(self._roots, run_id, run_id if parent_run_id is None else self._roots.get(parent_run_id, parent_run_id))

    def _leave(self, run_id: UUID, parent_run_id: UUID | None) -> None:
        self._roots.pop(run_id, None)
        self._members.pop(run_id, None)
        found = self._steps.pop(run_id, None)
        if found is not None and parent_run_id is not None:
            _put(self._steps, parent_run_id, found)


def enclosing_run(*configs: Mapping[str, Any]) -> UUID | None:
    """Return the id of the run that a call is made in, as the first of these configs says that knows it."""
    parents = (getattr(config.get("callbacks"), "parent_run_id", None) for config in configs)
    return next((parent for parent in parents if parent is not None), None)


def _put(kept: OrderedDict[UUID, T], run_id: UUID, value: T) -> None:
    kept[run_id] = value
    kept.move_to_end(run_id)
    if len(kept) > REMEMBERED:
        kept.popitem(last=False)


def _seen_to(error: BaseException) -> bool:
    """Tell whether an exception was here before, and remember that it was."""
    known = getattr(error, _SEEN_TO, False)
    with suppress(AttributeError, TypeError):  # one that takes no attributes may be seen to again, and counts once
        setattr(error, _SEEN_TO, True)
    return bool(known)


def _tells(error: BaseException) -> bool:
    """Whether an exception may be an answer's fault: not an interruption, the network, or the failure of the call."""
    if not isinstance(error, Exception) or isinstance(error, TaskRouterError | ModelError | OSError):
        return False
    if is_interrupt(error) or type(error).__name__ == "GraphRecursionError":  # both LangGraph's own
        return False
    return not any(cls.__module__.partition(".")[0] in _NETWORK for cls in type(error).__mro__)


RUNS = Runs()
HOOK: ContextVar[BaseCallbackHandler | None] = ContextVar("taskrouter_runs", default=RUNS)
"""By which LangChain finds `RUNS` for every run, those of models without a router too."""
register_configure_hook(HOOK, inheritable=True)
