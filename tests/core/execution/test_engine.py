"""Retry, fallback and streaming rules, played without a clock or a network."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.core.execution.scripts import END, Play, call, cards, engine, text, usage

from taskrouter import AllAttemptsFailedError, Attempt, ResponseView, Step, ToolCall
from taskrouter import errors as e
from taskrouter.config import ExecutionConfig
from taskrouter.execution import SilentObserver
from taskrouter.execution.commands import Abandoned, Call, CloseStream, OpenStream, Read, Relay

OPEN = ResponseView()
ROLE = ResponseView()  # the empty chunk that only announces the role


def weather_step() -> Step:
    tool = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}
    return Step(messages=[{"role": "user", "content": "rain?"}], tools=[tool])


def test_the_first_answer_ends_the_step() -> None:
    play = Play(engine().answer(), [text("hi", usage=usage(10, 5), model="served")])
    assert play.outcome is not None
    assert play.called == ["first"]
    assert (play.outcome.status, play.outcome.model, play.outcome.text) == ("ok", "first", "hi")
    assert play.outcome.cost_usd == pytest.approx((10 * 10 + 5 * 100) / 1e6)
    assert play.outcome.attempts[0].served_model == "served"


def test_a_rate_limit_is_retried_on_the_same_model_after_the_pause_it_asked_for() -> None:
    play = Play(engine().answer(), [e.RateLimited("first", retry_after_s=3.0), text("hi")])
    assert play.called == ["first", "first"]
    assert play.waits == [3.0]
    assert play.outcome is not None
    assert play.outcome.attempts[1].waited_s == 3.0
    assert play.outcome.status == "ok"


def test_a_long_pause_is_left_for_the_next_model() -> None:
    play = Play(engine().answer(), [e.RateLimited("first", retry_after_s=60.0), text("hi")])
    assert play.called == ["first", "second"]
    assert play.waits == []


def test_a_long_pause_is_waited_for_when_no_other_model_is_left() -> None:
    play = Play(engine("first").answer(), [e.RateLimited("first", retry_after_s=60.0), text("hi")])
    assert play.waits == [60.0]
    assert play.called == ["first", "first"]


@pytest.mark.parametrize("error", [e.Timeout, e.Unauthenticated, e.ModelNotFound, e.Refused, e.ModelCallError])
def test_what_will_not_pass_goes_to_the_next_model_at_once(error: type[e.ModelCallError]) -> None:
    play = Play(engine().answer(), [error("first"), text("hi")])
    assert play.called == ["first", "second"]
    assert play.waits == []
    assert play.outcome is not None
    assert play.outcome.status == "fallback"


def test_an_overflowing_context_skips_models_with_no_larger_window() -> None:
    pool = cards(first=8000, second=4000, third=100_000)
    play = Play(engine(pool=pool).answer(), [e.ContextOverflow("first"), text("hi")])
    assert play.called == ["first", "third"]


def test_a_request_that_two_models_find_wrong_is_not_tried_on_a_third() -> None:
    with pytest.raises(AllAttemptsFailedError) as caught:
        Play(engine().answer(), [e.BadRequest("first"), e.BadRequest("second"), text("never")])
    assert [a.model for a in caught.value.attempts] == ["first", "second"]


def test_a_local_failure_is_raised_at_once_with_its_cause() -> None:
    with pytest.raises(e.LocalFailure) as caught:
        Play(engine().answer(), [TypeError("our bug"), text("never")])
    assert isinstance(caught.value.__cause__, TypeError)


@pytest.mark.parametrize(
    "answer",
    [
        ResponseView(finish_reason="stop"),
        text("", refused=True),
        text("no", finish_reason="content_filter"),
        call("unknown_tool"),
        call("weather", "{not json"),
        call("weather", "[1]"),
    ],
    ids=["empty", "refused", "filtered", "unoffered tool", "broken arguments", "no object"],
)
def test_a_useless_answer_is_a_failed_attempt_that_was_paid_for(answer: ResponseView) -> None:
    play = Play(engine(step=weather_step()).answer(), [answer, call("weather", '{"city": "Oslo"}')])
    assert play.outcome is not None
    assert play.called == ["first", "second"]
    failed = play.outcome.attempts[0]
    assert failed.status == "failed"
    assert failed.cost_usd is not None
    assert failed.cost_usd > 0


def test_a_refused_call_costs_nothing_and_a_timed_out_one_costs_its_input() -> None:
    play = Play(
        engine().answer(), [e.ServerFailed("first", status=500, retryable=False), e.Timeout("second"), text("x")]
    )
    assert play.outcome is not None
    refused, timed_out, _ = play.outcome.attempts
    assert refused.cost_usd == 0.0
    assert timed_out.cost_usd == pytest.approx(100 * 10 / 1e6)
    assert timed_out.usage is not None
    assert timed_out.usage.estimated


def test_what_a_provider_turns_away_costs_nothing_even_without_a_status() -> None:
    play = Play(engine().answer(), [e.RateLimited("first", retryable=False), text("x")])
    assert play.outcome is not None
    assert play.outcome.attempts[0].cost_usd == 0.0


def test_a_stream_without_an_answer_costs_the_tokens_that_it_reports() -> None:
    thought = ResponseView(finish_reason="length", usage=usage(100, 4_000))
    play = Play(engine().stream(), [OPEN, ROLE, thought, END, OPEN, text("hi", finish_reason="stop"), END])
    assert play.outcome is not None
    assert play.called == ["first", "second"]
    assert play.outcome.attempts[0].usage == usage(100, 4_000)
    assert play.outcome.attempts[0].cost_usd == pytest.approx((100 * 10 + 4_000 * 100) / 1e6)


def test_signs_of_life_do_not_put_off_the_time_of_the_first_token() -> None:
    settings = ExecutionConfig(first_token_timeout_s=0.55)
    play = Play(engine(settings=settings).stream(), [OPEN, *[ROLE] * 5, OPEN, text("hi", finish_reason="stop"), END])
    assert play.outcome is not None
    assert play.called == ["first", "second"]
    assert play.outcome.attempts[0].error_type == "timeout"


def test_an_unknown_price_stays_unknown() -> None:
    pool = cards() | {"first": cards()["first"].model_copy(update={"output_usd_per_million": None})}
    play = Play(engine(pool=pool).answer(), [text("hi", usage=usage(1, 1))])
    assert play.outcome is not None
    assert play.outcome.cost_usd is None


def test_when_all_fail_the_error_holds_every_attempt() -> None:
    with pytest.raises(AllAttemptsFailedError) as caught:
        Play(engine().answer(), [e.Timeout("first"), e.Unauthenticated("second"), e.Refused("third")])
    assert [type(error) for error in caught.value.exceptions] == [e.Timeout, e.Unauthenticated, e.Refused]
    assert [a.status for a in caught.value.attempts] == ["failed"] * 3


def test_the_number_of_attempts_is_limited() -> None:
    settings = ExecutionConfig(max_attempts=2, retries=5)
    with pytest.raises(AllAttemptsFailedError) as caught:
        Play(engine(settings=settings).answer(), [e.ServerFailed("first")] * 9)
    assert len(caught.value.attempts) == 2


def test_no_attempt_begins_after_the_step_is_out_of_time() -> None:
    settings = ExecutionConfig(step_timeout_s=0.15)
    with pytest.raises(AllAttemptsFailedError) as caught:
        Play(engine(settings=settings).answer(), [e.Timeout("x")] * 9)
    assert len(caught.value.attempts) == 2


def test_a_call_may_not_take_longer_than_the_step_has_left() -> None:
    play = Play(engine(settings=ExecutionConfig(step_timeout_s=5.0, timeout_s=60.0)).answer(), [text("hi")])
    command = play.commands[0]
    assert isinstance(command, Call)
    assert command.timeout_s == 5.0


def test_an_abandoned_call_is_booked_as_cancelled_and_nothing_follows() -> None:
    ended: list[tuple[str, int]] = []

    class Watch(SilentObserver):
        def step_ended(self, ending):
            ended.append((ending.status, len(ending.attempts)))

    steps = engine(observer=Watch()).answer()
    next(steps)
    with pytest.raises(Abandoned):
        steps.throw(Abandoned(1.5))
    assert ended == [("cancelled", 1)]


def test_a_stream_is_handed_on_from_the_first_meaningful_chunk() -> None:
    play = Play(engine().stream(), [OPEN, ROLE, text("he"), text("llo", finish_reason="stop"), END])
    assert play.outcome is not None
    assert [getattr(c, "text", c) for c in play.emitted] == ["", "he", "llo"]
    assert play.outcome.view.text == "hello"
    assert play.outcome.attempts[0].first_token_s == pytest.approx(0.3)


@pytest.mark.parametrize(
    "script",
    [
        [e.Overloaded("first", retryable=False)],
        [OPEN, END],
        [OPEN, ROLE, END],
        [OPEN, ROLE, e.ConnectionFailed("first", retryable=False)],
        [OPEN, ROLE, TimeoutError()],
    ],
    ids=["refused to open", "ends at once", "ends after the role", "breaks after the role", "stalls"],
)
def test_before_anything_meaningful_every_failure_of_a_stream_falls_back(script: list[object]) -> None:
    play = Play(engine().stream(), [*script, OPEN, text("hi", finish_reason="stop"), END])
    assert play.called == ["first", "second"]
    assert play.emitted == ["hi"]
    assert any(isinstance(c, CloseStream) for c in play.commands)


@pytest.mark.parametrize("breaks", [e.ConnectionFailed("first"), TimeoutError(), e.RateLimited("first")])
def test_after_text_has_arrived_a_stream_is_never_continued_by_another_model(breaks: Exception) -> None:
    steps = engine().stream()
    with pytest.raises(e.StreamBroken) as caught:
        Play(steps, [OPEN, text("half an ans"), breaks, OPEN, text("never")])
    assert caught.value.partial.text == "half an ans"


def test_a_stream_without_a_finish_reason_is_broken_where_the_protocol_has_one() -> None:
    with pytest.raises(e.StreamBroken):
        Play(engine(expects_finish=True).stream(), [OPEN, text("half"), END])


def test_only_the_models_that_say_why_they_end_are_expected_to() -> None:
    play = Play(engine(expects_finish={"second"}).stream(), [OPEN, text("half"), END])
    assert play.outcome is not None
    assert (play.outcome.model, play.outcome.status) == ("first", "ok")
    with pytest.raises(e.StreamBroken):
        Play(engine(expects_finish={"first"}).stream(), [OPEN, text("half"), END])


def test_tool_call_fragments_are_put_together() -> None:
    def piece(name: str, arguments: str, index: int) -> ResponseView:
        return ResponseView(tool_calls=(ToolCall(name=name, arguments=arguments, index=index),))

    script = [OPEN, piece("a", "", 0), piece("", '{"x"', 0), piece("b", "{}", 1), piece("", ": 1}", 0), END]
    play = Play(engine().stream(), script)
    assert play.outcome is not None
    assert [(c.name, c.arguments) for c in play.outcome.view.tool_calls] == [("a", '{"x": 1}'), ("b", "{}")]


@pytest.mark.parametrize("indices", [(0, 0), (None, None), (1, None), (1, 0)])
def test_parallel_tool_calls_stay_apart_whatever_their_provider_counts(indices: tuple[int | None, int | None]) -> None:
    fragments = [
        ToolCall(name="a", arguments='{"x"', id="1", index=indices[0]),
        ToolCall(name="", arguments=": 1}", index=indices[0]),
        ToolCall(name="b", arguments="{", id="2", index=indices[1]),
        ToolCall(name="", arguments="}", index=indices[1]),
    ]
    play = Play(engine().stream(), [OPEN, *(ResponseView(tool_calls=(f,)) for f in fragments), END])
    assert play.outcome is not None
    calls = {c.id: (c.name, c.arguments) for c in play.outcome.view.tool_calls}
    assert calls == {"1": ("a", '{"x": 1}'), "2": ("b", "{}")}


def test_a_broken_stream_carries_tool_calls_and_usage_so_far() -> None:
    begun = ResponseView(tool_calls=(ToolCall(name="weather", arguments='{"ci', id="c1", index=0),))
    counted = ResponseView(usage=usage(100, 7))
    with pytest.raises(e.StreamBroken) as caught:
        Play(engine().stream(), [OPEN, begun, counted, ConnectionError()])
    (half,) = caught.value.partial.tool_calls
    assert (half.name, half.arguments) == ("weather", '{"ci')
    assert caught.value.partial.usage == usage(100, 7)


def test_between_chunks_a_stream_has_its_own_time() -> None:
    settings = ExecutionConfig(first_token_timeout_s=7.0, stall_timeout_s=3.0)
    play = Play(engine(settings=settings).stream(), [OPEN, ROLE, text("hi"), text("!", finish_reason="stop"), END])
    times = [round(c.timeout_s, 1) for c in play.commands if isinstance(c, Read | Relay)]
    assert times == [6.9, 6.8, 3.0, 3.0]
    (opening,) = (c for c in play.commands if isinstance(c, OpenStream))
    assert (opening.timeout_s, opening.stall_timeout_s) == (7.0, 3.0)


def test_a_stream_that_never_pauses_still_ends_with_its_step() -> None:
    settings = ExecutionConfig(step_timeout_s=0.55)
    with pytest.raises(e.StreamBroken) as caught:
        Play(engine(settings=settings).stream(), [OPEN, *[text("x")] * 99])
    assert caught.value.partial.text == "xxxxx"
    assert isinstance(caught.value.__cause__, e.Timeout)


def test_a_failed_stream_is_retried_like_a_whole_answer() -> None:
    script = [e.RateLimited("first", retry_after_s=2.0), OPEN, text("hi", finish_reason="stop"), END]
    play = Play(engine().stream(), script)
    assert (play.called, play.waits) == (["first", "first"], [2.0])


_FAILURES = st.sampled_from(
    [e.RateLimited, e.Timeout, e.ServerFailed, e.Unauthenticated, e.Refused, e.ContextOverflow, e.ConnectionFailed]
)


@given(st.lists(_FAILURES, max_size=12), st.integers(1, 8), st.integers(0, 3))
def test_any_order_of_failures_ends_in_one_answer_or_one_error(
    failures: list[type[e.ModelCallError]], max_attempts: int, retries: int
) -> None:
    settings = ExecutionConfig(max_attempts=max_attempts, retries=retries)
    script = [*(error("m") for error in failures), text("hi", usage=usage(1, 1))]
    attempts, answered = _attempts(engine(settings=settings, pool=_same_windows()).answer(), script)
    assert 1 <= len(attempts) <= max_attempts
    assert [a.status for a in attempts] == ["failed"] * (len(attempts) - answered) + ["ok"] * answered
    assert [a.index for a in attempts] == list(range(1, len(attempts) + 1))


def _attempts(steps: Any, script: list[object]) -> tuple[tuple[Attempt, ...], bool]:
    try:
        outcome = Play(steps, script).outcome
    except AllAttemptsFailedError as error:
        return error.attempts, False
    assert outcome is not None
    return outcome.attempts, True


def _same_windows():
    return cards() | {"m": cards()["first"].model_copy(update={"id": "m"})}
