"""The answer that is handed on: the candidate's own, with the router's account of it.

Neither the answer nor its usage has a field for it: the account is in no dump, no repr and no file, and in nothing that
goes to a provider.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from autogen_core.models import CreateResult, RequestUsage
from pydantic import PrivateAttr

from taskrouter import Outcome
from taskrouter.adapters import account
from taskrouter.outcome import Usage


class RoutedUsage(RequestUsage):
    """The tokens of an answer, with the router's account of it in `taskrouter`.

    It is all that an agent keeps of an answer beside what was said: `message.models_usage`.

    Args:
        prompt_tokens: tokens of the request.
        completion_tokens: tokens of the answer.
        account: what was decided and what it cost.
    """

    def __init__(self, prompt_tokens: int, completion_tokens: int, account: Mapping[str, Any] | None = None) -> None:
        super().__init__(prompt_tokens, completion_tokens)
        self._account = account

    @property
    def taskrouter(self) -> Mapping[str, Any]:
        """What was decided and what it cost."""
        return self._account or {}

    def __eq__(self, other: object) -> bool:
        """Compare the tokens, as a plain `RequestUsage` does."""
        if not isinstance(other, RequestUsage):
            return NotImplemented
        mine, others = (self.prompt_tokens, self.completion_tokens), (other.prompt_tokens, other.completion_tokens)
        return mine == others

    __hash__ = None  # type: ignore[assignment] # as in `RequestUsage`: tokens are counted on


class RoutedCreateResult(CreateResult):
    """A candidate's answer, with the router's account of it in `taskrouter`."""

    _was_cached: bool = PrivateAttr(default=False)

    @property
    def taskrouter(self) -> Mapping[str, Any]:
        """What was decided and what it cost; empty where a cache around the routed client gave the answer again."""
        usage = self.usage
        again = self.cached and not self._was_cached
        return usage.taskrouter if isinstance(usage, RoutedUsage) and not again else {}


def annotated(native: CreateResult, outcome: Outcome[Any], notes: Mapping[str, Any]) -> RoutedCreateResult:
    """Return the answer with its account. The candidate's own may lie in a cache, so it is copied, not changed.

    Where the provider has counted nothing, its usage is the router's estimate.
    """
    counted = native.usage
    if not (native.cached or counted.prompt_tokens or counted.completion_tokens):
        counted = request_usage(_of_the_answer(outcome))
    fields = {name: getattr(native, name) for name in CreateResult.model_fields}
    fields["usage"] = RoutedUsage(counted.prompt_tokens, counted.completion_tokens, account(outcome, notes))
    result = RoutedCreateResult.model_construct(**fields)
    result._was_cached = native.cached  # noqa: SLF001 - a private attribute of our own class
    return result


def request_usage(used: Usage) -> RequestUsage:
    """Return token counts in AutoGen's words."""
    return RequestUsage(prompt_tokens=used.input_tokens, completion_tokens=used.output_tokens)


def _of_the_answer(outcome: Outcome[Any]) -> Usage:
    good = (attempt.usage for attempt in outcome.attempts if attempt.status == "ok" and attempt.model == outcome.model)
    return next((used for used in good if used is not None), Usage())
