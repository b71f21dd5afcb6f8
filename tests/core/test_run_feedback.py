"""A run's outcome, credited to its steps."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.core.sharing_workers import HELLO, feedback_in

from taskrouter import FeedbackError, ResponseView, Router, Step, StepContext
from taskrouter.learning import credit
from taskrouter.ledger.record import digest

ANSWER = ResponseView(text="yes", finish_reason="stop")


def router_of(url: str = "memory:", **fields: Any) -> Router:
    models: list[dict[str, Any]] = [{"id": name, "context_tokens": 8000} for name in ("sure", "unsure")]
    models[0]["quality"] = {"code_generation": {"mean": 0.9, "weight": 500, "source": "our own tests"}}
    return Router.from_config({"router": {"incumbent": "sure"}, "models": models, "state": {"url": url}, **fields})


def ask(router: Router, run_id: str | None, model: str = "sure", task: str = "code_generation") -> str:
    step = Step(messages=HELLO, context=StepContext(run_id=run_id), task_type=task)
    decision = router.route(step, use=[model])
    return router.run(step, lambda _: ANSWER, lambda answer: answer, decision=decision).decision_id


def test_a_run_counts_as_one_label_divided_among_its_answered_steps(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/state.db"
    with router_of(url) as router:
        ids = [ask(router, "run-1"), ask(router, "run-1", "unsure"), ask(router, "run-1")]
        ask(router, "run-2")
        ask(router, None)
        router.feedback_run("run-1", 0.5, source="unit tests")
    said = feedback_in(url)
    assert [record["decision_id"] for record in said] == ids
    assert {record["run_id"] for record in said} == {digest("run-1")}
    assert {record["score"] for record in said} == {0.5}
    assert {record["source"] for record in said} == {"unit tests"}
    assert sum(record["share"] for record in said) == pytest.approx(1.0)


def test_the_step_of_which_least_was_known_gets_most_of_it() -> None:
    with router_of() as router:
        known, unknown = ask(router, "r"), ask(router, "r", "unsure")
        shares = router._teaching.credit.shares("r")
    assert shares[unknown] > 10 * shares[known] > 0


@pytest.mark.parametrize(
    ("run_id", "score", "said"),
    [
        ("another", 1.0, "no step of this run is known here"),
        (None, 1.0, "no step of this run is known here"),
        ("r", 1.5, "score of the run is 1.5"),
        ("r", "good", "score of the run is a str"),
    ],
)
def test_what_is_wrong_with_a_run_s_label_is_said(run_id: Any, score: Any, said: str) -> None:
    with router_of() as router:
        ask(router, "r")
        with pytest.raises(FeedbackError, match=said):
            router.feedback_run(run_id, score)


def test_the_latest_runs_and_their_latest_steps_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(credit, "RUNS", 2)
    monkeypatch.setattr(credit, "STEPS", 2)
    with router_of() as router:
        first = [ask(router, "one") for _ in range(3)]
        ask(router, "two")
        assert list(router._teaching.credit.shares("one")) == first[1:]
        ask(router, "one")
        ask(router, "three")
        assert [bool(router._teaching.credit.shares(run)) for run in ("one", "two", "three")] == [True, False, True]


@given(st.lists(st.sampled_from(["sure", "unsure"]), min_size=1, max_size=20))
def test_shares_are_positive_and_sum_to_one(models: list[str]) -> None:
    with router_of() as router:
        for model in models:
            ask(router, "r", model)
        shares = router._teaching.credit.shares("r")
    assert len(shares) == len(models)
    assert min(shares.values()) > 0
    assert sum(shares.values()) == pytest.approx(1.0)
