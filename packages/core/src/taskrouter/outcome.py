"""What happened when a decision was carried out: answers, attempts, usage and money."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, Literal, TypeAlias, TypeVar

from taskrouter.decision import Decision

R = TypeVar("R")

AttemptStatus: TypeAlias = Literal["ok", "failed", "cancelled"]
OutcomeStatus: TypeAlias = Literal["ok", "fallback", "exhausted", "cancelled"]
Role: TypeAlias = Literal["primary", "propose", "escalation", "fallback", "hedge"]
"""Why a call was made: to answer; to propose an answer that another proposal may confirm; because what the plan had
asked before would not do; because a call failed; because one was slow."""
Check: TypeAlias = Literal["none", "agreed", "disagreed", "passed", "escalated"]
"""What came of the check of a plan of several models. `agreed`, `disagreed`: the proposals, a plan `agree`; `passed`,
`escalated`: the first model, a plan `gate`; `none`: there was no check."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """Tokens of one call, as the provider counted them unless `estimated`."""

    input_tokens: int = 0
    output_tokens: int = 0
    cached_input_tokens: int = 0
    """The part of `input_tokens` that was read from the provider's prompt cache."""
    estimated: bool = False

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            input_tokens=self.input_tokens + other.input_tokens,
            output_tokens=self.output_tokens + other.output_tokens,
            cached_input_tokens=self.cached_input_tokens + other.cached_input_tokens,
            estimated=self.estimated or other.estimated,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolCall:
    """A tool call that a model proposes."""

    name: str
    arguments: str = field(default="", repr=False)
    """JSON text, as the model wrote it; a fragment inside a stream."""
    id: str | None = None
    index: int | None = None
    """Place among parallel calls, by which a stream's fragments are put together."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ResponseView:
    """What the engine reads of a native answer, or of one chunk of a stream; adapters make it."""

    text: str = field(default="", repr=False)
    reasoning: str = field(default="", repr=False)
    tool_calls: tuple[ToolCall, ...] = ()
    finish_reason: str | None = None
    usage: Usage | None = None
    model: str | None = None
    """The model that the provider says has answered."""
    response_id: str | None = None
    refused: bool = False
    shown: bool = False
    """Whether a reader has it already: it is not judged, as no other answer may take its place."""

    @property
    def meaningful(self) -> bool:
        """Whether there is text, reasoning or a tool call: from the first such chunk on a stream is committed."""
        return bool(self.text or self.reasoning or self.tool_calls)


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One call to one model."""

    index: int
    """1 for the first call of the step."""
    model: str
    role: Role
    status: AttemptStatus
    deployment: str | None = None
    """Which deployment of the model was called, where it has several."""
    forced: bool = False
    """Whether its circuit breaker was open and it was called because nothing better was left."""
    error_type: str | None = None
    """The error's `kind`, where the attempt failed."""
    usage: Usage | None = None
    cost_usd: float | None = None
    """None where the price is unknown; it is never counted as zero."""
    latency_s: float = 0.0
    first_token_s: float | None = None
    """Seconds to the first meaningful chunk, for streams."""
    waited_s: float = 0.0
    """Backoff before this attempt, seconds."""
    served_model: str | None = None
    """The model that the provider says has answered."""

    @property
    def endpoint_id(self) -> str:
        """The model's id, or `model@deployment`."""
        return self.model if self.deployment is None else f"{self.model}@{self.deployment}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """What one proposer of a plan `agree` came to."""

    model: str
    status: AttemptStatus
    """Of its call; an answer that did not pass the gates is `failed`."""
    same: bool | None = None
    """Whether its answer equals the one that was taken, by `taskrouter.answers.canonical`; None where that cannot be
    told."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """How a step ended, whether it was answered or not: the account without any answer."""

    status: OutcomeStatus
    attempts: tuple[Attempt, ...] = ()
    """In the order in which they began."""
    answered: Attempt | None = None
    """The one whose answer was taken, or was being taken when the step was given up."""
    check: Check = "none"
    proposals: tuple[Proposal, ...] = ()
    latency_s: float = 0.0
    error_type: str | None = None
    """Kind of what was raised in place of an answer; None where there is one, or the caller gave up."""

    @property
    def usage(self) -> Usage:
        """Tokens of all attempts together."""
        return sum_usage(self.attempts)

    @property
    def cost_usd(self) -> float | None:
        """Cost of all attempts together; None as soon as one of them is unknown."""
        return sum_cost_usd(self.attempts)


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Outcome(Generic[R]):
    """A carried-out step: the native answer and the account of how it came about."""

    response: R
    """The provider's or framework's own answer, untouched."""
    view: ResponseView
    decision: Decision
    attempts: tuple[Attempt, ...]
    status: OutcomeStatus
    latency_s: float
    taken: int = -1
    """Place in `attempts` of the one whose answer was taken; of several that answered, after proposals."""
    check: Check = "none"
    proposals: tuple[Proposal, ...] = ()
    """In the order of the plan; empty where none was asked for."""

    @property
    def decision_id(self) -> str:
        """Id to give feedback by."""
        return self.decision.id

    @property
    def answered(self) -> Attempt:
        """The attempt whose answer was taken."""
        return self.attempts[self.taken]

    @property
    def model(self) -> str:
        """The model that answered; differs from `decision.model` after a fallback or an escalation."""
        return self.answered.model

    @property
    def text(self) -> str:
        """The answer's text."""
        return self.view.text

    @property
    def usage(self) -> Usage:
        """Tokens of all attempts together."""
        return sum_usage(self.attempts)

    @property
    def cost_usd(self) -> float | None:
        """Cost of all attempts together; None as soon as one of them is unknown."""
        return sum_cost_usd(self.attempts)

    def to_dict(self) -> dict[str, Any]:
        """The account as JSON-ready values, without the answer itself."""
        return {
            "decision_id": self.decision_id,
            "model": self.model,
            "status": self.status,
            "cost_usd": self.cost_usd,
            "latency_s": self.latency_s,
            "input_tokens": self.usage.input_tokens,
            "output_tokens": self.usage.output_tokens,
            "attempts": [attempt_dict(a) for a in self.attempts],
            "check": self.check,
            "proposals": [{"model": p.model, "status": p.status, "same": p.same} for p in self.proposals],
        }

    def __repr__(self) -> str:
        return (
            f"Outcome(model={self.model!r}, status={self.status!r}, attempts={len(self.attempts)}, "
            f"decision_id={self.decision_id!r})"
        )


def sum_usage(attempts: tuple[Attempt, ...]) -> Usage:
    """Tokens of all attempts together."""
    used = [attempt.usage for attempt in attempts if attempt.usage is not None]
    return used[0] if len(used) == 1 else sum(used, Usage())


def sum_cost_usd(attempts: tuple[Attempt, ...]) -> float | None:
    """Cost of all attempts together; None as soon as one of them is unknown."""
    total = 0.0
    for attempt in attempts:
        if attempt.cost_usd is None:
            return None
        total += attempt.cost_usd
    return total


def attempt_dict(attempt: Attempt) -> Mapping[str, Any]:
    """An attempt as JSON-ready values."""
    return {
        "index": attempt.index,
        "model": attempt.model,
        "deployment": attempt.deployment,
        "role": attempt.role,
        "forced": attempt.forced,
        "status": attempt.status,
        "error_type": attempt.error_type,
        "cost_usd": attempt.cost_usd,
        "latency_s": attempt.latency_s,
        "input_tokens": attempt.usage.input_tokens if attempt.usage else None,
        "output_tokens": attempt.usage.output_tokens if attempt.usage else None,
    }
