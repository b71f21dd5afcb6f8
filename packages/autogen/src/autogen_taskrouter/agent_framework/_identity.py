"""Which step of which agent a call is: what users declare, else what the framework tells.

Order, strongest first: `client_kwargs["taskrouter"]`, `for_agent`, then the span `invoke_agent` that the framework's
telemetry has opened, and the agent's session. The framework hands a client no name of its agent in any other way.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple
from uuid import uuid4

from opentelemetry.trace import get_current_span

from taskrouter.adapters import CALL_KEYS, KEY, STEP_KEYS, Identity, checked, identity, trace_id

SURROUNDINGS = "taskrouter_surroundings"
"""The key of `client_kwargs` under which they go down to where calls are made: the layers between take the rest off."""


class Surroundings(NamedTuple):
    """What surrounds one `get_response`, with all the model calls of its tool loop."""

    agent: str | None
    session_id: str | None
    run_id: str
    """The trace's id; outside of any trace one of its own: the tool loop is the run then."""

    @classmethod
    def of(cls, client_kwargs: Mapping[str, Any]) -> Surroundings:
        """Look around, above the framework's own chat span: beneath it, it hides the agent's."""
        session_id = getattr(client_kwargs.get("session"), "session_id", None)
        return cls(_agent(), session_id, trace_id() or uuid4().hex)


def identify(kwargs: Mapping[str, Any], declared: Mapping[str, Any]) -> Identity:
    """Return the identity of the call that is being made.

    Args:
        kwargs: the call's `client_kwargs`.
        declared: what the client's view declares (`for_agent`).

    Raises:
        ConfigurationError: the call declares something unknown.
    """
    said = dict(declared)
    if (of_call := kwargs.get(KEY)) is not None:
        said.update(checked(of_call, f"client_kwargs[{KEY!r}]", (*STEP_KEYS, *CALL_KEYS)))
    around = kwargs.get(SURROUNDINGS) or Surroundings.of(kwargs)
    return identity(said, agent=around.agent, session_id=around.session_id, run_id=around.run_id)


def _agent() -> str | None:
    """Return the name of the agent whose span is the current one, if a span is recorded and the agent has a name."""
    attributes = getattr(get_current_span(), "attributes", None)
    if not isinstance(attributes, Mapping):
        return None
    name = attributes.get("gen_ai.agent.name")
    return str(name) if name and name != attributes.get("gen_ai.agent.id") else None  # its id stands for no name
