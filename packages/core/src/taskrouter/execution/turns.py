"""Whose turn it is: the endpoints of a decision one after the other, as far as the failures so far leave any.

Whether an endpoint can be called is asked anew at every turn, because other steps learn meanwhile. What cannot be
called is left out, and comes at the very end: a step is not lost while anything has not been tried and calls are left.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping

from taskrouter import errors as e
from taskrouter.catalog.card import ModelCard
from taskrouter.decision import Decision
from taskrouter.execution.reactions import Reaction, reaction
from taskrouter.ports import Access, Admission, Endpoint

_OF_THE_ENDPOINT = (
    e.RateLimited,
    e.Overloaded,
    e.ServerFailed,
    e.ConnectionFailed,
    e.Timeout,
    e.Unauthenticated,
    e.ModelNotFound,
    e.EmptyAnswer,
)
"""Failures that another deployment of the same model need not share."""


class Turns:
    """The order of attempts.

    Args:
        decision: its plan and fallbacks, and the regions that it allows.
        cards: the pool by id.
        access: knows which endpoints can be called.
    """

    def __init__(self, decision: Decision, cards: Mapping[str, ModelCard], access: Access) -> None:
        self._queue: list[str] = [*decision.plan.models, *decision.fallbacks]
        self._left_out: list[str] = []
        """Models that had no usable endpoint left when their turn came."""
        self._regions = decision.regions
        self._cards = cards
        self._access = access
        self._tried: set[str] = set()
        self._visited: set[str] = set()
        self._stands_ready: Admission | None = None
        self._found_wrong: set[str] = set()

    def lead_with(self, model: str) -> None:
        """Let a model of the plan be the first one, and those before it the last ones; each has one turn."""
        self._queue = list(dict.fromkeys((model, *self._queue[self._queue.index(model) :], *self._queue)))

    def next(self, now_s: float) -> Admission | None:
        """Return the endpoint to call now, or None when there is none left."""
        ready, self._stands_ready = self._stands_ready, None
        if ready is not None:
            return self._taken(ready)
        while self._queue:
            if admission := self.at_once(self._queue[0], now_s):
                return self._taken(admission)
            self._left_out.append(self._queue.pop(0))
        if not self._left_out:
            return None
        admission = self._access.least_bad(self._left_out, now_s, tried=self._tried, regions=self._regions)
        if admission is None:
            return None
        self._left_out.remove(admission.endpoint.model)
        return self._taken(admission)

    def again(self, endpoint: Endpoint, now_s: float) -> Admission | None:
        """Ask whether the same endpoint can be called again."""
        return self._access.admit(endpoint.model, now_s, tried=_AllBut(endpoint.id), regions=self._regions)

    def beside(self, model: str, now_s: float) -> Admission | None:
        """Return an endpoint of a model that comes after this one, to be called beside it; its turn is not used up."""
        for other in self._queue:
            if other != model and (admission := self.at_once(other, now_s)):
                return admission
        return None

    def at_once(self, model: str, now_s: float) -> Admission | None:
        """Return an endpoint of a model that can be called now; its turn is not used up."""
        return self._access.admit(model, now_s, tried=self._tried, regions=self._regions)

    def has_ready(self, model: str, now_s: float) -> bool:
        """Tell whether another deployment of the model can be called at once; the next turn will be its."""
        self._stands_ready = self.at_once(model, now_s)
        return self._stands_ready is not None

    def others(self) -> bool:
        """Tell whether a turn of a model that was not called yet may follow."""
        return any(model not in self._visited for model in (*self._queue, *self._left_out))

    def drop(self, model: str) -> None:
        """Take a model out."""
        self._keep(lambda other: other != model)

    def learn(self, endpoint: Endpoint, error: e.ModelCallError) -> None:
        """Let the failure of an endpoint decide which turns are left."""
        meant = reaction(error)
        if meant is not Reaction.RETRY:
            self._tried.add(endpoint.id)
        if not isinstance(error, _OF_THE_ENDPOINT):
            self.drop(endpoint.model)
        if meant is Reaction.LARGER:
            window = self._cards[endpoint.model].context_tokens or 0
            self._keep(lambda other: (self._cards[other].context_tokens or window + 1) > window)
        elif meant is Reaction.ONCE_MORE:
            self._found_wrong.add(endpoint.model)
            if len(self._found_wrong) > 1:
                self._queue, self._left_out = [], []

    def _keep(self, wanted: Callable[[str], bool]) -> None:
        self._queue = [model for model in self._queue if wanted(model)]
        self._left_out = [model for model in self._left_out if wanted(model)]

    def _taken(self, admission: Admission) -> Admission:
        self._tried.add(admission.endpoint.id)
        self._visited.add(admission.endpoint.model)
        return admission


class _AllBut(Container[str]):
    """Contains every endpoint but one."""

    def __init__(self, endpoint_id: str) -> None:
        self._endpoint_id = endpoint_id

    def __contains__(self, endpoint_id: object) -> bool:
        return endpoint_id != self._endpoint_id
