"""Which step of which agent a call is, read from LangChain's config: what users declare, else what LangGraph says.

Order, strongest first: `config["configurable"]["taskrouter"]`, `config["metadata"]["taskrouter"]`, `for_node`, then
what LangGraph and `create_agent` put into the metadata. In `configurable` a call may also say how it is to be routed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple
from uuid import UUID

from langchain_core.runnables import RunnableConfig, ensure_config
from opentelemetry.trace import format_trace_id, get_current_span

from langchain_taskrouter._runs import RUNS, enclosing_run
from taskrouter import ConfigurationError, StepContext
from taskrouter.profile import FAMILIES

KEY = "taskrouter"
"""The key in `metadata` and `configurable` under which users declare a step."""
STEP_KEYS = ("task", "agent", "node", "index", "run_id", "session_id", "tenant", "tags")
"""What may be said of a step, wherever."""
CALL_KEYS = ("policy", "model", "dry_run")
"""What may be said of how a call is routed: not in metadata, which goes into traces."""
_ENGINE_TAGS = ("seq:step:", "map:key:", "graph:step:", "branch:to:", "langsmith:")
"""Beginnings of tags that LangChain sets for itself."""


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
    parent_run_id: UUID | None = None
    """LangChain's run that the call is made in."""

    @property
    def routing_key(self) -> str:
        """All of it that may lead to another answer."""
        context = self.context
        place = (context.agent, context.node, context.tenant, sorted(context.tags))
        return repr((self.task_type, self.policy, self.model, self.dry_run, *place))


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


def identify(
    config: Mapping[str, Any] | None,
    declared: Mapping[str, Any],
    metadata: Mapping[str, Any] | None = None,
    tags: Iterable[str] | None = None,
) -> Identity:
    """Return the identity of the call that is being made.

    Args:
        config: the config given with the call, if any; what surrounds the call is looked up.
        declared: what the model view declares (`for_node`).
        metadata: the model's own; what surrounds the call comes before it, and the call's config before that.
        tags: the model's own.
    """
    ambient = ensure_config()
    given = config or {}
    metadata = {**(metadata or {}), **ambient["metadata"], **(given.get("metadata") or {})}
    configurable = {**ambient["configurable"], **(given.get("configurable") or {})}
    said = dict(declared)
    if of_step := metadata.get(KEY):
        said.update(checked(of_step, f"metadata[{KEY!r}]"))
    if of_call := configurable.get(KEY):
        said.update(checked(of_call, f"configurable[{KEY!r}]", (*STEP_KEYS, *CALL_KEYS)))
    parent = enclosing_run(given, ambient)
    context = StepContext(
        agent=_text(said.get("agent") or metadata.get("lc_agent_name") or _enclosing(metadata)),
        node=_text(said.get("node") or metadata.get("langgraph_node")),
        index=said.get("index", metadata.get("langgraph_step")),
        run_id=_text(said.get("run_id") or _run_of(configurable) or _trace_id() or (parent and RUNS.root(parent))),
        session_id=_text(said.get("session_id") or metadata.get("thread_id") or configurable.get("thread_id")),
        tenant=_text(said.get("tenant")),
        tags=_tags(said.get("tags") or (), (*(tags or ()), *ambient["tags"], *(given.get("tags") or ()))),
    )
    return Identity(
        context, said.get("task"), said.get("policy"), said.get("model"), said.get("dry_run", False), parent
    )


def call_config(config: RunnableConfig | None, metadata: Mapping[str, Any] | None) -> Mapping[str, Any]:
    """Return the config of a call that came in below `invoke` and `stream`, where only its metadata is known."""
    return config if config is not None else {"metadata": metadata or {}}


def _enclosing(metadata: Mapping[str, Any]) -> str | None:
    """The node of the outer graph that an agent without a name runs in."""
    path = str(metadata.get("langgraph_checkpoint_ns") or "").split("|")
    return path[-2].partition(":")[0] if len(path) > 1 else None


def _run_of(configurable: Mapping[str, Any]) -> str | None:
    runtime = configurable.get("__pregel_runtime")
    return getattr(getattr(runtime, "execution_info", None), "run_id", None)


def _trace_id() -> str | None:
    span = get_current_span().get_span_context()
    return format_trace_id(span.trace_id) if span.is_valid else None


def _tags(declared: Iterable[str], found: Iterable[str]) -> frozenset[str]:
    if isinstance(declared, str) or not isinstance(declared, Iterable):
        what = "the string " if isinstance(declared, str) else ""
        raise ConfigurationError(f"{KEY}: tags is a collection of strings, not {what}{declared!r:.40}")
    return frozenset(declared) | {tag for tag in found if not tag.startswith(_ENGINE_TAGS)}


def _text(value: object) -> str | None:
    return None if value is None else str(value)
