"""One call of the routed client, decided: where it goes, and with what each candidate is called."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from typing import Any, NamedTuple

from autogen_core.models import ChatCompletionClient, CreateResult

from autogen_taskrouter import _delegate
from autogen_taskrouter._candidates import Candidate
from autogen_taskrouter._history import history_for
from autogen_taskrouter._identity import identify
from autogen_taskrouter._model_info import lacking, needs
from autogen_taskrouter._request import Request
from taskrouter import Router
from taskrouter.adapters import KEY, Authors, choose, pinned
from taskrouter.decision import Rejection
from taskrouter.errors import NoEligibleModelError


class Setup(NamedTuple):
    """What all calls of a routed client and its views share."""

    router: Router
    pool: Mapping[str, Candidate]
    policy: Any
    """The client's own policy, where it shares a router."""
    authors: Authors


class Routing:
    """One call, decided.

    Args:
        setup: the client's router and candidates.
        request: the call.
        declared: what the view says of its steps.

    Raises:
        ConfigurationError: the call names a model that is no candidate, or declares something unknown.
        RoutingError: no candidate can take the step.
    """

    def __init__(self, setup: Setup, request: Request, declared: Mapping[str, Any]) -> None:
        self._setup, self._request = setup, request
        identity = identify(declared, request.extra)
        self.step = request.step(identity)
        wishes = (request.pinned, "extra_create_args['model']"), (identity.model, f"extra_create_args[{KEY!r}]: model")
        allowed = self._able(pinned(setup.pool, *wishes))
        self.decision, self.notes = choose(setup.router, self.step, identity, allowed, setup.policy)

    async def create(self, candidate: Candidate, client: ChatCompletionClient) -> CreateResult:
        """Call a candidate; `client` is the one of the running loop."""
        messages = history_for(candidate, self._request.messages, self._setup.authors)
        arguments = self._request.arguments(candidate, messages, streamed=False)
        return await _delegate.create(candidate, client, messages, arguments)

    def create_stream(
        self, candidate: Candidate, client: ChatCompletionClient
    ) -> AsyncGenerator[str | CreateResult, None]:
        """Stream a candidate's answer."""
        messages = history_for(candidate, self._request.messages, self._setup.authors)
        arguments = self._request.arguments(candidate, messages, streamed=True)
        return _delegate.create_stream(candidate, client, messages, arguments)

    def _able(self, allowed: list[str]) -> list[str]:
        """Return the candidates whose clients take such a step; the others would raise before they send anything.

        The router's cards may say otherwise, and a shared router was never told.
        """
        request = self._request
        wanted = needs(request.messages, tools=bool(request.tools), output=request.wanted_output)
        if not wanted:
            return allowed
        missing = {name: lacking(self._setup.pool[name].info, wanted) for name in allowed}
        if all(missing.values()):
            raise NoEligibleModelError([_rejection(name, lacks) for name, lacks in missing.items()])
        return [name for name in allowed if not missing[name]]


def _rejection(model: str, lacks: list[str]) -> Rejection:
    detail = f"the step needs {', '.join(lacks)}, and its model_info says that it has none"
    return Rejection(model=model, code=lacks[0], detail=detail)
