"""Cheap checks that turn a useless answer into a failed attempt."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from functools import lru_cache
from importlib import import_module
from inspect import isawaitable, iscoroutine, iscoroutinefunction
from typing import Any

from taskrouter.config import GatesConfig
from taskrouter.errors import BadAnswer, ConfigurationError, EmptyAnswer, ModelCallError, Refused, raised_at
from taskrouter.outcome import ResponseView, ToolCall
from taskrouter.ports import Validator
from taskrouter.step import Step, Tool

logger = logging.getLogger("taskrouter.gates")

_CUT = frozenset({"length", "max_tokens", "MAX_TOKENS"})
"""Finish reasons of an answer that reached its length limit: OpenAI's and LiteLLM's, Anthropic's, Google's."""
_DECLINED = frozenset({"content_filter", "refusal", "SAFETY", "PROHIBITED_CONTENT", "BLOCKLIST", "SPII"})
"""Finish reasons of an answer that was declined, of the same."""
_NOT_JSON = (ValueError, TypeError, RecursionError)


class Gate:
    """Judges the answers of a router's steps.

    Args:
        config: what counts as a failure.
        validators: the user's own checks, by name.

    Raises:
        ConfigurationError: a validator is no function (a class would be taken for its verdict), or an asynchronous one:
            nobody would wait for it.
    """

    def __init__(self, config: GatesConfig | None = None, validators: Mapping[str, Validator] | None = None) -> None:
        self._config = config or GatesConfig()
        self._validators = dict(validators or {})
        for name, validator in self._validators.items():
            if kind := _no_validator(validator):
                raise ConfigurationError(f"the validator {name!r} is {kind}; it must be a plain function")

    def is_refusal(self, view: ResponseView) -> bool:
        """Tell whether the provider says that the model, or its content filter, declined to answer."""
        return view.refused or view.finish_reason in _DECLINED

    def fault(self, view: ResponseView, step: Step, model: str, *, unlimited: bool = False) -> ModelCallError | None:
        """Return what is wrong with a complete answer, or None.

        Args:
            view: the answer.
            step: what was asked.
            model: who answered.
            unlimited: whether nobody has asked for a limit to its length, as far as the router can know.

        Raises:
            ConfigurationError: a validator raised, and `[gates] validator_error` is `raise`; or it is asynchronous.
        """
        if self.is_refusal(view):
            if self._config.refused == "fail":
                return Refused(model)
        elif not (view.text or view.tool_calls):
            return EmptyAnswer(model)
        elif detail := _wrong(view, step) or self._cut(view, unlimited):
            return BadAnswer(model, detail=detail)
        return self._rejected(view, step, model)

    def _cut(self, view: ResponseView, unlimited: bool) -> str | None:
        truncated = self._config.truncated
        fails = truncated == "fail" or (truncated == "auto" and unlimited)
        cut = fails and view.finish_reason in _CUT and not view.tool_calls
        return "was cut off at its length limit" if cut else None

    def _rejected(self, view: ResponseView, step: Step, model: str) -> ModelCallError | None:
        for name, validator in self._validators.items():
            try:
                said = validator(step, view)
                passed = bool(said)
            except Exception as error:  # noqa: BLE001 - a validator is the user's code and may raise anything
                self._log(name, error)
                failed = self._raised(name, model, error)
                if failed is not None:
                    return failed
                continue
            if isawaitable(said):
                raise _asynchronous(name, said)
            if not passed:
                forgot = ", which returned None: it must return true or false" if said is None else ""
                return BadAnswer(model, detail=f"did not pass the validator {name!r}{forgot}")
        return None

    def _log(self, name: str, error: Exception) -> None:
        # Neither the error's text nor its traceback: a validator may quote the answer in them.
        logger.warning("the validator %r raised %s", name, raised_at(error))

    def _raised(self, name: str, model: str, error: Exception) -> ModelCallError | None:
        said = f"the validator {name!r} raised {type(error).__name__}"
        match self._config.validator_error:
            case "raise":
                raise ConfigurationError(
                    f"{said} on an answer of model {model!r}; mend it, or set gates.validator_error to 'fail' or "
                    "'accept'"
                ) from error
            case "fail":
                failed = BadAnswer(model, detail=f"could not be checked: {said}")
                failed.__cause__ = error
                return failed
        return None


def _no_validator(given: object) -> str | None:
    """Say what was given where a plain function belongs, or None."""
    if isinstance(given, type):
        return f"the class {given.__name__}"
    if not callable(given):
        return f"a {type(given).__name__}"
    return "an asynchronous function" if iscoroutinefunction(given) or iscoroutinefunction(given.__call__) else None


def _asynchronous(name: str, said: object) -> ConfigurationError:
    if iscoroutine(said):
        said.close()  # it would never be awaited
    return ConfigurationError(
        f"the validator {name!r} returned a {type(said).__name__}; it must be a plain function that returns true or "
        "false"
    )


def _wrong(view: ResponseView, step: Step) -> str | None:
    if not view.tool_calls:
        return _wrong_text(view.text, step.response_schema)
    if not step.tools:
        return None
    offered = {tool["function"]["name"]: tool for tool in step.tools}
    return next(filter(None, (_wrong_call(call, offered) for call in view.tool_calls)), None)


def _wrong_text(text: str, schema: Mapping[str, Any] | None) -> str | None:
    if schema is None:
        return None
    try:
        answer = json.loads(text)
    except _NOT_JSON:
        return "was asked for structured output and gave text that is not JSON"
    place = _violation(answer, schema)
    return place and f"gave structured output that breaks the response schema at {place}"


def _wrong_call(call: ToolCall, offered: Mapping[str, Tool]) -> str | None:
    if call.name not in offered:
        return f"called a tool that was not offered (offered: {', '.join(sorted(offered))})"
    try:
        arguments = json.loads(call.arguments or "{}")
    except _NOT_JSON:
        return f"called {call.name!r} with arguments that are not JSON"
    if not isinstance(arguments, dict):
        return f"called {call.name!r} with arguments that are no JSON object"
    place = _violation(arguments, offered[call.name]["function"].get("parameters"))
    return place and f"called {call.name!r} with arguments that break its schema at {place}"


def _violation(value: Any, schema: Mapping[str, Any] | None) -> str | None:
    """Return the place in the schema that the value breaks, or None: also where the schema itself cannot be used.

    The place is one of the schema, for an answer may not be quoted.
    """
    if not schema:
        return None
    try:
        validator = _validator(json.dumps(schema, default=dict))
        error = None if validator is None else next(validator.iter_errors(value), None)
    except Exception:  # noqa: BLE001 - jsonschema raises whatever a faulty schema leads to: a reference to nothing, ...
        return None
    return None if error is None else "/".join(str(part) for part in error.absolute_schema_path)


@lru_cache(maxsize=512)
def _validator(schema: str) -> Any:
    """Return a validator for a schema, as JSON text, or None where the schema has a fault, however deep inside."""
    # Imported here because it takes longer than the rest of the router, and many applications have no tools.
    jsonschema = import_module("jsonschema")
    plain = json.loads(schema)
    dialect = jsonschema.validators.validator_for(plain, default=jsonschema.Draft202012Validator)
    try:
        dialect.check_schema(plain)
    except jsonschema.SchemaError:
        return None
    # Without a registry of its own it would fetch references to other documents over the network.
    return dialect(plain, registry=import_module("referencing").Registry())
