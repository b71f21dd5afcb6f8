"""The ledger: what is kept of every step that is over, behind the calls."""

from __future__ import annotations

import asyncio
import gc
import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from tests.core.sharing_workers import ask, shared_router, wait_until

from taskrouter import AllAttemptsFailedError, ConfigurationError, ResponseView, Router, Step, StepContext
from taskrouter.decision import Decision, Loss, Plan
from taskrouter.errors import StoreUnavailable
from taskrouter.learning import Branch, LearnedPolicy, Reckoning
from taskrouter.ledger import DECISIONS, LedgerWriter, Record, Retention, record_of
from taskrouter.ledger import behind as behind_module
from taskrouter.ledger import writing as writing_module
from taskrouter.outcome import Ending
from taskrouter.state.memory import MemoryStore
from taskrouter.state.opening import open_store

SECRET = "the content of a prompt"
ANSWER = ResponseView(text="the content of an answer", finish_reason="stop")


def records(url: str) -> list[dict[str, Any]]:
    store = open_store(url)
    found = [json.loads(record.text) for record in store.read(DECISIONS)]
    store.close()
    return found


def own(router: Router) -> list[dict[str, Any]]:
    """What is in the store of a router that keeps it in memory."""
    router._state.ledger.flush()  # type: ignore[union-attr]
    return [json.loads(record.text) for record in router._state.store.read(DECISIONS)]


def answer(router: Router, **context: Any) -> str:
    step = Step(messages=[{"role": "user", "content": SECRET}], context=StepContext(**context))
    return router.run(step, lambda _: ANSWER, lambda native: native).decision_id


class Shared(MemoryStore):
    """A store that others might see, and that can be away."""

    shared = True

    def __init__(self) -> None:
        super().__init__()
        self.away = False

    def append(self, log: str, texts: Sequence[str]) -> None:
        if self.away:
            raise StoreUnavailable("away")
        super().append(log, texts)


def made() -> tuple[Step, Decision, Ending]:
    """A step that is over."""
    step = Step(messages=[{"role": "user", "content": SECRET}])
    with shared_router("memory:") as router:
        outcome = router.run(step, lambda _: ANSWER, lambda native: native)
    return step, outcome.decision, Ending(status="ok", attempts=outcome.attempts, answered=outcome.answered)


def writer_for(store: MemoryStore, **options: Any) -> LedgerWriter:
    return LedgerWriter(store, retention=Retention(DECISIONS, keep=100), **options)


def test_every_answered_step_is_a_record_of_what_was_decided_and_what_came_of_it(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/state.db"
    with shared_router(url) as router:
        first = answer(router, agent="clerk", node="extract 123456")
        second = answer(router)
        wait_until(lambda: router.learning.decisions_written == 2)
        assert router.learning.decisions_dropped == 0
    kept = records(url)
    assert [record["id"] for record in kept] == [first, second]
    record = kept[0]
    assert record["v"] == 1
    assert record["identity"] == "clerk/extract #"
    assert (record["agent"], record["node"]) == ("clerk", "extract #")
    assert record["plan"] == {"kind": "single", "models": ["first"]}
    assert (record["propensity"], record["alternatives"]) == (1.0, [])
    assert record["outcome"]["status"] == "ok"
    assert [call["model"] for call in record["outcome"]["calls"]] == ["first"]
    assert record["cost_usd"] > 0
    assert {"mean", "low", "high", "source"} == set(record["loss"])
    assert Record.read(json.dumps(record)).profile.profile.input_tokens == record["profile"]["input_tokens"] > 0


def test_the_last_decisions_are_written_when_the_router_is_closed(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/state.db"
    with shared_router(url, refresh_s=3600.0) as router:
        ids = [answer(router) for _ in range(5)]
    assert [record["id"] for record in records(url)] == ids


def test_no_content_is_kept_and_of_whom_it_was_for_only_the_tenant(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/state.db"
    with shared_router(url) as router:
        answer(router, tenant="acme", tags=["gold"], run_id="run-secret", session_id="session-secret")
    (record,) = records(url)
    assert record["tenant"] == "acme"
    assert len(record["run"]) == 12
    for secret in ("content", "gold", "run-secret", "session-secret"):
        assert secret not in json.dumps(record)


def test_the_steps_of_a_run_share_a_digest_that_is_not_its_name() -> None:
    with shared_router("memory:") as router:
        for run_id in ("one", "one", "other", None):
            answer(router, run_id=run_id)
        runs = [record["run"] for record in own(router)]
    assert runs[0] == runs[1] != runs[2]
    assert runs[3] is None


def test_in_memory_a_record_is_made_when_somebody_reads_and_goes_with_the_process() -> None:
    with shared_router("memory:") as router:
        decision_id = answer(router)
        assert list(router._state.store.read(DECISIONS)) == []
        assert router.learning.decisions_written == 1
        assert [record.id for record in router.ledger.records()] == [decision_id]
        assert [record.id for record in router.ledger.records()] == [decision_id]
        assert router.learning.decisions_written == 1


def test_in_memory_only_the_newest_wait_to_be_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(behind_module, "UNREAD", 3)
    with shared_router("memory:") as router:
        ids = [answer(router) for _ in range(5)]
        assert [record["id"] for record in own(router)] == ids[2:]


def test_without_a_number_to_keep_there_is_no_ledger(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/state.db"
    with shared_router("memory:", state={"url": url, "decisions": 0}) as router:
        answer(router)
        assert router.learning.decisions_written == 0
    assert records(url) == []
    with pytest.raises(ConfigurationError, match=r"state\.decisions"):
        shared_router("memory:", state={"decisions": -1})


def test_a_step_that_no_model_answered_is_in_it_with_what_was_tried() -> None:
    with shared_router("memory:") as router:
        with pytest.raises(AllAttemptsFailedError):
            router.run(Step(messages=[{"role": "user", "content": SECRET}]), _fails)
        (record,) = router.ledger.records()
    assert not record.answered
    assert (record.outcome.status, record.outcome.model) == ("exhausted", None)
    assert record.outcome.error_type == record.outcome.calls[-1].error_type
    assert [(call.model, call.status, call.taken) for call in record.outcome.calls] == [
        ("first", "failed", False),
        ("second", "failed", False),
    ]


def test_a_step_that_was_given_up_is_in_it() -> None:
    async def give_up(router: Router) -> None:
        asked = asyncio.Event()

        async def never(_: str) -> ResponseView:
            asked.set()
            await asyncio.Event().wait()
            return ANSWER

        step = Step(messages=[{"role": "user", "content": SECRET}])
        task = asyncio.create_task(router.arun(step, never, lambda native: native))
        await asked.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    with shared_router("memory:") as router:
        asyncio.run(give_up(router))
        (record,) = router.ledger.records()
    assert (record.outcome.status, record.outcome.model, record.answered) == ("cancelled", None, False)
    assert [call.status for call in record.outcome.calls] == ["cancelled"]


def _fails(model: str) -> Any:
    raise ConnectionError(model)


def test_a_fallback_is_recorded_with_every_call() -> None:
    with shared_router("memory:") as router:
        assert ask(router, failing="first") == "second"
        outcome = own(router)[0]["outcome"]
    assert (outcome["status"], outcome["model"]) == ("fallback", "second")
    assert [(call["model"], call["status"]) for call in outcome["calls"]] == [("first", "failed"), ("second", "ok")]


def test_what_waits_is_bounded_and_what_is_dropped_is_counted_and_said_once(caplog: pytest.LogCaptureFixture) -> None:
    writer = writer_for(Shared(), queued=2)
    for _ in range(5):
        writer.note(*made())
    assert (writer.waiting, writer.dropped) == (2, 3)
    assert [r.getMessage() for r in caplog.records if r.name == "taskrouter.ledger"] == [
        "more than 2 decisions wait for the ledger; further ones are dropped"
    ]
    writer.flush()
    assert (writer.waiting, writer.written) == (0, 2)


def test_while_the_store_is_away_decisions_wait_in_their_order() -> None:
    store = Shared()
    writer = writer_for(store)
    store.away = True
    steps = [made() for _ in range(3)]
    for step in steps:
        writer.note(*step)
    with pytest.raises(StoreUnavailable):
        writer.flush()
    assert (writer.waiting, writer.dropped) == (3, 0)
    store.away = False
    writer.flush()
    kept = [json.loads(record.text)["id"] for record in store.read(DECISIONS)]
    assert kept == [decision.id for _, decision, _ in steps]


def test_a_full_batch_asks_to_be_written_before_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(behind_module, "BATCH", 2)
    woken: list[str] = []
    writer = writer_for(Shared(), wake=lambda: woken.append("now"))
    for _ in range(3):
        writer.note(*made())
    assert woken == ["now"]


@pytest.mark.parametrize("broken", ["noted", "record_of"])
def test_a_ledger_that_fails_does_not_fail_the_call(
    broken: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(writing_module, broken, lambda *_, **__: 1 / 0)
    with shared_router("memory:") as router:
        assert ask(router) == "first"
        assert ask(router) == "first"
        assert own(router) == []
        assert router.learning.decisions_dropped == 2
    assert [r.getMessage() for r in caplog.records if r.name == "taskrouter.ledger"] == [
        "decisions could not be put into the ledger: ZeroDivisionError"
    ]


def test_a_record_that_cannot_be_made_costs_itself_and_not_its_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    made_by = record_of
    bad = made()
    steps = [made(), bad, made()]
    monkeypatch.setattr(
        writing_module, "record_of", lambda known: 1 / 0 if known.decision is bad[1] else made_by(known)
    )
    store = Shared()
    writer = writer_for(store)
    for step in steps:
        writer.note(*step)
    writer.flush()
    kept = [json.loads(record.text)["id"] for record in store.read(DECISIONS)]
    assert kept == [steps[0][1].id, steps[2][1].id]
    assert (writer.waiting, writer.written, writer.dropped) == (0, 2, 1)


def test_the_oldest_decisions_go_first(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/state.db"
    with shared_router("memory:", state={"url": url, "decisions": 20}) as router:
        ids = [answer(router) for _ in range(50)]
    kept = [record["id"] for record in records(url)]
    assert kept == ids[-len(kept) :]
    assert 20 <= len(kept) <= 21


def test_a_child_of_a_fork_leaves_what_waits_to_its_parent() -> None:
    writer = writer_for(Shared())
    writer.note(*made())
    writer.after_fork_in_child()
    writer.flush()
    assert (writer.waiting, writer.written) == (0, 0)


def mixed(*shares: tuple[str, float]) -> LearnedPolicy:
    loss = Loss(0.0, -0.1, 0.1, "labels")
    branches = tuple(Branch(Plan(models=(model,)), share, loss) for model, share in shares)
    return LearnedPolicy("first", {"clerk/": branches}, {"clerk/": 100}, Reckoning(0.0, 0.0, 0.1, 100))


def test_a_drawn_plan_is_recorded_with_what_might_have_been_drawn() -> None:
    with shared_router("memory:") as router:
        router._teaching.learner.policy = mixed(("first", 0.25), ("second", 0.75))
        for _ in range(20):
            answer(router, agent="clerk")
        kept = own(router)
    chances = {"first": 0.25, "second": 0.75}
    assert {record["plan"]["models"][0] for record in kept} == set(chances)
    for record in kept:
        (other,) = record["alternatives"]
        drawn = {record["plan"]["models"][0]: record["propensity"], other["plan"]["models"][0]: other["propensity"]}
        assert drawn == chances
        assert other["cost_usd"] > 0


def test_a_plan_that_cannot_be_taken_leaves_its_chance_to_the_others() -> None:
    with shared_router("memory:") as router:
        router._teaching.learner.policy = mixed(("first", 0.25), ("second", 0.75))
        step = Step(messages=[{"role": "user", "content": SECRET}], context=StepContext(agent="clerk"))
        decisions = [router.route(step, use=["first"]) for _ in range(10)]
    assert {(d.model, d.propensity, d.alternatives) for d in decisions} == {("first", 1.0, ())}
    assert decisions[0].use == frozenset({"first"})


ENDS = """
import sys
from tests.core.ledger.test_ledger import answer
from tests.core.sharing_workers import shared_router

router = shared_router(sys.argv[1], refresh_s=3600.0)
print(answer(router))
"""


def test_a_program_that_ends_without_closing_its_router_loses_no_decision(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/state.db"
    done = subprocess.run([sys.executable, "-c", ENDS, url], capture_output=True, text=True, timeout=120, check=True)
    assert [record["id"] for record in records(url)] == [done.stdout.strip()]


def test_a_router_that_is_dropped_leaves_its_decisions(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/state.db"
    router = shared_router(url, refresh_s=3600.0)
    decision_id = answer(router)
    del router
    gc.collect()
    wait_until(lambda: bool(records(url)))
    assert [record["id"] for record in records(url)] == [decision_id]
