"""The routed client in AutoGen's component format: what of it can be written down, and how it is read again.

No secret is written. A client reads its key from the environment where its config has none; a key that JSON has masked
would be sent as asterisks, so it is refused.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, TypeAlias
from urllib.parse import parse_qsl, urlsplit

from autogen_core import ComponentModel
from autogen_core.models import ChatCompletionClient
from pydantic import BaseModel, ConfigDict, Field, SecretBytes, SecretStr, ValidationError

from autogen_taskrouter._candidates import Candidate, CandidateSpec
from taskrouter import ConfigurationError, ModelCard
from taskrouter.config import PolicyConfig, RouterConfig

Written: TypeAlias = ComponentModel | str | dict[str, Any]
"""A candidate: a component, a LiteLLM model string, or a table as in `[[models]]`."""

_MASK = str(SecretStr("any"))
_SECRET = re.compile(
    r"((^|[_-]|api|access|auth|session)(key|token)|secret|password|passwd|authorization|[_-]auth|cookie|credentials?)$",
    re.IGNORECASE,
)
_SCHEMES = ("bearer ", "basic ")
"""Beginnings of a header that is a key, whatever its name."""
_REFERENCE = "env:"
"""Beginning of what names an environment variable instead of a key."""


class RoutedChatCompletionClientConfig(BaseModel):
    """What a routed client is made from, as JSON can carry it."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    candidates: dict[str, Written] | list[Written] = Field(union_mode="left_to_right")
    """The models to choose from."""
    incumbent: str | None = None
    """Id of the model that is used today."""
    policy: str | dict[str, Any] | None = None
    """A name, weights or a table."""
    config: dict[str, Any] | None = None
    """Everything else, in the shape of `taskrouter.toml`."""
    credit: bool = True
    """Whether tools that fail count against the step that called them."""
    model_info: dict[str, Any] | None = None
    """What agents are told instead of what the candidates say."""
    declared: dict[str, Any] | None = None
    """What `for_agent` says of the steps."""


def written_candidates(pool: Mapping[str, Candidate]) -> dict[str, Written]:
    """Return the candidates as they are written down.

    Raises:
        ConfigurationError: one of them is no component.
    """
    return {name: _written(name, candidate.spec) for name, candidate in pool.items()}


def written_recipe(recipe: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return how the router was made, as it is written down.

    Raises:
        ConfigurationError: it was not made here.
    """
    if recipe is None:
        raise ConfigurationError(
            "a RoutedChatCompletionClient with a shared router cannot be dumped: the router is not a part of it. Give "
            "`policy` and `config` instead of `router`"
        )
    config: RouterConfig = recipe["config"]
    policy = recipe["policy"]
    if policy is not None and not isinstance(policy, str):
        policy = PolicyConfig.of(policy).model_dump(mode="json", exclude_unset=True)
    said = config.model_dump(mode="json", exclude_unset=True)
    if urlsplit(config.state.url).password:
        raise ConfigurationError(
            "config: state.url holds a password, so the client cannot be dumped: put the address into the environment "
            "and give 'env:NAME'"
        )
    return {"incumbent": recipe["incumbent"], "policy": policy, "config": _kept(said, "config") or None}


def read_candidate(where: str, written: Written) -> CandidateSpec:
    """Return a candidate that was written down.

    Raises:
        ConfigurationError: its key is masked, or its provider cannot be loaded.
    """
    if isinstance(written, str):
        return written
    contents = written.config if isinstance(written, ComponentModel) else written
    if (place := _masked(contents)) is not None:
        raise ConfigurationError(
            f"{where}: {place} is masked: the key is not in this file. Leave it out, and put the key into the "
            "environment, such as OPENAI_API_KEY"
        )
    if not isinstance(written, ComponentModel):
        return written
    component = written.model_copy()  # AutoGen writes the long form of a short provider into what it is given
    try:
        return ChatCompletionClient.load_component(component)
    except ConfigurationError as error:  # a routed client
        raise ConfigurationError(f"{where}: {error}") from error
    except ValidationError as error:
        problems = (
            f"{'.'.join(map(str, item['loc']))}: {item['msg']}"
            for item in error.errors(include_url=False, include_input=False, include_context=False)
        )
        # What it was raised from quotes the input.
        raise ConfigurationError(f"{where}: {'; '.join(problems)}") from None
    except (ImportError, AttributeError, TypeError, ValueError) as error:
        raise ConfigurationError(
            f"{where}: the provider {written.provider!r} could not be loaded ({type(error).__name__}, see there). It "
            "must be the full path of a ChatCompletionClient that is installed, that AutoGen is allowed to load, and "
            "that takes this config"
        ) from error


def _written(name: str, spec: CandidateSpec) -> Written:
    if isinstance(spec, str):
        return spec
    where = f"candidates[{name!r}]"
    if isinstance(spec, ModelCard):
        said = {"model": spec.model, **spec.model_dump(mode="json", exclude_unset=True)}
        return _kept(said, where)
    if isinstance(spec, Mapping):
        return _kept(spec, where)
    try:
        component = spec.dump_component()
    except ConfigurationError as error:  # of a routed client
        raise ConfigurationError(f"{where}: {error}") from error
    except (AttributeError, ImportError, NotImplementedError, TypeError, ValueError) as error:
        raise ConfigurationError(f"{where}: a {type(spec).__name__} cannot be dumped as a component") from error
    return component.model_copy(update={"config": _kept(component.config, where)})


def _kept(said: Mapping[str, Any], where: str) -> dict[str, Any]:
    _check_addresses(said, where)
    return dict(_without_secrets(said))


def _without_secrets(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _without_secrets(held) for key, held in value.items() if not _is_secret(key, held)}
    if isinstance(value, list | tuple):
        return [_without_secrets(held) for held in value]
    return value


def _is_secret(key: object, value: object) -> bool:
    if isinstance(value, SecretStr | SecretBytes):
        return True
    if not isinstance(value, str | bytes):
        return False
    text = value if isinstance(value, str) else ""
    named = isinstance(key, str) and _SECRET.search(key) is not None
    return (named and not text.startswith(_REFERENCE)) or text.lower().startswith(_SCHEMES)


def _check_addresses(value: object, where: str) -> None:
    """Say where an address holds a key: without it the address would lead elsewhere, so it is not just left out.

    Raises:
        ConfigurationError: there is one.
    """
    if isinstance(value, Mapping):
        for key, held in value.items():
            _check_addresses(held, f"{where}.{key}")
    elif isinstance(value, list | tuple):
        for place, held in enumerate(value):
            _check_addresses(held, f"{where}[{place}]")
    elif isinstance(value, str) and "://" in value and _holds_a_key(value):
        raise ConfigurationError(
            f"{where} is an address with a key in it, so the client cannot be dumped: put the address into the "
            "environment, such as OPENAI_BASE_URL"
        )


def _holds_a_key(address: str) -> bool:
    try:
        parts = urlsplit(address)
    except ValueError:  # text that only looks like an address
        return False
    return bool(parts.scheme and parts.password) or any(_SECRET.search(name) for name, _ in parse_qsl(parts.query))


def _masked(value: object, place: str = "") -> str | None:
    """Return where a masked key stands, if one does."""
    if isinstance(value, Mapping):
        inner = ((f"{place}.{key}".lstrip("."), held) for key, held in value.items())
    elif isinstance(value, list | tuple):
        inner = ((f"{place}[{index}]", held) for index, held in enumerate(value))
    elif isinstance(value, SecretStr | SecretBytes):
        return place if str(value.get_secret_value()) == _MASK else None
    else:
        return place if value == _MASK else None
    return next((found for key, held in inner if (found := _masked(held, key)) is not None), None)
