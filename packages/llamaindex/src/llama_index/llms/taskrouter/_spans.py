"""LlamaIndex's spans: which components a call is made in, and which step was the last one within one that raised."""

from __future__ import annotations

import inspect
import threading
from collections import OrderedDict
from typing import Any, NamedTuple, Protocol
from weakref import ReferenceType, ref

from llama_index_instrumentation import get_dispatcher
from llama_index_instrumentation.span import active_span_id
from llama_index_instrumentation.span.base import BaseSpan
from llama_index_instrumentation.span_handlers import BaseSpanHandler

from taskrouter import TaskRouterError

NODE_ERROR = "node_error"
REMEMBERED = 10_000
"""Spans under way."""
_ID_CHARS = 37
"""A span's id is its name, a hyphen and a UUID."""
_SEEN_TO = "_taskrouter_seen_to"
"""Set on an exception that has been seen to: it is the same object in every span that it passes."""
_NETWORK = frozenset({"httpx", "httpcore", "requests", "aiohttp", "urllib3", "openai", "anthropic"})


class Blamer(Protocol):
    """Who is told that a step led to a failure."""

    def blame(self, decision_id: str, source: str) -> None:
        """Take note; `source` is `NODE_ERROR`."""


class Chain(NamedTuple):
    """The components around a call, the innermost first."""

    names: tuple[str, ...]
    """Such as `CompactAndRefine.synthesize`."""
    root: str | None
    """Id of the outermost span: one invocation of the application. None: the call is made on its own."""


class Spans(BaseSpanHandler[BaseSpan]):
    """Knows the span around each, and blames the last step within a component that raised.

    The innermost component that raised is the one: those around it only pass the exception on.
    """

    def __init__(self) -> None:
        super().__init__()
        self._parents: OrderedDict[str, str | None] = OrderedDict()
        self._steps: OrderedDict[str, tuple[ReferenceType[Blamer], str]] = OrderedDict()
        """The last step within a span, by the span's id."""
        self._guard = threading.Lock()

    @classmethod
    def class_name(cls) -> str:
        """Return the name by which LlamaIndex knows the class."""
        return "taskrouter_spans"

    def chain(self, skipped: type) -> Chain:
        """Return the chain of components around the call that is being made.

        Args:
            skipped: the class whose own spans do not count.
        """
        names: list[str] = []
        root: str | None = None
        span_id = active_span_id.get()
        own = skipped.__name__ + "."
        while span_id is not None and len(names) < 50:
            name = span_id[:-_ID_CHARS]
            if not name.startswith(own):
                names.append(name)
                root = span_id
            span_id = self._parents.get(span_id)
        return Chain(tuple(names), root)

    def note(self, blamer: Blamer, decision_id: str) -> None:
        """Remember the step that was just answered as the last one within the current span."""
        span_id = active_span_id.get()
        if span_id is not None and span_id in self._parents:
            with self._guard:
                _put(self._steps, span_id, (ref(blamer), decision_id))

    def span_enter(
        self,
        id_: str,
        bound_args: inspect.BoundArguments,
        instance: Any | None = None,
        parent_id: str | None = None,
        tags: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        """Remember what a span belongs to."""
        with self._guard:
            _put(self._parents, id_, parent_id)

    def span_exit(
        self,
        id_: str,
        bound_args: inspect.BoundArguments,
        instance: Any | None = None,
        result: Any | None = None,
        **kwargs: Any,
    ) -> None:
        """Hand what was noted of a span on to the one around it."""
        with self._guard:
            parent = self._parents.pop(id_, None)
            found = self._steps.pop(id_, None)
            if found is not None and parent is not None:
                _put(self._steps, parent, found)

    def span_drop(
        self,
        id_: str,
        bound_args: inspect.BoundArguments,
        instance: Any | None = None,
        err: BaseException | None = None,
        **kwargs: Any,
    ) -> None:
        """Blame a step, unless the exception has been seen to or tells nothing of an answer."""
        with self._guard:
            self._parents.pop(id_, None)
            found = self._steps.pop(id_, None)
        if err is None or found is None or not _tells(err) or _seen_to(err):
            return
        if (blamer := found[0]()) is not None:
            blamer.blame(found[1], NODE_ERROR)

    def new_span(self, *_: Any, **__: Any) -> None:
        """Make no span: the ids are enough."""

    def prepare_to_exit_span(self, *_: Any, **__: Any) -> None:
        """Do nothing: there is no span."""

    def prepare_to_drop_span(self, *_: Any, **__: Any) -> None:
        """Do nothing: there is no span."""


def _put(kept: OrderedDict[str, Any], key: str, value: Any) -> None:
    kept[key] = value
    kept.move_to_end(key)
    if len(kept) > REMEMBERED:
        kept.popitem(last=False)


def spare(error: BaseException) -> None:
    """Let no step be blamed for an exception."""
    _seen_to(error)


def _seen_to(error: BaseException) -> bool:
    """Tell whether an exception was here before, and remember that it was."""
    known = getattr(error, _SEEN_TO, False)
    try:
        setattr(error, _SEEN_TO, True)
    except (AttributeError, TypeError):  # it takes no attributes: it may be seen to again, and counts once
        return False
    return bool(known)


def _tells(error: BaseException) -> bool:
    """Whether an exception may be an answer's fault: not an interruption, the network, or the failure of the call."""
    if not isinstance(error, Exception) or isinstance(error, TaskRouterError | OSError):
        return False
    return not any(cls.__module__.partition(".")[0] in _NETWORK for cls in type(error).__mro__)


SPANS = Spans()
get_dispatcher().add_span_handler(SPANS)
