"""`RoutedChatModel`: a LangChain chat model that sends each call to the right one of several."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from typing import Any

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
from langchain_taskrouter._candidates import Candidate, Candidates, cards, read_candidates, shared_profile, unwrapped
from langchain_taskrouter._clients import LoopClients
from langchain_taskrouter._errors import langchain_errors
from langchain_taskrouter._history import history_for
from langchain_taskrouter._identity import KEY, call_config, checked, identify
from langchain_taskrouter._request import CONFIG, TOOLS, Request, without_own
from langchain_taskrouter._tools import BoundTools, ToolSpec
from langchain_taskrouter._view import Viewed, aviewed, result_view, viewed
from taskrouter import ConfigurationError, Decision, ResponseView, Router, RouterConfig, Step
from taskrouter.config import PolicyConfig

PolicySpec = PolicyConfig | str | Mapping[str, Any]


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

    Raises:
        ConfigurationError: something of this is wrong; the message names it.
    """

    candidates: dict[str, Any] = Field(exclude=True, repr=False)
    incumbent: str
    policy: Any = None
    router: Router = Field(exclude=True, repr=False)
    declared: Mapping[str, Any] = Field(default_factory=dict, exclude=True)
    """What `for_node` says of the steps that this view makes."""

    _pool: dict[str, Candidate] = PrivateAttr()
    _clients: LoopClients = PrivateAttr(default_factory=LoopClients)

    def __init__(
        self,
        candidates: Candidates = (),
        incumbent: str | None = None,
        policy: PolicySpec | None = None,
        router: Router | None = None,
        config: RouterConfig | Mapping[str, Any] | None = None,
        **fields: Any,
    ) -> None:
        pool = read_candidates(candidates)
        if router is None:
            router, policy = _own_router(pool, incumbent, policy, config), None
        else:
            _check_shared(router, pool, incumbent, config)
        super().__init__(
            candidates={candidate.id: candidate.spec for candidate in pool.values()},
            incumbent=router.incumbent,
            policy=None if policy is None else PolicyConfig.of(policy),
            router=router,
            **fields,
        )
        self._pool = pool

    # --- what LangChain asks a model for ------------------------------------------------------------------------

    @property
    def _llm_type(self) -> str:
        return "taskrouter"

    @property
    def _identifying_params(self) -> Mapping[str, Any]:
        """What makes answers differ: LangChain's cache keys on it."""
        models = {
            candidate.id: {**candidate.given._identifying_params, **candidate.options}  # noqa: SLF001 - LangChain's key of a model
            for candidate in self._pool.values()
        }
        policy = (self.policy or self.router.policy).model_dump(mode="json", exclude_none=True)
        return {"candidates": models, "incumbent": self.incumbent, "policy": policy}

    def _get_ls_params(self, stop: list[str] | None = None, **kwargs: Any) -> LangSmithParams:
        """Name the router: the model that answered stands in `response_metadata["model_name"]`."""
        kwargs = without_own(kwargs)
        name = kwargs.pop("model", None) or self.name or "taskrouter"
        params = super()._get_ls_params(stop=stop, **kwargs)
        return {**params, "ls_provider": "taskrouter", "ls_model_name": str(name)}

    def _resolve_model_profile(self) -> ModelProfile | None:
        return shared_profile(unwrapped(spec)[0] for spec in self.candidates.values())

    def _get_invocation_params(self, stop: list[str] | None = None, **kwargs: Any) -> dict[str, Any]:
        return super()._get_invocation_params(stop=stop, **without_own(kwargs))

    def _get_llm_string(self, stop: list[str] | None = None, **kwargs: Any) -> str:
        return super()._get_llm_string(stop=stop, **without_own(kwargs))

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
        """
        said = {"node": node, **({} if task is None else {"task": task}), **declared}
        return self.model_copy(update={"declared": {**self.declared, **checked(said, "for_node")}})

    def bind_tools(
        self,
        tools: Sequence[ToolSpec],
        *,
        tool_choice: str | dict[str, Any] | bool | None = None,
        **kwargs: Any,
    ) -> Runnable[LanguageModelInput, AIMessage]:
        """Bind tools; the model that is chosen binds them in its own way.

        Args:
            tools: functions, `BaseTool`s, schemas, or a provider's own tools, with which a step stays at the
                incumbent's provider.
            tool_choice: a tool's name, `any`, or what the candidates take.
            **kwargs: further arguments for the candidates' `bind_tools`.
        """
        arguments = kwargs if tool_choice is None else {"tool_choice": tool_choice, **kwargs}
        bound = BoundTools(tools, tuple(arguments))
        return self.bind(tools=bound.shown, **arguments, **{TOOLS: bound})

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
        return super().astream(input, config, stop=stop, **_with_config(kwargs, config))

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        request = Request.of(messages, stop, kwargs)
        step, decision = self._decided(request, run_manager, kwargs)

        def call(model_id: str) -> ChatResult:
            candidate = self._pool[model_id]
            options = request.options_for(candidate, candidate.model)
            return _delegate.generate(
                candidate.model, history_for(model_id, messages), request.stop_for(candidate), options
            )

        with langchain_errors():
            outcome = self.router.run(step, call, result_view, decision=decision)
        return annotated(outcome, self.router)

    async def _agenerate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        request = Request.of(messages, stop, kwargs)
        step, decision = self._decided(request, run_manager, kwargs)

        async def call(model_id: str) -> ChatResult:
            candidate = self._pool[model_id]
            model = await self._clients.get(model_id, candidate.model)
            options = request.options_for(candidate, model)
            return await _delegate.agenerate(
                model, history_for(model_id, messages), request.stop_for(candidate), options
            )

        with langchain_errors():
            outcome = await self.router.arun(step, call, result_view, decision=decision)
        return annotated(outcome, self.router)

    def _stream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> Iterator[ChatGenerationChunk]:
        request = Request.of(messages, stop, kwargs)
        step, decision = self._decided(request, run_manager, kwargs)

        def open_stream(model_id: str) -> Iterator[Viewed]:
            candidate = self._pool[model_id]
            options = request.options_for(candidate, candidate.model)
            return viewed(
                _delegate.stream(candidate.model, history_for(model_id, messages), request.stop_for(candidate), options)
            )

        relay = Relay(self.router)
        with langchain_errors(), self.router.run_stream(step, open_stream, _seen, decision=decision) as stream:
            for chunk, _ in stream:
                for ready in relay.put(chunk):
                    yield _told(ready, run_manager)
            yield _told(relay.last(stream.outcome), run_manager)

    async def _astream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> AsyncIterator[ChatGenerationChunk]:
        request = Request.of(messages, stop, kwargs)
        step, decision = self._decided(request, run_manager, kwargs)

        async def open_stream(model_id: str) -> AsyncIterator[Viewed]:
            candidate = self._pool[model_id]
            model = await self._clients.get(model_id, candidate.model)
            options = request.options_for(candidate, model)
            return aviewed(
                _delegate.astream(model, history_for(model_id, messages), request.stop_for(candidate), options)
            )

        relay = Relay(self.router)
        with langchain_errors():
            async with self.router.arun_stream(step, open_stream, _seen, decision=decision) as stream:
                async for chunk, _ in stream:
                    for ready in relay.put(chunk):
                        yield await _atold(ready, run_manager)
                yield await _atold(relay.last(stream.outcome), run_manager)

    # --- parts --------------------------------------------------------------------------------------------------

    def _decided(self, request: Request, run_manager: Any, kwargs: Mapping[str, Any]) -> tuple[Step, Decision]:
        config = call_config(kwargs.get(CONFIG), getattr(run_manager, "metadata", None))
        step = request.step(identify(config, self.declared))
        return step, self.router.route(step, policy=self.policy, use=self._allowed(request))

    def _allowed(self, request: Request) -> list[str] | None:
        """Return the candidates that the request leaves, or None for the router's whole pool."""
        if request.pinned is not None:
            if request.pinned not in self._pool:
                known = ", ".join(self._pool)
                raise ConfigurationError(f"model={request.pinned!r} is no candidate; the candidates are {known}")
            return [request.pinned]
        if request.tools is not None and request.tools.native:
            provider = type(self._pool[self.incumbent].given)  # other classes would turn the tool into something else
            return [candidate.id for candidate in self._pool.values() if type(candidate.given) is provider]
        return None if self._pool.keys() == self.router.models.keys() else list(self._pool)


def _own_router(
    pool: Mapping[str, Candidate],
    incumbent: str | None,
    policy: PolicySpec | None,
    config: RouterConfig | Mapping[str, Any] | None,
) -> Router:
    config = config if isinstance(config, RouterConfig) else RouterConfig.load(config or {})
    return Router(cards(pool, config), incumbent, policy, config=config)


def _check_shared(router: Router, pool: Mapping[str, Candidate], incumbent: str | None, config: object) -> None:
    """Say what does not fit between a shared router and the candidates."""
    if config is not None:
        raise ConfigurationError("config and router are given together: the router has its configuration already")
    known = ", ".join(router.models)
    for name in pool:
        if name not in router.models:
            raise ConfigurationError(f"candidates: {name!r} is not in the pool of the given router, which has {known}")
    if router.incumbent not in pool:
        raise ConfigurationError(f"candidates: the incumbent of the given router, {router.incumbent!r}, is missing")
    if incumbent not in (None, router.incumbent):
        raise ConfigurationError(f"incumbent={incumbent!r}, but the given router's incumbent is {router.incumbent!r}")


def _with_config(kwargs: dict[str, Any], config: RunnableConfig | None) -> dict[str, Any]:
    return kwargs if config is None else {**kwargs, CONFIG: config}


def _seen(chunk: Viewed) -> ResponseView:
    return chunk.view


def _told(chunk: ChatGenerationChunk, run_manager: CallbackManagerForLLMRun | None) -> ChatGenerationChunk:
    """Tell the callbacks of a chunk, where LangChain leaves it to the model, and return it."""
    if run_manager is not None:
        run_manager.on_llm_new_token(chunk.text, chunk=chunk)
    return chunk


async def _atold(chunk: ChatGenerationChunk, run_manager: AsyncCallbackManagerForLLMRun | None) -> ChatGenerationChunk:
    if run_manager is not None:
        await run_manager.on_llm_new_token(chunk.text, chunk=chunk)
    return chunk
