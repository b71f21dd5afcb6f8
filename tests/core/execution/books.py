"""Access, wallet and observer that keep books: nothing may be opened without being closed, or closed twice."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Container, Sequence

from taskrouter import Attempt, BudgetExceededError, ResponseView
from taskrouter.errors import ModelCallError
from taskrouter.execution.observer import SilentObserver, SilentVisit
from taskrouter.outcome import Ending, OutcomeStatus, Role
from taskrouter.ports import Admission, Endpoint, Refusal, VisitObserver


def endpoint(model: str, deployment: str | None = None) -> Endpoint:
    name = model if deployment is None else f"{model}@{deployment}"
    return Endpoint(id=name, model=model, deployment=deployment)


class AccessBook:
    """Admits what is not blocked, and pairs every admission with one report."""

    def __init__(
        self, models: Sequence[str], *, deployments: int = 1, blocked: float = 0.0, rng: random.Random | None = None
    ) -> None:
        names = [None] if deployments == 1 else [f"d{number}" for number in range(deployments)]
        self._places = [endpoint(model, name) for model in models for name in names]
        self._blocked = blocked
        self._rng = rng or random.Random(0)
        self.open: list[tuple[str, bool]] = []
        self.reports: list[str] = []
        self.out: set[str] = set()
        """Models that cannot be called now."""
        self.usual_s: float | None = None
        self.cold_s = 0.0

    def admit(
        self, model: str, now_s: float, *, tried: Container[str] = (), regions: frozenset[str] | None = None
    ) -> Admission | None:
        usable = [p for p in self._places if p.model == model and p.id not in tried]
        if not usable or model in self.out or self._rng.random() < self._blocked:
            return None
        return self._opened(Admission(endpoint=usable[0], probe=self._rng.random() < self._blocked))

    def least_bad(
        self, models: Sequence[str], now_s: float, *, tried: Container[str] = (), regions: frozenset[str] | None = None
    ) -> Admission | None:
        left = [p for p in self._places if p.model in models and p.id not in tried]
        return self._opened(Admission(endpoint=left[0], forced=True)) if left else None

    def succeeded(
        self, endpoint_id: str, now_s: float, *, latency_s: float, first_token_s: float | None = None
    ) -> None:
        probe = next(probe for name, probe in self.open if name == endpoint_id)
        self._close("succeeded", endpoint_id, probe)

    def failed(self, endpoint_id: str, error: ModelCallError, now_s: float, *, latency_s: float, probe: bool) -> None:
        self._close("failed", endpoint_id, probe)

    def released(self, endpoint_id: str, now_s: float, *, probe: bool, latency_s: float = 0.0) -> None:
        self._close("released", endpoint_id, probe)

    def cold_start_s(self, endpoint_id: str, now_s: float) -> float:
        return self.cold_s

    def latency_s(self, model: str, quantile: float = 0.5) -> float | None:
        return self.usual_s

    def _opened(self, admission: Admission) -> Admission:
        self.open.append((admission.endpoint.id, admission.probe))
        return admission

    def _close(self, how: str, endpoint_id: str, probe: bool) -> None:
        self.open.remove((endpoint_id, probe))
        self.reports.append(how)


class WalletBook:
    """Refuses what it is told to, and pairs every reservation with one settlement or return."""

    def __init__(self, *refusals: Refusal | None, deadline_at_s: float | None = None, wait_s: float = 0.0) -> None:
        self.blocking = False
        self.deadline_at_s = deadline_at_s
        self.wait_s = wait_s
        self.open: list[object] = []
        self.asked: list[str] = []
        self.settled_usd = 0.0
        self.returned = 0
        self._refusals = list(refusals)

    def reserve(self, model: str) -> object | Refusal:
        self.asked.append(model)
        refusal = self._refusals.pop(0) if self._refusals else None
        if refusal is not None:
            return refusal
        reservation = object()
        self.open.append(reservation)
        return reservation

    def settle(self, reservation: object, attempt: Attempt) -> None:
        self.open.remove(reservation)
        self.settled_usd += attempt.cost_usd or 0.0

    def give_back(self, reservation: object) -> None:
        self.open.remove(reservation)
        self.returned += 1

    def overdue(self) -> BudgetExceededError:
        return BudgetExceededError("overdue", limit="deadline")


def refusal(*, may_pass: bool = False, said: str = "too dear") -> Refusal:
    return Refusal(BudgetExceededError(said), may_pass)


class VisitBook(SilentVisit):
    """One visit."""

    def __init__(self, place: Endpoint, role: Role, index: int) -> None:
        self.place, self.role, self.index = place, role, index
        self.attempts: list[Attempt] = []
        self.endings: list[tuple[ResponseView | None, ModelCallError | None]] = []

    def attempt_ended(self, attempt: Attempt) -> None:
        self.attempts.append(attempt)

    def ended(self, attempts: Sequence[Attempt], view: ResponseView | None, error: ModelCallError | None) -> None:
        assert list(attempts) == self.attempts
        self.endings.append((view, error))


class ObserverBook(SilentObserver):
    """All visits of a step, and how the step ended."""

    def __init__(self) -> None:
        self.visits: list[VisitBook] = []
        self.ends: list[tuple[OutcomeStatus, tuple[Attempt, ...]]] = []

    def visit_started(self, endpoint: Endpoint, role: Role, index: int) -> VisitObserver:
        self.visits.append(VisitBook(endpoint, role, index))
        return self.visits[-1]

    def step_ended(self, ending: Ending) -> None:
        self.ends.append((ending.status, ending.attempts))


def balanced(access: AccessBook, wallet: WalletBook | None, observer: ObserverBook) -> tuple[Attempt, ...]:
    """Check the books of a step that is over and return its attempts."""
    ((status, attempts),) = observer.ends
    assert access.open == []
    assert [a.index for a in attempts] == list(range(1, len(attempts) + 1))
    assert [len(visit.endings) for visit in observer.visits] == [1] * len(observer.visits)
    of_visits = [attempt for visit in observer.visits for attempt in visit.attempts]
    assert sorted(of_visits, key=lambda a: a.index) == list(attempts)
    assert [visit.index for visit in observer.visits] == [visit.attempts[0].index for visit in observer.visits]
    assert Counter(access.reports)["succeeded"] == sum(a.status == "ok" for a in attempts)
    failed = [attempt for attempt in attempts if attempt.status == "failed"]
    # A call that its caller's own deadline cut short is given back without a verdict.
    excused = sum(attempt.error_type == "timeout" for attempt in failed) if wallet and wallet.deadline_at_s else 0
    assert len(failed) - excused <= Counter(access.reports)["failed"] <= len(failed)
    assert status in ("ok", "fallback", "exhausted", "cancelled")
    if wallet is not None:
        assert wallet.open == []
        assert abs(wallet.settled_usd - sum(a.cost_usd or 0.0 for a in attempts)) < 1e-12
    for visit in observer.visits:
        view, error = visit.endings[0]
        assert (view is not None) == (visit.attempts[-1].status == "ok")
        assert (error is not None) <= (visit.attempts[-1].status == "failed")
    return attempts
