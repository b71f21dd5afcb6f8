"""What a routed LLM is made of, as plain values: for `to_dict` and `from_dict` without secrets, and for pickling.

LlamaIndex's own way would print candidates' keys, and could not make candidates again: their type is an abstract class.
"""

from __future__ import annotations

import inspect
import os
import re
import sys
from collections.abc import Mapping
from importlib import import_module
from typing import Any

from llama_index.core.llms import LLM

from taskrouter import ConfigurationError, ModelCard, RouterConfig
from taskrouter.config import PolicyConfig

_SECRET = re.compile(
    r"(^|_)(api)?(keys?|token|secrets?|password|passphrase|credentials?|auth|authorization|bearer|headers|cookies?)($|_)",
    re.IGNORECASE,
)
_NO_SECRET = re.compile(r"(^|_)(max|num|min)_\w*token|key_path$|prompt_cache_key$", re.IGNORECASE)
_WORDS = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|[^A-Za-z0-9]+")
_SECRET_VALUE = re.compile(r"(Bearer|Basic) |sk-")
_USER_IN_URL = re.compile(r"(?<=://)[^/@\s]*@")
_OWN_NAMESPACE = "llama_index.llms."
_CLIENTS = ("_client", "_aclient")


def spec_of(llm: LLM, *, secrets: bool = False) -> dict[str, Any]:
    """Return the class of an LLM and the arguments to make it again.

    Args:
        llm: a native candidate.
        secrets: whether its keys are to be in it. If not, one that also stands in an environment variable is
            referred to by its name, and any other is left out: then the class looks where it always does.

    Raises:
        ConfigurationError: it is of a class that no other process can find.
    """
    cls = type(llm)
    if "<locals>" in cls.__qualname__ or cls.__module__ == "__main__":
        raise ConfigurationError(
            f"a candidate is of the class {cls.__qualname__}, which no other process can import: move it into a module"
        )
    taken = inspect.signature(cls.__init__).parameters
    open_ended = any(p.kind is inspect.Parameter.VAR_KEYWORD for p in taken.values())
    fields = {name: value for name, value in _fields(llm).items() if name in taken or open_ended}
    for name in taken.keys() - fields.keys():
        if (found := _of_client(llm, name)) is not None:
            fields[name] = found
    arguments = (
        fields if secrets else {name: kept for name, v in fields.items() if (kept := _open(name, v)) is not None}
    )
    return {"class": f"{cls.__module__}.{cls.__qualname__}", "arguments": arguments}


def made(spec: Mapping[str, Any], where: str) -> LLM:
    """Make an LLM again.

    Raises:
        ConfigurationError: the class cannot be found or is none of an LLM, or a variable is not set.
    """
    path = str(spec.get("class"))
    module, _, name = path.rpartition(".")
    if not (module.startswith(_OWN_NAMESPACE) or module in sys.modules):
        raise ConfigurationError(
            f"{where}: the class {path!r} is outside of {_OWN_NAMESPACE}*: import its module first, if you trust it"
        )
    try:
        cls = getattr(import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise ConfigurationError(f"{where}: there is no class {path!r} here: install its package") from error
    if not (isinstance(cls, type) and issubclass(cls, LLM)):
        raise ConfigurationError(f"{where}: {path!r} is no LLM")
    arguments = {name: _closed(value, f"{where}.{name}") for name, value in dict(spec.get("arguments") or {}).items()}
    llm: LLM = cls(**arguments)
    return llm


def plain_spec(spec: Any, *, secrets: bool = False) -> Any:
    """Return what a user gave as a candidate in plain values."""
    if isinstance(spec, LLM):
        return spec_of(spec, secrets=secrets)
    if isinstance(spec, ModelCard):
        return spec.model_dump(mode="json", exclude_unset=True)
    return dict(spec) if isinstance(spec, Mapping) else spec


def read_spec(spec: Any, where: str) -> Any:
    """Return a candidate that `plain_spec` has put into plain values."""
    return made(spec, where) if isinstance(spec, Mapping) and "class" in spec else spec


def plain_config(config: RouterConfig) -> dict[str, Any]:
    """Return a configuration in plain values; it holds no secrets, only names of environment variables."""
    return config.model_dump(mode="json", exclude_unset=True, exclude_none=True)


def plain_policy(policy: Any) -> Any:
    """Return a policy in plain values."""
    return policy.model_dump(mode="json", exclude_unset=True) if isinstance(policy, PolicyConfig) else policy


def _fields(llm: LLM) -> dict[str, Any]:
    """Return the fields that differ from what the class takes when nothing is said."""
    kept = {}
    for name, field in type(llm).model_fields.items():
        value = getattr(llm, name, None)
        if name in ("callback_manager", "rate_limiter", "messages_to_prompt", "completion_to_prompt") or value is None:
            continue
        if value != field.get_default(call_default_factory=True):
            kept[name] = value
    return kept


def _of_client(llm: LLM, name: str) -> Any:
    """Return an argument that a class only hands on to its SDK's client, such as Anthropic's key."""
    if not _is_secret(name) or name.endswith("headers"):
        return None
    clients = (getattr(llm, place, None) for place in _CLIENTS)
    return next((value for client in clients if isinstance(value := getattr(client, name, None), str)), None)


def _is_secret(name: str) -> bool:
    words = _WORDS.sub("_", name)  # also of `X-Api-Key` and `accessToken`
    return bool(_SECRET.search(words)) and not _NO_SECRET.search(words)


def _open(name: str, value: Any, *, within: bool = False) -> Any:
    """Return a value without its secrets; None: it is one.

    Args:
        name: its name.
        value: it.
        within: whether all around it is secret, as in headers.
    """
    secret = within or _is_secret(name)
    if isinstance(value, Mapping):
        kept = ((str(key), _open(str(key), inner, within=secret)) for key, inner in value.items())
        return {key: inner for key, inner in kept if inner is not None}
    if isinstance(value, list | tuple):
        return [kept for inner in value if (kept := _open(name, inner, within=secret)) is not None]
    text = getattr(value, "get_secret_value", lambda: value)()
    if secret or text is not value or (isinstance(text, str) and _SECRET_VALUE.match(text)):
        variable = next((n for n, v in os.environ.items() if v and v == text and _is_secret(n)), None)
        return None if variable is None else {"env": variable}
    if isinstance(value, str):
        return _USER_IN_URL.sub("", value)
    return value if isinstance(value, int | float | bool) else getattr(value, "value", None)


def _closed(value: Any, where: str) -> Any:
    if isinstance(value, Mapping):
        if value.keys() == {"env"}:
            name = str(value["env"])
            if name not in os.environ:
                raise ConfigurationError(f"{where}: the environment variable {name!r} is not set")
            return os.environ[name]
        return {key: _closed(inner, f"{where}.{key}") for key, inner in value.items()}
    return [_closed(inner, where) for inner in value] if isinstance(value, list) else value
