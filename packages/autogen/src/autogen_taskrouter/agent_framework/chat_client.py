"""`RoutedChatClient`: a chat client of the Agent Framework that sends each call to the right one of several."""

from __future__ import annotations

import copy
from collections.abc import AsyncIterator, Awaitable, Mapping, MutableMapping, Sequence
from typing import Any, Literal, Never, Self, overload

from agent_framework import (
    Agent,
    BaseChatClient,
    ChatMiddlewareLayer,
    ChatOptions,
    ChatResponse,
    ChatResponseUpdate,
    FunctionInvocationLayer,
    Message,
    ResponseStream,
)
from agent_framework.observability import ChatTelemetryLayer

from autogen_taskrouter.agent_framework import _delegate
from autogen_taskrouter.agent_framework._answer import annotated, last_update
from autogen_taskrouter.agent_framework._candidates import parts
from autogen_taskrouter.agent_framework._clients import loop_clients
from autogen_taskrouter.agent_framework._credit import read
from autogen_taskrouter.agent_framework._errors import client_errors, framework_errors, with_client_errors
from autogen_taskrouter.agent_framework._identity import SURROUNDINGS, Surroundings
from autogen_taskrouter.agent_framework._routing import Routing, Setup, check_call
from autogen_taskrouter.agent_framework._view import UpdateReader, response_view
from taskrouter import Outcome, Router
from taskrouter.adapters import (
    Arguments,
    Authors,
    Candidates,
    PerStream,
    ahanging_up,
    check_arguments,
    credit_of,
    narrowed,
)
from taskrouter.adapters.construction import ConfigSpec
from taskrouter.policies import PolicySpec

_LAYERS = (
    *("middleware", "function_invocation_configuration", "additional_properties"),
    *("compaction_strategy", "tokenizer", "otel_provider_name"),
)
"""What the framework's layers take."""

Options = ChatOptions[Any]
Stream = ResponseStream[ChatResponseUpdate, ChatResponse[Any]]


class RoutedChatClient(
    FunctionInvocationLayer[Options],
    ChatMiddlewareLayer[Options],
    ChatTelemetryLayer[Options],
    BaseChatClient[Options],
):
    """Sends each call to the candidate that is good enough, cheapest and fast enough.

    Use it wherever a chat client goes: alone, in an `Agent`, in a workflow. Tools, middleware, telemetry and compaction
    are the routed client's, once for all candidates. It has no `model`, which an agent would put into every call's
    options: there a candidate's id pins the call to it.

    Args:
        candidates: the models to choose from, by id; or a list, whose ids are the models' names. A candidate is a chat
            client, a LiteLLM model string or a table as in `[[models]]`. Its chat middleware and its compaction hold
            for its own calls; function middleware belongs here.
        incumbent: id of the model that is used today; the router stays with it whenever it is unsure.
        policy: `safe` (default), `balanced`, `economy`, weights, or a table as in `[policy]`.
        router: a router to share, whose pool has the candidates' ids.
        config: everything else, in the shape of `taskrouter.toml`; `[[models]]` adds facts, such as prices.
        timeout: seconds that a call to a candidate may take; the same as `execution.timeout_s`.
        max_retries: how often a candidate is asked again after a failure; the same as `execution.retries`.
        credit: whether tools that fail count against the step that called them.
        **layers: `middleware`, `function_invocation_configuration`, `additional_properties`, `compaction_strategy`,
            `tokenizer` and `otel_provider_name`, as every chat client of the framework takes them.

    Raises:
        ConfigurationError: something of this is wrong; the message names it.
    """

    OTEL_PROVIDER_NAME = "taskrouter"
    DEFAULT_EXCLUDE = {*BaseChatClient.DEFAULT_EXCLUDE, "router", "chat_middleware", "function_middleware"}

    def __init__(
        self,
        candidates: Candidates = (),
        incumbent: str | None = None,
        policy: PolicySpec | None = None,
        router: Router | None = None,
        config: ConfigSpec | None = None,
        *,
        timeout: float | None = None,
        max_retries: int | None = None,
        credit: bool = True,
        **layers: Any,
    ) -> None:
        check_arguments("RoutedChatClient", layers, (*_LAYERS, "credit"))
        made = parts(Arguments(candidates, incumbent, policy, router, config, timeout, max_retries))
        super().__init__(**layers)
        self.router = made.router
        self.incumbent = made.router.incumbent
        self.credit = credit
        self._pool = made.pool
        self._policy = made.policy
        self._declared: Mapping[str, Any] = {}
        self._authors = Authors()
        self._credit = credit_of(made.router)
        self._clients = loop_clients()
        self._finishes = frozenset(name for name, candidate in made.pool.items() if candidate.finishes)

    @property
    def candidates(self) -> Mapping[str, Any]:
        """The candidates by id, as they were given."""
        return {candidate.id: candidate.spec for candidate in self._pool.values()}

    # --- views --------------------------------------------------------------------------------------------------

    def for_agent(self, agent: str, *, task: str | None = None, **declared: Any) -> Self:
        """Return the same client as one agent of the application uses it.

        Args:
            agent: the agent's name.
            task: the task type of its steps, if it is known.
            **declared: `node`, `tenant`, `tags`, `run_id`, `session_id` or `index`.

        Raises:
            ConfigurationError: a key or the task type is unknown, or the tags are no collection of strings.
        """
        said = {"agent": agent, "task": task, **declared}
        view = copy.copy(self)
        view._declared = narrowed(self._declared, said, "for_agent")  # noqa: SLF001 - it is one of us
        return view

    def as_agent(self, *, name: str | None = None, **arguments: Any) -> Agent[Options]:
        """Return an agent with this client, whose steps carry its name; see `BaseChatClient.as_agent`."""
        if name is None or "agent" in self._declared:
            return super().as_agent(name=name, **arguments)
        return self.for_agent(name).as_agent(name=name, **arguments)

    # --- calls --------------------------------------------------------------------------------------------------

    @overload
    def get_response(
        self,
        messages: Sequence[Message],
        *,
        stream: Literal[False] = ...,
        options: Options | Mapping[str, Any] | None = None,
        client_kwargs: Mapping[str, Any] | None = None,
        **layers: Any,
    ) -> Awaitable[ChatResponse[Any]]: ...

    @overload
    def get_response(
        self,
        messages: Sequence[Message],
        *,
        stream: Literal[True],
        options: Options | Mapping[str, Any] | None = None,
        client_kwargs: Mapping[str, Any] | None = None,
        **layers: Any,
    ) -> Stream: ...

    def get_response(
        self,
        messages: Sequence[Message],
        *,
        stream: bool = False,
        options: Options | Mapping[str, Any] | None = None,
        client_kwargs: Mapping[str, Any] | None = None,
        **layers: Any,
    ) -> Awaitable[ChatResponse[Any]] | Stream:
        """Answer, and run what tools the answer calls; see `BaseChatClient.get_response`.

        Args:
            messages: the conversation.
            stream: whether to stream the answer.
            options: the framework's options, and what candidates take beside them; `model` is a candidate's id.
            client_kwargs: further arguments for the candidates. Under `taskrouter` it declares the step (`task`,
                `agent`, `node`, `index`, `run_id`, `session_id`, `tenant`, `tags`) and says how the call is to be
                routed (`policy`, `model`, `dry_run`).
            **layers: `middleware`, `compaction_strategy`, `tokenizer`, `function_invocation_kwargs`.
        """
        check_call(messages, options, client_kwargs)
        given = dict(client_kwargs or {})
        given.setdefault(SURROUNDINGS, Surroundings.of(given))
        above: Any = super().get_response
        answer: Awaitable[ChatResponse[Any]] | Stream = above(
            messages, stream=stream, options=options, client_kwargs=given, **layers
        )
        return answer

    def _inner_get_response(
        self, *, messages: Sequence[Message], stream: bool, options: Mapping[str, Any], **kwargs: Any
    ) -> Awaitable[ChatResponse[Any]] | Stream:
        if stream:
            return self._streamed(messages, options, kwargs)
        return self._answered(messages, options, kwargs)

    async def _answered(
        self, messages: Sequence[Message], options: Mapping[str, Any], kwargs: Mapping[str, Any]
    ) -> ChatResponse[Any]:
        routing = self._routing(messages, options, kwargs)

        async def call(model_id: str) -> ChatResponse[Any]:
            candidate = self._pool[model_id]
            client = await self._clients.get(model_id, candidate.client)
            conversation, given, more = routing.arguments(candidate)
            with client_errors(model_id):
                answer = await _delegate.whole(client, conversation, given, more)
            routing.settle(given)
            return answer

        with framework_errors():
            outcome = await self.router.arun(routing.step, call, response_view, decision=routing.decision)
        response = annotated(outcome, self.router, routing.notes)
        routing.note(response, outcome)
        return response

    def _streamed(self, messages: Sequence[Message], options: Mapping[str, Any], kwargs: Mapping[str, Any]) -> Stream:
        ended: list[tuple[Routing, Outcome[Any]]] = []

        def finalized(updates: Sequence[ChatResponseUpdate]) -> ChatResponse[Any]:
            client = self._pool[ended[0][1].model].client if ended else self
            response = _delegate.finalized(client, updates, options.get("response_format"))
            for routing, outcome in ended:
                routing.note(response, outcome)
            return response

        return ResponseStream(self._updates(messages, options, kwargs, ended), finalizer=finalized)

    async def _updates(
        self,
        messages: Sequence[Message],
        options: Mapping[str, Any],
        kwargs: Mapping[str, Any],
        ended: list[tuple[Routing, Outcome[Any]]],
    ) -> AsyncIterator[ChatResponseUpdate]:
        # Decided when the first update is asked for: only then is the framework's chat span the current one.
        routing = self._routing(messages, options, kwargs)
        reader = PerStream(UpdateReader)
        sent: dict[str, Mapping[str, Any]] = {}

        async def open_stream(model_id: str) -> AsyncIterator[ChatResponseUpdate]:
            candidate = self._pool[model_id]
            client = await self._clients.get(model_id, candidate.client)
            conversation, given, more = routing.arguments(candidate)
            reader.begin()
            sent[model_id] = given
            updates = _delegate.stream(client, conversation, given, more)
            return ahanging_up(lambda: with_client_errors(model_id, updates))

        with framework_errors():
            opened = self.router.arun_stream(
                routing.step, open_stream, reader.view, decision=routing.decision, finishes=self._finishes
            )
            async with opened as stream:
                async for update in stream:
                    yield update
                outcome = stream.outcome
                assert outcome is not None, "the stream has not ended"  # noqa: S101 - the router's contract
                routing.settle(sent[outcome.model])
                ended.append((routing, outcome))
                yield last_update(outcome, self.router, routing.notes)

    def _routing(self, messages: Sequence[Message], options: Mapping[str, Any], kwargs: Mapping[str, Any]) -> Routing:
        """Decide where a call goes, before anything is sent."""
        if self.credit:
            read(self._credit, messages, self._authors)
        setup = Setup(self.router, self._pool, self._authors, self._declared, self._policy)
        return Routing(setup, messages, options, kwargs)

    async def aclose(self) -> None:
        """Close the connections that the running event loop has opened; candidates keep their own."""
        await self._clients.aclose()

    # --- copies -------------------------------------------------------------------------------------------------

    def to_dict(self, *, exclude: set[str] | None = None, exclude_none: bool = True) -> dict[str, Any]:
        """Return what may be shown: ids and settings. Candidates hold keys and headers, so they are not in it."""
        return {**super().to_dict(exclude=exclude, exclude_none=exclude_none), "candidates": list(self._pool)}

    @classmethod
    def from_dict(cls, _: MutableMapping[str, Any], /, **__: Any) -> Never:
        """Refuse: what `to_dict` shows has no candidates in it."""
        raise TypeError("a RoutedChatClient cannot be made from what to_dict() shows: make it anew from its candidates")

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        """Return a copy with the same candidates and the same router: budgets and breakers are not to be forked."""
        return copy.copy(self)

    def __copy__(self) -> Self:
        copied = object.__new__(type(self))
        copied.__dict__.update(self.__dict__)
        return copied

    def __reduce__(self) -> Never:
        raise TypeError(
            "a RoutedChatClient cannot be pickled, as the framework's own clients cannot: make it anew in the process "
            "that needs it; [state] lets both share budgets and breakers"
        )

    def __repr__(self) -> str:
        return f"RoutedChatClient(candidates={list(self._pool)}, incumbent={self.incumbent!r})"
