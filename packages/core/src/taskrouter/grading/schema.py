"""Whether a value satisfies a JSON Schema, as jsonschema sees it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import lru_cache
from importlib import import_module
from typing import Any


def violation(value: Any, schema: Mapping[str, Any] | None) -> str | None:
    """Return the place in the schema that a value breaks, or None where it breaks none.

    The place is one of the schema and not of the value, for an answer may not be quoted.

    Raises:
        ValueError: the schema itself has a fault, or refers to one that is not part of it.
    """
    if not schema:
        return None
    validator = _validator(json.dumps(schema, default=dict))
    try:
        error = next(validator.iter_errors(value), None)
    except Exception as fault:  # jsonschema raises whatever a faulty schema leads to: a reference to nothing, ...
        raise ValueError(f"the schema cannot be used: {type(fault).__name__}") from fault
    return None if error is None else "/".join(map(str, error.absolute_schema_path)) or "its top"


@lru_cache(maxsize=8192)
def _validator(schema: str) -> Any:
    jsonschema = import_module("jsonschema")  # takes longer than all the rest
    plain = json.loads(schema)
    dialect = jsonschema.validators.validator_for(plain, default=jsonschema.Draft202012Validator)
    try:
        dialect.check_schema(plain)
    except jsonschema.SchemaError as error:
        place = "/".join(map(str, error.absolute_path)) or "its top"
        raise ValueError(f"no JSON Schema: at {place}: wrong {error.validator!r}") from None
    # Without a registry of its own it would fetch references to other documents over the network.
    return dialect(plain, registry=import_module("referencing").Registry())


def same_json(one: Any, other: Any) -> bool:
    """Whether two JSON values are equal: 1 is 1.0, but it is not true."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return one.keys() == other.keys() and all(same_json(value, other[key]) for key, value in one.items())
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same_json, one, other))
    return bool(one == other)
