"""Recordings: prompts with the outcome that every model really had, one JSON document per line.

    {"id": "7", "task": "extract", "agent"?, "messages": [...], "tools": [...]?, "response_schema"?,
     "outcomes": {"gpt-4o-mini": {"score": 0.0 to 1.0, "cost_usd": 0.00012, "input_tokens"?, "output_tokens"?,
                                  "latency_s"?, "answer"?, "valid"?}, ...}}

`task` is the identity of the step, such as the node that sends such prompts. `answer` is the canonical final answer:
equal answers mean that two models agree. `valid` says whether a proposed tool call satisfies its schema. Other fields
are ignored, so that recordings can carry what their makers need.
"""

from __future__ import annotations

import gzip
import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from taskrouter.errors import ConfigurationError, InvalidStepError
from taskrouter.step import Step, StepContext

GZIP_MAGIC = b"\x1f\x8b"

Amount = Annotated[float, Field(ge=0, strict=True, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=0)]


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedOutcome:
    """What one model made of one prompt."""

    score: Annotated[float, Field(ge=0, le=1, strict=True, allow_inf_nan=False)]
    """0 (wrong) to 1 (right)."""
    cost_usd: Amount
    input_tokens: Count | None = None
    output_tokens: Count | None = None
    latency_s: Amount | None = None
    answer: Any = None
    """Canonical final answer; None where it is not known, and then it agrees with nothing."""
    valid: bool | None = None
    """Whether a proposed tool call satisfies its schema; None where that was not checked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompt:
    """One recorded step and its outcome per model."""

    id: str
    step: Step
    """The step as an agent would send it; its context names the task as the node."""
    outcomes: dict[str, RecordedOutcome]

    @property
    def task(self) -> str | None:
        """The step identity, where the recording has one."""
        return self.step.context.node


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """Prompts, and the models that every one of them was sent to."""

    prompts: tuple[Prompt, ...]
    models: tuple[str, ...]
    """Models with an outcome for every prompt, in the order of the first prompt."""
    dropped: tuple[str, ...] = ()
    """Models that some prompts have no outcome of: they cannot be compared, so they are left out."""

    @classmethod
    def of(cls, prompts: Sequence[Prompt]) -> Recording:
        """Gather prompts and find the models they have in common.

        Raises:
            ConfigurationError: no model was sent all prompts.
        """
        seen = dict.fromkeys(model for prompt in prompts for model in prompt.outcomes)
        common = tuple(model for model in seen if all(model in prompt.outcomes for prompt in prompts))
        if not common:
            raise ConfigurationError(
                f"no model has an outcome for all {len(prompts)} prompts: record the same models for every prompt, or "
                "evaluate the files one by one"
            )
        return cls(prompts=tuple(prompts), models=common, dropped=tuple(m for m in seen if m not in common))

    def split(self, share: float, *, seed: int) -> tuple[Recording, Recording]:
        """Divide the prompts at random into `share` and the rest.

        Raises:
            ConfigurationError: one of the parts would be empty.
        """
        order = list(self.prompts)
        random.Random(seed).shuffle(order)
        cut = round(share * len(order))
        if not 0 < cut < len(order):
            raise ConfigurationError(f"a share of {share:g} of {len(order)} prompts leaves one part empty")
        return replace(self, prompts=tuple(order[:cut])), replace(self, prompts=tuple(order[cut:]))


def read_recordings(paths: Iterable[str | Path]) -> Recording:
    """Read recordings from `.jsonl` files, gzipped or not, one after the other.

    The same id twice in one file is an error; in different files it is not, for they may come from different makers.

    Raises:
        ConfigurationError: a file cannot be read, is empty, or has a malformed line; the message names file and line.
    """
    prompts: list[Prompt] = []
    for path in map(Path, paths):
        before = len(prompts)
        prompts.extend(_read(path))
        if len(prompts) == before:
            raise ConfigurationError(f"{path}: holds no prompts; a recording has one JSON document per line")
    if not prompts:
        raise ConfigurationError("no recording was given")
    return Recording.of(prompts)


def check_output(path: Path, *, where: str) -> None:
    """Find out before the work whether a file can be put there, in place of an older one.

    Args:
        path: where it is to be.
        where: what asks for it, such as `--output`.

    Raises:
        ConfigurationError: there is no such folder, or what stands there is no file.
    """
    if not path.parent.is_dir():
        raise ConfigurationError(f"{where} {path}: there is no folder {path.parent}")
    if path.exists() and not path.is_file():
        raise ConfigurationError(f"{where} {path}: what stands there is no file: name another place")


class _Line(BaseModel):
    model_config = ConfigDict(coerce_numbers_to_str=True)

    id: str
    task: str | None = None
    agent: str | None = None
    messages: list[dict[str, Any]] = Field(min_length=1)
    tools: list[dict[str, Any]] | None = None
    response_schema: dict[str, Any] | None = None
    outcomes: dict[str, RecordedOutcome] = Field(min_length=1)


_LINE = TypeAdapter(_Line)


def _read(path: Path) -> Iterator[Prompt]:
    first_seen: dict[str, int] = {}
    for number, line in lines(path):
        prompt = _prompt(line, where=f"{path}:{number}")
        if prompt.id in first_seen:
            raise ConfigurationError(
                f"{path}:{number}: the id {prompt.id!r} stands on line {first_seen[prompt.id]} too; ids are unique "
                "within a file"
            )
        first_seen[prompt.id] = number
        yield prompt


def lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """Yield the lines that are not blank, with their numbers from 1."""
    try:
        with path.open("rb") as raw:
            zipped = raw.read(2) == GZIP_MAGIC
            raw.seek(0)
            for number, line in enumerate(gzip.GzipFile(fileobj=raw) if zipped else raw, start=1):
                if not line.isspace():
                    yield number, line
    except (OSError, EOFError) as error:
        reason = getattr(error, "strerror", None) or "the gzip data is damaged or cut off"
        raise ConfigurationError(f"{path}: cannot be read: {reason}") from error


def _prompt(line: bytes, *, where: str) -> Prompt:
    try:
        read = _LINE.validate_json(line)
        step = Step(
            messages=read.messages,
            tools=read.tools or (),
            response_schema=read.response_schema,
            context=StepContext(agent=read.agent, node=read.task),
        )
    except ValidationError as error:
        raise ConfigurationError(f"{where}: {_problem(error)}") from None
    except InvalidStepError as error:
        raise ConfigurationError(f"{where}: {error}") from None
    return Prompt(id=read.id, step=step, outcomes=read.outcomes)


def _problem(error: ValidationError) -> str:
    """Say what is wrong with a line, first problem first; never quote the line, for it holds prompts."""
    problems = error.errors(include_url=False, include_input=False, include_context=False)
    first = problems[0]
    more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
    if first["type"] == "json_invalid":
        return f"not a JSON document: {first['msg'].removeprefix('Invalid JSON: ')}"
    if first["type"] == "missing":
        return f"{_key(first['loc'])} is missing{more}"
    return f"{_key(first['loc'])}: {first['msg']}{more}"


def _key(location: tuple[int | str, ...]) -> str:
    return repr(".".join(map(str, location))) if location else "the line"
