"""A canary: the private parts of LlamaIndex, and of the SDKs beneath it, that the adapter rests on."""

from __future__ import annotations

import inspect
import re
from importlib import import_module
from typing import Any

import anthropic
import openai
import pytest
from llama_index.core import Settings
from llama_index.core.callbacks import CallbackManager
from llama_index.core.llms import LLM
from llama_index.core.llms.function_calling import FunctionCallingLLM
from llama_index.llms.anthropic import Anthropic
from llama_index.llms.openai import OpenAI, OpenAIResponses
from llama_index_instrumentation import get_dispatcher
from llama_index_instrumentation.dispatcher import active_instrument_tags
from llama_index_instrumentation.span import active_span_id
from llama_index_instrumentation.span_handlers import BaseSpanHandler

from llama_index.llms.taskrouter import RoutedLLM, _identity
from llama_index.llms.taskrouter._spans import _ID_CHARS, SPANS
from llama_index.llms.taskrouter._vendors import vendor_of

from .conftest import lite

span = get_dispatcher(__name__).span


@pytest.mark.parametrize(
    ("model", "makers"),
    [
        (OpenAI(model="gpt-4o", api_key="any"), ("_get_client", "_get_aclient")),
        (OpenAIResponses(model="gpt-4o", api_key="any"), ()),
        (Anthropic(model="claude-haiku-4-5", api_key="any"), ()),
    ],
    ids=lambda given: type(given).__name__ if isinstance(given, LLM) else "",
)
def test_integrations_keep_their_clients_where_they_are_looked_for(model: Any, makers: tuple[str, ...]) -> None:
    for name in ("_client", "_aclient"):
        assert name in type(model).__private_attributes__
    for maker in makers:
        assert callable(getattr(model, maker))
    if not makers:
        assert isinstance(model._client, openai.OpenAI | anthropic.Anthropic)
        assert isinstance(model._aclient, openai.AsyncOpenAI | anthropic.AsyncAnthropic)
    assert "max_retries" in type(model).model_fields


def test_litellm_s_integration_says_its_retries_itself() -> None:
    completion_with_retry = import_module("llama_index.llms.litellm.utils").completion_with_retry
    assert "max_retries" in inspect.signature(completion_with_retry).parameters
    assert "max_retries" in type(lite("openai/gpt-4o")).model_fields


@pytest.mark.parametrize("client", [openai.OpenAI, openai.AsyncOpenAI, anthropic.Anthropic, anthropic.AsyncAnthropic])
def test_all_calls_of_an_sdk_go_through_its_request(client: Any) -> None:
    for verb in ("get", "post", "patch", "put", "delete"):
        assert re.search(r"self\.request\(", inspect.getsource(getattr(client, verb))), verb
    assert inspect.iscoroutinefunction(client.request) == ("Async" in client.__name__)


def test_vendors_are_told_by_the_modules_of_their_integrations() -> None:
    models = {
        "openai": OpenAI(model="gpt-4o", api_key="any"),
        "openai_responses": OpenAIResponses(model="gpt-4o", api_key="any"),
        "anthropic": Anthropic(model="claude-haiku-4-5", api_key="any"),
        "litellm": lite("openai/gpt-4o"),
    }
    assert {name: vendor_of(model) for name, model in models.items()} == {name: name for name in models}


def test_the_step_of_an_agent_is_told_by_a_variable() -> None:
    module = import_module("workflows.runtime.types.step_function")
    assert _identity._RUNNING_STEP is module.StepWorkerStateContextVar
    assert _identity._RUNNING_STEP.get(None) is None


def test_agents_events_say_whose_they_are() -> None:
    from llama_index.core.agent.workflow.workflow_events import AgentInput

    assert "current_agent_name" in AgentInput.model_fields


def test_the_id_of_a_span_is_a_name_and_a_uuid() -> None:
    seen: list[str | None] = []

    class Component:
        @span
        def work(self) -> None:
            seen.append(active_span_id.get())

    Component().work()
    (found,) = seen
    assert found is not None
    assert re.fullmatch(r"Component\.work-[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", found)
    assert found[:-_ID_CHARS] == "Component.work"
    assert active_span_id.get() is None


def test_span_handlers_are_told_as_ours_expects() -> None:
    assert SPANS in get_dispatcher().span_handlers
    for name in ("span_enter", "span_exit", "span_drop"):
        theirs, ours = (inspect.signature(getattr(cls, name)).parameters for cls in (BaseSpanHandler, type(SPANS)))
        assert list(ours) == list(theirs)


def test_tags_of_the_user_are_public() -> None:
    assert active_instrument_tags.get() == {}


def test_every_way_of_calling_is_our_own() -> None:
    for way in ("chat", "complete", "chat_with_tools", "structured_predict"):
        for name in (way, f"a{way}", f"stream_{way}", f"astream_{way}"):
            assert name in vars(RoutedLLM)
            theirs = inspect.signature(getattr(FunctionCallingLLM, name)).parameters
            ours = inspect.signature(getattr(RoutedLLM, name)).parameters
            assert set(theirs) - {"args", "kwargs"} <= set(ours), name


def test_a_manager_is_made_of_what_ours_is() -> None:
    assert set(vars(CallbackManager([]))) == {"handlers", "_trace_map"}
    assert hasattr(Settings, "_callback_manager")
    before = Settings._callback_manager
    Settings.callback_manager = CallbackManager([])
    try:
        assert CallbackManager().handlers is Settings._callback_manager.handlers  # type: ignore[union-attr] # just set
    finally:
        Settings._callback_manager = before
