"""`RoutingMiddleware`: sends each model call of `create_agent` to the right one of several models."""

# ruff: noqa: SLF001 - it is the other door to what a `RoutedChatModel` is made of

from __future__ import annotations

import operator
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import Annotated, Any, NotRequired

from langchain.agents.middleware.types import (
    AgentMiddleware,
    AgentState,
    ExtendedModelResponse,
    ModelRequest,
    ModelResponse,
    OmitFromInput,
)
from langchain_core.language_models import BaseChatModel
from langchain_core.outputs import ChatGeneration, ChatResult
from langgraph.types import Command

from langchain_taskrouter._answer import annotated
from langchain_taskrouter._candidates import Candidate
from langchain_taskrouter._middleware_attempts import Attempts
from langchain_taskrouter._middleware_request import answer_of, conversation, given_to, response_view, told
from langchain_taskrouter._routing import Routing
from langchain_taskrouter._tracing import beneath
from langchain_taskrouter.chat_model import RoutedChatModel
from taskrouter import ConfigurationError, Outcome, ResponseView, Router, RouterConfig
from taskrouter.adapters import KEY, Candidates, one_by_one
from taskrouter.policies import PolicySpec

DECISIONS = "taskrouter_decisions"
"""The key of the agent's state that keeps the decisions."""

Handled = tuple[ModelResponse[Any], ResponseView]


class RoutingState(AgentState[Any]):
    """What the middleware keeps in the agent's state."""

    taskrouter_decisions: NotRequired[Annotated[list[dict[str, Any]], OmitFromInput, operator.add]]
    """The account of every model call, in order; the same as `response_metadata["taskrouter"]` of its message."""


class RoutingMiddleware(AgentMiddleware[Any, Any, Any]):
    """Sends each model call of an agent to the candidate that is good enough, cheapest and fast enough.

    It takes what `RoutedChatModel` takes. The difference: the agent sees the model that was chosen, and so finds the
    way of structured output for that one; and each candidate that is called has a run of its own. The model that
    `create_agent` is given is not called.

    Args:
        candidates: the models to choose from, by id; or a list, whose ids are the models' names.
        incumbent: id of the model that is used today; the router stays with it whenever it is unsure.
        policy: `safe` (default), `balanced`, `economy`, weights, or a table as in `[policy]`.
        router: a router to share, whose pool has the candidates' ids.
        config: everything else, in the shape of `taskrouter.toml`; `[[models]]` adds facts, such as prices.
        model: a `RoutedChatModel` that has all of this, or a view of one (`for_node`), in place of it.
        name: its name in the agent; an agent takes no two of one name.

    Raises:
        ConfigurationError: something of this is wrong; the message names it.
    """

    state_schema = RoutingState

    def __init__(
        self,
        candidates: Candidates = (),
        incumbent: str | None = None,
        policy: PolicySpec | None = None,
        router: Router | None = None,
        config: RouterConfig | Mapping[str, Any] | None = None,
        *,
        model: RoutedChatModel | None = None,
        name: str = "RoutingMiddleware",
    ) -> None:
        super().__init__()
        if model is None:
            model = RoutedChatModel(candidates, incumbent, policy, router, config)
        elif not isinstance(model, RoutedChatModel):
            raise ConfigurationError(f"model is a {type(model).__name__}; it must be a RoutedChatModel")
        elif candidates or any(given is not None for given in (incumbent, policy, router, config)):
            raise ConfigurationError("model has its candidates and its router already: give nothing beside it")
        if model.router.execution.hedge_quantile is not None:  # the router shows it nowhere else
            raise ConfigurationError(
                "execution.hedge_quantile: an agent's other middleware cannot be called twice at a time; leave it out, "
                "or give the agent a RoutedChatModel as its model"
            )
        self._model = model
        self._name = name
        self._home = model._pool[model.incumbent].vendor
        self._defaults = {**model._defaults(), **({"stop": model.stop} if model.stop else {})}
        self.tools = []

    @property
    def name(self) -> str:
        """Its name in the agent."""
        return self._name

    @property
    def router(self) -> Router:
        """The router: it explains decisions and has the budgets, the breakers and what was learned."""
        return self._model.router

    def wrap_model_call(
        self, request: ModelRequest[Any], handler: Callable[[ModelRequest[Any]], ModelResponse[Any]]
    ) -> ExtendedModelResponse[Any]:
        """Decide, and get the answer from the candidates in their order.

        Raises:
            RoutingError: no candidate can take the step; nothing was sent.
            ModelError: LangChain's errors, as `RoutedChatModel` raises them.
        """
        model, attempts = self._model, Attempts()
        routing = model._routing(conversation(request), None, None, told(request))

        def call(model_id: str) -> Handled:
            candidate = model._pool[model_id]
            with attempts.attempt(model_id) as watch:
                response = handler(self._given_to(candidate, candidate.model, request, routing))
            return response, response_view(response, asked=watch.asked, shown=watch.shown)

        with attempts.settled(), beneath(routing.parent_run_id):
            outcome = model.router.run(routing.step, call, _seen, decision=one_by_one(routing.decision))
        return self._answer(outcome, routing)

    async def awrap_model_call(
        self, request: ModelRequest[Any], handler: Callable[[ModelRequest[Any]], Awaitable[ModelResponse[Any]]]
    ) -> ExtendedModelResponse[Any]:
        """Do the same without blocking."""
        model, attempts = self._model, Attempts()
        routing = model._routing(conversation(request), None, None, told(request))

        async def call(model_id: str) -> Handled:
            candidate = model._pool[model_id]
            client = await model._clients.get(model_id, candidate.model)
            with attempts.attempt(model_id) as watch:
                response = await handler(self._given_to(candidate, client, request, routing))
            return response, response_view(response, asked=watch.asked, shown=watch.shown)

        with attempts.settled(), beneath(routing.parent_run_id):
            outcome = await model.router.arun(routing.step, call, _seen, decision=one_by_one(routing.decision))
        return self._answer(outcome, routing)

    def _given_to(
        self, candidate: Candidate, client: BaseChatModel, request: ModelRequest[Any], routing: Routing
    ) -> ModelRequest[Any]:
        seen = routing.messages_for(candidate)
        return given_to(candidate, client, request, seen, home=self._home, defaults=self._defaults)

    def _answer(self, outcome: Outcome[Any], routing: Routing) -> ExtendedModelResponse[Any]:
        """Put the account on the model's message and into the agent's state."""
        model = self._model
        response: ModelResponse[Any] = outcome.response[0]
        model._answered(outcome.decision_id, routing.parent_run_id)
        message = answer_of(response)
        assert message is not None, response  # noqa: S101 - without a message the answer is an empty one, a failure
        result = ChatResult(generations=[ChatGeneration(message=message)])
        (answer,) = annotated(replace(outcome, response=result), model.router, routing.notes).generations
        messages = [answer.message if each is message else each for each in response.result]
        return ExtendedModelResponse(
            model_response=replace(response, result=messages),
            command=Command(update={DECISIONS: [answer.message.response_metadata[KEY]]}),
        )


def _seen(handled: Handled) -> ResponseView:
    return handled[1]
