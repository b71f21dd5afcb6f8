"""Which step of which agent a call is, read from LangChain's config: what users declare, else what LangGraph says.

Order, strongest first: `config["configurable"]["taskrouter"]`, `config["metadata"]["taskrouter"]`, `for_node`, then
what LangGraph and `create_agent` put into the metadata. In `configurable` a call may also say how it is to be routed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any
from uuid import UUID

from langchain_core.runnables import RunnableConfig, ensure_config

from langchain_taskrouter._runs import RUNS, enclosing_run
from taskrouter.adapters import CALL_KEYS, KEY, STEP_KEYS, Identity, checked, identity, trace_id

_ENGINE_TAGS = ("seq:step:", "map:key:", "graph:step:", "branch:to:", "langsmith:")
"""Beginnings of tags that LangChain sets for itself."""


def identify(
    config: Mapping[str, Any] | None,
    declared: Mapping[str, Any],
    metadata: Mapping[str, Any] | None = None,
    tags: Iterable[str] | None = None,
) -> tuple[Identity, UUID | None]:
    """Return the identity of the call that is being made, and LangChain's run that it is made in.

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
    routed = identity(
        said,
        agent=metadata.get("lc_agent_name") or _enclosing(metadata),
        node=metadata.get("langgraph_node"),
        index=metadata.get("langgraph_step"),
        run_id=_run_of(configurable) or trace_id() or (parent and RUNS.root(parent)),
        session_id=metadata.get("thread_id") or configurable.get("thread_id"),
        tags=_users((*(tags or ()), *ambient["tags"], *(given.get("tags") or ()))),
    )
    return routed, parent


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


def _users(tags: Iterable[str]) -> Iterator[str]:
    return (tag for tag in tags if not tag.startswith(_ENGINE_TAGS))
