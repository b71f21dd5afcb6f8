"""One pass over the ledger: records are added up as they are read, and none is kept but the noteworthy ones."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from typing import TypeAlias

from taskrouter.learning import plain_name
from taskrouter.ledger import Label, Ledger, Pool, Record
from taskrouter.ledger.explaining import explain_record
from taskrouter.ledger.pricing import taken_call
from taskrouter.reporting.bill import Bill, bill_of
from taskrouter.reporting.counts import Steps
from taskrouter.reporting.failing import Serving, breakers_of, refusals_of
from taskrouter.reporting.figures import Report
from taskrouter.reporting.grades import Grades, hull_of
from taskrouter.reporting.groups import Groups, Models
from taskrouter.reporting.judged import Version
from taskrouter.reporting.money import Books
from taskrouter.reporting.noteworthy import Noted, Top
from taskrouter.reporting.times import Times

Each: TypeAlias = Callable[[Record, Bill], None]
"""Told of every record with its bill, in their order."""


def report(
    ledger: Ledger,
    *,
    since_s: float = 0.0,
    until_s: float,
    tenant: str | None = None,
    agent: str | None = None,
    each: Each | None = None,
) -> Report:
    """Return what a ledger says of a stretch of time.

    Args:
        ledger: is read from its beginning; only records of the window count.
        since_s: start of the window, seconds since the epoch.
        until_s: its end, which is not within it; for the time being `time.time()`.
        tenant: leave out what is of other tenants.
        agent: leave out what is of other agents.
        each: is told of every record within the window, for instance to write it elsewhere.

    Raises:
        StoreUnavailable: the store cannot be read.
    """
    agent = plain_name(agent)  # as records name it
    unreadable_before = Counter(ledger.unreadable)
    pools = ledger.pools()
    gathered = _Gathered(pools, Grades(ledger.labels(since_s=since_s)))
    for record in ledger.records(since_s=since_s):
        if since_s <= record.at_s < until_s and tenant in (None, record.tenant) and agent in (None, record.agent):
            bill = gathered.add(record)
            if each is not None:
                each(record, bill)
    events = [event for event in ledger.events() if event.at_s < until_s]
    refusals = refusals_of(
        event
        for event in events
        if event.at_s >= since_s and tenant in (None, event.tenant) and agent in (None, event.agent)
    )
    unreadable = ledger.unreadable - unreadable_before
    noted = gathered.noted
    labels = _labels_of(ledger, since_s, noted.dearest, noted.least_certain)

    def explain(record: Record) -> str:
        return explain_record(record, pool=pools.get(record.policy_version), labels=labels.get(record.id, ()))

    money = gathered.books.figures(gathered.grades.best_single)
    routed_usd = money.compared_usd / money.compared_steps if money.compared_steps else None
    frontier = gathered.grades.frontier(money.alone, money.incumbents, routed_usd)
    return Report(
        since_s=since_s,
        until_s=until_s,
        first_s=gathered.first_s,
        last_s=gathered.last_s,
        tenant=tenant,
        agent=agent,
        steps=gathered.steps(sum(refusal.steps for refusal in refusals)),
        money=money,
        days=gathered.books.days(),
        groups=gathered.groups.figures(money.spend_usd),
        models=gathered.models.figures(money.spend_usd),
        latency=gathered.times.latency(),
        first_token=gathered.first_token.latency(),
        failures=gathered.models.failures(),
        refusals=refusals,
        breakers=breakers_of(events, since_s=since_s or gathered.first_s or 0.0, until_s=until_s),
        served=gathered.serving.figures(),
        labels=gathered.grades.coverage(),
        frontier=tuple(frontier),
        hull=hull_of(frontier),
        dearest=noted.dearest.figures(explain),
        least_certain=noted.least_certain.figures(explain),
        versions=gathered.versions(),
        unreadable=dict(unreadable),
    )


class _Gathered:
    """All that records add up to."""

    def __init__(self, pools: Mapping[str, Pool], grades: Grades) -> None:
        self._pools = pools
        self.grades = grades
        self.books, self.groups, self.models = Books(), Groups(), Models()
        self.noted, self.serving = Noted(), Serving()
        self.times, self.first_token = Times(), Times()
        self._latest: Pool | None = None
        self.first_s: float | None = None
        self.last_s: float | None = None
        self._counts: Counter[str] = Counter()
        self._versions: dict[tuple[str, str], list[float]] = {}

    def add(self, record: Record) -> Bill:
        """Add a record and return its bill."""
        pool = self._pools.get(record.policy_version)
        if record.is_trial:  # it names no version; the pool is that of the steps around it
            pool = self._latest
        elif pool is not None:
            self._latest = pool
        bill = bill_of(record, pool)
        self.first_s = record.at_s if self.first_s is None else min(self.first_s, record.at_s)
        self.last_s = record.at_s if self.last_s is None else max(self.last_s, record.at_s)
        self.books.add(record, bill)
        self.groups.add(record, bill)
        self.models.add(record, bill)
        self.serving.see(record, pool)
        if record.is_trial:
            self._counts["trials"] += 1
        else:
            self._step(record, bill)
        return bill

    def _step(self, record: Record, bill: Bill) -> None:
        self._counts["total"] += 1
        self._counts[record.outcome.status] += 1
        self._counts["escalated"] += any(call.role == "escalation" for call in record.outcome.calls)
        self.noted.add(record, bill)
        version = self._versions.setdefault((record.policy, record.policy_version), [0, record.at_s, record.at_s])
        version[0] += 1
        version[2] = record.at_s
        if record.answered:
            self.grades.add(record)
            self.times.add(record.outcome.latency_s)
            taken = taken_call(record)
            self.first_token.add(None if taken is None else taken.first_token_s)

    def steps(self, refused: int) -> Steps:
        """Return how the steps went."""
        counts = self._counts
        return Steps(
            total=counts["total"],
            fallback=counts["fallback"],
            escalated=counts["escalated"],
            exhausted=counts["exhausted"],
            cancelled=counts["cancelled"],
            refused=refused,
            trials=counts["trials"],
        )

    def versions(self) -> tuple[Version, ...]:
        """Return the versions of policy and pool, in the order in which they appeared."""
        return tuple(
            Version(
                policy=policy,
                version=version,
                steps=int(steps),
                first_s=first_s,
                last_s=last_s,
                prices_known=version in self._pools,
            )
            for (policy, version), (steps, first_s, last_s) in self._versions.items()
        )


def _labels_of(ledger: Ledger, since_s: float, *tops: Top) -> dict[str, list[Label]]:
    """Return the labels of the decisions that will be explained."""
    found: dict[str, list[Label]] = {id_: [] for top in tops for id_ in top.ids}
    for label in ledger.labels(since_s=since_s) if found else ():
        if label.decision_id in found:
            found[label.decision_id].append(label)
    return found
