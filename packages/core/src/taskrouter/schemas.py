"""Whether a tool's parameters are a JSON Schema: checked by the jsonschema library, once per distinct schema.

A schema whose own top is wrong is refused: no provider takes it. A fault deep inside, such as the type `any`, is taken
by some providers, so the agent that lives with it goes on working, and a warning says so once. Who checks thousands of
steps at a time gathers the warnings with `gathered_faults`.
"""

from __future__ import annotations

import json
import logging
import marshal
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from typing import Any

from taskrouter.errors import InvalidStepError
from taskrouter.step import Step

_MANY = 4096

logger = logging.getLogger("taskrouter.schemas")


class SchemaCheck:
    """Remembers the schemas that were found valid: an agent offers the same tools at every step."""

    def __init__(self) -> None:
        self._valid: set[bytes] = set()

    def check(self, step: Step) -> None:
        """Check the parameters of all tools and the response schema.

        Raises:
            InvalidStepError: one of them is no JSON Schema; the message names the tool and the place.
        """
        for position, tool in enumerate(step.tools):
            function = tool["function"]
            if function.get("parameters") is not None:
                self._check(function["parameters"], f"Step.tools[{position}] ({function['name']!r}): 'parameters'")
        if step.response_schema is not None:
            self._check(step.response_schema, "Step.response_schema")

    def _check(self, schema: Any, where: str) -> None:
        if not isinstance(schema, Mapping):
            raise InvalidStepError(f"{where} is {_what(schema)}")
        key = _key(schema, where)
        if key in self._valid:
            return
        _validate(_plain(schema, where), where)
        if len(self._valid) >= _MANY:
            self._valid.clear()
        self._valid.add(key)


@contextmanager
def gathered_faults() -> Iterator[set[str]]:
    """Keep the warnings about deep faults out of the log while this lasts, and gather what they say, each once.

    For a whole process: it is meant for a command that routes many steps and then says in one line what it met.
    """
    faults: set[str] = set()

    def gather(record: logging.LogRecord) -> bool:
        faults.add(record.getMessage())
        return False

    logger.addFilter(gather)
    try:
        yield faults
    finally:
        logger.removeFilter(gather)


def _key(schema: Any, where: str) -> bytes:
    try:
        # The plain version 2 format: no references, so equal schemas give equal bytes. It is only ever compared.
        return marshal.dumps(schema, 2)
    except ValueError:  # a mapping that is no dict: rarer, so it may cost more
        return json.dumps(_plain(schema, where)).encode()


def _validate(schema: Mapping[str, Any], where: str) -> None:
    # Imported here because it takes longer than the rest of the router, and many applications have no tools.
    jsonschema = import_module("jsonschema")
    if not isinstance(schema.get("$schema", ""), str):
        raise InvalidStepError(f"{where} is no JSON Schema: at $schema: wrong 'type'")
    dialect = jsonschema.validators.validator_for(schema, default=jsonschema.Draft202012Validator)
    try:
        dialect.check_schema(schema)
    except jsonschema.SchemaError as error:
        place = "/".join(str(part) for part in error.absolute_path) or "its top"
        problem = f"{where} is no JSON Schema: at {place}: wrong {error.validator!r}"
        if len(error.absolute_path) <= 1:
            raise InvalidStepError(problem) from None
        logger.warning("%s; some providers will refuse it", problem)


def _plain(schema: Mapping[str, Any], where: str) -> dict[str, Any]:
    """Return the schema as the JSON that clients will send: tuples are lists, every mapping is an object."""
    try:
        plain: dict[str, Any] = json.loads(json.dumps(schema, default=_object))
    except (TypeError, ValueError, RecursionError) as error:
        deep = isinstance(error, RecursionError) or "Circular" in str(error)
        what = "refers to itself or is nested too deeply" if deep else "holds values that are no JSON"
        raise InvalidStepError(f"{where} {what}") from None
    return plain


def _object(value: Any) -> dict[str, Any]:
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(type(value).__name__)


def _what(value: object) -> str:
    if isinstance(value, type) and hasattr(value, "model_json_schema"):
        return f"the class {value.__name__}; pass {value.__name__}.model_json_schema()"
    return f"a {type(value).__name__}; it must be a JSON Schema, as a mapping"
