"""How graders are configured: one table per kind, told apart by `kind`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal, TypeAlias, get_args

from pydantic import BaseModel, ConfigDict, Field, field_validator

from taskrouter.config import validated
from taskrouter.errors import ConfigurationError
from taskrouter.grading.schema import violation

Seconds: TypeAlias = Annotated[float, Field(gt=0, le=3600, allow_inf_nan=False)]
Tolerance: TypeAlias = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Share: TypeAlias = Annotated[float, Field(ge=0, le=1)]


class _Kind(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    needs_expected: ClassVar[bool] = True
    """Whether a case of this kind must say what is right."""


class Exact(_Kind):
    """The whole answer is the expected text, or one of several; where something else is expected, its JSON value."""

    kind: Literal["exact"]
    strict: bool = False
    """Compare character by character. Otherwise case, blanks, Markdown's emphasis and a full stop do not matter."""


class Contains(_Kind):
    """The expected text, or each of several, occurs in the answer."""

    kind: Literal["contains"]
    match: Literal["all", "any"] = "all"
    strict: bool = False
    """As for `exact`."""
    partial: bool = False
    """Score the share of the expected texts that occur."""


class Regex(_Kind):
    """A pattern is found in the answer."""

    needs_expected: ClassVar[bool] = False

    kind: Literal["regex"]
    pattern: Annotated[str, Field(min_length=1)]
    """In the syntax of Python's `re`; `(?i)` and the like at its beginning."""
    whole: bool = False
    """Match the whole answer, without the blanks around it."""
    timeout_s: Seconds = 2.0

    @field_validator("pattern")
    @classmethod
    def _compiles(cls, pattern: str) -> str:
        try:
            re.compile(pattern)
        except (re.error, OverflowError, RecursionError) as error:
            raise ValueError(f"is no regular expression: {error}") from None
        return pattern


class Numeric(_Kind):
    """The last number of the answer is the expected one."""

    kind: Literal["numeric"]
    absolute: Tolerance = 0.0
    """Largest difference."""
    relative: Tolerance = 1e-6
    """Largest difference as a share of the expected number; the wider of the two holds."""


class JsonSchema(_Kind):
    """The answer is JSON that satisfies a schema: this one, else the step's response schema."""

    needs_expected: ClassVar[bool] = False

    kind: Literal["json_schema"]
    model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=(), populate_by_name=True)
    schema_: dict[str, Any] | None = Field(default=None, alias="schema")
    fenced: bool = True
    """Accept JSON inside a fenced block of Markdown."""

    @field_validator("schema_")
    @classmethod
    def _usable(cls, schema: dict[str, Any] | None) -> dict[str, Any] | None:
        violation({}, schema)  # raises ValueError, which says what is wrong
        return schema


class ToolCalls(_Kind):
    """The answer calls the expected tools with the expected arguments: `{"name", "arguments"}`, or a list of these.

    An empty list expects that no tool is called.
    """

    kind: Literal["tool_call"]
    order: bool = False
    """The order of the calls matters."""
    extra_arguments: bool = False
    """Arguments that are not expected do no harm."""
    strict: bool = False
    """Compare text as `exact` does when strict."""
    partial: bool = False
    """Score the share of the calls, expected or made, that are as expected."""


class Own(_Kind):
    """A function of your own, `module:function`: from the case and the answer to true, false or a score."""

    needs_expected: ClassVar[bool] = False

    kind: Literal["python"]
    function: Annotated[str, Field(pattern=r"^[A-Za-z_][\w.]*:[A-Za-z_]\w*$")]
    timeout_s: Seconds = 10.0


class JudgeKind(_Kind):
    """A model compares the answer with the expected one, twice, with their places exchanged."""

    kind: Literal["judge"]
    model: str | None = None
    """Which model judges; None: whoever asks decides."""
    tie: Share = 0.5
    """Score of an answer that is as good as the expected one. 1 where the expected answer is one to be reached."""
    disagreement: Literal["tie", "skip"] = "tie"
    """What it means that the judge prefers whatever stands in one place."""
    instructions: str = ""
    """What matters, in addition to the fixed prompt."""


GraderConfig: TypeAlias = Annotated[
    Exact | Contains | Regex | Numeric | JsonSchema | ToolCalls | Own | JudgeKind, Field(discriminator="kind")
]
"""A grader's table."""

KINDS: dict[str, type[_Kind]] = {
    get_args(cls.model_fields["kind"].annotation)[0]: cls
    for cls in (Exact, Contains, Regex, Numeric, JsonSchema, ToolCalls, Own, JudgeKind)
}


def parse_grader(table: Mapping[str, Any], *, where: str = "grader") -> GraderConfig:
    """Check a grader's table.

    Args:
        table: the kind and its keys.
        where: what an error calls it.

    Raises:
        ConfigurationError: the kind is unknown, or a key is unknown or wrong.
    """
    kind = table.get("kind") if isinstance(table, Mapping) else None
    if not isinstance(kind, str) or kind not in KINDS:
        raise ConfigurationError(f"{where}: 'kind' must be one of {', '.join(KINDS)}")
    config: Any = validated(KINDS[kind], dict(table), where=where)
    return config  # type: ignore[no-any-return] # one of the union
