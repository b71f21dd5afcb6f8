"""Logs: one tree of loggers, no handler of ours, and the facts beside the message."""

from __future__ import annotations

import asyncio
import json
import logging
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.sdk._logs import LoggerProvider, LoggingHandler
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor
from tests.core.observability.recorder import HELLO, Recorder, card, completion

from taskrouter import AllAttemptsFailedError, BudgetExceededError, NoEligibleModelError, Step, StepContext
from taskrouter.execution import SilentObserver
from taskrouter.observability.logs import EXTRAS, RoutingLogs

STEP = Step(
    messages=[{"role": "user", "content": "hello"}],
    task_type="chat",
    context=StepContext(agent="writer", node="draft", index=3, run_id="run-1", tenant="acme"),
)
STANDARD = set(vars(logging.makeLogRecord({}))) | {"message", "asctime"}


class Kept(logging.Handler):
    """A handler of the application's."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)

    def told(self) -> list[tuple[str, str]]:
        return [(record.levelname, vars(record)["taskrouter_event"]) for record in self.records]


@pytest.fixture
def kept() -> Iterator[Kept]:
    """All records of routing, from DEBUG on."""
    handler, logger = Kept(), logging.getLogger("taskrouter.routing")
    before = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)
    yield handler
    logger.removeHandler(handler)
    logger.setLevel(before)


def extras(record: logging.LogRecord) -> dict[str, Any]:
    return {name: value for name, value in vars(record).items() if name not in STANDARD}


def ours(model: str, **fields: Any) -> Any:
    return completion(model=model, **fields)


def only_second(model: str) -> Any:
    if model == "first":
        raise ConnectionError("provider's words")
    return ours(model)


def failing(model: str) -> Any:
    raise ConnectionError("provider's words")


def test_a_step_leaves_one_record_for_the_decision_and_one_for_its_end(recorder: Recorder, kept: Kept) -> None:
    outcome = recorder.router().run(STEP, ours)
    assert kept.told() == [("DEBUG", "decided"), ("DEBUG", "ended")]
    decided, ended = kept.records
    where = {
        "taskrouter_agent": "writer",
        "taskrouter_node": "draft",
        "taskrouter_step_index": 3,
        "taskrouter_run_id": "run-1",
        "taskrouter_tenant": "acme",
        "taskrouter_task_type": "chat",
        "taskrouter_policy": "safe",
        "taskrouter_decision_id": outcome.decision_id,
        "taskrouter_model": "first",
    }
    assert extras(decided) == {
        **where,
        "taskrouter_event": "decided",
        "taskrouter_reason": outcome.decision.reason,
        "taskrouter_plan": "single",
        "taskrouter_latency_s": outcome.decision.duration_s,
    }
    assert decided.getMessage() == f"decision {outcome.decision_id}: model 'first'"
    assert extras(ended) == {
        **where,
        "taskrouter_event": "ended",
        "taskrouter_status": "ok",
        "taskrouter_calls": 1,
        "taskrouter_latency_s": pytest.approx(outcome.latency_s, abs=1.0),
        "taskrouter_cost_usd": outcome.cost_usd,
        "taskrouter_input_tokens": 100,
        "taskrouter_output_tokens": 10,
    }


def test_a_fallback_is_told_when_it_happens_and_who_was_given_up_for_it(recorder: Recorder, kept: Kept) -> None:
    router = recorder.router(execution={"retries": 2})
    router.run(STEP, only_second)
    assert kept.told() == [("DEBUG", "decided"), ("INFO", "left"), ("INFO", "fallback"), ("DEBUG", "ended")]
    _, left, fallback, ended = map(extras, kept.records)
    assert (left["taskrouter_model"], left["taskrouter_error_type"], left["taskrouter_calls"]) == (
        "first",
        "connection",
        3,
    )
    assert left["taskrouter_role"] == "primary"
    assert (fallback["taskrouter_model"], fallback["taskrouter_instead_of"]) == ("second", "first")
    assert (ended["taskrouter_status"], ended["taskrouter_model"]) == ("fallback", "second")
    assert "provider's words" not in str([vars(record) for record in kept.records])


def test_the_status_of_a_failure_is_told(recorder: Recorder, kept: Kept) -> None:
    class Busy(Exception):  # noqa: N818 - it plays a provider's error
        status_code = 503

    def call(model: str) -> Any:
        raise Busy

    with pytest.raises(AllAttemptsFailedError):
        recorder.router().run(STEP, call)
    left = [extras(r) for r in kept.records if r.levelname == "INFO" and extras(r)["taskrouter_event"] == "left"]
    assert [facts["taskrouter_http_status"] for facts in left] == [503, 503]


def test_a_step_that_nothing_answers_is_a_warning(recorder: Recorder, kept: Kept) -> None:
    with pytest.raises(AllAttemptsFailedError):
        recorder.router().run(STEP, failing)
    assert kept.told()[-1] == ("WARNING", "ended")
    facts = extras(kept.records[-1])
    assert (facts["taskrouter_status"], facts["taskrouter_error_type"]) == ("exhausted", "connection")
    assert "taskrouter_model" not in facts


def test_a_budget_that_is_used_up_is_no_warning(recorder: Recorder, kept: Kept) -> None:
    router = recorder.router()
    decision = router.route(STEP)
    with router.budget(steps=1):
        router.run(STEP, ours, decision=decision)
        with pytest.raises(BudgetExceededError):
            router.run(STEP, ours, decision=decision)
    assert [level for level, _ in kept.told() if level == "WARNING"] == []
    assert [level for level, event in kept.told() if event in ("ended", "refused")][-1] == "INFO"


def test_a_step_that_cannot_be_decided_is_told_with_its_kind_only(recorder: Recorder, kept: Kept) -> None:
    step = Step(messages=[{"role": "user", "content": "secret words" * 100_000}], context=STEP.context)
    with pytest.raises(NoEligibleModelError):
        recorder.router([card("first", context_tokens=1_000)]).run(step, ours)
    assert kept.told() == [("INFO", "refused")]
    (record,) = kept.records
    assert extras(record)["taskrouter_error_type"] == "no_eligible_model"
    assert extras(record)["taskrouter_agent"] == "writer"
    assert "secret" not in str(vars(record))


def test_a_cancelled_step_is_told_as_one(recorder: Recorder, kept: Kept) -> None:
    async def run() -> None:
        reached = asyncio.Event()

        async def call(model: str) -> Any:
            reached.set()
            await asyncio.Event().wait()

        task = asyncio.create_task(recorder.router().arun(STEP, call))
        await reached.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(run())
    assert kept.told() == [("DEBUG", "decided"), ("DEBUG", "ended")]
    assert extras(kept.records[-1])["taskrouter_status"] == "cancelled"


def test_another_model_than_was_asked_is_told_once_for_each(recorder: Recorder, kept: Kept) -> None:
    router = recorder.router()
    for served in ("other-1", "other-1", "other-2", "first", "other-2"):
        router.run(STEP, lambda model, served=served: completion(model=served))  # type: ignore[misc]
    told = [extras(r) for r in kept.records if r.levelname == "WARNING"]
    assert [facts["taskrouter_served_model"] for facts in told] == ["other-1", "other-2"]
    assert {facts["taskrouter_event"] for facts in told} == {"served_other"}
    assert {facts["taskrouter_asked_model"] for facts in told} == {"openai/first"}


def test_a_breaker_that_opens_is_told(recorder: Recorder, kept: Kept) -> None:
    recorder.router(health={"failures": 1}).run(STEP, only_second)
    (told,) = [record for record in kept.records if extras(record)["taskrouter_event"] == "breaker"]
    assert told.levelname == "INFO"
    assert extras(told) == {
        "taskrouter_event": "breaker",
        "taskrouter_endpoint": "first",
        "taskrouter_breaker": "open",
    }


def test_every_extra_is_in_the_table_and_clashes_with_no_attribute_of_a_record(recorder: Recorder, kept: Kept) -> None:
    pool = [card("first"), card("second")]
    pool[1]["deployments"] = [{"name": "eu"}, {"name": "us"}]
    router = recorder.router(pool)
    router.run(STEP, only_second)
    with pytest.raises(AllAttemptsFailedError):
        router.run(STEP, failing)
    router.run(STEP, lambda model: completion(model="other"))
    RoutingLogs({}).breaker("first", "open")
    with pytest.raises(NoEligibleModelError):
        router.run(Step(messages=[{"role": "user", "content": "x" * 4_000_000}], context=STEP.context), ours)
    seen = {name for record in kept.records for name in extras(record)}
    assert seen <= set(EXTRAS)
    assert set(EXTRAS) - seen == {"taskrouter_http_status"}, "told elsewhere, and nothing is in the table in vain"
    assert set(EXTRAS).isdisjoint(STANDARD)


def test_the_page_on_logs_lists_every_extra() -> None:
    page = (Path(__file__).parents[3] / "docs" / "logging.md").read_text(encoding="utf-8")
    for name, meaning in EXTRAS.items():
        assert f"| `{name}` | {meaning} |" in page


def test_records_are_json_when_a_formatter_makes_them_so(recorder: Recorder, kept: Kept) -> None:
    recorder.router().run(STEP, only_second)
    for record in kept.records:
        assert json.loads(json.dumps(extras(record))) == extras(record)


@pytest.mark.filterwarnings("ignore:`LoggingHandler` in `opentelemetry-sdk`:DeprecationWarning")
def test_opentelemetrys_handler_gets_the_facts_as_attributes_and_the_steps_span(recorder: Recorder, kept: Kept) -> None:
    exporter = InMemoryLogRecordExporter()
    provider = LoggerProvider(shutdown_on_exit=False)
    provider.add_log_record_processor(SimpleLogRecordProcessor(exporter))
    handler = LoggingHandler(logger_provider=provider)
    logger = logging.getLogger("taskrouter.routing")
    logger.addHandler(handler)
    try:
        recorder.router().run(STEP, only_second)
    finally:
        logger.removeHandler(handler)
    spans = {span.name: span.context for span in recorder.spans}
    by_event = {dict(log.log_record.attributes or {})["taskrouter_event"]: log for log in exporter.get_finished_logs()}
    for event, name in {"left": "chat openai/first", "fallback": "chat openai/second", "ended": "route chat"}.items():
        record, context = by_event[event].log_record, spans[name]
        assert context is not None
        assert (record.trace_id, record.span_id) == (context.trace_id, context.span_id), event
        assert (record.attributes or {})["taskrouter_agent"] == "writer"
    provider.shutdown()


def test_streams_are_told_like_whole_answers(recorder: Recorder, kept: Kept) -> None:
    def open_stream(model: str) -> Iterator[Any]:
        if model == "first":
            raise ConnectionError
        yield from [{**chunk, "model": "second"} for chunk in HELLO]

    list(recorder.router().run_stream(STEP, open_stream))
    assert kept.told() == [("DEBUG", "decided"), ("INFO", "left"), ("INFO", "fallback"), ("DEBUG", "ended")]


def test_without_telemetry_the_logs_are_the_same(recorder: Recorder, kept: Kept) -> None:
    recorder.router(telemetry={"enabled": False}).run(STEP, only_second)
    assert [event for _, event in kept.told()] == ["decided", "left", "fallback", "ended"]


def test_nobody_is_put_between_when_nothing_would_be_written(kept: Kept) -> None:
    logs, silent = RoutingLogs({}), SilentObserver()
    decision = Recorder().router().route(STEP)
    logging.getLogger("taskrouter.routing").setLevel(logging.CRITICAL)
    assert logs.observing(decision, silent, None) is silent
    logging.getLogger("taskrouter.routing").setLevel(logging.WARNING)
    visit = silent.visit_started(None, "primary", 1)  # type: ignore[arg-type] # it is not looked at
    watched = logs.observing(decision, silent, None)
    assert watched.visit_started(None, "primary", 1) is visit  # type: ignore[arg-type]


def test_a_filter_that_raises_costs_the_record_and_never_the_answer(recorder: Recorder, kept: Kept) -> None:
    class Broken(logging.Filter):
        def filter(self, record: logging.LogRecord) -> bool:
            raise RuntimeError

    logger, broken = logging.getLogger("taskrouter.routing"), Broken()
    logger.addFilter(broken)
    silenced = logging.getLogger("taskrouter.observability")
    silenced.disabled = True
    try:
        assert recorder.router().run(STEP, only_second).text == "hi"
    finally:
        logger.removeFilter(broken)
        silenced.disabled = False
    assert kept.records == []


def test_no_handler_is_installed_and_no_level_set_by_importing_or_using() -> None:
    script = """
        import importlib, logging, pkgutil
        import taskrouter
        from taskrouter import Router, Step

        wanted = ("taskrouter.cli", "taskrouter.simulator", "taskrouter.embeddings", "taskrouter.evaluation")
        for module in pkgutil.walk_packages(taskrouter.__path__, "taskrouter."):
            if not module.name.startswith(wanted) and not module.name.endswith("__main__"):
                try:
                    importlib.import_module(module.name)
                except (ImportError, taskrouter.ConfigurationError):
                    pass
        router = Router([{"id": "a", "base_url": "http://127.0.0.1:9"}])
        step = Step(messages=[{"role": "user", "content": "hello"}])
        router.run(step, lambda model: "hi")
        chunk = {"choices": [{"delta": {"content": "hi"}, "finish_reason": "stop"}]}
        list(router.run_stream(step, lambda model: iter([chunk])))
        router.close()
        known = [name for name in logging.root.manager.loggerDict if name.split(".")[0] == "taskrouter"]
        loggers = [logging.root, *map(logging.getLogger, known)]
        print(len(known) > 10, [l.name for l in loggers if l.handlers or not l.propagate])
        print([l.name for l in loggers[1:] if l.level != logging.NOTSET], logging.root.level == logging.WARNING)
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(script)], capture_output=True, text=True, check=False)
    assert done.stderr == ""
    assert done.stdout.splitlines() == ["True []", "[] True"]
