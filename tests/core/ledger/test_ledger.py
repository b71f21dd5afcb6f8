"""The ledger: what is kept of every answered step, behind the calls."""

from __future__ import annotations

import gc
import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from tests.core.sharing_workers import ask, shared_router, wait_until

from taskrouter import ConfigurationError, ResponseView, Router, Step, StepContext
from taskrouter.decision import Loss, Plan
from taskrouter.errors import StoreUnavailable
from taskrouter.learning import Branch, LearnedPolicy, Reckoning
from taskrouter.ledger import DECISIONS, LedgerWriter, Record
from taskrouter.ledger import writing as writing_module
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


def outcome_of(router: Router) -> tuple[Step, Any]:
    step = Step(messages=[{"role": "user", "content": SECRET}])
    return step, router.run(step, lambda _: ANSWER, lambda native: native)


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
    assert {"mean", "low", "high"} == set(record["loss"])
    assert Record.read(json.dumps(record)).profile.profile.input_tokens == record["profile"]["input_tokens"] > 0


def test_the_last_decisions_are_written_when_the_router_is_closed(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/state.db"
    with shared_router(url, refresh_s=3600.0) as router:
        ids = [answer(router) for _ in range(5)]
    assert [record["id"] for record in records(url)] == ids


def test_no_content_and_no_name_of_a_tenant_is_kept(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/state.db"
    with shared_router(url) as router:
        answer(router, tenant="acme", tags=["gold"], run_id="run-secret", session_id="session-secret")
    text = json.dumps(records(url))
    for secret in ("content", "acme", "gold", "run-secret", "session-secret"):
        assert secret not in text


def test_in_memory_it_is_written_at_once_and_goes_with_the_process() -> None:
    with shared_router("memory:") as router:
        answer(router)
        assert [record["policy"] for record in own(router)] == ["safe"]
        assert router.learning.decisions_written == 1


def test_without_a_number_to_keep_there_is_no_ledger(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/state.db"
    with shared_router("memory:", state={"url": url, "decisions": 0}) as router:
        answer(router)
        assert router.learning.decisions_written == 0
    assert records(url) == []
    with pytest.raises(ConfigurationError, match=r"state\.decisions"):
        shared_router("memory:", state={"decisions": -1})


def test_steps_that_no_model_answered_are_not_in_it() -> None:
    with shared_router("memory:") as router:
        with pytest.raises(Exception, match="all"):
            router.run(Step(messages=[{"role": "user", "content": SECRET}]), _fails)
        assert own(router) == []


def _fails(model: str) -> Any:
    raise ConnectionError(model)


def test_a_fallback_is_recorded_with_every_call() -> None:
    with shared_router("memory:") as router:
        assert ask(router, failing="first") == "second"
        outcome = own(router)[0]["outcome"]
    assert (outcome["status"], outcome["model"]) == ("fallback", "second")
    assert [(call["model"], call["status"]) for call in outcome["calls"]] == [("first", "failed"), ("second", "ok")]


def test_what_waits_is_bounded_and_what_is_dropped_is_counted_and_said_once(caplog: pytest.LogCaptureFixture) -> None:
    writer = LedgerWriter(Shared(), keep=100, queued=2)
    with shared_router("memory:") as router:
        step, outcome = outcome_of(router)
        identity = router._teaching.learner.remembered(outcome.decision_id)
        assert identity is not None
        for _ in range(5):
            writer.note(step, outcome, identity.identity)
    assert (writer.waiting, writer.dropped) == (2, 3)
    assert [r.getMessage() for r in caplog.records if r.name == "taskrouter.ledger"] == [
        "more than 2 decisions wait for the ledger; further ones are dropped"
    ]
    writer.flush()
    assert (writer.waiting, writer.written) == (0, 2)


def test_while_the_store_is_away_decisions_wait_in_their_order() -> None:
    store = Shared()
    writer = LedgerWriter(store, keep=100)
    with shared_router("memory:") as router:
        made = [outcome_of(router) for _ in range(3)]
        store.away = True
        for step, outcome in made:
            known = router._teaching.learner.remembered(outcome.decision_id)
            assert known is not None
            writer.note(step, outcome, known.identity)
    with pytest.raises(StoreUnavailable):
        writer.flush()
    assert (writer.waiting, writer.dropped) == (3, 0)
    store.away = False
    writer.flush()
    kept = [json.loads(record.text)["id"] for record in store.read(DECISIONS)]
    assert kept == [outcome.decision_id for _, outcome in made]


def test_a_full_batch_asks_to_be_written_before_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writing_module, "BATCH", 2)
    woken: list[str] = []
    writer = LedgerWriter(Shared(), keep=100, wake=lambda: woken.append("now"))
    with shared_router("memory:") as router:
        step, outcome = outcome_of(router)
        known = router._teaching.learner.remembered(outcome.decision_id)
        assert known is not None
        for _ in range(3):
            writer.note(step, outcome, known.identity)
    assert woken == ["now"]


def test_a_ledger_that_fails_does_not_fail_the_call(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(writing_module, "record_of", lambda *_: 1 / 0)
    with shared_router("memory:") as router:
        assert ask(router) == "first"
        assert ask(router) == "first"
        assert router.learning.decisions_dropped == 2
    assert [r.getMessage() for r in caplog.records if r.name == "taskrouter.ledger"] == [
        "a decision could not be put into the ledger: ZeroDivisionError"
    ]


def test_the_oldest_decisions_go_first(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/state.db"
    with shared_router("memory:", state={"url": url, "decisions": 20}) as router:
        ids = [answer(router) for _ in range(50)]
    kept = [record["id"] for record in records(url)]
    assert kept == ids[-len(kept) :]
    assert 20 <= len(kept) <= 21


def test_a_child_of_a_fork_leaves_what_waits_to_its_parent() -> None:
    writer = LedgerWriter(Shared(), keep=100)
    with shared_router("memory:") as router:
        step, outcome = outcome_of(router)
        known = router._teaching.learner.remembered(outcome.decision_id)
        assert known is not None
        writer.note(step, outcome, known.identity)
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
