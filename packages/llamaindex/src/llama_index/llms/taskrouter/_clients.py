"""Copies of the user's models with clients as routing needs them: without retries, and one set per event loop.

The SDK clients of OpenAI's and Anthropic's kind are rebuilt, known by the names under which LlamaIndex's integrations
hold them; of other models the copy has the field `max_retries` at 0, which is what they read when they make a call.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from inspect import iscoroutinefunction
from typing import Any
from weakref import finalize

from llama_index.core.llms import LLM

from llama_index.llms.taskrouter._vendors import vendor_of
from taskrouter.adapters import LoopClients, fresh, has_usual_connections, is_sdk_client, without_retries

_MAKERS = {"_client": "_get_client", "_aclient": "_get_aclient"}
"""Where integrations hold their SDK's clients -> what makes the client when it is first used."""


def private_copy(model: LLM, timeout_s: float, settings: Mapping[str, Any]) -> LLM:
    """Return a copy that does not retry and counts tokens while streaming; the user's instance stays as it is.

    The router retries, and two layers of retries multiply: OpenAI's integration made twelve requests in twelve seconds
    before it gave up. A synchronous call cannot be interrupted from outside, so a client without a limit of its own is
    given the router's patience.

    Args:
        model: the user's own.
        timeout_s: the router's patience.
        settings: fields to set, where the model has them.
    """
    fields = type(model).model_fields
    update: dict[str, Any] = {name: value for name, value in settings.items() if name in fields}
    patience = "timeout" in fields and getattr(model, "timeout", None) is None
    if patience:
        update["timeout"] = timeout_s
    if "max_retries" in fields:
        update["max_retries"] = 0
    if "reuse_client" in fields:  # its clients per call would retry, and nobody would close their streams
        update["reuse_client"] = True
    if (more := _request_settings(model)) is not None:
        update["additional_kwargs"] = more
    if model.system_prompt:  # the routed LLM's own is put before every conversation, and this one would be said twice
        update["system_prompt"] = None
    copy = model.model_copy(update=update)
    for name, maker in _MAKERS.items():
        client = getattr(model, name, None)
        if client is None and callable(make := getattr(copy, maker, None)):
            with suppress(Exception):  # without a key there is no client: the call itself will say so
                client = make()
        if is_sdk_client(client):
            setattr(copy, name, _quiet(client, timeout_s if patience else None))
    return copy


def _quiet(client: Any, timeout_s: float | None) -> Any:
    """Return an SDK's client without retries; a synchronous one with connections that end with it."""
    if iscoroutinefunction(type(client).request) or not has_usual_connections(client):
        return without_retries(client, timeout_s)
    private = fresh(client, max_retries=0, **({} if timeout_s is None else {"timeout": timeout_s}))
    # Before the garbage collector finds the sockets: it warns of those that are open.
    finalize(private, private._client.close)  # noqa: SLF001 - where `fresh` puts them
    return private


def _request_settings(model: LLM) -> dict[str, Any] | None:
    """Return what a model's requests carry beside the usual; None: as the user has it."""
    given = getattr(model, "additional_kwargs", None)
    if not isinstance(given, dict):
        return None
    vendor = vendor_of(model)
    if vendor in ("openai", "openai_like", "azure_openai"):  # streams would have no usage
        return {"stream_options": {"include_usage": True}, **given}
    if vendor == "litellm":  # it retries beneath the integration, too, which says `max_retries` already
        return {**given, "num_retries": 0}
    return None


def loop_clients() -> LoopClients[LLM]:
    """Return the models for asynchronous calls, each with a client of the running event loop."""
    return LoopClients(_async_client, _with_client)


def _async_client(model: LLM) -> Any | None:
    client = getattr(model, "_aclient", None)
    return client if is_sdk_client(client) and has_usual_connections(client) else None


def _with_client(model: LLM, client: Any) -> LLM:
    copy = model.model_copy()
    copy._aclient = client  # type: ignore[attr-defined] # noqa: SLF001 - where it was found
    return copy
