"""Answers that a reader has seen before the engine hears of them, as a framework's own streams do it."""

from __future__ import annotations

import pytest

from taskrouter import Router, Step
from taskrouter.errors import StreamBroken
from taskrouter.outcome import ResponseView

POOL = [{"id": name, "input_usd_per_million": 1.0, "output_usd_per_million": 4.0} for name in ("first", "second")]
STEP = Step(messages=[{"role": "user", "content": "What is 12 * 12?"}])


def test_an_answer_that_was_shown_is_not_judged() -> None:
    shown = ResponseView(text="", shown=True)
    outcome = Router(POOL, "first").run(STEP, lambda model: model, lambda _: shown)
    assert (outcome.model, outcome.status) == ("first", "ok")


async def test_a_call_that_broke_after_its_first_word_is_paid_for_and_followed_by_no_other() -> None:
    router = Router(POOL, "first")
    asked = []

    async def call(model: str) -> str:
        asked.append(model)
        raise StreamBroken(model, partial=ResponseView(text="12 * 12 = " * 4))

    with router.budget(usd=1.0) as budget, pytest.raises(StreamBroken):
        await router.arun(STEP, call)
    assert asked == ["first"]
    assert budget.spent_usd >= 4e-6 * 10
    assert budget.held_usd == 0.0
