"""Which step of which agent a call is, and how it is to be routed: what users declare, and what a framework knows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from opentelemetry.trace import format_trace_id, get_current_span

from taskrouter.errors import ConfigurationError
from taskrouter.profile import FAMILIES
from taskrouter.step import StepContext

KEY = "taskrouter"
"""The key under which users declare a step, and under which an answer has its account."""
STEP_KEYS = ("task", "agent", "node", "index", "run_id", "session_id", "tenant", "tags")
"""What may be said of a step, wherever."""
CALL_KEYS = ("policy", "model", "dry_run")
"""What may be said of how a call is routed: not where it would be shown in traces."""


class Identity(NamedTuple):
    """A step's place in the application, its task type where it was declared, and how it is to be routed."""

    context: StepContext
    task_type: str | None
    policy: Any = None
    """A policy for this call alone."""
    model: str | None = None
    """The candidate that this call is for."""
    dry_run: bool = False
    """Whether the incumbent answers, whatever is decided."""

    @property
    def routing_key(self) -> str:
        """All of it that may lead to another answer."""
        context = self.context
        place = (context.agent, context.node, context.tenant, sorted(context.tags))
        return repr((self.task_type, self.policy, self.model, self.dry_run, *place))


def identity(
    said: Mapping[str, Any],
    *,
    agent: object = None,
    node: object = None,
    index: int | None = None,
    run_id: object = None,
    session_id: object = None,
    tags: Iterable[str] = (),
) -> Identity:
    """Return the identity of a call: what is declared first, then what the framework knows.

    Args:
        said: what is declared, as `checked` returned it.
        agent: the agent's name, as the framework has it; the rest likewise.
        node: the node or the step of the workflow.
        index: number of the step within its run.
        run_id: one execution of the agent.
        session_id: the conversation.
        tags: added to what is declared.

    Raises:
        ConfigurationError: the tags are no collection of strings.
    """
    context = StepContext(
        agent=_text(said.get("agent") or agent),
        node=_text(said.get("node") or node),
        index=said.get("index", index),
        run_id=_text(said.get("run_id") or run_id),
        session_id=_text(said.get("session_id") or session_id),
        tenant=_text(said.get("tenant")),
        tags=_tags(said.get("tags") or ()) | frozenset(tags),
    )
    return Identity(context, said.get("task"), said.get("policy"), said.get("model"), said.get("dry_run", False))


def checked(declared: Mapping[str, Any], where: str, known: Sequence[str] = STEP_KEYS) -> Mapping[str, Any]:
    """Return a declaration, or say what is wrong with it.

    Raises:
        ConfigurationError: an unknown key, an unknown task type, or a value of the wrong kind.
    """
    if not isinstance(declared, Mapping):
        raise ConfigurationError(f"{where} is a {type(declared).__name__}; it must be a mapping")
    for name in declared:
        if name not in known:
            raise ConfigurationError(f"{where}: unknown key {name!r}; known keys: {', '.join(known)}")
    for name in ("task", "model"):
        if not isinstance(value := declared.get(name), str | None):
            raise ConfigurationError(f"{where}: {name} is a {type(value).__name__}; it must be text")
    task = declared.get("task")
    if task is not None and task not in FAMILIES:
        raise ConfigurationError(f"{where}: unknown task type {task!r}; known: {', '.join(sorted(FAMILIES))}")
    if not isinstance(declared.get("dry_run", False), bool):
        raise ConfigurationError(
            f"{where}: dry_run is a {type(declared['dry_run']).__name__}; it must be True or False"
        )
    return declared


def narrowed(before: Mapping[str, Any], said: Mapping[str, Any], where: str) -> Mapping[str, Any]:
    """Return what a view of a routed model declares: what was declared before, and over it what is said now.

    Args:
        before: what the model declares of which the view is made.
        said: what is said of the view; a task type of None says nothing.
        where: the method that makes the view.

    Raises:
        ConfigurationError: as of `checked`, or the tags are no collection of strings.
    """
    said = {name: value for name, value in said.items() if name != "task" or value is not None}
    if isinstance(said.get("tags"), Iterator):
        said["tags"] = frozenset(said["tags"])  # it would be empty at the second call
    declared = {**before, **checked(said, where)}
    identity(declared)  # what is wrong with the values is said here, not at a call
    return declared


def trace_id() -> str | None:
    """Return the id of the trace that the call is made in: a run, where nothing else says which."""
    span = get_current_span().get_span_context()
    return format_trace_id(span.trace_id) if span.is_valid else None


def _tags(declared: Iterable[str]) -> frozenset[str]:
    if isinstance(declared, str) or not isinstance(declared, Iterable):
        what = "the string " if isinstance(declared, str) else ""
        raise ConfigurationError(f"{KEY}: tags is a collection of strings, not {what}{declared!r:.40}")
    return frozenset(declared)


def _text(value: object) -> str | None:
    return None if value is None else str(value)
