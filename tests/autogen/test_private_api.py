"""What of AutoGen's inside we rest on. When one of these fails, look at the module that is named there."""

from __future__ import annotations

import inspect

from autogen_core._message_handler_context import MessageHandlerContext
from autogen_core.models import ChatCompletionClient
from autogen_ext.models.anthropic import BaseAnthropicChatCompletionClient
from autogen_ext.models.cache import ChatCompletionCache
from autogen_ext.models.openai import BaseOpenAIChatCompletionClient
from tests.autogen.models import OPENAI, openai_at

from autogen_taskrouter._clients import holder, private_copy, sdk_client


def test_clients_hold_their_sdks_client_where_we_look_for_it() -> None:
    """See `_clients.py`."""
    client = openai_at("http://127.0.0.1:9/v1")
    assert {"_client", "_create_args", "_resolved_model"} <= set(vars(client))
    assert client._create_args["model"] == OPENAI
    assert sdk_client(client) is client._client
    cache = ChatCompletionCache(client)
    assert holder(cache) is client
    assert private_copy(cache) is not cache


def test_classes_are_called_what_we_know_them_by() -> None:
    """See `_candidates.py`."""
    assert BaseOpenAIChatCompletionClient.__name__ == "BaseOpenAIChatCompletionClient"
    assert BaseAnthropicChatCompletionClient.__name__ == "BaseAnthropicChatCompletionClient"


def test_the_runtime_says_whose_handler_runs() -> None:
    """See `_identity.py`."""
    assert callable(MessageHandlerContext.agent_id)


def test_calls_take_what_we_pass() -> None:
    """See `_request.py`."""
    known = {"tools", "tool_choice", "json_output", "extra_create_args", "cancellation_token"}
    for way in (ChatCompletionClient.create, ChatCompletionClient.create_stream):
        assert known <= set(inspect.signature(way).parameters)
