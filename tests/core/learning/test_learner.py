"""The learner of a running router: what labels, checks and agreements teach, and when it changes its mind."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tests.core.planning.test_agreement import POOL, text_step, tool_step

from taskrouter import ResponseView, Router, Step, StepContext, ToolCall
from taskrouter.decision import Plan
from taskrouter.learning import Identity, Labelled, LearnedPolicy, Scored
from taskrouter.learning.evidence import AGREEMENT_RIGHT
from taskrouter.learning.learner import Lesson


def router(**config: Any) -> Router:
    base: dict[str, Any] = {"router": {"incumbent": "gpt-large", "seed": 1}, "models": POOL}
    return Router.from_config({**base, **config})


def step_of(node: str) -> Step:
    return Step(messages=[{"role": "user", "content": "Say hello."}], context=StepContext(node=node), task_type="chat")


def answer(step: Step, router: Router, view: ResponseView, **fields: Any) -> str:
    return router.run(step, lambda _: view, lambda answer: answer, **fields).decision_id


HELLO = ResponseView(text="hello", finish_reason="stop")


def taught(router: Router, node: str, count: int = 80) -> None:
    """Labels on which the small model is as good as the incumbent, as a suite of cases gives them."""
    plans = {name: Plan(models=(name,)) for name in ("gpt-large", "gpt-tiny")}
    scores = {"gpt-large": Scored(1.0, 0.01), "gpt-tiny": Scored(1.0, 0.0001)}
    row = Labelled(identity=Identity(f"/{node}", "chat"), scores=scores)
    router._teaching.learner.adopt([Lesson(row, plans)] * count)


def test_labels_change_where_steps_of_their_identity_go_and_no_others():
    with router() as routed:
        assert str(routed.route(step_of("greet")).plan) == "gpt-large"
        taught(routed, "greet")
        assert routed.learn() is not None
        decision = routed.route(step_of("greet"))
        assert str(decision.plan) == "gpt-tiny"
        assert decision.reason == "learned"
        assert decision.identity == "/greet"
        assert "80 labelled steps" in decision.detail
        assert decision.fallbacks[0] == "gpt-large"
        assert str(routed.route(step_of("another")).plan) == "gpt-large"


def test_learning_happens_by_itself_when_labels_have_come():
    with router() as routed:
        taught(routed, "greet")
        learner = routed._teaching.learner
        for _ in range(1000):
            with learner._fitting:
                if learner.policy is not None:
                    break
        assert isinstance(learner.policy, LearnedPolicy)


def test_feedback_teaches_the_plan_that_was_carried_out():
    with router(learning={"max_loss": 0.02}) as routed:
        for use, score in ((["gpt-large"], 0.6), (["gpt-tiny"], 1.0)):
            for _ in range(60):
                step = step_of("greet")
                decision_id = answer(step, routed, HELLO, decision=routed.route(step, use=use))
                routed.feedback(decision_id, score)
        policy = routed.learn()
        assert policy is not None
        # Costs are those of real calls; this stand-in reports no usage, so the cards' prices of estimates count.
        assert [str(branch.plan) for branch in policy.branches["/greet"]] == ["gpt-tiny"]


def test_what_was_learned_gives_way_to_rules_and_to_what_may_not_be_called():
    rules = [{"name": "eu", "when": {"tags": ["eu"]}, "avoid": ["gpt-tiny"]}]
    with router(rules=rules) as routed:
        taught(routed, "greet")
        routed.learn()
        step = Step(
            messages=[{"role": "user", "content": "Say hello."}],
            context=StepContext(node="greet", tags=frozenset({"eu"})),
            task_type="chat",
        )
        assert str(routed.route(step).plan) == "gpt-large"
        assert str(routed.route(step_of("greet"), policy={"cost": 0.1, "quality": 1.0}).plan) != "gpt-tiny"


def test_with_learning_turned_off_labels_are_kept_and_change_nothing(tmp_path: Path):
    with router(learning={"enabled": False}, state={"url": f"sqlite:///{tmp_path}/s.db"}) as routed:
        taught(routed, "greet")
        routed.learn()
        assert str(routed.route(step_of("greet")).plan) == "gpt-large"


def test_feedback_of_an_earlier_process_is_learned_from(tmp_path: Path):
    url = {"url": f"sqlite:///{tmp_path}/state.db"}
    with router(state=url) as first:
        for use, score in ((["gpt-large"], 0.6), (["gpt-tiny"], 1.0)):
            for _ in range(30):
                step = step_of("greet")
                first.feedback(answer(step, first, HELLO, decision=first.route(step, use=use)), score)
    with router(state=url) as second:
        policy = second.learn()
        assert policy is not None
        assert policy.labels["/greet"] == 60
        second.learn()
        assert second._teaching.learner.labels == 60


CALL = ResponseView(tool_calls=(ToolCall(name="add", arguments='{"a": 2, "b": 3}'),), finish_reason="tool_calls")


def test_a_label_of_an_agreement_is_one_of_each_proposer():
    with router() as routed:
        decision_id = answer(tool_step(context=StepContext(node="sum")), routed, CALL)
        learner = routed._teaching.learner
        before = learner.labels  # proposals that agree are a weak label by themselves
        lesson = learner.label(decision_id, 1.0, "user")
        assert lesson is not None
        assert {name: scored.score for name, scored in lesson.row.scores.items()} == {
            "agree(gpt-tiny, claude-tiny, gpt-large)": 1.0,
            "gpt-tiny": 1.0,
            "claude-tiny": 1.0,
        }
        assert before == 1
        assert learner.labels == 2


def test_how_often_agreements_are_right_is_what_labels_say_once_there_are_many():
    with router() as routed:
        learner = routed._teaching.learner
        assert learner.agreement_right == pytest.approx(AGREEMENT_RIGHT)
        for _ in range(40):
            learner.label(answer(tool_step(), routed, CALL), 0.0, "user")
        assert learner.agreement_right < 0.5


def test_an_answer_that_fails_its_check_is_a_label_against_its_model():
    with router() as routed:
        views = {"gpt-large": ResponseView(text=""), "gpt-tiny": HELLO}
        step = text_step("Say hello.", "chat")
        outcome = routed.run(
            step, lambda model: views.get(model, HELLO), lambda view: view, decision=routed.route(step)
        )
        assert outcome.model != "gpt-large"
        (row,) = routed._teaching.learner._rows
        assert row.scores["gpt-large"].score == 0.0
        assert row.weight == 0.5


def test_a_label_for_a_step_that_is_not_known_teaches_nothing_and_is_counted():
    with router() as routed:
        routed.feedback("dec_0123456789abcdef", 1.0)
        assert routed._teaching.learner.unmatched == 1
        assert routed._teaching.learner.labels == 0


def test_with_an_exploration_budget_a_router_learns_online_and_says_with_what_chance():
    exploring = {"exploration": {"points": 5.0, "usd": 100.0}}
    with router(learning=exploring, policy={"name": "safe", "agreement": False}) as routed:
        right = {"gpt-large": 0.6, "gpt-tiny": 1.0}
        seen = set()
        for number in range(1500):
            decision = routed.route(step_of("greet"))
            assert decision.identity == "/greet"
            assert 0.0 < decision.propensity <= 1.0
            chances = [decision.propensity, *(chance for _, chance in decision.alternatives)]
            assert sum(chances) == pytest.approx(1.0)
            seen.add(decision.model)
            score = float(number % 10 < 10 * right.get(decision.model, 0.8))
            routed.feedback(answer(step_of("greet"), routed, HELLO, decision=decision), score)
        assert len(seen) > 1


def test_without_an_exploration_budget_nothing_is_tried():
    with router() as routed:
        assert routed._teaching.online is None
        assert {routed.route(step_of("greet")).model for _ in range(50)} == {"gpt-large"}


def test_labels_do_not_change_a_policy_that_was_given(tmp_path: Path):
    with router() as routed:
        taught(routed, "greet")
        learned = routed.learn()
    assert learned is not None
    file = tmp_path / "policy.json"
    file.write_text(json.dumps({"schema": 1, "policy": learned.to_dict(), "certificate": None}))
    with router(learning={"policy": str(file)}) as routed:
        taught(routed, "other")
        given = routed.learn()
        assert given is not None
        assert given.to_dict() == learned.to_dict()
        assert str(routed.route(step_of("greet")).plan) == "gpt-tiny"
        assert str(routed.route(step_of("other")).plan) == "gpt-large"
