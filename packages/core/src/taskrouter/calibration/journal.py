"""The file of results: one line per answer of a model to a case, appended as they come.

A line is found again by what it depends on: the request and how the model is reached (`key`), and by what graded it
(`grade_key`). So a run that was killed goes on where it was, nothing is paid twice, and another grader grades the
answers that are there.
"""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from taskrouter.config import ModelConfig
from taskrouter.errors import ConfigurationError
from taskrouter.grading import Case
from taskrouter.outcome import ResponseView, ToolCall

Amount = Annotated[float, Field(ge=0, allow_inf_nan=False)]

UNPAID = "unpaid"
"""There was no money for the judge."""
PASSING = frozenset({"raised", "timed_out", "given_up", "bad_label", "judge_failed", "judge_not_allowed", UNPAID})
"""Reasons of skips that another try may not meet: such an answer is graded again."""


class _Stored(BaseModel):
    model_config = ConfigDict(frozen=True)


class StoredCall(_Stored):
    """A tool call that a model has proposed."""

    name: str
    arguments: str


class StoredAnswer(_Stored):
    """An answer, for whoever grades it again."""

    text: str = ""
    calls: tuple[StoredCall, ...] = ()
    finish_reason: str | None = None

    @classmethod
    def of(cls, view: ResponseView) -> Self:
        """Keep what graders read."""
        calls = tuple(StoredCall(name=call.name, arguments=call.arguments) for call in view.tool_calls)
        return cls(text=view.text, calls=calls, finish_reason=view.finish_reason)

    @property
    def view(self) -> ResponseView:
        """The answer as it was."""
        calls = tuple(ToolCall(name=call.name, arguments=call.arguments) for call in self.calls)
        return ResponseView(text=self.text, tool_calls=calls, finish_reason=self.finish_reason)


class Result(_Stored):
    """What a model made of a case."""

    v: Literal[1] = 1
    key: str
    grade_key: str
    case: str
    model: str
    answer: StoredAnswer | None = Field(default=None, repr=False)
    """None where it did not pass the router's own checks."""
    comes_to: str | None = Field(default=None, repr=False)
    """The canonical answer; None: it agrees with nothing."""
    valid: bool = True
    """Whether it passed the router's own checks; one that did not scores 0."""
    score: float | None = Field(default=None, ge=0, le=1)
    """None where it could not be graded."""
    skip: str | None = None
    """Why not."""
    cost_usd: Amount | None = None
    """Of the answer; None where the price is unknown."""
    grading_usd: Amount | None = 0.0
    input_tokens: int | None = None
    output_tokens: int | None = None
    latency_s: Amount | None = None
    at_s: float = 0.0
    """When the answer came, seconds since the epoch."""


class Journal:
    """The results of a file, and what is added to it. Without a file they are kept in memory.

    Raises:
        ConfigurationError: the file cannot be read, or is none of these.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._whole = True
        self._by_answer: dict[str, Result] = {}
        self._by_grade: dict[str, Result] = {}
        if path is not None and not path.parent.is_dir():
            raise ConfigurationError(f"{path}: there is no folder {path.parent}")
        if path is not None and path.exists():
            self._read(path)

    def __len__(self) -> int:
        return len(self._by_answer)

    def answered(self, key: str) -> Result | None:
        """Return the latest answer to a request."""
        return self._by_answer.get(key)

    def graded(self, grade_key: str) -> Result | None:
        """Return the latest grade by a grader; one that may come out otherwise now is none."""
        found = self._by_grade.get(grade_key)
        if found is None or found.skip in PASSING or (found.score is None and found.skip is None):
            return None
        return found

    def add(self, result: Result) -> None:
        """Keep a result. When this returns it survives the end of the process.

        Raises:
            OSError: the file cannot be written.
        """
        self._note(result)
        if self._path is None:
            return
        line = f"{result.model_dump_json(exclude_none=True)}\n"
        if not self._whole:  # the process before was ended in the middle of a line
            line, self._whole = f"\n{line}", True
        descriptor = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            os.write(descriptor, line.encode())
        finally:
            os.close(descriptor)

    def _read(self, path: Path) -> None:
        try:
            data = path.read_bytes()
        except OSError as error:
            raise ConfigurationError(f"{path}: cannot be read: {error.strerror}") from error
        self._whole = not data or data.endswith(b"\n")
        lines = data.split(b"\n")
        for number, line in enumerate(lines, start=1):
            if not line.strip():
                continue
            try:
                self._note(Result.model_validate_json(line))
            except ValidationError as error:
                if number == len(lines) or error.errors()[0]["type"] == "json_invalid":
                    continue  # a line that was being written when its process ended
                raise ConfigurationError(
                    f"{path}:{number}: is no result of `taskrouter calibrate`; name another file"
                ) from None

    def _note(self, result: Result) -> None:
        self._by_answer[result.key] = result
        self._by_grade[result.grade_key] = result


def answer_key(case: Case, model: ModelConfig) -> str:
    """Return what an answer depends on, as a digest: the request, and which model it is sent to and how."""
    step = case.step
    places = [
        place.model_dump(mode="json", exclude={"weight", "quota_group", "api_key"}) for place in model.deployments
    ]
    reached = [model.id, model.model, model.backend, model.base_url, model.params, places]
    return _digest([list(step.messages), list(step.tools), step.response_schema, reached])


def grade_key(case: Case, key: str, judge: ModelConfig | None) -> str:
    """Return what a grade depends on: the answer, the grader, what is expected, and who judges."""
    judged_by = None if judge is None else [judge.model, judge.base_url, judge.params]
    return _digest([key, case.grader.model_dump(mode="json"), case.expected, judged_by])


def case_key(case: Case, identity: str) -> str:
    """Return what a case is, for the row that it teaches."""
    step = case.step
    return f"case:{_digest([list(step.messages), list(step.tools), step.response_schema, identity])}"


def _digest(parts: Any) -> str:
    text = json.dumps(parts, sort_keys=True, default=str, ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()[:32]
