"""The attempts of one step of an agent: which failures are a model's, and whether a reader has seen words already.

Each attempt calls a candidate through the agent's own handler, with a run of its own that streams at once to whoever
listens. So an attempt is watched: what its model's run says tells a failure of the model from one of the middleware
around it, and a stream that broke after its first word from one that never began.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from langchain.agents.structured_output import StructuredOutputError
from langchain_core.runnables.config import ensure_config, merge_configs, var_child_runnable_config
from langgraph.errors import GraphBubbleUp

from langchain_taskrouter._errors import langchain_errors
from langchain_taskrouter._middleware_watch import Watch
from taskrouter import TaskRouterError
from taskrouter.errors import BadAnswer, LocalFailure, StreamBroken


class Attempts:
    """The attempts of one step; see the module."""

    def __init__(self) -> None:
        self._last: tuple[str, Watch] | None = None
        self._passing: Exception | None = None
        """An exception that is no model's, on its way to the caller."""

    @contextmanager
    def attempt(self, model_id: str) -> Iterator[Watch]:
        """Watch an attempt, and sort out what it raises.

        Raises:
            StreamBroken: the model failed after its first word.
            BadAnswer: its structured output could not be read.
            LocalFailure: no model is to blame, and none was called.
            _Passing: no model is to blame, though one was called.
        """
        if self._shown():
            raise LocalFailure(model_id, detail="is not called: a part of an answer has been shown")
        watch = Watch()
        self._last = model_id, watch
        config = merge_configs(ensure_config(), {"callbacks": [watch]})
        before = var_child_runnable_config.set(config)
        try:
            yield watch
        except Exception as error:
            if isinstance(error, GraphBubbleUp) or not self._is_models(error, watch):
                self._passing = error
                # What never left this machine costs nothing, but an interruption is no failure.
                free = not watch.asked and not isinstance(error, GraphBubbleUp)
                raise (LocalFailure(model_id) if free else _Passing()) from error
            if watch.shown:
                raise StreamBroken(model_id, partial=watch.partial()) from error
            if isinstance(error, StructuredOutputError):
                raise BadAnswer(model_id, detail="gave structured output that could not be read") from error
            raise
        finally:
            var_child_runnable_config.reset(before)

    @contextmanager
    def settled(self) -> Iterator[None]:
        """Raise what the caller of the whole step is to see: what is no model's as it was, the rest as LangChain's."""
        failed: TaskRouterError | None = None
        try:
            yield
        except _Passing:
            pass
        except TaskRouterError as error:
            failed = error
        if self._passing is not None:
            raise self._passing
        if failed is None:
            return
        if self._last is not None and self._shown() and not isinstance(failed, StreamBroken):
            model_id, watch = self._last  # it ran out of time after its first word, say
            broken = StreamBroken(model_id, partial=watch.partial())
            broken.__cause__ = failed
            failed = broken
        with langchain_errors():
            raise failed

    def _shown(self) -> bool:
        return self._last is not None and self._last[1].shown

    def _is_models(self, error: Exception, watch: Watch) -> bool:
        unread = isinstance(error, StructuredOutputError) and watch.asked and not watch.shown
        return unread or watch.explains(error)


class _Passing(BaseException):
    """Ends a step without blaming its model; the engine takes it for a caller that has gone."""
