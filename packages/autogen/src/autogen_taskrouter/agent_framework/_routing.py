"""One call of the routed client, decided: where it goes, and with what each candidate is called."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from agent_framework import ChatResponse, Content, Message

from autogen_taskrouter.agent_framework._candidates import Candidate
from autogen_taskrouter.agent_framework._history import author_of, note, stored_at, transcript_for
from autogen_taskrouter.agent_framework._identity import identify
from autogen_taskrouter.agent_framework._request import Request
from autogen_taskrouter.agent_framework._tools import able
from autogen_taskrouter.agent_framework._view import is_hosted_call
from taskrouter import Outcome, Router
from taskrouter.adapters import Author, Authors, Identity, choose, pinned
from taskrouter.errors import ConfigurationError, InvalidStepError

Called = tuple[list[Message], dict[str, Any], dict[str, Any]]
_APPROVED = "function_approval_response"


class Setup(NamedTuple):
    """What all calls of a routed client share."""

    router: Router
    pool: Mapping[str, Candidate]
    authors: Authors
    declared: Mapping[str, Any]
    """What the client's view says of its steps."""
    policy: Any
    """The client's own policy, where it shares a router."""


def check_call(messages: Any, options: Any, client_kwargs: Any) -> None:
    """Say which argument of a call is of the wrong kind: the framework would fail on it somewhere else.

    Raises:
        InvalidStepError: a message is none.
        ConfigurationError: the options or the further arguments are no mapping, or the instructions no text.
    """
    for name, given in (("options", options), ("client_kwargs", client_kwargs)):
        if not isinstance(given, Mapping | None):
            raise ConfigurationError(f"{name} is a {type(given).__name__}; it must be a mapping")
    instructions = (options or {}).get("instructions") or ()
    texts = [instructions] if isinstance(instructions, str) else instructions
    if not isinstance(texts, Sequence) or not all(isinstance(text, str) for text in texts):
        raise ConfigurationError("options['instructions'] is neither text nor a list of texts")
    for place, message in enumerate(messages if isinstance(messages, Sequence) else ()):
        if not isinstance(message, Message | Content | str):
            raise InvalidStepError(
                f"messages[{place}] is a {type(message).__name__}; it must be a Message of agent_framework"
            )


class Routing:
    """One call, decided.

    Args:
        setup: the client's router, candidates and declarations.
        messages: the conversation.
        options: the call's options.
        kwargs: the call's `client_kwargs`.

    Raises:
        ConfigurationError: the call names a model that is no candidate, or declares something unknown.
        RoutingError: no candidate can take the step.
    """

    def __init__(
        self, setup: Setup, messages: Sequence[Message], options: Mapping[str, Any], kwargs: Mapping[str, Any]
    ) -> None:
        self._pool, self._authors = setup.pool, setup.authors
        self._incumbent = setup.pool[setup.router.incumbent]
        self._given = options
        self._request = request = Request.of(messages, options, kwargs)
        identity = identify(kwargs, setup.declared)
        self.step = request.step(identity)
        self.decision, self.notes = choose(setup.router, self.step, identity, self._allowed(identity), setup.policy)

    def arguments(self, candidate: Candidate) -> Called:
        """Return the messages, options and further arguments to call a candidate with; all of them are its own."""
        request = self._request
        stored = request.conversation_id is not None
        return (
            transcript_for(candidate, request.messages, self._authors, stored=stored),
            request.options_for(candidate, self._incumbent),
            dict(request.kwargs),
        )

    def settle(self, options: Mapping[str, Any]) -> None:
        """Take over what the client that answered has taken off its options: a token that is used up.

        The framework's tool loop makes its next call with the same dictionary.
        """
        name = "continuation_token"
        if name not in options and isinstance(self._given, dict):
            self._given.pop(name, None)

    def note(self, response: ChatResponse[Any], outcome: Outcome[Any]) -> None:
        """Remember who gave the answer."""
        note(self._authors, response, Author(outcome.model, outcome.decision_id))

    def _allowed(self, identity: Identity) -> list[str]:
        """Return the candidates that the request leaves."""
        request = self._request
        wishes = (request.pinned, "options['model']"), (identity.model, "client_kwargs['taskrouter']: model")
        allowed = pinned(self._pool, *wishes)
        if request.has_hosted_tools:
            allowed = _both(allowed, able(request.tools, self._pool, self._incumbent.id), "these providers' own tools")
        if request.stores:
            allowed = _both(allowed, self._keepers(), "what its provider has stored, or is to store")
        if request.has_files:
            allowed = _both(allowed, self._storing(), "a file that lies at a provider")
        if (asker := self._asker()) is not None:
            allowed = _both(allowed, [asker], "the answer to another one's request for approval")
        return allowed

    def _keepers(self) -> list[str]:
        """Return who keeps the conversation that the call goes on with; where nobody knows, who keeps conversations."""
        request = self._request
        stored = request.conversation_id or request.continuation
        author = None if stored is None else self._authors.of([stored_at(stored)])
        if author is not None and author.model in self._pool:
            return [author.model]
        return self._storing()

    def _storing(self) -> list[str]:
        """Return whose providers keep things; where nobody's does, everybody: then the client says what is wrong."""
        return [name for name, candidate in self._pool.items() if candidate.stores] or list(self._pool)

    def _asker(self) -> str | None:
        """Return who has asked for approval of a tool that its provider runs, if that is what is answered."""
        last = self._request.messages[-1] if self._request.messages else None
        calls = [content.function_call for content in last.contents if content.type == _APPROVED] if last else []
        if not any(is_hosted_call(call) for call in calls):
            return None
        answers = (message for message in reversed(self._request.messages) if message.role == "assistant")
        author = next((who for answer in answers if (who := author_of(self._authors, answer)) is not None), None)
        return None if author is None or author.model not in self._pool else author.model


def _both(allowed: Iterable[str], able_: Sequence[str], what: str) -> list[str]:
    left = [name for name in allowed if name in able_]
    if not left:
        raise ConfigurationError(f"no candidate that the call allows can take {what}: only {', '.join(able_)} can")
    return left
