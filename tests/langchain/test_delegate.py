"""A canary: the private methods of langchain-core that `_delegate` and `RoutedChatModel` rest on."""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from langchain_core.caches import InMemoryCache
from langchain_core.globals import set_llm_cache
from langchain_core.language_models import BaseChatModel
from langchain_core.language_models.fake_chat_models import FakeListChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage, HumanMessage
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from langchain_core.rate_limiters import BaseRateLimiter

from langchain_taskrouter import _delegate
from langchain_taskrouter.chat_model import RoutedChatModel

from .conftest import QUESTION, ModelOf, Routed

SIGNATURES = {
    "_generate_with_cache": ["self", "messages", "stop", "run_manager", "kwargs"],
    "_agenerate_with_cache": ["self", "messages", "stop", "run_manager", "kwargs"],
    "_stream": ["self", "messages", "stop", "run_manager", "kwargs"],
    "_astream": ["self", "messages", "stop", "run_manager", "kwargs"],
    "_should_stream": ["self", "async_api", "run_manager", "kwargs"],
    "_get_ls_params": ["self", "stop", "kwargs"],
    "_get_llm_string": ["self", "stop", "kwargs"],
    "_get_invocation_params": ["self", "stop", "kwargs"],
    "_convert_cached_generations": ["self", "cache_val"],
    "_resolve_model_profile": ["self"],
}


@pytest.mark.parametrize("name", SIGNATURES)
def test_langchain_core_has_what_we_call(name: str) -> None:
    assert list(inspect.signature(getattr(BaseChatModel, name)).parameters) == SIGNATURES[name]


def test_a_model_still_describes_itself_for_the_cache() -> None:
    assert isinstance(BaseChatModel._identifying_params, property)


def test_all_four_ways_are_native() -> None:
    for name in ("_generate", "_agenerate", "_stream", "_astream"):
        assert name in vars(RoutedChatModel)


async def test_a_model_without_a_stream_of_its_own_is_called_whole() -> None:
    model = FakeListChatModel(responses=["said"], disable_streaming=True)
    asked: list[BaseMessage] = [HumanMessage("?")]
    (chunk,) = _delegate.stream(model, asked, None, {})
    (achunk,) = [chunk async for chunk in _delegate.astream(model, asked, None, {})]
    assert chunk.text == achunk.text == "said"


def test_a_whole_answer_keeps_its_tool_calls_as_a_chunk() -> None:
    class Caller(FakeListChatModel):
        def _generate(self, messages, stop=None, run_manager=None, **kwargs):
            message = AIMessage(
                "",
                tool_calls=[{"name": "a", "args": {"x": 1}, "id": "1"}],
                invalid_tool_calls=[{"name": "b", "args": "{", "id": "2", "error": None}],
            )
            return ChatResult(generations=[ChatGeneration(message=message)])

    (chunk,) = _delegate.stream(Caller(responses=[], disable_streaming=True), [HumanMessage("?")], None, {})
    calls = chunk.message.tool_call_chunks  # type: ignore[attr-defined] # an AIMessageChunk
    assert [(call["name"], call["args"], call["index"]) for call in calls] == [("a", '{"x": 1}', 0), ("b", "{", 1)]


async def test_the_short_way_says_of_an_answer_what_langchain_s_own_says(model_of: ModelOf, routed: Routed) -> None:
    own, router = model_of("first").invoke(QUESTION), routed()
    for ours in (router.invoke(QUESTION), await router.ainvoke(QUESTION)):
        assert ours.response_metadata.keys() - {"taskrouter"} == own.response_metadata.keys()
        assert ours.usage_metadata == own.usage_metadata


class Own(FakeListChatModel):
    """A model with its own way around `_generate`."""

    def _generate_with_cache(self, *args: Any, **kwargs: Any) -> ChatResult:
        return ChatResult(generations=[ChatGeneration(message=AIMessage("its own"))])

    async def _agenerate_with_cache(self, *args: Any, **kwargs: Any) -> ChatResult:
        return self._generate_with_cache(*args, **kwargs)


class Managed(FakeListChatModel):
    """A model that must be given a run manager, be it None."""

    def _generate(self, messages: Any, stop: Any, run_manager: Any, **kwargs: Any) -> ChatResult:  # type: ignore[override]
        return ChatResult(generations=[ChatGeneration(message=AIMessage(f"under {run_manager}"))])


class Streaming(FakeListChatModel):
    """A model that streams also when it is asked for a whole answer."""

    streaming: bool = True

    def _stream(self, *args: Any, **kwargs: Any) -> Iterator[ChatGenerationChunk]:
        yield ChatGenerationChunk(message=AIMessageChunk(content="in pieces"))

    async def _astream(self, *args: Any, **kwargs: Any) -> AsyncIterator[ChatGenerationChunk]:
        for chunk in self._stream(*args, **kwargs):
            yield chunk


@pytest.mark.parametrize(
    ("model", "said"),
    [
        (Own(responses=["short"]), "its own"),
        (Managed(responses=["short"]), "under None"),
        (Streaming(responses=["short"], streaming=True), "in pieces"),
        (FakeListChatModel(responses=["short"]), "short"),
    ],
    ids=lambda given: type(given).__name__ if isinstance(given, FakeListChatModel) else "",
)
async def test_a_model_for_which_the_short_way_would_be_wrong_is_called_in_full(
    model: FakeListChatModel, said: str
) -> None:
    asked: list[BaseMessage] = [HumanMessage("?")]
    assert _delegate.generate(model, asked, None, {}).generations[0].text == said
    assert (await _delegate.agenerate(model, asked, None, {})).generations[0].text == said


async def test_a_cache_for_all_models_is_asked_too() -> None:
    model, asked = FakeListChatModel(responses=["first", "second", "third"]), [HumanMessage("?")]
    set_llm_cache(InMemoryCache())
    try:
        said = [_delegate.generate(model, [*asked], None, {}).generations[0].text for _ in range(2)]
        said.append((await _delegate.agenerate(model, [*asked], None, {})).generations[0].text)
    finally:
        set_llm_cache(None)
    assert said == ["first"] * 3


async def test_a_rate_limiter_is_waited_for_whole_and_streamed() -> None:
    class Limiter(BaseRateLimiter):
        asked = 0

        def acquire(self, *, blocking: bool = True) -> bool:
            self.asked += 1
            return True

        async def aacquire(self, *, blocking: bool = True) -> bool:
            return self.acquire(blocking=blocking)

    limiter = Limiter()
    model, asked = FakeListChatModel(responses=["said"], rate_limiter=limiter), [HumanMessage("?")]
    _delegate.generate(model, [*asked], None, {})
    await _delegate.agenerate(model, [*asked], None, {})
    assert "".join(chunk.text for chunk in _delegate.stream(model, [*asked], None, {})) == "said"
    assert "".join([chunk.text async for chunk in _delegate.astream(model, [*asked], None, {})]) == "said"
    assert limiter.asked == 4
