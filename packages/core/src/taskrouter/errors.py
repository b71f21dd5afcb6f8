"""Everything TaskRouter raises, in one tree.

    TaskRouterError
    ├ ConfigurationError ─ PluginError · MissingExtraError
    ├ RoutingError ─ InvalidStepError · NoEligibleModelError(.rejections) · BudgetExceededError(.spent_usd .limit_usd)
    ├ ExecutionError ─ ModelCallError(.model .status .retryable .retry_after_s)
    │                │  ├ RateLimited · Overloaded · ServerFailed · ConnectionFailed · Timeout
    │                │  ├ Unauthenticated · ModelNotFound · ContextOverflow · Refused · BadRequest
    │                │  └ StreamBroken(.partial) · LocalFailure · BadAnswer ─ EmptyAnswer
    │                └ AllAttemptsFailedError(.attempts), also an ExceptionGroup
    ├ FeedbackError
    └ StoreUnavailable

Messages name what was wrong, where, and what to change. They never quote a prompt, an answer, a provider's text or a
key: the provider's own exception is kept as ``__cause__`` for those who may look at it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from traceback import extract_tb
from typing import TYPE_CHECKING, Any, ClassVar, Self

if TYPE_CHECKING:
    from taskrouter.decision import Rejection
    from taskrouter.outcome import Attempt, ResponseView


class TaskRouterError(Exception):
    """The root of the tree: catch this to catch all of ours and nothing else."""

    def __reduce__(self) -> tuple[Any, ...]:
        """Let errors travel between processes, whatever arguments their constructors take."""
        return _rebuild, (type(self), self.args, self.__dict__)


class ConfigurationError(TaskRouterError):
    """A setting, a model card, a file or an argument is wrong; the message names the key or the file."""


class PluginError(ConfigurationError):
    """A plugin could not be registered: an unknown hook name, a name taken twice, a missing method."""


class MissingExtraError(ConfigurationError):
    """An optional dependency is not installed; the message names the extra that brings it."""

    def __init__(self, package: str, *, extra: str, wanted_for: str) -> None:
        super().__init__(f"{wanted_for} needs {package!r}, which is not installed: pip install 'taskrouter[{extra}]'")
        self.package = package
        self.extra = extra


class RoutingError(TaskRouterError):
    """No decision could be made; nothing was sent to any provider."""


class InvalidStepError(RoutingError, ValueError):
    """A step cannot be routed as given: no messages, an unknown role, a tool without a usable schema."""


class NoEligibleModelError(RoutingError):
    """Every model was rejected by a hard constraint; `rejections` says which and why."""

    def __init__(self, rejections: Sequence[Rejection]) -> None:
        self.rejections: tuple[Rejection, ...] = tuple(rejections)
        reasons = "; ".join(f"{r.model!r}: {r.detail}" for r in self.rejections[:5])
        more = f" (and {len(self.rejections) - 5} more)" if len(self.rejections) > 5 else ""
        super().__init__(
            f"no model can take this step: {reasons}{more}. Add a model that can, or loosen the constraint."
        )


class BudgetExceededError(RoutingError):
    """The next call would exceed a budget; it was not sent.

    Attributes:
        limit: which limit it was: `usd`, `tokens`, `steps` or `deadline`.
        budget: name of the budget.
        spent_usd: US dollars that the budget has spent so far.
        limit_usd: US dollars that it allows; infinite for a budget without such a limit.
    """

    def __init__(
        self,
        message: str,
        *,
        spent_usd: float = 0.0,
        limit_usd: float = float("inf"),
        limit: str = "usd",
        budget: str = "",
    ) -> None:
        super().__init__(message)
        self.spent_usd = spent_usd
        self.limit_usd = limit_usd
        self.limit = limit
        self.budget = budget


class ExecutionError(TaskRouterError):
    """A decision was made, but no model gave an answer."""


class ModelCallError(ExecutionError):
    """One call to one model failed.

    Attributes:
        model: id of the model that was called.
        status: HTTP status where there was one.
        retry_after_s: seconds the provider asked us to wait, where it did.
        retryable: whether the same call to the same model may succeed later.
        of_the_step: whether it is this step's alone, such as its size, and says nothing of other calls.
    """

    kind: ClassVar[str] = "error"
    """Low-cardinality code for spans and metrics (`error.type`)."""
    summary: ClassVar[str] = "failed"
    retryable_by_default: ClassVar[bool] = False
    of_the_step: bool = False

    def __init__(
        self,
        model: str,
        *,
        status: int | None = None,
        retry_after_s: float | None = None,
        retryable: bool | None = None,
        detail: str | None = None,
    ) -> None:
        self.model = model
        self.status = status
        self.retry_after_s = retry_after_s
        self.retryable = self.retryable_by_default if retryable is None else retryable
        parts = [f"model {model!r} {detail or self.summary}"]
        if status is not None:
            parts.append(f"(HTTP {status})")
        if retry_after_s is not None:
            parts.append(f"and asked to retry after {retry_after_s:g} s")
        super().__init__(" ".join(parts))


class RateLimited(ModelCallError):  # noqa: N818 - the name is a contract
    """The provider's rate or quota limit (429)."""

    kind, summary, retryable_by_default = "rate_limited", "is rate limited", True


class Overloaded(ModelCallError):  # noqa: N818
    """The provider says that it is overloaded (503, 529)."""

    kind, summary, retryable_by_default = "overloaded", "is overloaded", True


class ServerFailed(ModelCallError):  # noqa: N818
    """The provider failed on its side (5xx)."""

    kind, summary, retryable_by_default = "server_error", "failed on the provider's side", True


class ConnectionFailed(ModelCallError):  # noqa: N818
    """The provider could not be reached, or hung up before it answered."""

    kind, summary, retryable_by_default = "connection", "could not be reached", True


class Timeout(ModelCallError):  # noqa: N818
    """No answer within the time allowed."""

    kind, summary, retryable_by_default = "timeout", "did not answer in time", False


class Unauthenticated(ModelCallError):  # noqa: N818
    """The key is missing, wrong or not allowed to use the model (401, 403)."""

    kind, summary = "unauthenticated", "refused the credentials: check its API key"


class ModelNotFound(ModelCallError):  # noqa: N818
    """The provider does not know the model (404)."""

    kind, summary = "not_found", "is not known to its provider: check `model` in its card"


class ContextOverflow(ModelCallError):  # noqa: N818
    """The step is longer than the model's context window: a larger window may take it."""

    kind, summary = "context_overflow", "has too small a context window for this step"


class Refused(ModelCallError):  # noqa: N818
    """The model or its content filter declined to answer."""

    kind, summary = "refused", "declined to answer"


class BadRequest(ModelCallError):  # noqa: N818
    """The provider found the request itself wrong (400, 422)."""

    kind, summary = "bad_request", "found the request invalid"


class BadAnswer(ModelCallError):  # noqa: N818
    """The call came back without a usable answer: empty, or with a tool call that cannot be run."""

    kind, summary = "bad_answer", "gave no usable answer"


class EmptyAnswer(BadAnswer):
    """The call came back with nothing: no text, no tool call, or a stream that ended before its first word."""

    kind, summary = "empty_answer", "gave an empty answer"


class LocalFailure(ModelCallError):  # noqa: N818
    """The failure is on our side (a closed event loop, a bug in a client): it says nothing of the provider."""

    kind, summary = "local", "could not be called: the failure is local"


class StreamBroken(ModelCallError):  # noqa: N818
    """A stream stopped after text had reached the user, so no other model may continue it.

    Attributes:
        partial: what had arrived: text, tool-call fragments and usage so far.
    """

    kind, summary = "stream_broken", "stopped in the middle of its answer"

    def __init__(self, model: str, *, partial: ResponseView, **fields: Any) -> None:
        self.partial = partial
        super().__init__(model, **fields)


class AllAttemptsFailedError(ExecutionError, ExceptionGroup[ModelCallError]):
    """Every attempt failed; the group holds each attempt's error, `attempts` their records."""

    attempts: tuple[Attempt, ...]

    def __new__(cls, errors: Sequence[ModelCallError], attempts: Sequence[Attempt]) -> Self:
        """Build the group: exception groups take their arguments in `__new__`."""
        models = ", ".join(dict.fromkeys(repr(e.model) for e in errors))
        alone = len(attempts) == 1
        failed = "the only attempt failed" if alone else f"all {len(attempts)} attempts failed"
        last = f"; the {'' if alone else 'last '}error: {errors[-1]}" if errors else ""
        self = super().__new__(cls, f"{failed} on {models}{last}", list(errors))
        self.attempts = tuple(attempts)
        return self

    def __init__(self, errors: Sequence[ModelCallError], attempts: Sequence[Attempt]) -> None:
        """Accept what `__new__` has used: an exception group is built there."""

    def __reduce__(self) -> tuple[Any, ...]:
        """Build the group anew: its errors are fixed in `__new__`."""
        return type(self), (self.exceptions, self.attempts), self.__dict__

    def derive(self, excs: Sequence[Any], /) -> AllAttemptsFailedError:  # type: ignore[override]
        """Return the same failure with a part of its errors, as `split` and `except*` ask for."""
        return AllAttemptsFailedError(list(excs), self.attempts)


class FeedbackError(TaskRouterError):
    """A feedback could not be taken: an unknown decision, a score out of range."""


class StoreUnavailable(TaskRouterError):  # noqa: N818 - a state of the world
    """The state store cannot be reached at the moment, or was lost in the middle of an operation."""


def error_kind(error: BaseException) -> str:
    """Return a low-cardinality code for what a step failed with, as in `error.type`: never a word of its message."""
    if isinstance(error, ModelCallError):
        return error.kind
    if isinstance(error, AllAttemptsFailedError):
        return error_kind(error.exceptions[-1])
    for kind, code in _KINDS.items():
        if isinstance(error, kind):
            return code
    return type(error).__name__


def raised_at(error: BaseException) -> str:
    """Return the class of an error and the place where it was raised, for a log.

    Neither its text nor its traceback belong there: both may quote a prompt, an answer or a provider's error.
    """
    places = extract_tb(error.__traceback__)
    where = f" at {places[-1].filename}:{places[-1].lineno}" if places else ""
    return f"{type(error).__name__}{where}"


_KINDS: Mapping[type[BaseException], str] = {
    NoEligibleModelError: "no_eligible_model",
    BudgetExceededError: "budget_exceeded",
    InvalidStepError: "invalid_step",
    ConfigurationError: "configuration",
}


def _rebuild(cls: type[TaskRouterError], args: tuple[Any, ...], state: Mapping[str, Any]) -> TaskRouterError:
    error = cls.__new__(cls)
    error.args = args
    error.__dict__.update(state)
    return error
