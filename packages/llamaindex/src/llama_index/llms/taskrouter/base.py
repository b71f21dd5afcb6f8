"""`RoutedLLM`: a LlamaIndex LLM that sends each call to the right one of several."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Generator, Mapping, Sequence
from typing import Any, Literal, Self

from llama_index.core.base.llms.types import (
    ChatMessage,
    ChatResponse,
    ChatResponseAsyncGen,
    ChatResponseGen,
    CompletionResponse,
    CompletionResponseAsyncGen,
    CompletionResponseGen,
    LLMMetadata,
    MessageRole,
)
from llama_index.core.bridge.pydantic import Field, PrivateAttr, model_serializer
from llama_index.core.constants import DEFAULT_CONTEXT_WINDOW
from llama_index.core.llms.function_calling import FunctionCallingLLM
from llama_index.core.llms.llm import ToolSelection
from llama_index.core.prompts import PromptTemplate
from llama_index.core.tools import BaseTool
from llama_index.core.types import Model

from llama_index.llms.taskrouter import _spec
from llama_index.llms.taskrouter._calling import Asking, Calls, Predicting
from llama_index.llms.taskrouter._candidates import Candidate, candidates_of, facts_of, shared_prompt
from llama_index.llms.taskrouter._core_llm import selections
from llama_index.llms.taskrouter._messages import conversation
from llama_index.llms.taskrouter._request import Request
from taskrouter import ConfigurationError, Router
from taskrouter.adapters import Arguments, Candidates, check_arguments, checked, narrowed, parts_of
from taskrouter.adapters.construction import ConfigSpec
from taskrouter.policies import PolicySpec

Window = Literal["min", "max"] | int
_LLM_FIELDS = (
    "callback_manager", "rate_limiter", "system_prompt", "messages_to_prompt", "completion_to_prompt", "output_parser",
    "pydantic_program_mode", "query_wrapper_prompt",
)  # fmt: skip
_SHARED = "shared_router"
_OWN_FIELDS = ("window", "credit", "temperature", "max_tokens", "declared")


class RoutedLLM(FunctionCallingLLM):
    """Sends each call to the candidate that is good enough, cheapest and fast enough.

    Use it wherever an LLM goes: `Settings.llm`, a query engine, an agent, a program.

    Args:
        candidates: the models to choose from, by id; or a list, whose ids are the models' names. A candidate is a
            LlamaIndex LLM, a LiteLLM model string or a table as in `[[models]]`.
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

    window: Window = "min"
    """What `metadata.context_window` says, in tokens. LlamaIndex fills prompts up to it before any model is chosen.
    `min`: what all candidates take; `max`: what one of them takes, and longer steps go to those that can; or a number.
    """
    temperature: float | None = None
    """For every candidate, in place of its own; the next likewise."""
    max_tokens: int | None = None
    credit: bool = True
    """Whether components of LlamaIndex that raise count against the step that led to it."""

    _calls: Calls = PrivateAttr()
    _made_with: dict[str, Any] | None = PrivateAttr(None)
    _facts: LLMMetadata = PrivateAttr()

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
        check_arguments("RoutedLLM", fields, (*_LLM_FIELDS, *_OWN_FIELDS))
        checked(fields.get("declared") or {}, "declared")
        settings = {name: fields[name] for name in ("temperature", "max_tokens") if fields.get(name) is not None}
        made = parts_of(
            Arguments(candidates, incumbent, policy, router, config, timeout, max_retries),
            lambda given, timeout_s: candidates_of(given, timeout_s, settings),
            facts_of,
        )
        if "system_prompt" not in fields:
            fields["system_prompt"] = shared_prompt(made.pool)
        super().__init__(
            candidates={candidate.id: candidate.spec for candidate in made.pool.values()},
            incumbent=made.router.incumbent,
            policy=made.policy,
            router=made.router,
            **fields,
        )
        self._calls = Calls(made.router, made.pool)
        self._made_with = made.recipe
        self._facts = _metadata(made.router, made.pool, self.window, self.max_tokens)

    @classmethod
    def class_name(cls) -> str:
        """Return the name by which LlamaIndex knows the class."""
        return "RoutedLLM"

    @property
    def metadata(self) -> LLMMetadata:
        """What holds whichever candidate answers. LlamaIndex reads it before one is chosen."""
        return self._facts

    def for_node(self, node: str, *, task: str | None = None, **declared: Any) -> RoutedLLM:
        """Return the same LLM as one part of the application uses it.

        Args:
            node: the part's name.
            task: the task type of its steps, if it is known.
            **declared: `agent`, `tenant`, `tags`, `run_id` or `session_id`.

        Raises:
            ConfigurationError: a key or the task type is unknown, or the tags are no collection of strings.
        """
        said = {"node": node, "task": task, **declared}
        return self.model_copy(update={"declared": narrowed(self.declared, said, "for_node")})

    # --- chat ---------------------------------------------------------------------------------------------------------

    def chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponse:
        """Answer. `taskrouter={...}` among the arguments declares the step, `model=` names a candidate.

        Raises:
            RoutingError: no candidate can take the step; nothing was sent.
            ExecutionError: no candidate answered.
        """
        response: ChatResponse = self._asking(Request.of("chat", messages, kwargs)).whole()
        return response

    async def achat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponse:
        """Answer; see `chat`."""
        response: ChatResponse = await self._asking(Request.of("chat", messages, kwargs)).awhole()
        return response

    def stream_chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponseGen:
        """Stream the answer; see `chat`. No chunk is handed on before the first meaningful one, and none twice."""
        return self._asking(Request.of("chat", messages, kwargs)).stream()

    async def astream_chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponseAsyncGen:
        """Stream the answer; see `stream_chat`."""
        return self._asking(Request.of("chat", messages, kwargs)).astream()

    # --- chat with tools ----------------------------------------------------------------------------------------------
    # Each candidate prepares tools in its own way, so whole calls are delegated.

    def chat_with_tools(
        self,
        tools: Sequence[BaseTool],
        user_msg: str | ChatMessage | None = None,
        chat_history: list[ChatMessage] | None = None,
        verbose: bool = False,
        allow_parallel_tool_calls: bool = False,
        tool_required: bool = False,
        **kwargs: Any,
    ) -> ChatResponse:
        """Answer, or call tools; further arguments are those of `FunctionCallingLLM`, and of `chat`."""
        request = _with_tools(tools, user_msg, chat_history, verbose, allow_parallel_tool_calls, tool_required, kwargs)
        response: ChatResponse = self._asking(request).whole()
        return response

    async def achat_with_tools(
        self,
        tools: Sequence[BaseTool],
        user_msg: str | ChatMessage | None = None,
        chat_history: list[ChatMessage] | None = None,
        verbose: bool = False,
        allow_parallel_tool_calls: bool = False,
        tool_required: bool = False,
        **kwargs: Any,
    ) -> ChatResponse:
        """Answer, or call tools; see `chat_with_tools`."""
        request = _with_tools(tools, user_msg, chat_history, verbose, allow_parallel_tool_calls, tool_required, kwargs)
        response: ChatResponse = await self._asking(request).awhole()
        return response

    def stream_chat_with_tools(
        self,
        tools: Sequence[BaseTool],
        user_msg: str | ChatMessage | None = None,
        chat_history: list[ChatMessage] | None = None,
        verbose: bool = False,
        allow_parallel_tool_calls: bool = False,
        tool_required: bool = False,
        **kwargs: Any,
    ) -> ChatResponseGen:
        """Stream an answer, or calls of tools; see `chat_with_tools`."""
        request = _with_tools(tools, user_msg, chat_history, verbose, allow_parallel_tool_calls, tool_required, kwargs)
        return self._asking(request).stream()

    async def astream_chat_with_tools(
        self,
        tools: Sequence[BaseTool],
        user_msg: str | ChatMessage | None = None,
        chat_history: list[ChatMessage] | None = None,
        verbose: bool = False,
        allow_parallel_tool_calls: bool = False,
        tool_required: bool = False,
        **kwargs: Any,
    ) -> ChatResponseAsyncGen:
        """Stream an answer, or calls of tools; see `chat_with_tools`."""
        request = _with_tools(tools, user_msg, chat_history, verbose, allow_parallel_tool_calls, tool_required, kwargs)
        return self._asking(request).astream()

    def get_tool_calls_from_response(
        self, response: ChatResponse, error_on_no_tool_call: bool = True, **kwargs: Any
    ) -> list[ToolSelection]:
        """Return the tool calls of an answer, as the candidate reads them that gave it."""
        model = self._calls.answerer(response)
        if model is None:
            return selections(response, error_on_no_tool_call=error_on_no_tool_call)
        return model.get_tool_calls_from_response(response, error_on_no_tool_call=error_on_no_tool_call, **kwargs)

    def _prepare_chat_with_tools(
        self,
        tools: Sequence[BaseTool],
        user_msg: str | ChatMessage | None = None,
        chat_history: list[ChatMessage] | None = None,
        verbose: bool = False,
        allow_parallel_tool_calls: bool = False,
        tool_required: bool = False,
        **kwargs: Any,
    ) -> dict[str, Any]:
        """Return the arguments for `chat` in OpenAI's form: for callers that prepare themselves."""
        prepared = {"messages": conversation(user_msg, chat_history), **kwargs}
        if tools:
            prepared["tools"] = self._calls.shapes.of(tools)
            if tool_required:
                prepared["tool_choice"] = "required"
        return prepared

    # --- completion ---------------------------------------------------------------------------------------------------

    def complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponse:
        """Complete a prompt, by the candidate's own `complete`; see `chat`."""
        response: CompletionResponse = self._asking(_completion(prompt, formatted, kwargs)).whole()
        return response

    async def acomplete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponse:
        """Complete a prompt; see `complete`."""
        response: CompletionResponse = await self._asking(_completion(prompt, formatted, kwargs)).awhole()
        return response

    def stream_complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponseGen:
        """Stream a completion; see `complete` and `stream_chat`."""
        return self._asking(_completion(prompt, formatted, kwargs)).stream()

    async def astream_complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponseAsyncGen:
        """Stream a completion; see `stream_complete`."""
        return self._asking(_completion(prompt, formatted, kwargs)).astream()

    # --- structured prediction ----------------------------------------------------------------------------------------

    def structured_predict(
        self,
        output_cls: type[Model],
        prompt: PromptTemplate,
        llm_kwargs: dict[str, Any] | None = None,
        **prompt_args: Any,
    ) -> Model:
        """Return an object of a class; each candidate is asked for it in its own way.

        An answer that makes no such object is a failed attempt, and the next candidate is asked.
        """
        value: Model = self._predicting(output_cls, prompt, llm_kwargs, prompt_args).whole()
        return value

    async def astructured_predict(
        self,
        output_cls: type[Model],
        prompt: PromptTemplate,
        llm_kwargs: dict[str, Any] | None = None,
        **prompt_args: Any,
    ) -> Model:
        """Return an object of a class; see `structured_predict`."""
        value: Model = await self._predicting(output_cls, prompt, llm_kwargs, prompt_args).awhole()
        return value

    def stream_structured_predict(
        self,
        output_cls: type[Model],
        prompt: PromptTemplate,
        llm_kwargs: dict[str, Any] | None = None,
        **prompt_args: Any,
    ) -> Generator[Any, None, None]:
        """Stream an object of a class as it grows; see `structured_predict`."""
        return self._predicting(output_cls, prompt, llm_kwargs, prompt_args).stream()

    async def astream_structured_predict(
        self,
        output_cls: type[Model],
        prompt: PromptTemplate,
        llm_kwargs: dict[str, Any] | None = None,
        **prompt_args: Any,
    ) -> AsyncGenerator[Any, None]:
        """Stream an object of a class as it grows; see `structured_predict`."""
        return self._predicting(output_cls, prompt, llm_kwargs, prompt_args).astream()

    # --- parts --------------------------------------------------------------------------------------------------------

    def _asking(self, request: Request) -> Asking:
        return Asking(self, self._calls, request)

    def _predicting(
        self,
        output_cls: type[Model],
        prompt: PromptTemplate,
        llm_kwargs: dict[str, Any] | None,
        prompt_args: Mapping[str, Any],
    ) -> Predicting:
        messages = self._extend_messages(prompt.format_messages(llm=self, **prompt_args))
        return Predicting(self, self._calls, output_cls, Request.of("chat", messages, llm_kwargs or {}))

    # --- copies -------------------------------------------------------------------------------------------------------

    @model_serializer(mode="wrap")
    def custom_model_dump(self, handler: Any, info: Any) -> dict[str, Any]:
        """Return what the LLM is made of, in plain values and without secrets.

        A key that also stands in an environment variable is referred to by that name; others are left out. A shared
        router is not in it: `from_dict` wants one again.
        """
        own = {name: getattr(self, name) for name in _OWN_FIELDS if name in self.model_fields_set}
        recipe = self._made_with or {"policy": self.policy, "config": None}
        config = recipe["config"]
        return {
            "class_name": self.class_name(),
            "candidates": {name: _spec.plain_spec(spec) for name, spec in self.candidates.items()},
            "incumbent": self.incumbent,
            "policy": _spec.plain_policy(recipe["policy"]),
            **({_SHARED: True} if config is None else {"config": _spec.plain_config(config)}),
            "system_prompt": self.system_prompt,
            **own,
        }

    @classmethod
    def from_dict(cls, data: dict[str, Any], **kwargs: Any) -> Self:
        """Make an LLM of what `to_dict` returned; further arguments come first, such as the `router` to share.

        Raises:
            ConfigurationError: a class cannot be found, or a variable is not set; the message names it.
        """
        given = {**data, **kwargs}
        given.pop("class_name", None)
        if given.pop(_SHARED, False) and given.get("router") is None:
            raise ConfigurationError("the RoutedLLM had a shared router: give `router=` to from_dict, too")
        specs = given.pop("candidates", None) or {}
        candidates = {name: _spec.read_spec(spec, f"candidates[{name!r}]") for name, spec in specs.items()}
        return cls(candidates, **given)

    def __reduce__(self) -> tuple[Callable[..., RoutedLLM], tuple[Any, ...]]:
        """Pickle what it was made of. The router is made anew: what it has learned and what is spent stay behind."""
        if self._made_with is None:
            raise TypeError(
                "pickle: a RoutedLLM with a shared router stands on what only this process has: write down the "
                "candidates, and make the LLM anew with the router of the process they come to"
            )
        fields = {
            name: getattr(self, name) for name in (*_OWN_FIELDS, "system_prompt") if name in self.model_fields_set
        }
        specs = {name: _spec.plain_spec(spec, secrets=True) for name, spec in self.candidates.items()}
        return _unpickled, (type(self), specs, {**self._made_with, **fields})

    def __deepcopy__(self, memo: dict[int, Any] | None = None) -> Self:
        """Return a copy with the same candidates and the same router: budgets and breakers are not to be forked."""
        return self.model_copy()


def _unpickled(cls: type[RoutedLLM], specs: Mapping[str, Any], arguments: Mapping[str, Any]) -> RoutedLLM:
    candidates = {name: _spec.read_spec(spec, f"candidates[{name!r}]") for name, spec in specs.items()}
    return cls(candidates, **arguments)


def _with_tools(
    tools: Sequence[BaseTool],
    user_msg: str | ChatMessage | None,
    chat_history: Sequence[ChatMessage] | None,
    verbose: bool,
    allow_parallel_tool_calls: bool,
    tool_required: bool,
    kwargs: Mapping[str, Any],
) -> Request:
    messages = conversation(user_msg, chat_history)
    if not tools:  # an agent without any: OpenAI's integration would send a null for them
        return Request.of("chat", messages, {name: said for name, said in kwargs.items() if name != "tool_choice"})
    options = {
        "verbose": verbose,
        "allow_parallel_tool_calls": allow_parallel_tool_calls,
        "tool_required": tool_required,
        **kwargs,
    }
    return Request.of("chat_with_tools", messages, options, tools=tools)


def _completion(prompt: str, formatted: bool, kwargs: Mapping[str, Any]) -> Request:
    if not isinstance(prompt, str):
        raise ConfigurationError(f"complete: the prompt is a {type(prompt).__name__}; it must be text")
    asked = [ChatMessage(prompt, role=MessageRole.USER)]
    return Request.of("complete", asked, {"formatted": formatted, **kwargs}, prompt=prompt)


def _metadata(router: Router, pool: Mapping[str, Candidate], window: Window, max_tokens: int | None) -> LLMMetadata:
    """Return what holds whichever candidate answers."""
    cards = [router.models[name] for name in pool]
    known = [card.context_tokens for card in cards if card.context_tokens]
    if isinstance(window, int):
        tokens = window
    else:
        tokens = (min if window == "min" else max)(known, default=DEFAULT_CONTEXT_WINDOW)
    outputs = [c.metadata.num_output for c in pool.values() if c.metadata is not None and c.metadata.num_output > 0]
    return LLMMetadata(
        context_window=tokens,
        num_output=max_tokens or max(outputs, default=-1),
        is_chat_model=True,
        is_function_calling_model=any(card.capabilities.tools for card in cards),
        model_name="taskrouter",
    )
