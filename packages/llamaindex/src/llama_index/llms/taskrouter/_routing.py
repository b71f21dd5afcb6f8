"""One call of the routed LLM, decided: where it goes, and with what each candidate is called."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from llama_index.core.base.llms.types import ChatMessage

from llama_index.llms.taskrouter._candidates import Candidate
from llama_index.llms.taskrouter._identity import identify
from llama_index.llms.taskrouter._messages import ToolShapes
from llama_index.llms.taskrouter._request import Called, Request
from llama_index.llms.taskrouter._transcripts import may_continue, transcript_for
from taskrouter import Router
from taskrouter.adapters import Authors, choose, pinned
from taskrouter.step import Tool


class Setup(NamedTuple):
    """What all calls of a routed LLM share."""

    router: Router
    pool: Mapping[str, Candidate]
    authors: Authors
    shapes: ToolShapes
    declared: Mapping[str, Any]
    """What the LLM's view says of its steps."""
    policy: Any
    """The LLM's own policy, where it shares a router."""
    max_tokens: int | None
    """The LLM's own, which all candidates were given."""
    own: type
    """The class of the routed LLM."""


class Routing:
    """One call, decided.

    Args:
        setup: the LLM's router, candidates and declarations.
        request: the call.
        tools: what the step offers in place of the request's own tools.

    Raises:
        ConfigurationError: the call names a model that is no candidate, or declares something unknown.
        RoutingError: no candidate can take the step.
    """

    def __init__(self, setup: Setup, request: Request, tools: Sequence[Tool] | None = None) -> None:
        placed = identify(request.declared, setup.declared, setup.own)
        wishes = (request.pinned, "model"), (placed.identity.model, "taskrouter: model")
        allowed = pinned(setup.pool, *wishes)
        if len(allowed) > 1:
            able = may_continue(request.messages, setup.pool, setup.authors)
            allowed = [name for name in allowed if name in able] or allowed
        offered = request.shown(setup.shapes) if tools is None else tools
        self.step = request.step(placed, offered, setup.max_tokens)
        self.decision, self.notes = choose(setup.router, self.step, placed.identity, allowed, setup.policy)
        self._setup, self._request = setup, request

    def called(self, candidate: Candidate) -> Called:
        """Return the arguments to call a candidate with."""
        return self._request.called(candidate, self.messages_for(candidate))

    def messages_for(self, candidate: Candidate) -> list[ChatMessage]:
        """Return the conversation as a candidate may see it."""
        return transcript_for(candidate, self._request.messages, self._setup.authors)
