"""A plan of several models: proposals that agree are taken, else the last model is asked; every call is booked."""

from __future__ import annotations

from itertools import count
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.core.execution.books import AccessBook, ObserverBook, WalletBook, balanced, refusal
from tests.core.execution.scripts import cards, engine, text
from tests.core.execution.worlds import Told

from taskrouter import AllAttemptsFailedError, BudgetExceededError, Plan, ResponseView, Step
from taskrouter import errors as e
from taskrouter.config import ExecutionConfig, GatesConfig, ModelConfig
from taskrouter.execution import Gate
from taskrouter.execution.commands import Abandoned, Cancel, OpenStream, Start
from taskrouter.outcome import Proposal

TWO = Plan(kind="agree", models=("a", "b", "last"))
THREE = Plan(kind="agree", models=("a", "b", "c", "last"))
GATE = Plan(kind="gate", models=("a", "last"))
NAMES = ("a", "b", "c", "last", "other")
LONG = "All happy families are alike; every unhappy family is unhappy in a way that is its very own."

Happened = list[tuple[float, ResponseView | Exception]]


def pool() -> dict[str, ModelConfig]:
    return {name: cards()["first"].model_copy(update={"id": name}) for name in NAMES}


class Books:
    """A step with a plan, its books kept."""

    def __init__(
        self,
        plan: Plan = TWO,
        *fallbacks: str,
        wallet: WalletBook | None = None,
        gate: Gate | None = None,
        step: Step | None = None,
        **settings: Any,
    ) -> None:
        self.access, self.wallet, self.observer = AccessBook(NAMES), wallet, ObserverBook()
        self.engine = engine(
            *fallbacks,
            plan=plan,
            step=step,
            settings=ExecutionConfig(**{"retries": 0, **settings}),
            pool=pool(),
            access=self.access,
            wallet=wallet,
            observer=self.observer,
            gate=gate,
        )

    def play(self, **answers: Happened) -> Told:
        return Told(self.engine.answer(), answers)

    def stream(self, **answers: Happened) -> Told:
        return Told(self.engine.stream(), answers)

    def attempts(self) -> list[tuple[str, str, str]]:
        return [(a.model, a.role, a.status) for a in balanced(self.access, self.wallet, self.observer)]


def says(words: str, after_s: float = 1.0) -> Happened:
    return [(after_s, text(words, finish_reason="stop"))]


def fails(error: type[e.ModelCallError] = e.ServerFailed, after_s: float = 1.0) -> Happened:
    return [(after_s, error("m"))]


# --- agreement ------------------------------------------------------------------------------------------------------


def test_proposals_that_agree_are_taken_and_the_last_model_is_not_called() -> None:
    books = Books()
    play = books.play(a=says("The answer is 42.", 2.0), b=says("42"))
    outcome = play.outcome
    assert (outcome.text, outcome.model, outcome.status, outcome.check) == ("The answer is 42.", "a", "ok", "agreed")
    assert outcome.proposals == (
        Proposal(model="a", status="ok", same=True),
        Proposal(model="b", status="ok", same=True),
    )
    assert play.now_s == pytest.approx(2.0), "they were called beside one another"
    assert books.attempts() == [("a", "propose", "ok"), ("b", "propose", "ok")]


def test_all_three_have_to_agree() -> None:
    books = Books(THREE)
    outcome = books.play(a=says("7", 9.0), b=says("7"), c=says("7")).outcome
    assert (outcome.model, outcome.check) == ("a", "agreed")


def test_two_that_agree_wait_for_the_third() -> None:
    books = Books(THREE)
    outcome = books.play(a=says("7"), b=says("7"), c=says("8", 5.0), last=says("7")).outcome
    assert (outcome.model, outcome.check) == ("last", "disagreed")
    assert [p.same for p in outcome.proposals] == [True, True, False]


def test_two_of_three_are_enough_where_the_third_fails() -> None:
    books = Books(THREE)
    outcome = books.play(a=fails(), b=says("7"), c=says("7")).outcome
    assert (outcome.model, outcome.status, outcome.check) == ("b", "ok", "agreed")
    assert [(p.status, p.same) for p in outcome.proposals] == [("failed", None), ("ok", True), ("ok", True)]


def test_proposals_that_differ_call_the_last_model() -> None:
    books = Books()
    outcome = books.play(a=says("41"), b=says("42"), last=says("42.")).outcome
    assert (outcome.model, outcome.status, outcome.check) == ("last", "ok", "disagreed")
    assert [p.same for p in outcome.proposals] == [False, True]
    assert books.attempts() == [("a", "propose", "ok"), ("b", "propose", "ok"), ("last", "escalation", "ok")]
    assert outcome.cost_usd == pytest.approx(sum(a.cost_usd for a in outcome.attempts))
    assert all(a.cost_usd > 0 for a in outcome.attempts), "proposals that lose are paid too"


def test_as_soon_as_two_differ_the_third_is_cancelled() -> None:
    books = Books(THREE)
    play = books.play(a=says("41"), b=says("42", 2.0), c=says("43", 60.0), last=says("43"))
    assert play.now_s == pytest.approx(3.0)
    assert [(p.status, p.same) for p in play.outcome.proposals] == [("ok", False), ("ok", False), ("cancelled", None)]
    assert books.attempts()[2] == ("c", "propose", "cancelled")
    assert play.outcome.attempts[2].cost_usd > 0, "its provider has been asked"


@pytest.mark.parametrize("unlike", [says(LONG), says("I cannot tell."), says("Shall I go on?")])
def test_an_answer_that_cannot_be_compared_calls_the_last_model_at_once(unlike: Happened) -> None:
    books = Books()
    play = books.play(a=unlike, b=says("42", 60.0), last=says("42"))
    assert play.outcome.model == "last"
    assert play.now_s == pytest.approx(2.0)


@pytest.mark.parametrize(
    "nothing",
    [fails(e.RateLimited), fails(e.BadRequest), fails(e.Unauthenticated), [(1.0, TypeError())], [(1.0, text(""))]],
)
def test_a_proposer_without_a_valid_answer_calls_the_last_model_at_once(nothing: Happened) -> None:
    books = Books()
    play = books.play(a=nothing, b=says("42", 60.0), last=says("42"))
    outcome = play.outcome
    assert (outcome.model, outcome.status, outcome.check) == ("last", "ok", "disagreed")
    assert play.now_s == pytest.approx(2.0), "the other proposer is not waited for"
    assert play.waits == [], "proposals are not retried"
    assert books.attempts()[:2] == [("a", "propose", "failed"), ("b", "propose", "cancelled")]


def test_where_all_proposers_fail_the_last_model_still_has_its_turn() -> None:
    books = Books(THREE)
    outcome = books.play(a=fails(e.BadRequest), b=fails(e.BadRequest), c=says("x", 9.0), last=says("42")).outcome
    assert (outcome.model, outcome.status) == ("last", "ok")


def test_refusals_agree_with_nothing_even_where_they_are_answers() -> None:
    books = Books(gate=Gate(GatesConfig(refused="accept")))
    no: Happened = [(1.0, text("No.", refused=True))]
    assert books.play(a=no, b=list(no), last=says("42")).outcome.model == "last"


def test_a_proposer_that_hangs_runs_out_of_time() -> None:
    books = Books(timeout_s=5.0)
    play = books.play(a=says("42"), b=says("42", 60.0), last=says("42"))
    assert play.outcome.model == "last"
    assert play.now_s == pytest.approx(6.0)
    assert play.outcome.attempts[1].error_type == "timeout"


def test_an_answer_that_somebody_has_already_seen_is_taken() -> None:
    books = Books()
    play = books.play(a=[(1.0, text("It is 42", shown=True))], b=says("41", 9.0))
    assert (play.outcome.model, play.outcome.status, play.outcome.check) == ("a", "ok", "none")
    assert books.attempts() == [("a", "propose", "ok"), ("b", "propose", "cancelled")]


def test_a_proposal_that_breaks_after_it_was_shown_ends_the_step() -> None:
    books = Books()
    play = books.play(a=[(1.0, e.StreamBroken("a", partial=text("It")))], b=says("42", 9.0))
    assert isinstance(play.error, e.StreamBroken)
    assert books.attempts() == [("a", "propose", "failed"), ("b", "propose", "cancelled")]


# --- what follows ---------------------------------------------------------------------------------------------------


def test_when_the_last_model_fails_the_fallbacks_follow_without_the_proposers() -> None:
    books = Books(TWO, "a", "other", "b")
    outcome = books.play(a=fails(), b=says("9", 5.0), last=fails(), other=says("42")).outcome
    assert (outcome.model, outcome.status) == ("other", "fallback")
    assert books.attempts()[2:] == [("last", "escalation", "failed"), ("other", "fallback", "ok")]


def test_when_everything_fails_a_proposal_is_better_than_an_error() -> None:
    books = Books(TWO, "other")
    play = books.play(a=says("41"), b=says("42"), last=fails(), other=fails(e.Refused))
    outcome = play.outcome
    assert (outcome.text, outcome.model, outcome.status, outcome.check) == ("41", "a", "fallback", "disagreed")
    assert [p.same for p in outcome.proposals] == [True, False]
    assert play.called == ["a", "b", "last", "other"], "whoever has answered is not asked again"


def test_a_proposer_that_was_cancelled_may_still_be_asked() -> None:
    books = Books()
    outcome = books.play(a=fails(), b=[*says("42", 9.0), *says("42")], last=fails()).outcome
    assert (outcome.model, outcome.status) == ("b", "fallback")
    assert books.attempts()[-1] == ("b", "fallback", "ok")


def test_where_nothing_has_answered_the_error_has_every_attempt() -> None:
    books = Books()
    play = books.play(a=fails(), b=[*fails(), *fails()], last=fails())
    assert isinstance(play.error, AllAttemptsFailedError)
    assert [a.role for a in play.error.attempts][:2] == ["propose", "propose"]
    books.attempts()


def test_the_last_model_is_retried_as_usual() -> None:
    books = Books(retries=1)
    outcome = books.play(a=says("1"), b=says("2"), last=[*fails(e.RateLimited), *says("3")]).outcome
    assert (outcome.text, outcome.status) == ("3", "ok")
    assert books.attempts()[2:] == [("last", "escalation", "failed"), ("last", "escalation", "ok")]


# --- what keeps proposals from being made ---------------------------------------------------------------------------


def straight(books: Books, play: Told) -> bool:
    """Check that the last model was asked as if there were no plan."""
    assert (play.outcome.model, play.outcome.status, play.outcome.check) == ("last", "ok", "none")
    assert play.outcome.proposals == ()
    assert books.attempts() == [("last", "primary", "ok")]
    return True


@pytest.mark.parametrize("refused", [0, 1])
def test_a_proposer_that_does_not_fit_the_budget_means_no_proposals(refused: int) -> None:
    wallet = WalletBook(*[None] * refused, refusal(may_pass=True), wait_s=1.0)
    books = Books(wallet=wallet)
    play = books.play(last=says("42"))
    assert straight(books, play)
    assert wallet.returned == refused
    assert play.waits == [], "cheap calls are not worth a wait"


def test_when_the_last_model_does_not_fit_either_the_budget_is_named() -> None:
    books = Books(wallet=WalletBook(refusal(), refusal(said="last"), refusal(), refusal()))
    play = books.play()
    assert isinstance(play.error, BudgetExceededError)
    assert str(play.error) == "last"
    assert books.attempts() == []


def test_when_the_proposals_have_used_the_budget_up_one_of_them_is_taken() -> None:
    books = Books(wallet=WalletBook(None, None, refusal()))
    outcome = books.play(a=says("41"), b=says("42")).outcome
    assert (outcome.model, outcome.status) == ("a", "fallback")
    books.attempts()


def test_no_proposals_where_there_are_not_calls_enough() -> None:
    books = Books(max_attempts=2)
    assert straight(books, books.play(last=says("42")))


def test_no_proposals_where_time_is_left_for_one_round_only() -> None:
    books = Books(step_timeout_s=10.0)
    books.access.usual_s = 6.0
    assert straight(books, books.play(last=says("42")))


def test_a_slow_proposer_leaves_the_last_model_its_time() -> None:
    books = Books(step_timeout_s=20.0)
    books.access.usual_s = 6.0
    play = books.play(a=says("42"), b=says("42", 60.0), last=says("42", 5.0))
    assert play.outcome.model == "last"
    assert play.now_s == pytest.approx(19.0)


def test_a_proposer_that_cannot_be_called_now_is_left_out() -> None:
    books = Books(THREE)
    books.access.out.add("a")
    outcome = books.play(b=says("42"), c=says("42")).outcome
    assert (outcome.model, [p.model for p in outcome.proposals]) == ("b", ["b", "c"])
    books = Books(TWO)
    books.access.out.add("a")
    assert straight(books, books.play(last=says("42")))


@pytest.mark.parametrize("models", [("last",), ("a", "last"), ("a", "a", "last"), ("last", "a", "last")])
def test_one_proposer_alone_is_not_asked(models: tuple[str, ...]) -> None:
    books = Books(Plan(kind="agree", models=models))
    assert straight(books, books.play(last=says("42")))


# --- stopping -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("plan", [TWO, THREE, GATE])
@pytest.mark.parametrize("streamed", [False, True])
def test_wherever_the_caller_goes_the_books_balance_and_no_call_follows(plan: Plan, streamed: bool) -> None:
    for abandon_at in count():
        books = Books(plan, wallet=WalletBook(), buffer_streams=True)
        steps = books.engine.stream() if streamed else books.engine.answer()
        answers = {"a": says("1"), "b": says("2"), "c": says("2", 9.0), "last": says("3")}
        play = Told(steps, answers, abandon_at=abandon_at)
        books.attempts()
        if play.outcome is not None:
            break
        assert isinstance(play.error, Abandoned)
        assert books.observer.ends[0][0] == "cancelled"
    assert abandon_at >= 2


# --- gate -----------------------------------------------------------------------------------------------------------


def test_a_first_answer_that_passes_the_gates_is_taken() -> None:
    books = Books(GATE)
    outcome = books.play(a=says("42")).outcome
    assert (outcome.model, outcome.status, outcome.check) == ("a", "ok", "passed")
    assert books.attempts() == [("a", "primary", "ok")]


def test_a_first_answer_that_does_not_pass_calls_the_next_model() -> None:
    books = Books(GATE, gate=Gate(None, {"long": lambda step, view: len(view.text) > 2}))
    outcome = books.play(a=says("42"), last=says("forty-two")).outcome
    assert (outcome.model, outcome.status, outcome.check) == ("last", "ok", "escalated")
    assert books.attempts() == [("a", "primary", "failed"), ("last", "escalation", "ok")]


def test_the_first_model_of_a_gate_is_retried_as_usual() -> None:
    books = Books(GATE, retries=1)
    outcome = books.play(a=[*fails(e.RateLimited), *says("42")]).outcome
    assert (outcome.model, outcome.check) == ("a", "passed")
    assert [role for _, role, _ in books.attempts()] == ["primary", "primary"]


def test_a_gate_of_three_goes_on_to_its_end_and_then_to_the_fallbacks() -> None:
    books = Books(Plan(kind="gate", models=("a", "b", "last")), "other")
    outcome = books.play(a=fails(), b=fails(), last=fails(), other=says("42")).outcome
    assert (outcome.model, outcome.status, outcome.check) == ("other", "fallback", "escalated")
    assert [role for _, role, _ in books.attempts()] == ["primary", "escalation", "escalation", "fallback"]


def test_a_first_model_that_could_not_be_called_has_escalated_nothing() -> None:
    books = Books(GATE)
    books.access.out.add("a")
    assert books.play(last=says("42")).outcome.check == "none"


# --- streams --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("plan", [TWO, GATE])
def test_a_stream_that_is_handed_on_as_it_comes_goes_straight_to_the_last_model(plan: Plan) -> None:
    books = Books(plan)
    play = books.stream(last=says("42"))
    assert straight(books, play)
    assert play.emitted == ["42"]


def test_streams_that_agree_hand_on_the_chunks_of_the_first() -> None:
    books = Books(buffer_streams=True)
    play = books.stream(a=says("The answer is 42.", 2.0), b=says("42"))
    assert (play.outcome.text, play.outcome.check, play.outcome.model) == ("The answer is 42.", "agreed", "a")
    assert play.emitted == ["The answer is 42."]
    assert play.now_s == pytest.approx(2.0)
    assert [a.first_token_s for a in play.outcome.attempts] == [pytest.approx(1.0), pytest.approx(0.5)]
    books.attempts()


def test_streams_that_differ_open_the_last_models() -> None:
    books = Books(buffer_streams=True)
    play = books.stream(a=says("41"), b=says("42"), last=says("43"))
    assert (play.outcome.text, play.emitted, play.outcome.check) == ("43", ["43"], "disagreed")
    assert books.attempts()[-1] == ("last", "escalation", "ok")


def test_a_streamed_proposal_is_better_than_an_error() -> None:
    books = Books(buffer_streams=True)
    play = books.stream(a=says("41"), b=says("42"), last=fails())
    assert (play.emitted, play.outcome.text, play.outcome.status) == (["41"], "41", "fallback")


def test_a_stream_that_is_given_up_is_charged_for_what_had_arrived() -> None:
    books = Books(THREE, buffer_streams=True)
    play = books.stream(a=says("41"), b=says("42"), c=says("four words or five", 1.5), last=says("43"))
    given_up = play.outcome.attempts[2]
    assert (given_up.status, given_up.usage.output_tokens) == ("cancelled", 5)
    assert [c.index for c in play.commands if isinstance(c, Cancel)] == [3]


def test_a_stream_that_still_brings_something_is_not_given_up() -> None:
    books = Books(buffer_streams=True, first_token_timeout_s=4.0, stall_timeout_s=4.0)
    play = books.stream(a=says("42", 6.0), b=says("42"))
    assert play.outcome.check == "agreed"
    assert play.now_s == pytest.approx(6.0)


@pytest.mark.parametrize("after_s", [9.0, 60.0])
def test_a_stream_that_stalls_is_given_up(after_s: float) -> None:
    books = Books(buffer_streams=True, first_token_timeout_s=5.0, stall_timeout_s=4.0)
    play = books.stream(a=says("42", after_s), b=says("42"), last=says("42"))
    assert play.outcome.model == "last"
    assert play.outcome.attempts[0].error_type == "timeout"
    books.attempts()


def test_a_streamed_proposal_has_to_end_with_a_reason_where_that_is_known() -> None:
    books = Books(buffer_streams=True)
    books.engine._course.expects_finish = True
    play = books.stream(a=[(1.0, text("42"))], b=says("42", 2.0), last=says("42"))
    assert (play.outcome.model, play.outcome.attempts[0].error_type) == ("last", "bad_answer")


# --- everything at once ---------------------------------------------------------------------------------------------

_HAPPENED = st.tuples(
    st.sampled_from((0.5, 1.0, 3.0, 400.0)),
    st.sampled_from((text("41"), text("42"), text(LONG), text(""), e.ServerFailed("m"), e.BadRequest("m"))),
)


@given(
    st.sampled_from([TWO, THREE, GATE]),
    st.lists(_HAPPENED, min_size=5, max_size=5),
    st.lists(st.sampled_from([None, None, refusal()]), max_size=6),
    st.booleans(),
)
def test_whatever_happens_one_answer_leaves_and_every_call_is_booked_once(
    plan: Plan, happened: Happened, refusals: list[Any], streamed: bool
) -> None:
    books = Books(plan, "other", wallet=WalletBook(*refusals), buffer_streams=True)
    answers = {name: [one, one] for name, one in zip(NAMES, happened, strict=True)}
    play = books.stream(**answers) if streamed else books.play(**answers)
    attempts = balanced(books.access, books.wallet, books.observer)
    begun = [c for c in play.commands if isinstance(c, Start | OpenStream) or type(c).__name__ == "Call"]
    assert len(begun) == len(attempts)
    assert play.running == {}
    if play.outcome is None:
        assert not any(a.status == "ok" for a in attempts)
        return
    outcome = play.outcome
    assert outcome.answered.status == "ok"
    assert [a.model for a in attempts if a.role == "propose"] == [p.model for p in outcome.proposals]
    if outcome.check == "agreed":
        assert all(p.same in (True, None) for p in outcome.proposals)
        assert [p.same for p in outcome.proposals].count(True) >= 2
        assert all(a.role == "propose" for a in attempts)
    if streamed:
        assert play.emitted == [outcome.text]
