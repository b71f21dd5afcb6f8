"""What comes after a step is linked to it: labels, from here or elsewhere.

And what is told of steps that were refused."""

from __future__ import annotations

from pathlib import Path

import pytest
from opentelemetry.trace import SpanContext, StatusCode, format_span_id, format_trace_id
from tests.core.observability.recorder import STEP, Recorder, attributes, card, completion

from taskrouter import FeedbackError, NoEligibleModelError, Step, StepContext
from taskrouter.observability import names as n
from taskrouter.observability.routes import Routes


def test_a_label_is_a_span_with_a_link_to_its_step(recorder: Recorder) -> None:
    router = recorder.router()
    outcome = router.run(STEP, lambda model: completion())
    router.feedback(outcome.decision_id, 0.5, source="judge")
    route, feedback = recorder.one("route chat"), recorder.one("feedback")
    assert attributes(feedback) == {
        n.DECISION_ID: outcome.decision_id,
        n.FEEDBACK_SCORE: 0.5,
        n.FEEDBACK_SOURCE: "judge",
    }
    (link,) = feedback.links
    assert link.context == route.get_span_context()
    assert feedback.parent is None, "a label may come from anywhere, long after"


def test_a_label_of_a_run_links_to_all_its_steps(recorder: Recorder) -> None:
    router = recorder.router()
    step = Step(messages=STEP.messages, task_type="chat", context=StepContext(run_id="run-1"))
    for _ in range(3):
        router.run(step, lambda model: completion())
    router.feedback_run("run-1", 1.0)
    feedback = recorder.one("feedback")
    routes = [span.get_span_context() for span in recorder.spans if span.name == "route chat"]
    assert [link.context for link in feedback.links] == routes
    assert attributes(feedback)[n.FEEDBACK_STEPS] == 3


def test_a_label_given_in_another_process_links_by_what_the_ledger_knows(recorder: Recorder, tmp_path: Path) -> None:
    state = {"url": f"sqlite:///{tmp_path}/state.db"}
    with recorder.router(state=state) as first:
        outcome = first.run(STEP, lambda model: completion())
    with recorder.router(state=state) as other:
        other.feedback(outcome.decision_id, 1.0)
    (link,) = recorder.one("feedback").links
    route = recorder.one("route chat").get_span_context()
    assert route is not None
    assert (link.context.trace_id, link.context.span_id) == (route.trace_id, route.span_id)
    assert link.context.is_remote


def test_a_label_of_a_step_that_nobody_traced_has_no_link() -> None:
    recorder = Recorder()
    recorder.router().feedback("dec_0123456789abcdef", 1.0)
    assert recorder.one("feedback").links == ()


def test_a_label_that_is_refused_is_no_span(recorder: Recorder) -> None:
    with pytest.raises(FeedbackError):
        recorder.router().feedback("dec_0123456789abcdef", 7.0)
    assert recorder.spans == ()


def test_a_step_that_no_model_may_take_is_a_failed_route_without_attempts(recorder: Recorder) -> None:
    context = StepContext(agent="writer", tenant="acme")
    step = Step(messages=STEP.messages, tools=[], response_schema={"type": "object"}, context=context)
    pool = [card("first", capabilities={"json_schema": False}), card("second", capabilities={"json_schema": False})]
    with pytest.raises(NoEligibleModelError):
        recorder.router(pool).run(step, lambda model: completion())
    route = recorder.one("route")
    assert (route.status.status_code, route.status.description) == (StatusCode.ERROR, "no_eligible_model")
    assert attributes(route) == {
        n.OPENINFERENCE_KIND: "CHAIN",
        n.OUTCOME_STATUS: "refused",
        n.ERROR_TYPE: "no_eligible_model",
        n.STEP_AGENT: "writer",
        n.STEP_TENANT: "acme",
    }
    assert recorder.points()[n.REFUSALS] == [({n.ERROR_TYPE: "no_eligible_model"}, 1)]


def test_the_ledger_names_the_trace_of_a_step(recorder: Recorder) -> None:
    router = recorder.router()
    outcome = router.run(STEP, lambda model: completion())
    record = router.ledger.find(outcome.decision_id)
    route = recorder.one("route chat").get_span_context()
    assert record is not None
    assert route is not None
    assert record.trace == (format_trace_id(route.trace_id), format_span_id(route.span_id))


def test_a_stream_that_ends_in_the_middle_of_a_note_waits_for_nobody() -> None:
    routes = Routes()
    context = SpanContext(1, 2, is_remote=False)
    with routes._lock:  # as where its garbage is collected while the same thread is at another note
        routes.note("dec_0123456789abcdef", context)
    assert routes.find("dec_0123456789abcdef") is context
