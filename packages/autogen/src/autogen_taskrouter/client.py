"""`RoutedChatCompletionClient`: an AutoGen model client that sends each call to the right one of several."""

from __future__ import annotations

import warnings
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from typing import Any, Self

from autogen_core import CancellationToken, Component
from autogen_core.models import ChatCompletionClient, CreateResult, LLMMessage, ModelInfo, RequestUsage
from autogen_core.tools import Tool, ToolSchema

from autogen_taskrouter._answer import RoutedCreateResult, annotated
from autogen_taskrouter._cancellation import Cancellable
from autogen_taskrouter._candidates import candidates_of, facts_of
from autogen_taskrouter._clients import loop_clients, sdk_client
from autogen_taskrouter._component import (
    RoutedChatCompletionClientConfig,
    read_candidate,
    written_candidates,
    written_recipe,
)
from autogen_taskrouter._credit import read
from autogen_taskrouter._history import note
from autogen_taskrouter._model_info import joint_info
from autogen_taskrouter._request import Request, check_options, checked_request
from autogen_taskrouter._routing import Routing, Setup
from autogen_taskrouter._tokens import UNLIMITED, estimated_tokens, largest_window
from autogen_taskrouter._usage import Meter
from autogen_taskrouter._view import ChunkReader, result_view
from taskrouter import Outcome, Router
from taskrouter.adapters import (
    Arguments,
    Author,
    Authors,
    Candidates,
    PerStream,
    check_arguments,
    checked,
    credit_of,
    narrowed,
    parts_of,
)
from taskrouter.adapters.construction import ConfigSpec
from taskrouter.policies import PolicySpec

_NOTHING: Mapping[str, Any] = {}
_FIELDS = ("credit", "model_info")


class RoutedChatCompletionClient(ChatCompletionClient, Component[RoutedChatCompletionClientConfig]):
    """Sends each call to the candidate that is good enough, cheapest and fast enough.

    Use it wherever a model client goes: in an agent, a team, a component's JSON, or alone.

    Args:
        candidates: the models to choose from, by id; or a list, whose ids are the models' names. A candidate is a model
            client, a LiteLLM model string, or a table as in `[[models]]`.
        incumbent: id of the model that is used today; the router stays with it whenever it is unsure.
        policy: `safe` (default), `balanced`, `economy`, weights, or a table as in `[policy]`.
        router: a router to share, whose pool has the candidates' ids.
        config: everything else, in the shape of `taskrouter.toml`; `[[models]]` adds facts, such as prices.
        timeout: seconds that a call to a candidate may take; the same as `execution.timeout_s`.
        max_retries: how often a candidate is asked again after a failure; the same as `execution.retries`.
        credit: whether tools that fail count against the step that called them.
        model_info: what agents are told, key by key, instead of what the candidates say together.

    Raises:
        ConfigurationError: something of this is wrong; the message names it.
    """

    component_type = "model"
    component_config_schema = RoutedChatCompletionClientConfig
    component_provider_override = "autogen_taskrouter.RoutedChatCompletionClient"

    def __init__(  # noqa: PLR0913 - all but the first three are usually named
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
        model_info: Mapping[str, Any] | None = None,
        **unknown: Any,
    ) -> None:
        check_arguments(type(self).__name__, unknown, _FIELDS)
        given = Arguments(candidates, incumbent, policy, router, config, timeout, max_retries)
        made = parts_of(given, candidates_of, facts_of)
        self._setup = Setup(made.router, made.pool, made.policy, Authors())
        self._clients = loop_clients()
        self._meter = Meter()
        self._credit = credit_of(made.router) if credit else None
        self._said_of_models = model_info
        self._model_info = joint_info([candidate.info for candidate in made.pool.values()], model_info)
        self._declared: Mapping[str, Any] = _NOTHING
        self._made_with = made.recipe

    def __repr__(self) -> str:
        ids = ", ".join(self._setup.pool)
        return f"{type(self).__name__}({ids}; incumbent={self.router.incumbent!r})"

    @property
    def router(self) -> Router:
        """The router, for budgets, feedback and health."""
        return self._setup.router

    # --- calls --------------------------------------------------------------------------------------------------

    async def create(
        self,
        messages: Sequence[LLMMessage],
        *,
        tools: Sequence[Tool | ToolSchema] = (),
        tool_choice: Any = "auto",
        json_output: Any = None,
        extra_create_args: Mapping[str, Any] = _NOTHING,
        cancellation_token: CancellationToken | None = None,
        **options: Any,
    ) -> RoutedCreateResult:
        """Answer.

        Args:
            messages: the conversation; it is not changed.
            tools: the tools to choose from.
            tool_choice: `auto`, `required`, `none`, or the tool to call.
            json_output: a class of answers, or whether they are to be JSON.
            extra_create_args: further request parameters. `taskrouter` says which step it is and how it is to be
                routed, `model` names the candidate to call; neither goes to a provider.
            cancellation_token: cancels the call. No further request follows.
            **options: arguments that only some clients know; those get them.

        Raises:
            ConfigurationError: the call declares something wrong.
            RoutingError: no candidate can take the step, or a budget does not allow it; nothing was sent.
            ExecutionError: no candidate has answered.
        """
        routing = self._routing(
            checked_request(messages, tools, tool_choice, json_output, extra_create_args, cancellation_token, options),
            streamed=False,
        )

        async def call(model_id: str) -> CreateResult:
            candidate = self._setup.pool[model_id]
            return await routing.create(candidate, await self._clients.get(model_id, candidate.client))

        with self._meter.failures(), Cancellable(cancellation_token):
            outcome = await self.router.arun(routing.step, call, result_view, decision=routing.decision)
        return self._answered(outcome.response, outcome, routing)

    async def create_stream(
        self,
        messages: Sequence[LLMMessage],
        *,
        tools: Sequence[Tool | ToolSchema] = (),
        tool_choice: Any = "auto",
        json_output: Any = None,
        extra_create_args: Mapping[str, Any] = _NOTHING,
        cancellation_token: CancellationToken | None = None,
        **options: Any,
    ) -> AsyncGenerator[str | CreateResult, None]:
        """Stream the answer: its text in pieces, then one `RoutedCreateResult`.

        Nothing is handed on before the first word, and until then every failure falls back. After it no model is
        switched: a stream that breaks raises `StreamBroken`. Arguments and errors are those of `create`.
        """
        routing = self._routing(
            checked_request(messages, tools, tool_choice, json_output, extra_create_args, cancellation_token, options),
            streamed=True,
        )
        reader = PerStream(ChunkReader)

        async def open_stream(model_id: str) -> AsyncGenerator[str | CreateResult, None]:
            candidate = self._setup.pool[model_id]
            client = await self._clients.get(model_id, candidate.client)
            reader.begin(candidate.kind)
            return routing.create_stream(candidate, client)

        opened = self.router.arun_stream(
            routing.step, open_stream, reader.view, decision=routing.decision, finishes=True
        )
        waiting = Cancellable(cancellation_token)
        result: CreateResult | None = None
        async with opened as stream:
            while True:
                with self._meter.failures(), waiting:
                    chunk = await anext(stream, None)
                if chunk is None:
                    break
                if isinstance(chunk, CreateResult):
                    result = chunk  # it is one only when the stream has ended well
                else:
                    yield chunk
        assert result is not None and stream.outcome is not None, "ended without a result"  # noqa: S101, PT018 - the reader's contract
        yield self._answered(result, stream.outcome, routing)

    async def close(self) -> None:
        """Close the connections of the running loop, and the candidates that are used as they are.

        The user's own instances of other candidates stay open. A later call opens new connections.
        """
        await self._clients.aclose()
        for candidate in self._setup.pool.values():
            if sdk_client(candidate.client) is None:
                await candidate.client.close()

    # --- what AutoGen asks a client for -------------------------------------------------------------------------

    def actual_usage(self) -> RequestUsage:
        """Return the tokens of all attempts so far, as the providers counted them, else estimated."""
        return self._meter.used

    def total_usage(self) -> RequestUsage:
        """Return the same: the routed client and its views count together."""
        return self._meter.used

    def count_tokens(self, messages: Sequence[LLMMessage], *, tools: Sequence[Tool | ToolSchema] = ()) -> int:
        """Return about how many tokens messages and tools have: candidates count differently, and none is chosen."""
        return estimated_tokens(messages, tools)

    def remaining_tokens(self, messages: Sequence[LLMMessage], *, tools: Sequence[Tool | ToolSchema] = ()) -> int:
        """Return about how many tokens are left of the largest known window: what fits only there goes there."""
        window = largest_window(self.router.models[name].context_tokens for name in self._setup.pool)
        return UNLIMITED if window is None else window - self.count_tokens(messages, tools=tools)

    @property
    def capabilities(self) -> Any:
        """The same as `model_info`; deprecated by AutoGen."""
        warnings.warn("capabilities is deprecated, use model_info instead", DeprecationWarning, stacklevel=2)
        return self.model_info

    @property
    def model_info(self) -> ModelInfo:
        """What the candidates can do together: a step goes to those that can take it."""
        return self._model_info

    # --- views --------------------------------------------------------------------------------------------------

    def for_agent(self, agent: str, *, task: str | None = None, **declared: Any) -> Self:
        """Return the same client as one agent uses it: same candidates, same router, and usage is counted together.

        Args:
            agent: the agent's name.
            task: the task type of its steps, if it is known.
            **declared: `node`, `tenant`, `tags`, `run_id` or `session_id`.

        Raises:
            ConfigurationError: a key or the task type is unknown, or the tags are no collection of strings.
        """
        said = {"agent": agent, "task": task, **declared}
        view = self.__copy__()
        view._declared = narrowed(self._declared, said, "for_agent")  # noqa: SLF001 - one of our own
        return view

    # --- parts --------------------------------------------------------------------------------------------------

    def _routing(self, request: Request, *, streamed: bool) -> Routing:
        """Decide where a call goes, before anything is sent."""
        check_options(request.options, self._setup.pool.values(), streamed=streamed)
        if self._credit is not None:
            read(self._credit, request.messages, self._setup.authors)
        return Routing(self._setup, request, self._declared)

    def _answered(self, native: CreateResult, outcome: Outcome[Any], routing: Routing) -> RoutedCreateResult:
        self._meter.add(outcome.usage)
        result = annotated(native, outcome, routing.notes)
        note(self._setup.authors, result, Author(outcome.model, outcome.decision_id))
        return result

    # --- components and copies ----------------------------------------------------------------------------------

    def _to_config(self) -> RoutedChatCompletionClientConfig:
        return RoutedChatCompletionClientConfig(
            candidates=written_candidates(self._setup.pool),
            **written_recipe(self._made_with),
            credit=self._credit is not None,
            model_info=None if self._said_of_models is None else dict(self._said_of_models),
            declared={name: sorted(said) if name == "tags" else said for name, said in self._declared.items()} or None,
        )

    @classmethod
    def _from_config(cls, config: RoutedChatCompletionClientConfig) -> Self:
        written = config.candidates
        candidates: Candidates
        if isinstance(written, dict):
            candidates = {name: read_candidate(f"candidates[{name!r}]", one) for name, one in written.items()}
        else:
            candidates = [read_candidate(f"candidates[{place}]", one) for place, one in enumerate(written)]
        made = cls(
            candidates,
            config.incumbent,
            config.policy,
            config=config.config,
            credit=config.credit,
            model_info=config.model_info,
        )
        made._declared = checked(config.declared or _NOTHING, "declared")
        return made

    def __copy__(self) -> Self:
        copy = object.__new__(type(self))
        copy.__dict__.update(self.__dict__)
        return copy

    def __deepcopy__(self, memo: dict[int, Any] | None = None) -> Self:
        """Return a copy with the same candidates and the same router: budgets and breakers are not to be forked."""
        return self.__copy__()

    def __reduce__(self) -> tuple[Callable[..., RoutedChatCompletionClient], tuple[Any, ...]]:
        """Pickle what it was made of. The router is made anew: what it has learned and what is spent stay behind."""
        if self._made_with is None:
            raise TypeError(
                "a RoutedChatCompletionClient with a shared router cannot be pickled: pickle the candidates, and make "
                "the client anew with the router of the process they come to"
            )
        fields = {"credit": self._credit is not None, "model_info": self._said_of_models}
        specs = {candidate.id: candidate.spec for candidate in self._setup.pool.values()}
        return _made, (type(self), {"candidates": specs, **self._made_with, **fields}, dict(self._declared))


def _made(
    cls: type[RoutedChatCompletionClient], arguments: Mapping[str, Any], declared: Mapping[str, Any]
) -> RoutedChatCompletionClient:
    made = cls(**arguments)
    made._declared = declared
    return made
