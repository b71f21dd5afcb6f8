"""Whether a tool's parameters are a JSON Schema: checked by the jsonschema library, once per distinct schema.

A schema whose own top is wrong is refused: no provider takes it. A fault deep inside, such as the type `any`, is taken
by some providers, so the agent that lives with it goes on working, and a warning says so once.
"""

from __future__ import annotations

import logging
import marshal
from importlib import import_module
from typing import Any

from taskrouter.errors import InvalidStepError
from taskrouter.step import Step

_MANY = 4096

logger = logging.getLogger("taskrouter")


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
        try:
            # The plain version 2 format: no references, so equal schemas give equal bytes. It is only ever compared.
            key = marshal.dumps(schema, 2)
        except ValueError:
            raise InvalidStepError(f"{where} holds values that are no JSON") from None
        if key in self._valid:
            return
        # Imported here because it takes longer than the rest of the router, and many applications have no tools.
        jsonschema = import_module("jsonschema")
        try:
            jsonschema.validators.validator_for(schema).check_schema(schema)
        except jsonschema.SchemaError as error:
            place = "/".join(str(part) for part in error.absolute_path) or "its top"
            problem = f"{where} is no JSON Schema: at {place}: wrong {error.validator!r}"
            if len(error.absolute_path) <= 1:
                raise InvalidStepError(problem) from None
            logger.warning("%s; some providers will refuse it", problem)
        if len(self._valid) >= _MANY:
            self._valid.clear()
        self._valid.add(key)
