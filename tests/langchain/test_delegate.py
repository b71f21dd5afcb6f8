"""A canary: the private methods of langchain-core that `_delegate` and `RoutedChatModel` rest on."""

from __future__ import annotations

import inspect

import pytest
from langchain_core.language_models import BaseChatModel
from langchain_core.language_models.fake_chat_models import FakeListChatModel
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage

from langchain_taskrouter import _delegate
from langchain_taskrouter.chat_model import RoutedChatModel

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
            from langchain_core.outputs import ChatGeneration, ChatResult

            message = AIMessage(
                "",
                tool_calls=[{"name": "a", "args": {"x": 1}, "id": "1"}],
                invalid_tool_calls=[{"name": "b", "args": "{", "id": "2", "error": None}],
            )
            return ChatResult(generations=[ChatGeneration(message=message)])

    (chunk,) = _delegate.stream(Caller(responses=[], disable_streaming=True), [HumanMessage("?")], None, {})
    calls = chunk.message.tool_call_chunks  # type: ignore[attr-defined] # an AIMessageChunk
    assert [(call["name"], call["args"], call["index"]) for call in calls] == [("a", '{"x": 1}', 0), ("b", "{", 1)]
