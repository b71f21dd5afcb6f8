"""What happens beside the steps: breakers that open and close, steps that could not be decided."""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from tests.core.sharing_workers import ask, breaker, open_breaker, shared_router, wait_until

from taskrouter import AllAttemptsFailedError, NoEligibleModelError, Router, Step, StepContext, errors
from taskrouter.ledger import EVENTS, Event, EventLog, Ledger
from taskrouter.ledger import happening as happening_module
from taskrouter.state.memory import MemoryStore

SECRET = "sk-live-0123456789abcdef"


def events(router: Router) -> list[Event]:
    return list(router.ledger.events())


def said(router: Router) -> list[tuple[str | None, str | None, str]]:
    return [(event.endpoint, event.state, event.why) for event in events(router)]


def fails(error: Exception) -> Any:
    def call(_: str) -> Any:
        raise error

    return call


def test_a_breaker_that_opens_closes_and_opens_again_is_three_events() -> None:
    with shared_router("memory:", health={"failures": 2, "open_s": 0.01}) as router:
        for _ in range(2):
            ask(router, failing="first")
        wait_until(lambda: breaker(router) == "half_open")
        assert ask(router) == "first"
        for _ in range(2):
            ask(router, failing="first")
        told = said(router)
    assert told == [
        ("first", "open", "2 failures in a row, the last: connection"),
        ("first", "closed", ""),
        ("first", "open", "2 failures in a row, the last: connection"),
    ]
    assert all(event.at_s > 0 for event in events(router))


def test_a_probe_that_fails_leaves_the_breaker_open_and_is_no_event() -> None:
    with shared_router("memory:", health={"failures": 1, "open_s": 0.01, "max_open_s": 0.02}) as router:
        ask(router, failing="first")
        for _ in range(3):
            wait_until(lambda: breaker(router) == "half_open")
            ask(router, failing="first")
        assert [state for _, state, _ in said(router)] == ["open"]


def test_an_endpoint_that_is_marked_down_is_an_event_without_a_word_of_the_provider() -> None:
    with shared_router("memory:") as router:
        step = Step(messages=[{"role": "user", "content": "Hello"}])
        refusal = errors.Unauthenticated(f"the key {SECRET} is wrong", status=401)
        with pytest.raises(AllAttemptsFailedError):
            router.run(step, fails(refusal))
        assert said(router) == [("first", "down", "unauthenticated"), ("second", "down", "unauthenticated")]
        assert SECRET not in "".join(record.text for record in router._state.store.read(EVENTS))


def test_a_quota_group_is_named_as_such() -> None:
    models = [{"id": name, "model": f"house/{name}", "quota_group": "account"} for name in ("first", "second")]
    with shared_router("memory:", models=models) as router:
        step = Step(messages=[{"role": "user", "content": "Hello"}])
        with pytest.raises(AllAttemptsFailedError):
            router.run(step, fails(errors.Unauthenticated("no", status=401)))
        assert said(router) == [("account", "down", "unauthenticated")]


def test_only_the_process_that_opened_a_breaker_writes_it(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/state.db"
    with shared_router(url) as router:
        ask(router)
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
            assert pool.submit(open_breaker, url).result() == "open"
        wait_until(lambda: breaker(router) == "open")
        wait_until(lambda: len(events(router)) == 1)
    with Ledger.open(url) as ledger:
        assert [(event.endpoint, event.state) for event in ledger.events()] == [("first", "open")]


def test_a_step_that_could_not_be_decided_is_an_event_without_its_content(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/state.db"
    rules = [{"name": "nobody", "when": {"agent": "clerk 123456"}, "use": ["second"], "avoid": ["second"]}]
    context = StepContext(agent="clerk 123456", node="read", tenant="acme", run_id="run-secret", session_id="session")
    with shared_router(url, rules=rules) as router:
        step = Step(messages=[{"role": "user", "content": SECRET}], context=context)
        with pytest.raises(NoEligibleModelError):
            router.run(step, fails(AssertionError("nothing is called")))
    with Ledger.open(url) as ledger:
        (event,) = ledger.events()
        assert list(ledger.records()) == []
    assert (event.kind, event.error_type) == ("refused", "no_eligible_model")
    assert (event.agent, event.node, event.tenant) == ("clerk #", "read", "acme")
    for secret in (SECRET, "run-secret", "session"):
        assert secret not in event.model_dump_json()


def test_without_a_ledger_there_are_no_events(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/state.db"
    with shared_router("memory:", state={"url": url, "decisions": 0}) as router:
        for _ in range(2):
            ask(router, failing="first")
        assert events(router) == []


def test_events_that_wait_are_bounded_and_what_is_dropped_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(happening_module, "WAITING", 2)
    store = MemoryStore()
    store.shared = True
    log = EventLog(store)
    step = Step(messages=[{"role": "user", "content": "Hello"}])
    for _ in range(5):
        log.refused(step, NoEligibleModelError(()))
    assert (log.waiting, log.dropped) == (2, 3)
    log.flush()
    assert (log.waiting, len(store.read(EVENTS))) == (0, 2)


def test_half_a_character_in_a_name_costs_no_event() -> None:
    with shared_router("memory:") as router:
        step = Step(messages=[{"role": "user", "content": "Hello"}], context=StepContext(tenant="acme \ud83d"))
        router._state.refused(step, NoEligibleModelError(()))
        assert [event.tenant for event in events(router)] == ["acme ?"]


def test_a_breaker_is_counted_in_the_metrics_and_told_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "taskrouter.routing")
    reader = InMemoryMetricReader()
    price = {"input_usd_per_million": 1.0, "output_usd_per_million": 1.0}
    models = [{"id": name, "model": f"house/{name}", **price} for name in ("first", "second")]
    provider = MeterProvider([reader])
    with Router(models, incumbent="first", config={"health": {"failures": 1}}, meter_provider=provider) as router:
        assert ask(router, failing="first") == "second"
    data = reader.get_metrics_data()
    assert data is not None
    found = {metric.name: metric for metric in data.resource_metrics[0].scope_metrics[0].metrics}
    (point,) = found["taskrouter.breakers"].data.data_points
    attributes = dict(point.attributes or {})
    assert (attributes["taskrouter.breaker.endpoint"], attributes["taskrouter.breaker.state"]) == ("first", "open")
    assert "circuit breaker 'first': open" in [record.getMessage() for record in caplog.records]
