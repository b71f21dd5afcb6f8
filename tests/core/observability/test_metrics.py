"""The metrics: the convention's for every call, ours for decisions, fallbacks, labels and money."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.sdk.trace import sampling
from tests.core.observability.recorder import HELLO, STEP, Recorder, attributes, card, chunk, completion

from taskrouter import AllAttemptsFailedError, NoEligibleModelError, Step, StepContext
from taskrouter.errors import StreamBroken
from taskrouter.observability import names as n
from taskrouter.observability.instruments import REASONS
from taskrouter.observability.vocabulary import OTHER, Vocabulary

FIRST = {n.PROVIDER: "openai", n.GENAI_REQUEST_MODEL: "openai/first"}
CALL = {n.OPERATION: "chat", **FIRST}
KIND = {n.TASK_TYPE: "chat", n.POLICY_NAME: "safe"}


def first_fails(model: str) -> Any:
    if model == "first":
        raise ConnectionError
    return completion()


def test_a_call_is_measured_by_the_conventions_instruments(recorder: Recorder) -> None:
    outcome = recorder.router().run(STEP, lambda model: completion())
    points = recorder.points()
    assert points[n.OPERATION_DURATION] == [(CALL, pytest.approx(outcome.attempts[0].latency_s))]
    assert points[n.USAGE_PER_CALL] == [({**CALL, n.USAGE_TYPE: "input"}, 100), ({**CALL, n.USAGE_TYPE: "output"}, 10)]
    assert points[n.COST] == [({**FIRST, **KIND, n.ATTEMPT_ROLE: "primary"}, pytest.approx(outcome.cost_usd))]
    assert not {n.FALLBACKS, n.TIME_TO_FIRST_CHUNK} & set(points)


def test_a_stream_says_when_its_first_words_came(recorder: Recorder) -> None:
    list(recorder.router().run_stream(STEP, lambda model: iter(HELLO)))
    ((labels, seconds),) = recorder.points()[n.TIME_TO_FIRST_CHUNK]
    assert labels == CALL
    assert seconds >= 0.0


def test_a_decision_is_counted_and_timed(recorder: Recorder) -> None:
    outcome = recorder.router().run(STEP, lambda model: completion())
    decision = {n.DECISION_MODEL: "first", **KIND}
    said = {n.DECISION_PROVIDER: "openai", n.DECISION_REASON: "incumbent", n.OUTCOME_STATUS: "ok"}
    points = recorder.points()
    assert points[n.DECISION_DURATION] == [(decision, pytest.approx(outcome.decision.duration_s))]
    assert points[n.DECISIONS] == [({**decision, **said}, 1)]


def test_a_failed_call_is_timed_under_its_error_and_counts_no_tokens(recorder: Recorder) -> None:
    recorder.router().run(STEP, first_fails)
    points = recorder.points()
    timed = {labels[n.GENAI_REQUEST_MODEL]: labels.get(n.ERROR_TYPE) for labels, _ in points[n.OPERATION_DURATION]}
    assert timed == {"openai/first": "connection", "openai/second": None}
    assert {labels[n.GENAI_REQUEST_MODEL] for labels, _ in points[n.USAGE_PER_CALL]} == {"openai/second"}


def test_an_answer_of_no_use_counts_its_tokens_for_they_are_paid(recorder: Recorder) -> None:
    recorder.router().run(STEP, lambda model: completion("" if model == "first" else "hi"))
    counted = {labels[n.GENAI_REQUEST_MODEL]: sum_ for labels, sum_ in recorder.points()[n.USAGE_PER_CALL]}
    assert counted == {"openai/first": 10, "openai/second": 10}


def test_tokens_that_nobody_has_counted_are_no_metric(recorder: Recorder) -> None:
    outcome = recorder.router().run(STEP, lambda model: completion(usage=None))
    assert outcome.usage.estimated
    assert n.USAGE_PER_CALL not in recorder.points()


def test_a_fallback_counts_where_a_model_was_left_for_another(recorder: Recorder) -> None:
    recorder.router().run(STEP, first_fails)
    assert recorder.points()[n.FALLBACKS] == [({**FIRST, n.ERROR_TYPE: "connection"}, 1)]


def test_the_last_models_failure_is_no_fallback(recorder: Recorder) -> None:
    def call(model: str) -> Any:
        raise ConnectionError

    with pytest.raises(AllAttemptsFailedError):
        recorder.router().run(STEP, call)
    ((labels, count),) = recorder.points()[n.FALLBACKS]
    assert (labels[n.GENAI_REQUEST_MODEL], count) == ("openai/first", 1)
    assert [labels[n.OUTCOME_STATUS] for labels, _ in recorder.points()[n.DECISIONS]] == ["exhausted"]


def test_a_step_that_could_not_be_decided_counts_as_refused(recorder: Recorder) -> None:
    with pytest.raises(NoEligibleModelError):
        recorder.router([card("first", context_tokens=1)]).run(STEP, lambda model: completion())
    assert recorder.points() == {n.REFUSALS: [({n.ERROR_TYPE: "no_eligible_model"}, 1)]}


def test_a_breaker_counts_by_endpoint_and_state(recorder: Recorder) -> None:
    router = recorder.router([card("first", deployments=[{"name": "eu"}])])
    router._telemetry.breaker("first@eu", "open")
    labels = {**FIRST, n.BREAKER_ENDPOINT: "first@eu", n.BREAKER_STATE: "open"}
    assert recorder.points() == {n.BREAKERS: [(labels, 1)]}


# --- money ----------------------------------------------------------------------------------------------------------


def test_an_unknown_price_adds_nothing_to_the_cost(recorder: Recorder) -> None:
    recorder.router([card("first", output_usd_per_million=None)]).run(STEP, lambda model: completion())
    assert not {n.COST, n.BASELINE} & set(recorder.points())


def test_the_baseline_is_the_incumbents_price_of_the_answer(recorder: Recorder) -> None:
    pool = [card("first", input_usd_per_million=10.0, output_usd_per_million=50.0), card("second")]
    recorder.router(pool).run(STEP, first_fails)
    ((labels, usd),) = recorder.points()[n.BASELINE]
    assert labels == {n.REQUEST_MODEL: "first", **KIND}
    assert usd == pytest.approx((60 * 10.0 + 40 * 0.1 + 10 * 50.0) / 1e6)


def test_no_saving_is_claimed_for_an_answer_of_unknown_price(recorder: Recorder) -> None:
    pool = [card("first"), card("second", input_usd_per_million=None)]
    outcome = recorder.router(pool).run(STEP, first_fails)
    assert (outcome.model, outcome.cost_usd) == ("second", None)
    assert n.BASELINE not in recorder.points()


def test_an_answer_of_no_tokens_has_no_baseline(recorder: Recorder) -> None:
    recorder.router().run(STEP, lambda model: completion(usage={"prompt_tokens": 0, "completion_tokens": 0}))
    assert n.COST_BASELINE not in attributes(recorder.one("route chat"))


def test_no_saving_is_claimed_for_an_answer_that_broke_off_or_was_given_up(recorder: Recorder) -> None:
    router = recorder.router()

    def broken(model: str) -> Any:
        yield chunk("hel")
        raise ConnectionError

    with pytest.raises(StreamBroken):
        list(router.run_stream(STEP, broken))
    with router.run_stream(STEP, lambda model: iter(HELLO)) as stream:
        next(part for part in stream if part["choices"][0]["delta"]["content"])
    routes = [attributes(span) for span in recorder.spans if span.name.startswith("route")]
    assert [route[n.OUTCOME_STATUS] for route in routes] == ["exhausted", "cancelled"]
    assert not [route for route in routes if n.COST_BASELINE in route]
    assert n.BASELINE not in recorder.points()


# --- exemplars ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("metric", "span"),
    [
        (n.OPERATION_DURATION, "chat openai/first"),
        (n.USAGE_PER_CALL, "chat openai/first"),
        (n.DECISION_DURATION, "route chat"),
    ],
)
def test_a_point_leads_to_the_span_that_it_was_recorded_for(recorder: Recorder, metric: str, span: str) -> None:
    recorder.router().run(STEP, lambda model: completion())
    context = recorder.one(span).get_span_context()
    assert context is not None
    exemplars = [e for point in recorder.metrics()[metric].data.data_points for e in point.exemplars]
    assert {(e.trace_id, e.span_id) for e in exemplars} == {(context.trace_id, context.span_id)}


def test_a_span_that_is_not_sampled_is_no_exemplar(recorder: Recorder) -> None:
    recorder.tracers.sampler = sampling.ALWAYS_OFF
    recorder.router().run(STEP, lambda model: completion())
    points = [point for metric in recorder.metrics().values() for point in metric.data.data_points]
    assert points
    assert all(point.exemplars == [] for point in points)


# --- labels are few -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "label"), [("user", "user"), ("judge", "judge"), ("ann.lee", OTHER), ("x" * 100, OTHER)]
)
def test_a_source_that_we_do_not_know_is_no_label(recorder: Recorder, source: str, label: str) -> None:
    router = recorder.router()
    router.feedback(router.run(STEP, lambda model: completion()).decision_id, 1.0, source=source)
    assert recorder.points()[n.LABELS] == [({n.FEEDBACK_SOURCE: label}, 1)]


def test_a_vocabulary_is_closed_when_it_is_full() -> None:
    words = Vocabulary(2)
    assert [words.known(word) for word in ("a", "b", "c", "a", "d")] == ["a", "b", OTHER, "a", OTHER]
    assert REASONS >= 32, "all of ours, and as many of plugins"


def test_reasons_that_plugins_make_up_are_bounded(recorder: Recorder) -> None:
    router = recorder.router()
    for number in range(REASONS + 20):
        decision = dataclasses.replace(router.route(STEP), reason=f"because_{number}")
        router.run(STEP, lambda model: completion(), decision=decision)
    counted = {labels[n.DECISION_REASON]: count for labels, count in recorder.points()[n.DECISIONS]}
    assert len(counted) == REASONS + 1
    assert (counted["because_0"], counted[OTHER]) == (1, 20)


contexts = st.builds(
    StepContext,
    agent=st.text(max_size=8),
    node=st.text(max_size=8),
    index=st.integers(0, 9),
    run_id=st.uuids().map(str),
    session_id=st.uuids().map(str),
    tenant=st.text(max_size=8),
)


@given(st.lists(contexts, min_size=1, max_size=5))
def test_labels_are_few_and_never_say_who_asked(asked: list[StepContext]) -> None:
    recorder = Recorder()
    router = recorder.router(health={"failures": 100})
    for context in asked:
        router.run(Step(messages=STEP.messages, task_type="chat", context=context), first_fails)
    points = recorder.points()
    recorder.shutdown()
    # Two models, one of which fails: however many steps, runs, sessions and tenants there are.
    assert {name: len(found) for name, found in points.items()} == {
        n.OPERATION_DURATION: 2,
        n.USAGE_PER_CALL: 2,
        n.COST: 1,
        n.BASELINE: 1,
        n.FALLBACKS: 1,
        n.DECISION_DURATION: 1,
        n.DECISIONS: 1,
    }
    said = {value for found in points.values() for labels, _ in found for value in labels.values()}
    assert not said & {part for c in asked for part in (c.run_id, c.session_id)}
