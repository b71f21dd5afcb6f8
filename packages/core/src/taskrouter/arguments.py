"""What users give a router, checked: errors say what was wrong, where, and what to change."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from inspect import iscoroutinefunction
from typing import Any, TypeVar

from pluggy import PluginManager

from taskrouter.config import ModelConfig, RuleConfig, validated
from taskrouter.errors import ConfigurationError, InvalidStepError, PluginError
from taskrouter.plugins import offered, registered
from taskrouter.ports import AnswerReader, Validator

N = TypeVar("N")


def checked_validators(manager: PluginManager, given: Mapping[str, Validator] | None) -> dict[str, Validator]:
    """Return the checks of answers by name: those of plugins, then those that are given."""
    if given is not None and not isinstance(given, Mapping):
        raise ConfigurationError(f"validators is a {type(given).__name__}; it must be a mapping from name to function")
    for name, validator in (given or {}).items():
        if not isinstance(name, str):
            raise ConfigurationError(f"validators: {name!r:.40} is a {type(name).__name__}; a validator's name is text")
        if not callable(validator):
            raise ConfigurationError(f"validators[{name!r}] is a {type(validator).__name__}; it must be a function")
    return offered([*registered(manager, "taskrouter_validators"), given or {}], "validator")


def checked_readers(manager: PluginManager) -> dict[str, AnswerReader]:
    """Return the plugins' readers of answers by name."""
    readers: dict[str, AnswerReader] = offered(registered(manager, "taskrouter_answers"), "reader of answers")
    for name, reader in readers.items():
        if not callable(reader) or isinstance(reader, type) or iscoroutinefunction(reader):
            raise PluginError(f"the reader of answers {name!r} must be a plain function from a step and an answer")
    return readers


def checked_incumbent(wanted: str | None, models: Mapping[str, ModelConfig]) -> str:
    """Return the id of the incumbent, which of a single model need not be said."""
    if wanted is None:
        if len(models) == 1:
            return next(iter(models))
        raise ConfigurationError(
            f"incumbent is missing: name the model you use today, one of {', '.join(models)}; the router stays with it "
            "whenever it is unsure"
        )
    if not isinstance(wanted, str) or wanted not in models:
        raise ConfigurationError(f"incumbent: {unknown('model', wanted, models, 'the pool has')}")
    return wanted


def checked_rules(rules: Iterable[RuleConfig | Mapping[str, Any]]) -> tuple[RuleConfig, ...]:
    """Return the rules, tables among them read."""
    if isinstance(rules, str | bytes | Mapping | RuleConfig) or not isinstance(rules, Iterable):
        raise ConfigurationError(f"rules must be a list of rules, not {rules!r:.80}")
    return tuple(
        rule if isinstance(rule, RuleConfig) else validated(RuleConfig, rule, where=f"rules[{position}]")
        for position, rule in enumerate(rules)
    )


def named(offers: Mapping[str, N], name: str, where: str) -> N:
    """Return what is offered by a name."""
    if name not in offers:
        raise ConfigurationError(f"{where}: {unknown('name', name, sorted(offers), 'known:')}")
    return offers[name]


def unknown(what: str, name: object, known: Iterable[str], lead: str) -> str:
    """Say that a name is unknown, which there are, and which one may have been meant."""
    known = tuple(known)
    near = difflib.get_close_matches(name, known, n=1) if isinstance(name, str) else ()
    hint = f"; did you mean {near[0]!r}?" if near else ""
    return f"unknown {what} {name!r:.80}; {lead} {', '.join(known)}{hint}"


def no_step(given: object) -> InvalidStepError:
    """Say that something is no step, and how one is made."""
    return InvalidStepError(
        f"a {type(given).__name__} is no step: pass Step(messages=[{{'role': 'user', 'content': '...'}}])"
    )


@contextmanager
def said_of(origin: object) -> Iterator[None]:
    """Say of a configuration error raised inside where the configuration comes from; None: it says enough."""
    try:
        yield
    except ConfigurationError as error:
        if origin is None or type(error) is not ConfigurationError:
            raise
        raise ConfigurationError(f"{origin}: {error}") from error
