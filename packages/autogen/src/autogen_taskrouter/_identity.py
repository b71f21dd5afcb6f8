"""Which step of which agent a call is: what users declare, else what AutoGen says.

Order, strongest first: `extra_create_args["taskrouter"]`, `for_agent`, the current `invoke_agent` span, the runtime's
message handler. In `extra_create_args` a call may also say how it is to be routed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from opentelemetry.trace import get_current_span

from taskrouter.adapters import CALL_KEYS, KEY, STEP_KEYS, Identity, checked, identity, trace_id

_OPERATION, _AGENT_NAME = "gen_ai.operation.name", "gen_ai.agent.name"
_TEAMS = re.compile(r"(.+)_([0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12})")
"""An agent's type inside a team: its name and the team's id."""


class _Handler(NamedTuple):
    agent: str | None = None
    team: str | None = None
    """Id of the team that the agent is of: one conversation."""


def identify(declared: Mapping[str, Any], extra: Mapping[str, Any]) -> Identity:
    """Return the identity of the call that is being made.

    Args:
        declared: what the view declares (`for_agent`).
        extra: the call's `extra_create_args`.

    Raises:
        ConfigurationError: what the call declares is wrong.
    """
    said = dict(declared)
    if of_call := extra.get(KEY):
        said.update(checked(of_call, f"extra_create_args[{KEY!r}]", (*STEP_KEYS, *CALL_KEYS)))
    handler = _handler()
    return identity(said, agent=_invoked_agent() or handler.agent, run_id=trace_id(), session_id=handler.team)


def _invoked_agent() -> str | None:
    """Return the agent that AutoGen's current span is of; spans that are not recorded have no attributes."""
    attributes = getattr(get_current_span(), "attributes", None)
    if not isinstance(attributes, Mapping) or attributes.get(_OPERATION) != "invoke_agent":
        return None
    name = attributes.get(_AGENT_NAME)
    return name if isinstance(name, str) else None


def _handler() -> _Handler:
    """Return the agent whose message handler runs, as the runtime knows it; this is internal to autogen-core."""
    try:
        from autogen_core._message_handler_context import MessageHandlerContext  # noqa: PLC0415 - it may move

        kind = MessageHandlerContext.agent_id().type
    except (ImportError, AttributeError, RuntimeError):  # RuntimeError: no handler runs
        return _Handler()
    in_team = _TEAMS.fullmatch(kind)
    return _Handler(in_team[1], in_team[2]) if in_team else _Handler(kind)
