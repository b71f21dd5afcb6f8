"""One call of the routed model, decided: where it goes, and with what each candidate is called."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple
from uuid import UUID

from langchain_core.messages import BaseMessage
from langchain_core.outputs import ChatResult

from langchain_taskrouter._candidates import Candidate
from langchain_taskrouter._identity import call_config, identify
from langchain_taskrouter._request import CONFIG, Request
from langchain_taskrouter._view import result_view
from langchain_taskrouter.transcripts import Speaker, may_continue, speakers_of, transcript_for
from taskrouter import ResponseView, Router
from taskrouter.adapters import Identity, choose, pinned

Arguments = tuple[list[BaseMessage], list[str] | None, dict[str, Any]]


class Setup(NamedTuple):
    """What all calls of a routed model share."""

    router: Router
    pool: Mapping[str, Candidate]
    speakers: Mapping[str, Speaker]
    """What transcripts know of the candidates, as far as no call says otherwise."""
    declared: Mapping[str, Any]
    """What the model view says of its steps."""
    policy: Any
    """The model's own policy, where it shares a router."""
    metadata: Mapping[str, Any] | None
    """The model's own, as every model of LangChain's may have them."""
    tags: Sequence[str] | None


class Routing:
    """One call, decided.

    Args:
        setup: the model's router, candidates and declarations.
        messages: the conversation.
        stop: stop sequences.
        kwargs: the call's keyword arguments.
        run_manager: LangChain's, where it gives one.

    Raises:
        ConfigurationError: the call names a model that is no candidate, or declares something unknown.
        RoutingError: no candidate can take the step.
    """

    def __init__(
        self,
        setup: Setup,
        messages: list[BaseMessage],
        stop: list[str] | None,
        kwargs: Mapping[str, Any],
        run_manager: Any,
    ) -> None:
        router, pool = setup.router, setup.pool
        self._pool = pool
        self._home = pool[router.incumbent].vendor
        self._request = request = Request.of(messages, stop, kwargs)
        self._speakers = speakers_of(pool, request.options, setup.speakers)
        config = call_config(kwargs.get(CONFIG), getattr(run_manager, "metadata", None))
        identity, self.parent_run_id = identify(config, setup.declared, setup.metadata, setup.tags)
        self.run_id: UUID | None = getattr(run_manager, "run_id", None) or config.get("run_id")
        self.step = request.step(identity)
        self.decision, self.notes = choose(router, self.step, identity, self._allowed(identity), setup.policy)

    def arguments(self, candidate: Candidate) -> Arguments:
        """Return the messages, stop sequences and keyword arguments to call a candidate with."""
        return (
            self.messages_for(candidate),
            self._request.stop_for(candidate),
            self._request.options_for(candidate, self._home),
        )

    def messages_for(self, candidate: Candidate) -> list[BaseMessage]:
        """Return the conversation as a candidate may see it, in a list of its own: integrations add to it."""
        return list(transcript_for(self._speakers[candidate.id], self._request.messages, self._speakers))

    def view(self, result: ChatResult) -> ResponseView:
        """Read a whole answer."""
        seen = result_view(result)
        return seen if self._request.structured is None else self._request.structured.view(seen)

    def _allowed(self, identity: Identity) -> list[str]:
        """Return the candidates that the request leaves."""
        request = self._request
        wishes = (request.pinned, "model"), (identity.model, "configurable['taskrouter']: model")
        allowed = pinned(self._pool, *wishes)
        if request.tools is not None:
            able = request.tools.among(self._pool.values(), self._home)
            allowed = [name for name in allowed if name in able]
        if request.structured is not None:
            able = request.structured.among(self._pool.values())
            allowed = [name for name in allowed if name in able]
        if len(allowed) > 1 and (open_to := may_continue(request.messages, self._speakers)) is not None:
            allowed = [name for name in allowed if name in open_to] or allowed
        return allowed
