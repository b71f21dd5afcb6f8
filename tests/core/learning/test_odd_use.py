"""Learning under odd use: labels of any kind, pools without prices, stores that go away, forks, many threads."""

from __future__ import annotations

import json
import logging
import os
import threading
from pathlib import Path
from typing import Any

import pytest
from tests.core.learning.test_learner import CALL, HELLO, answer, router, step_of, taught
from tests.core.planning.test_agreement import POOL, tool_step

from taskrouter import FeedbackError, ResponseView, Router, Step
from taskrouter.config import LearningConfig
from taskrouter.decision import Plan
from taskrouter.errors import ConfigurationError, StoreUnavailable
from taskrouter.keeping import FEEDBACK
from taskrouter.learning import Identity, Labelled, LearnedPolicy, Learner, Scored, identify
from taskrouter.learning.learner import FIRST, Lesson
from taskrouter.learning.views import seen
from taskrouter.ledger.authors import Author
from taskrouter.lessons import LESSONS


def lesson(node: str, key: str | None = None) -> Lesson:
    row = Labelled(identity=Identity(f"/{node}", "chat"), scores={"gpt-tiny": Scored(1.0, 0.0001)})
    return Lesson(row, {"gpt-tiny": Plan(models=("gpt-tiny",))}, key)


# --- labels ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "score",
    [float("nan"), float("inf"), -0.1, pytest.param(10**5000, id="too long to write"), "1", None, [1.0]],
)
def test_a_score_that_is_none_is_refused_and_teaches_nothing(score: Any) -> None:
    with router() as routed:
        decision_id = answer(step_of("greet"), routed, HELLO)
        with pytest.raises(FeedbackError, match="a number from 0 to 1"):
            routed.feedback(decision_id, score)
        assert (routed.learning.labels, routed.learning.unmatched) == (0, 0)


@pytest.mark.parametrize("run_id", [None, 5, [], {}, "unknown"])
def test_a_run_that_is_unknown_or_no_name_at_all_is_refused(run_id: Any) -> None:
    with router() as routed, pytest.raises(FeedbackError, match="no step of this run is known"):
        routed.feedback_run(run_id, 1.0)


def test_labels_that_contradict_each_other_both_count() -> None:
    with router() as routed:
        decision_id = answer(step_of("greet"), routed, HELLO)
        routed.feedback(decision_id, 1.0)
        routed.feedback(decision_id, 0.0)
        assert routed.learning.labels == 2


def test_a_late_label_of_proposed_calls_teaches_what_a_prompt_one_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = ResponseView(
        tool_calls=(CALL.tool_calls[0].__class__(name="add", arguments='{"a": 3, "b": 3}'),),
        finish_reason="tool_calls",
    )
    monkeypatch.setattr("taskrouter.learning.learner.REMEMBERED", 1)
    with router(state={"url": f"sqlite:///{tmp_path}/s.db"}) as routed:

        def differ() -> str:
            views = {"gpt-tiny": CALL, "claude-tiny": other, "gpt-large": CALL}
            return routed.run(tool_step(), views.__getitem__, lambda view: view).decision_id

        late = differ()
        prompt = differ()
        routed._state.ledger.flush()  # type: ignore[union-attr]
        routed.feedback(late, 1.0)
        routed.feedback(prompt, 1.0)
        first, second = routed._teaching.learner._rows
        assert set(first.scores) == set(second.scores)
        assert "claude-tiny" not in first.scores


# --- pools and steps ------------------------------------------------------------------------------------------------


def test_exploration_does_not_leave_an_incumbent_whose_price_is_unknown() -> None:
    unpriced = {key: value for key, value in POOL[0].items() if "usd" not in key}
    config = {"router": {"incumbent": "gpt-large"}, "models": [unpriced, *POOL[1:]], "learning": {"exploration": {}}}
    with Router.from_config(config) as routed:
        decision = routed.route(step_of("greet"))
        assert (decision.model, decision.reason) == ("gpt-large", "incumbent")


@pytest.mark.parametrize("pool", [POOL[:1], POOL], ids=["one model", "all"])
def test_exploration_among_models_that_are_free_stays_with_the_incumbent(pool: Any) -> None:
    free = [{**model, "input_usd_per_million": 0.0, "output_usd_per_million": 0.0} for model in pool]
    config = {"router": {"incumbent": "gpt-large", "seed": 1}, "models": free, "learning": {"exploration": {}}}
    with Router.from_config(config) as routed:
        for number in range(80):
            routed.feedback(answer(step_of("greet"), routed, HELLO), number % 2)
        assert routed.route(step_of("greet")).model == "gpt-large"


def test_a_schema_with_keys_of_several_types_has_an_identity() -> None:
    schema = {"type": "object", "properties": {1: {"type": "string"}, "a": {"type": "string"}}}
    step = Step(messages=[{"role": "user", "content": "Say hello."}], response_schema=schema)
    with router() as routed:
        profile = routed.route(step).profile
        assert identify(step, profile) == identify(step, profile)


def test_the_name_of_an_agent_is_not_taken_for_a_step_without_one() -> None:
    step = Step(messages=[{"role": "user", "content": "Say hello."}], context=_named("~chat:math,x"))
    with router() as routed:
        key = identify(step, routed.route(step).profile).key
    assert seen(key, "form") == key


def _named(agent: str) -> Any:
    return step_of("greet").context.__class__(agent=agent, node="node")


def test_an_answer_is_not_lost_when_nothing_can_be_learned_from_it(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with router() as routed:
        monkeypatch.setattr(routed._teaching.learner, "note", lambda *_: 1 / 0)
        assert routed.run(step_of("greet"), lambda _: HELLO, lambda view: view).response is HELLO
        assert "nothing was learned from dec_" in caplog.text


@pytest.mark.parametrize(
    ("plan", "share", "message"),
    [
        ({"kind": "agree", "models": ["gpt-tiny"]}, 1.0, "several models"),
        ({"kind": "agree", "models": ["gpt-tiny", "gpt-tiny", "gpt-large"]}, 1.0, "several models"),
        ({"kind": "single", "models": ["gpt-tiny", "gpt-large"]}, 1.0, "takes one model"),
        ({"kind": "single", "models": ["gpt-tiny"]}, 0.3, "sum to 0.3"),
    ],
)
def test_a_policy_of_plans_or_shares_that_cannot_be_is_refused(plan: Any, share: float, message: str) -> None:
    loss = {"mean": 0.0, "low": 0.0, "high": 0.0, "source": "made up"}
    document = {
        "schema": 1,
        "incumbent": "gpt-large",
        "identities": {"/greet": {"labels": 5, "branches": [{"plan": plan, "share": share, "loss": loss}]}},
        "reckoning": {"loss": 0.0, "loss_error": 0.0, "saving": 0.0, "steps": 5},
    }
    with pytest.raises(ConfigurationError, match=message):
        LearnedPolicy.from_dict(document)


# --- stores ---------------------------------------------------------------------------------------------------------


def test_what_was_read_before_the_store_went_away_is_learned_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("taskrouter.keeping.PAGE", 1)
    monkeypatch.setattr("taskrouter.lessons.PAGE", 1)
    with router() as first, router() as second:
        for log in (FEEDBACK, LESSONS):
            for number in range(2):
                record = {"owner": "another", "key": None, "lesson": _document(f"{log}{number}")}
                second._state.store.append(log, [json.dumps(record)])
        store = second._state.store
        read, left = store.read, [1]

        def failing(log: str, **options: Any) -> Any:
            if options["limit"] == 1:
                left[0] -= 1
                if left[0] < 0:
                    raise StoreUnavailable("away")
            return read(log, **options)

        monkeypatch.setattr(store, "read", failing)
        with pytest.raises(StoreUnavailable):
            second._teaching.catch_up()
        assert second.learning.labels == 1
        left[0] = 4
        with pytest.raises(StoreUnavailable):
            second._teaching.catch_up()
        left[0] = 10
        second._teaching.catch_up()
        assert second.learning.labels == 4
        assert first.learning.labels == 0


def _document(node: str) -> Any:
    plan = {"plan": {"kind": "single", "models": ["gpt-tiny"]}, "score": 1.0, "cost_usd": None}
    return {"identity": f"/{node}", "task_type": "chat", "weight": 1.0, "plans": [plan]}


@pytest.mark.parametrize("text", ["no JSON", "[]", '"a"', "{}", '{"lesson": 5}', '{"lesson": {"plans": []}}'])
def test_records_that_are_none_are_passed_over(text: str) -> None:
    with router() as routed:
        for log in (FEEDBACK, LESSONS):
            routed._state.store.append(log, [text, json.dumps({"owner": "another", "lesson": _document(log)})])
        routed._teaching.catch_up()
        assert routed.learning.labels == 2


# --- growth and threads ---------------------------------------------------------------------------------------------


def test_what_is_known_of_plans_does_not_outlive_its_labels(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("taskrouter.learning.learner.ROWS", 10)
    learner = Learner(LearningConfig(enabled=False), "gpt-large")
    learner.adopt(lesson(f"node{number}") for number in range(100))
    learner.adopt([lesson("kept", "case"), lesson("kept", "case")])
    assert learner.labels == 11
    assert learner.known("gpt-tiny") == 11
    assert learner.known("gpt-tiny", "/kept") == 1
    assert len(learner._known) == 11


def test_many_labels_at_once_call_for_one_policy(monkeypatch: pytest.MonkeyPatch) -> None:
    begun = []

    class Waiting(threading.Thread):
        def start(self) -> None:
            begun.append(self.name)

    monkeypatch.setattr("taskrouter.learning.learner.threading.Thread", Waiting)
    learner = Learner(LearningConfig(), "gpt-large")
    for _ in range(2 * FIRST - 1):
        learner.adopt([lesson("greet")])
    assert begun == ["taskrouter-learning"]


def test_feedback_from_many_threads_is_counted_once_each_while_steps_are_routed() -> None:
    failures: list[BaseException] = []
    with router(learning={"exploration": {}}) as routed:

        def work() -> None:
            try:
                for number in range(20):
                    routed.feedback(answer(step_of(f"node{'abc'[number % 3]}"), routed, HELLO), number % 2)
            except BaseException as error:  # noqa: BLE001 - told below
                failures.append(error)

        threads = [threading.Thread(target=work) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert failures == []
        assert (routed.learning.labels, routed.learning.unmatched) == (160, 0)


# --- forks ----------------------------------------------------------------------------------------------------------


def test_what_a_parent_wrote_before_a_fork_is_its_child_s_too_and_nothing_later() -> None:
    author = Author()
    parent = author.name
    author.after_fork_in_child()
    assert author.name != parent
    assert author.wrote(json.dumps({"at_s": 1.0, "owner": parent}))
    assert not author.wrote(json.dumps({"at_s": 1e12, "owner": parent}))
    assert author.wrote(json.dumps({"at_s": 1e12, "owner": author.name}))
    assert not author.wrote(json.dumps({"at_s": 1.0, "owner": "another"}))


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_child_of_a_fork_learns_though_its_parent_was_amid_it(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.CRITICAL)
    with router(state={"url": f"sqlite:///{tmp_path}/s.db"}) as routed:
        answer(step_of("greet"), routed, HELLO)
        learner = routed._teaching.learner
        with learner._fitting, learner._lock:
            child = os.fork()
        if child == 0:
            code = 1
            try:
                taught(routed, "greet")
                routed.feedback(answer(step_of("greet"), routed, HELLO), 1.0)
                code = 0 if routed.learn() is not None else 2
            finally:
                os._exit(code)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        routed._teaching.catch_up()
        assert routed.learning.labels == 1
