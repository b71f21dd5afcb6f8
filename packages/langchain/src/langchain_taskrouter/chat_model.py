"""`RoutedChatModel`: a LangChain chat model that sends each call to the right one of several."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from typing import Any, Self
from uuid import UUID, uuid4

from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel, LanguageModelInput
from langchain_core.language_models.base import LangSmithParams
from langchain_core.language_models.model_profile import ModelProfile
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage
from langchain_core.messages.utils import count_tokens_approximately
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult, Generation
from langchain_core.runnables import Runnable, RunnableConfig
from pydantic import Field, PrivateAttr

from langchain_taskrouter import _delegate
from langchain_taskrouter._answer import Relay, annotated
from langchain_taskrouter._candidates import Candidate, candidates_of, facts_of, shared_profile, unwrapped
from langchain_taskrouter._clients import loop_clients
from langchain_taskrouter._credit import read
from langchain_taskrouter._errors import langchain_errors
from langchain_taskrouter._identity import call_config, identify
from langchain_taskrouter._request import CONFIG, SCHEMA, TOOLS, without_own
from langchain_taskrouter._routing import Routing, Setup
from langchain_taskrouter._runs import RUNS
from langchain_taskrouter._structured import Schema, StructuredOutput, parsed
from langchain_taskrouter._tools import BoundTools, ToolSpec
from langchain_taskrouter._tracing import beneath, traced_by_others
from langchain_taskrouter._view import ChunkReader
from langchain_taskrouter.transcripts import Speaker, speakers_of
from taskrouter import Router
from taskrouter.adapters import (
    KEY,
    Arguments,
    Candidates,
    Credit,
    LoopClients,
    PerStream,
    check_arguments,
    credit_of,
    narrowed,
    parts_of,
)
from taskrouter.adapters.construction import ConfigSpec
from taskrouter.config import PolicyConfig
from taskrouter.policies import PolicySpec

_FINISHING = frozenset({"openai", "anthropic"})
"""Vendors whose streams always say why they ended: one that does not was cut off."""


class RoutedChatModel(BaseChatModel):
    """Sends each call to the candidate that is good enough, cheapest and fast enough.

    Use it wherever a chat model goes: alone, in a chain, in `create_agent`, in a LangGraph node.

    Args:
        candidates: the models to choose from, by id; or a list, whose ids are the models' names. A candidate is a chat
            model, one with bound arguments, or a LiteLLM model string.
        incumbent: id of the model that is used today; the router stays with it whenever it is unsure.
        policy: `safe` (default), `balanced`, `economy`, weights, or a table as in `[policy]`.
        router: a router to share, whose pool has the candidates' ids.
        config: everything else, in the shape of `taskrouter.toml`; `[[models]]` adds facts, such as prices.
        timeout: seconds that a call to a candidate may take; the same as `execution.timeout_s`.
        max_retries: how often a candidate is asked again after a failure; the same as `execution.retries`.

    Raises:
        ConfigurationError: something of this is wrong; the message names it.
    """

    candidates: dict[str, Any] = Field(exclude=True, repr=False)
    incumbent: str
    policy: Any = None
    router: Router = Field(exclude=True, repr=False)
    declared: Mapping[str, Any] = Field(default_factory=dict, exclude=True)
    """What `for_node` says of the steps that this view makes."""

    temperature: float | None = None
    """For every candidate, in place of its own; a call may say otherwise. So are the next two."""
    max_tokens: int | None = None
    stop: list[str] | None = None
    streaming: bool = False
    """Whether `invoke` streams beneath, for handlers that want single tokens. LangChain looks whether it was set."""
    credit: bool = True
    """Whether tools that fail, parsers that cannot read an answer and nodes that raise count against the step."""

    _pool: dict[str, Candidate] = PrivateAttr()
    _clients: LoopClients[BaseChatModel] = PrivateAttr(default_factory=loop_clients)
    _credit: Credit = PrivateAttr()
    _speakers: Mapping[str, Speaker] = PrivateAttr()
    _finishes: frozenset[str] = PrivateAttr()
    _key: tuple[Any, dict[str, Any]] | None = PrivateAttr(None)
    _made_with: dict[str, Any] | None = PrivateAttr(None)

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
        **fields: Any,
    ) -> None:
        check_arguments("RoutedChatModel", fields, type(self).model_fields)
        given = Arguments(candidates, incumbent, policy, router, config, timeout, max_retries)
        made = parts_of(given, candidates_of, facts_of)
        super().__init__(
            candidates={candidate.id: candidate.spec for candidate in made.pool.values()},
            incumbent=made.router.incumbent,
            policy=made.policy,
            router=made.router,
            **fields,
        )
        self._pool = made.pool
        self._speakers = speakers_of(made.pool)
        self._finishes = frozenset(c.id for c in made.pool.values() if c.vendor in _FINISHING)
        self._credit = credit_of(made.router)
        self._made_with = made.recipe

    # --- what LangChain asks a model for ------------------------------------------------------------------------

    @property
    def _llm_type(self) -> str:
        return "taskrouter"

    @property
    def _identifying_params(self) -> Mapping[str, Any]:
        """What makes answers differ: LangChain's cache keys on it, and asks at every call."""
        said = (self.policy, self.temperature, self.max_tokens)
        if self._key is None or self._key[0] != said:
            models = {
                candidate.id: {**candidate.given._identifying_params, **candidate.options}  # noqa: SLF001 - LangChain's key of a model
                for candidate in self._pool.values()
            }
            policy = PolicyConfig.of(self.policy) if self.policy is not None else self.router.policy
            shown = policy.model_dump(mode="json", exclude_none=True)
            key = {"candidates": models, "incumbent": self.incumbent, "policy": shown, **self._defaults()}
            self._key = said, key
        return self._key[1]

    def _get_ls_params(self, stop: list[str] | None = None, **kwargs: Any) -> LangSmithParams:
        """Name the router: the model that answered stands in `response_metadata["model_name"]`."""
        kwargs = without_own(kwargs)
        name = kwargs.pop("model", None) or self.name or "taskrouter"
        params = super()._get_ls_params(stop=stop, model=str(name), **kwargs)
        return {**params, "ls_provider": "taskrouter"}

    def _resolve_model_profile(self) -> ModelProfile | None:
        return shared_profile(unwrapped(spec)[0] for spec in self.candidates.values())

    def _get_invocation_params(self, stop: list[str] | None = None, **kwargs: Any) -> dict[str, Any]:
        # As LangChain makes them; its own way there switches warnings off and on, at every call.
        stop = (self.stop or None) if stop is None else stop
        return {**self._identifying_params, "_type": self._llm_type, "stop": stop, **without_own(kwargs)}

    def _get_llm_string(self, stop: list[str] | None = None, **kwargs: Any) -> str:
        """Return an answer's key in LangChain's cache: what may lead a call elsewhere belongs to it."""
        routed, _ = identify(call_config(kwargs.get(CONFIG), None), self.declared, self.metadata, self.tags)
        key = super()._get_llm_string(stop=stop, **without_own(kwargs))
        return f"{key}---{routed.routing_key}"

    def _convert_cached_generations(self, cache_val: list[Generation]) -> list[ChatGeneration]:
        """Take the account of the first call off an answer that comes out of the cache: nothing was routed."""
        generations = super()._convert_cached_generations(cache_val)
        for generation in generations:
            message = generation.message
            facts = {name: value for name, value in message.response_metadata.items() if name != KEY}
            generation.message = message.model_copy(update={"response_metadata": facts})
        return generations

    def get_num_tokens(self, text: str) -> int:
        """Return about how many tokens a text has: candidates count differently, and none is chosen yet."""
        return -(-len(text) // 4)

    def get_num_tokens_from_messages(self, messages: list[BaseMessage], tools: Sequence[ToolSpec] | None = None) -> int:
        """Return about how many tokens messages and tools have."""
        return count_tokens_approximately(messages, tools=[*BoundTools(tools).shown] if tools else None)

    # --- views of the model -------------------------------------------------------------------------------------

    def for_node(self, node: str, *, task: str | None = None, **declared: Any) -> RoutedChatModel:
        """Return the same model as one node of the application uses it.

        Args:
            node: the node's name.
            task: the task type of its steps, if it is known.
            **declared: `agent`, `tenant`, `tags`, `run_id` or `session_id`.

        Raises:
            ConfigurationError: a key or the task type is unknown, or the tags are no collection of strings.
        """
        said = {"node": node, "task": task, **declared}
        return self.model_copy(update={"declared": narrowed(self.declared, said, "for_node")})

    def bind_tools(
        self,
        tools: Sequence[ToolSpec],
        *,
        tool_choice: str | dict[str, Any] | bool | None = None,
        **kwargs: Any,
    ) -> Runnable[LanguageModelInput, AIMessage]:
        """Bind tools; the model that is chosen binds them in its own way.

        Args:
            tools: functions, `BaseTool`s, schemas, or providers' own tools. A candidate gets those of its own provider,
                and takes no step for which it lacks one: name one of each provider to leave the choice open.
            tool_choice: a tool's name, `any`, or what the candidates take.
            **kwargs: further arguments for the candidates' `bind_tools`.

        Raises:
            ConfigurationError: no candidate's provider has the providers' own tools that are asked for.
        """
        arguments = kwargs if tool_choice is None else {"tool_choice": tool_choice, **kwargs}
        bound = BoundTools(tools, tuple(arguments))
        bound.among(self._pool.values(), self._pool[self.incumbent].vendor)
        return self.bind(tools=bound.shown, **arguments, **{TOOLS: bound})

    def with_structured_output(
        self,
        schema: Schema | None = None,
        *,
        method: str | None = None,
        include_raw: bool = False,
        strict: bool | None = None,
        **kwargs: Any,
    ) -> Runnable[LanguageModelInput, Any]:
        """Return a model whose answers have a shape; each candidate is asked for it in its own way.

        Args:
            schema: a pydantic class (answers are its instances), a `TypedDict`, a JSON Schema or a tool's schema
                (answers are dictionaries); None is for `json_mode` alone.
            method: `function_calling`, `json_schema` or `json_mode`; by default each candidate's own. Candidates that
                do not know the method do not take such steps.
            include_raw: return `{"raw": message, "parsed": answer or None, "parsing_error": exception or None}`.
            strict: whether providers are to enforce the schema, where they can.
            **kwargs: further arguments for the candidates' `with_structured_output`.

        Raises:
            ConfigurationError: the schema is no schema, or no candidate can be asked in this way; it says why.
        """
        options = kwargs if strict is None else {"strict": strict, **kwargs}
        wanted = StructuredOutput(schema, method, options, lenient=include_raw)
        wanted.among(self._pool.values())
        model = self.bind(**wanted.shown, **{SCHEMA: wanted})
        return parsed(model, wanted.parser(self._credit if self.credit else None), include_raw=include_raw)

    # --- calls --------------------------------------------------------------------------------------------------
    # A config given with a call is not visible inside: `stream` hands nothing on, `invoke` only its metadata. So it
    # travels as a keyword argument of our own.

    def invoke(
        self,
        input: LanguageModelInput,  # noqa: A002 - LangChain's name
        config: RunnableConfig | None = None,
        *,
        stop: list[str] | None = None,
        **kwargs: Any,
    ) -> AIMessage:
        """Answer; see `BaseChatModel.invoke`."""
        return super().invoke(input, config, stop=stop, **_with_config(kwargs, config))

    async def ainvoke(
        self,
        input: LanguageModelInput,  # noqa: A002 - LangChain's name
        config: RunnableConfig | None = None,
        *,
        stop: list[str] | None = None,
        **kwargs: Any,
    ) -> AIMessage:
        """Answer; see `BaseChatModel.ainvoke`."""
        return await super().ainvoke(input, config, stop=stop, **_with_config(kwargs, config))

    def stream(
        self,
        input: LanguageModelInput,  # noqa: A002 - LangChain's name
        config: RunnableConfig | None = None,
        *,
        stop: list[str] | None = None,
        **kwargs: Any,
    ) -> Iterator[AIMessageChunk]:
        """Stream the answer; see `BaseChatModel.stream`."""
        config = _with_run(config)
        return super().stream(input, config, stop=stop, **_with_config(kwargs, config))

    def astream(
        self,
        input: LanguageModelInput,  # noqa: A002 - LangChain's name
        config: RunnableConfig | None = None,
        *,
        stop: list[str] | None = None,
        **kwargs: Any,
    ) -> AsyncIterator[AIMessageChunk]:
        """Stream the answer; see `BaseChatModel.astream`."""
        config = _with_run(config)
        return super().astream(input, config, stop=stop, **_with_config(kwargs, config))

    def stream_events(self, input: LanguageModelInput, config: RunnableConfig | None = None, **kwargs: Any) -> Any:  # noqa: A002 - LangChain overloads it by version
        """Stream events; see `BaseChatModel.stream_events`."""
        return super().stream_events(input, *_for_events(config, kwargs), **kwargs)

    def astream_events(self, input: LanguageModelInput, config: RunnableConfig | None = None, **kwargs: Any) -> Any:  # noqa: A002 - LangChain overloads it by version
        """Stream events; see `BaseChatModel.astream_events`."""
        return super().astream_events(input, *_for_events(config, kwargs), **kwargs)

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        routing = self._routing(messages, stop, run_manager, kwargs)

        def call(model_id: str) -> ChatResult:
            candidate = self._pool[model_id]
            return _delegate.generate(candidate.model, *routing.arguments(candidate))

        with langchain_errors(), beneath(routing.run_id):
            outcome = self.router.run(routing.step, call, routing.view, decision=routing.decision)
        self._answered(routing.decision.id, routing.parent_run_id)
        return annotated(outcome, self.router, routing.notes)

    async def _agenerate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        routing = self._routing(messages, stop, run_manager, kwargs)

        async def call(model_id: str) -> ChatResult:
            candidate = self._pool[model_id]
            model = await self._clients.get(model_id, candidate.model)
            return await _delegate.agenerate(model, *routing.arguments(candidate))

        with langchain_errors(), beneath(routing.run_id):
            outcome = await self.router.arun(routing.step, call, routing.view, decision=routing.decision)
        self._answered(routing.decision.id, routing.parent_run_id)
        return annotated(outcome, self.router, routing.notes)

    def _stream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> Iterator[ChatGenerationChunk]:
        routing = self._routing(messages, stop, run_manager, kwargs)
        reader = PerStream(ChunkReader)

        def open_stream(model_id: str) -> Iterator[ChatGenerationChunk]:
            candidate = self._pool[model_id]
            reader.begin()
            return _delegate.stream(candidate.model, *routing.arguments(candidate))

        relay = Relay(self.router, routing.notes)
        with beneath(routing.run_id):  # closed before the first chunk is handed on: a stream may end anywhere
            opened = self.router.run_stream(
                routing.step, open_stream, reader.view, decision=routing.decision, finishes=self._finishes
            )
        with langchain_errors(), opened as stream:
            for chunk in stream:
                for ready in relay.put(chunk):
                    if run_manager is not None:  # else LangChain tells the callbacks itself
                        run_manager.on_llm_new_token(ready.text, chunk=ready)
                    yield ready
            last = relay.last(stream.outcome)
            self._answered(routing.decision.id, routing.parent_run_id)
            if run_manager is not None:
                run_manager.on_llm_new_token(last.text, chunk=last)
            yield last

    async def _astream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> AsyncIterator[ChatGenerationChunk]:
        routing = self._routing(messages, stop, run_manager, kwargs)
        reader = PerStream(ChunkReader)

        async def open_stream(model_id: str) -> AsyncIterator[ChatGenerationChunk]:
            candidate = self._pool[model_id]
            model = await self._clients.get(model_id, candidate.model)
            reader.begin()
            return _delegate.astream(model, *routing.arguments(candidate))

        relay = Relay(self.router, routing.notes)
        with beneath(routing.run_id):
            opened = self.router.arun_stream(
                routing.step, open_stream, reader.view, decision=routing.decision, finishes=self._finishes
            )
        with langchain_errors():
            async with opened as stream:
                async for chunk in stream:
                    for ready in relay.put(chunk):
                        if run_manager is not None:
                            await run_manager.on_llm_new_token(ready.text, chunk=ready)
                        yield ready
                last = relay.last(stream.outcome)
                self._answered(routing.decision.id, routing.parent_run_id)
                if run_manager is not None:
                    await run_manager.on_llm_new_token(last.text, chunk=last)
                yield last

    # --- parts --------------------------------------------------------------------------------------------------

    def _routing(
        self, messages: list[BaseMessage], stop: list[str] | None, run_manager: Any, kwargs: Mapping[str, Any]
    ) -> Routing:
        """Decide where a call goes, before anything is sent."""
        if self.credit:
            read(self._credit, messages)
        stop = (self.stop or None) if stop is None else stop
        kwargs = {**self._defaults(), **kwargs}
        setup = Setup(self.router, self._pool, self._speakers, self.declared, self.policy, self.metadata, self.tags)
        return Routing(setup, messages, stop, kwargs, run_manager)

    def _defaults(self) -> dict[str, Any]:
        return {name: value for name in ("temperature", "max_tokens") if (value := getattr(self, name)) is not None}

    def _answered(self, decision_id: str, run_id: UUID | None) -> None:
        """Note in which run of LangChain's a step was answered."""
        if self.credit and run_id is not None:
            RUNS.note(run_id, self._credit, decision_id)

    # --- copies -------------------------------------------------------------------------------------------------

    def __reduce__(self) -> tuple[Callable[..., RoutedChatModel], tuple[Any, ...]]:
        """Pickle what it was made of. The router is made anew: what it has learned and what is spent stay behind."""
        if self._made_with is None:
            raise TypeError(
                "a RoutedChatModel with a shared router cannot be pickled: pickle the candidates, and make the model "
                "anew with the router of the process they come to"
            )
        own = {"candidates", "incumbent", "policy", "router"}
        fields = {name: getattr(self, name) for name in self.model_fields_set - own}
        return _made, (type(self), {"candidates": dict(self.candidates), **self._made_with, **fields})

    def __deepcopy__(self, memo: dict[int, Any] | None = None) -> Self:
        """Return a copy with the same candidates and the same router: budgets and breakers are not to be forked."""
        return self.model_copy()


def _made(cls: type[RoutedChatModel], arguments: Mapping[str, Any]) -> RoutedChatModel:
    return cls(**arguments)


def _for_events(config: RunnableConfig | None, kwargs: dict[str, Any]) -> tuple[RunnableConfig | None]:
    """Give the config to events of version 3, which come from the model itself; those of others go by its `astream`."""
    if kwargs.get("version") == "v3":
        config = _with_run(config)
        kwargs.update(_with_config({}, config))
    return (config,)


def _with_config(kwargs: dict[str, Any], config: RunnableConfig | None) -> dict[str, Any]:
    return kwargs if config is None else {**kwargs, CONFIG: config}


def _with_run(config: RunnableConfig | None) -> RunnableConfig | None:
    """Give a stream's run its id beforehand where somebody has a span for it: inside, nothing says which run it is."""
    if not traced_by_others() or (config or {}).get("run_id") is not None:
        return config
    given: RunnableConfig = {**(config or {}), "run_id": uuid4()}
    return given
