"""`judge`: two calls with the places exchanged; what a judge says that makes no sense is counted and charged."""

import asyncio
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskrouter import ResponseView, Step, ToolCall
from taskrouter.errors import ConfigurationError
from taskrouter.grading import Grade, Graders, Judge, Reply, Skip, Tally
from taskrouter.grading.judge import JUDGE_PROMPT, read_verdict

GOOD, BAD = "It is 12.", "No idea."


class Court:
    """Replies in turn, or as a function of the two answers; remembers what it was asked."""

    def __init__(self, *replies, cost_usd=0.001):
        self.replies, self.cost_usd, self.asked = list(replies), cost_usd, []

    async def __call__(self, model, step):
        document = json.loads(step.messages[1]["content"])
        self.asked.append((model, step, document))
        reply = self.replies.pop(0)
        if isinstance(reply, Exception):
            raise reply
        text = reply(document["answer_1"], document["answer_2"]) if callable(reply) else reply
        return Reply(text=text, cost_usd=self.cost_usd)


def said(verdict):
    return json.dumps({"verdict": verdict, "reason": "because"})


def fair(one, two):
    return said("tie" if one == two else "1" if one == GOOD else "2")


def first_place(one, two):
    return said("1")


async def grade(case, court, answer, expected=GOOD, **options):
    return await Graders(ask=court).agrade(case(expected, kind="judge", **options), ResponseView(text=answer))


@pytest.mark.parametrize(("answer", "expected", "score"), [(GOOD, BAD, 1.0), (BAD, GOOD, 0.0), (GOOD, GOOD, 0.5)])
async def test_a_preference_counts_when_it_survives_the_exchange(case, answer, expected, score):
    court = Court(fair, fair)
    graded = await grade(case, court, answer, expected)
    assert isinstance(graded, Grade)
    assert graded.score == score
    assert graded.cost_usd == pytest.approx(0.002)
    (_, _, one), (_, _, two) = court.asked
    assert (one["answer_1"], one["answer_2"]) == (two["answer_2"], two["answer_1"]) == (answer, expected)


async def test_a_tie_may_be_as_good_as_a_win(case):
    assert (await grade(case, Court(fair, fair), GOOD, GOOD, tie=1.0)).score == 1.0


async def test_a_judge_that_likes_one_place_makes_a_tie_or_a_skip(case):
    assert (await grade(case, Court(first_place, first_place), GOOD, BAD)).score == 0.5
    skipped = await grade(case, Court(first_place, first_place), GOOD, BAD, disagreement="skip")
    assert (skipped.reason, skipped.cost_usd) == ("judge_disagreed", pytest.approx(0.002))


@pytest.mark.parametrize(
    "nonsense",
    ["", "The first.", "1", said("3"), said(None), "[1]", said("1") + said("2"), '{"verdict": ["1"]}', "{" * 50_000],
)
async def test_nonsense_is_a_counted_skip_that_is_charged(case, nonsense):
    tally = Tally()
    tally.add(await grade(case, Court(nonsense), GOOD))
    tally.add(await grade(case, Court(fair, nonsense), GOOD, BAD))
    assert tally.skipped == {"judge_nonsense": 2}
    assert tally.cost_usd == pytest.approx(0.003)
    assert tally.graded == 0


@pytest.mark.parametrize("reply", ['```json\n{"verdict": "1"}\n```', '{"verdict": 1}', '{"verdict": " 1 "} Done.'])
def test_a_verdict_is_read_in_its_several_spellings(reply):
    assert read_verdict(reply) == "first"


@given(st.text())
def test_any_reply_is_read_or_refused(reply):
    assert read_verdict(reply) in (None, "first", "second", "tie")


async def test_a_judge_that_cannot_be_asked_is_a_skip(case):
    skipped = await grade(case, Court(fair, ValueError("secret")), GOOD, BAD)
    assert skipped == Skip(reason="judge_failed", detail="the judge could not be asked", cost_usd=0.001)


async def test_a_cancelled_judge_is_cancelled(case):
    class Waits:
        async def __call__(self, model, step):
            await asyncio.Event().wait()

    task = asyncio.create_task(grade(case, Waits(), GOOD))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_an_unknown_price_makes_an_unknown_cost(case):
    graded = await grade(case, Court(fair, fair, cost_usd=None), GOOD, BAD)
    assert graded.cost_usd is None
    tally = Tally()
    tally.add(graded)
    assert (tally.unpriced, tally.cost_usd) == (1, 0.0)


async def test_a_judge_reads_the_request_and_what_was_called(case):
    step = Step(
        messages=[
            {"role": "user", "content": [{"type": "text", "text": "Look"}, {"type": "image_url", "image_url": {}}]},
            {"role": "assistant", "tool_calls": [{"id": "1", "function": {"name": "look", "arguments": "{}"}}]},
        ],
        tools=[{"type": "function", "function": {"name": "book"}}],
    )
    court = Court(said("tie"), said("tie"))
    view = ResponseView(text="", tool_calls=(ToolCall(name="book", arguments='{"a": 1}'),))
    await Graders(ask=court).agrade(case({"name": "book"}, kind="judge", step=step, instructions="Be harsh."), view)
    model, asked, document = court.asked[0]
    assert model is None
    assert asked.messages[0]["content"] == f"{JUDGE_PROMPT}\n\nBe harsh."
    assert document["request"]["messages"][0] == {"role": "user", "content": "Look\n(image_url left out)"}
    assert document["request"]["messages"][1]["tool_calls"] == [{"name": "look", "arguments": "{}"}]
    assert document["request"]["tools"] == [{"name": "book"}]
    assert json.loads(document["answer_1"])["tool_calls"] == [{"name": "book", "arguments": '{"a": 1}'}]


async def test_the_configured_model_judges(case):
    court = Court(fair, fair)
    await grade(case, court, GOOD, model="large")
    assert [model for model, _, _ in court.asked] == ["large", "large"]


async def test_two_answers_can_be_compared_without_a_case(case):
    config = case(GOOD, kind="judge").grader
    step = Step(messages=[{"role": "user", "content": "How much?"}])
    verdict = await Judge(config, Court(fair, fair)).compare(step, BAD, GOOD)
    assert (verdict.preferred, verdict.problem) == ("second", None)


def test_it_works_without_an_event_loop_too(case, view):
    graded = Graders(ask=Court(fair, fair)).grade(case(BAD, kind="judge"), view(GOOD))
    assert isinstance(graded, Grade)
    assert graded.score == 1.0


def test_a_judge_that_nobody_can_ask_is_an_error(case, view):
    with pytest.raises(ConfigurationError, match="pass `ask` to `Graders`"):
        Graders().grade(case(GOOD, kind="judge"), view(GOOD))
