"""Which step of which agent or query engine a call is: what users declare, else what LlamaIndex says.

Order, strongest first: the keyword argument `taskrouter` of a call, `instrument_tags({"taskrouter": {...}})`,
`for_node`, then the name of the agent whose step is running, and the component of a query engine that makes the call.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from contextvars import ContextVar
from importlib import import_module
from typing import Any, NamedTuple

from llama_index_instrumentation.dispatcher import active_instrument_tags

from llama_index.llms.taskrouter._spans import SPANS, Chain
from taskrouter.adapters import CALL_KEYS, KEY, STEP_KEYS, Identity, checked, identity, trace_id

try:
    _step_function: Any = import_module("workflows.runtime.types.step_function")
except ImportError:  # its place is internal to the package that runs agents
    _step_function = None
_RUNNING_STEP: ContextVar[Any] | None = getattr(_step_function, "StepWorkerStateContextVar", None)
"""What an agent's step is handling. Without it agents' names must be declared."""
_TASKS = {
    "Selector": "classification",
    "QuestionGenerator": "planning",
    "CompactAndRefine": "closed_qa",
    "Refine": "closed_qa",
    "TreeSummarize": "summarization",
    "SimpleSummarize": "closed_qa",
    "CompactAndAccumulate": "closed_qa",
    "Accumulate": "closed_qa",
    "DocumentSummaryIndex": "summarization",
    "HyDEQueryTransform": "closed_qa",
    "StepDecomposeQueryTransform": "planning",
    "NLSQLRetriever": "code_generation",
    "LLMRerank": "classification",
    "SummaryExtractor": "summarization",
    "KeywordExtractor": "extraction",
    "TitleExtractor": "extraction",
}
"""End of a component's class name -> what it asks a model for."""
_PASSING_ON = re.compile(r"\.__call__$|^run_jobs(\.|$)")
"""Helpers (programs, workers, ...) that stand between a component and its call."""
_HIDDEN = re.compile(r"\._(?!_)")


class Placed(NamedTuple):
    """A call's place in the application."""

    identity: Identity
    framework_task: str | None
    """The task type of the component that makes the call; what users declare comes first."""


def identify(call: Mapping[str, Any] | None, declared: Mapping[str, Any], own: type) -> Placed:
    """Return the identity of the call that is being made.

    Args:
        call: what is declared with the call itself.
        declared: what the LLM's view declares (`for_node`).
        own: the class of the routed LLM, whose own spans are no component.

    Raises:
        ConfigurationError: an unknown key, an unknown task type, or a value of the wrong kind.
    """
    tags = active_instrument_tags.get()
    said = dict(declared)
    known = (*STEP_KEYS, *CALL_KEYS)
    if of_step := tags.get(KEY):
        said.update(checked(of_step, f"instrument_tags[{KEY!r}]", known))
    if call is not None:
        said.update(checked(call, KEY, known))
    chain = SPANS.chain(own)
    node = _component(chain)
    routed = identity(
        said,
        agent=_running_agent(),
        node=node,
        run_id=trace_id() or chain.root or tags.get("llamaindex.run_id"),
        tags=(*_names(chain.names), *_labels(tags)),
    )
    return Placed(routed, _task_of(node))


def _component(chain: Chain) -> str | None:
    """Return the component that makes the call: the innermost, by the outermost of its own methods."""
    names = [name for name in chain.names if not _PASSING_ON.search(name)]
    if not names:
        return None
    cls = names[0].partition(".")[0]
    return _plain([*_leading(names, cls + ".")][-1])


def _leading(names: Iterable[str], beginning: str) -> Iterable[str]:
    for name in names:
        if not name.startswith(beginning):
            return
        yield name


def _plain(name: str) -> str:
    """Return a component's name without the underscore of the method that does the work (`Selector._select`)."""
    return _HIDDEN.sub(".", name)


def _names(names: Iterable[str]) -> Iterable[str]:
    return dict.fromkeys(_plain(name) for name in names if not _PASSING_ON.search(name))


def _labels(tags: Mapping[str, Any]) -> Iterable[str]:
    """Return the user's own tags as `key=value`. LlamaIndex's own hold pieces of the conversation."""
    for name, value in tags.items():
        if name != KEY and not name.startswith("llamaindex.") and isinstance(value, str | int | bool):
            yield f"{name}={value}"


def _task_of(node: str | None) -> str | None:
    cls = (node or "").partition(".")[0]
    return next((task for end, task in _TASKS.items() if cls.endswith(end)), None)


def _running_agent() -> str | None:
    """Return the name of the agent whose step is running, as the event that it handles says."""
    if _RUNNING_STEP is None:
        return None
    state = _RUNNING_STEP.get(None)
    name = getattr(getattr(state, "event", None), "current_agent_name", None)
    return name if isinstance(name, str) and name else None
