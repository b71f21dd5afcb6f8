"""Shadows over real HTTP: what they learn, what they never do, and that nobody waits for them."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.core.calibration.conftest import Routers
from tests.core.calibration.court import Court

from taskrouter import ConfigurationError, ResponseView, Router, Step, StepContext, ToolCall
from taskrouter.decision import Plan
from taskrouter.learning import Identity, Labelled, Lesson, Scored
from taskrouter.lessons import LESSONS
from taskrouter.outcome import Usage
from taskrouter.simulator import RunningServer
from taskrouter.simulator.config import Event
from taskrouter.state.opening import open_store

ALWAYS = {"share": 1.0}
HANGS: Event = "timeout"
ALONE = {"name": "safe", "agreement": False}
WEATHER = {
    "type": "function",
    "function": {
        "name": "weather",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}


def adding(number: int = 17, **fields: Any) -> Step:
    asked = [{"role": "user", "content": f"What is {number} + 25?"}]
    return Step(messages=asked, context=StepContext(node="adder", run_id="run"), **fields)


def done(router: Router) -> Any:
    assert router.shadow is not None
    assert router.shadow.wait(20.0)
    return router.shadow.status


def rows(router: Router) -> list[dict[str, float]]:
    return [{name: s.score for name, s in row.scores.items()} for row in router._teaching.learner._rows]


def test_an_answer_of_the_incumbent_is_compared_with_another_plans(router: Routers, models: RunningServer) -> None:
    routed = router(policy=ALONE, shadow={**ALWAYS, "plans": ["fair"]})
    outcome = routed.complete(adding())
    status = done(routed)
    assert outcome.model == "dear"
    assert [record.model for record in models.requests] == ["dear", "fair"]
    assert (status.sampled, status.labelled, status.without) == (1, 1, {})
    assert rows(routed) == [{"fair": 1.0, "dear": 1.0}]


def test_an_answer_that_differs_counts_as_wrong_without_a_judge(router: Routers, models: RunningServer) -> None:
    routed = router(policy=ALONE, shadow={**ALWAYS, "plans": ["cheap"]})
    for number in range(20):
        routed.complete(adding(number))
    assert done(routed).labelled == 20
    scores = [row["cheap"] for row in rows(routed)]
    assert set(scores) == {0.0, 1.0}
    assert {row["dear"] for row in rows(routed)} == {1.0}
    assert {row.weight for row in routed._teaching.learner._rows} == {0.25}


def test_where_another_plan_served_the_incumbent_is_asked(router: Routers, models: RunningServer) -> None:
    routed = router(policy="economy", shadow=ALWAYS)
    decision = routed.route(adding(), use=["fair"])
    routed.complete(adding(), decision=decision)
    # The caller allows `fair` alone: nothing else may see the step.
    assert done(routed).labelled == 0
    assert {record.model for record in models.requests} == {"fair"}
    models.reset()
    decision = routed.route(adding(), use=["fair", "dear"], policy={"cost": 1})
    assert decision.model == "fair"
    routed.complete(adding(), decision=decision)
    assert done(routed).labelled == 1
    assert [record.model for record in models.requests] == ["fair", "dear"]


def test_streams_are_compared_after_their_end(router: Routers, models: RunningServer) -> None:
    routed = router(policy=ALONE, shadow={**ALWAYS, "plans": ["fair"]})
    with routed.stream(adding()) as stream:
        next(stream)
        assert len(models.requests) == 1
        list(stream)
    assert done(routed).labelled == 1
    assert [record.stream for record in models.requests] == [True, False]


async def test_asynchronous_answers_are_compared_too(router: Routers, models: RunningServer) -> None:
    routed = router(policy=ALONE, shadow={**ALWAYS, "plans": ["fair"]})
    await routed.acomplete(adding())
    await asyncio.to_thread(done, routed)
    assert [record.model for record in models.requests] == ["dear", "fair"]
    await routed.aclose()


def test_the_users_call_waits_for_nothing(router: Routers, models: RunningServer) -> None:
    models.script("fair", *[HANGS] * 5)
    routed = router(policy=ALONE, shadow={**ALWAYS, "plans": ["fair"], "queued": 1})
    assert routed.complete(adding(0)).status == "ok"
    assert models.wait_for(lambda records: any(record.model == "fair" for record in records))
    for number in range(1, 5):  # while the first shadow hangs, one may wait and the others are dropped
        assert routed.complete(adding(number)).status == "ok"
    assert routed.shadow is not None
    assert (routed.shadow.status.dropped, routed.shadow.status.labelled) == (3, 0)
    assert sum(record.model == "fair" for record in models.requests) == 1


@pytest.mark.parametrize("fault", ["server_error", "unauthorized", "drop_connection", "not_found"])
def test_failures_of_shadows_are_nobodys_concern(router: Routers, models: RunningServer, fault: Any) -> None:
    models.script("fair", fault)
    routed = router(policy=ALONE, shadow={**ALWAYS, "plans": ["fair"]})
    assert routed.complete(adding()).status == "ok"
    status = done(routed)
    assert status.labelled == 0
    assert sum(status.without.values()) >= 1
    assert rows(routed) == []


def test_a_step_that_cannot_be_taken_is_left(router: Routers) -> None:
    class Odd(dict[str, Any]):
        def __deepcopy__(self, memo: Any) -> Any:
            raise RuntimeError("no copy")

    routed = router(policy=ALONE, shadow=ALWAYS)
    step = Step(messages=[Odd(role="user", content="What is 1 + 2?")])
    assert routed.complete(step).status == "ok"
    assert done(routed).sampled == 0


def test_an_unusable_answer_of_the_plan_counts_as_wrong(router: Routers, models: RunningServer) -> None:
    models.script("fair", "empty_answer")
    routed = router(policy=ALONE, shadow={**ALWAYS, "plans": ["fair"]})
    routed.complete(adding())
    assert done(routed).labelled == 1
    assert rows(routed) == [{"fair": 0.0, "dear": 1.0}]


@pytest.mark.parametrize(
    ("rule", "cards"),
    [
        ({"regions": ["eu"]}, {"dear": {"regions": ["eu"]}, "fair": {"regions": ["us"]}}),
        ({"require_tags": ["private"]}, {"dear": {"tags": ["private"]}}),
        ({"avoid": ["fair", "cheap"]}, {}),
        ({"use": ["dear"]}, {}),
        ({"regions": ["eu"], "sensitivity": "confidential"}, {"dear": {"regions": ["eu"]}}),
    ],
    ids=["region", "tags", "avoid", "use", "sensitivity"],
)
def test_no_model_sees_a_step_that_it_may_not_take(
    router: Routers, models: RunningServer, rule: dict[str, Any], cards: dict[str, Any]
) -> None:
    rules = [{"name": "private", "when": {"node": "adder"}, **rule}]
    routed = router(policy=ALONE, rules=rules, cards=cards, shadow=ALWAYS)
    for number in range(5):
        routed.complete(adding(number))
    status = done(routed)
    assert {record.model for record in models.requests} == {"dear"}
    assert status.labelled == 0


@pytest.mark.parametrize(
    "rule", [{"regions": ["eu"]}, {"require_tags": ["eu"]}, {"avoid": ["judge"]}], ids=["region", "tags", "avoid"]
)
def test_a_judge_never_sees_a_step_that_it_may_not(
    table: Callable[..., dict[str, Any]], court: Court, models: RunningServer, rule: dict[str, Any]
) -> None:
    here = {"regions": ["eu"], "tags": ["eu"]}
    config = table(
        policy=ALONE,
        cards={"dear": here, "cheap": here},
        rules=[{"name": "here", "when": {"task_type": "reasoning"}, **rule}],
        shadow={**ALWAYS, "plans": ["cheap"], "judge": "judge"},
    )
    config["models"].append({**court.card, "regions": ["us"]})
    with Router.from_config(config) as routed:
        for number in range(10):
            routed.complete(adding(number, task_type="reasoning"))
        status = done(routed)
    assert court.asked == []
    assert {record.model for record in models.requests} == {"dear", "cheap"}
    assert status.without["judge_failed"] > 0


def judged(table: Callable[..., dict[str, Any]], court: Court, **shadow: Any) -> Router:
    config = table(policy=ALONE, shadow={**ALWAYS, "plans": ["cheap"], "judge": "judge", **shadow})
    config["models"].append(court.card)
    return Router.from_config(config)


def test_a_judge_is_asked_twice_where_answers_differ_and_not_where_they_agree(
    table: Callable[..., dict[str, Any]], court: Court
) -> None:
    court.verdict = '{"verdict": "tie", "reason": "alike"}'
    with judged(table, court) as routed:
        for number in range(10):
            routed.complete(adding(number))
        assert done(routed).labelled == 10
        differ = sum(row["cheap"] == 0.5 for row in rows(routed))
        assert 0 < differ < 10
        assert len(court.asked) == 2 * differ
        assert {row.weight for row in routed._teaching.learner._rows} == {0.8}


def test_nonsense_of_a_judge_is_counted(table: Callable[..., dict[str, Any]], court: Court) -> None:
    court.verdict = "Both are nice."
    with judged(table, court) as routed:
        for number in range(10):
            routed.complete(adding(number))
        status = done(routed)
    assert status.without["judge_nonsense"] == 10 - status.labelled > 0


def test_the_budget_is_its_own(router: Routers, models: RunningServer) -> None:
    routed = router(
        policy=ALONE,
        budget={"run": {"usd": 0.5}},
        shadow={**ALWAYS, "plans": ["fair"], "usd_per_day": 0.0002},
    )
    with routed.budget(usd=0.5) as budget:
        for number in range(30):
            outcome = routed.complete(adding(number, payload={"max_tokens": 20}))
        assert outcome.cost_usd is not None
        status = done(routed)
        assert budget.spent_usd == pytest.approx(30 * outcome.cost_usd, rel=0.2)
    assert 0 < status.labelled < 30
    assert status.without == {"budget": 30 - status.labelled}
    spent = sum(r.prompt_tokens * 0.5e-6 + r.completion_tokens * 2e-6 for r in models.requests if r.model == "fair")
    assert spent <= 0.0002


def test_tools_are_proposed_and_never_run(router: Routers, models: RunningServer) -> None:
    routed = router(policy=ALONE, shadow={**ALWAYS, "plans": ["fair"]})
    step = Step(messages=[{"role": "user", "content": "Weather in Oslo?"}], tools=[WEATHER])
    outcome = routed.complete(step)
    assert outcome.view.tool_calls
    assert done(routed).labelled == 1
    assert [record.model for record in models.requests] == ["dear", "fair"]
    assert {record.messages for record in models.requests} == {1}


@pytest.mark.parametrize("name", ["tools", "mcp_servers", "web_search_options"])
def test_a_request_whose_tools_the_provider_runs_is_not_made_twice(router: Routers, name: str) -> None:
    routed = router(shadow=ALWAYS)
    view = ResponseView(text="42", finish_reason="stop")
    step = adding(payload={name: []})
    routed.run(step, lambda _: view, lambda answer: answer, shadow=True)
    assert done(routed).sampled == 0


def test_what_an_agent_writes_later_is_not_sent(router: Routers, models: RunningServer) -> None:
    routed = router(policy=ALONE, shadow={**ALWAYS, "plans": ["fair"]})
    messages: list[dict[str, Any]] = [{"role": "user", "content": "What is 1 + 2?"}]
    routed.complete(Step(messages=messages))
    messages[0]["content"] = "Something else"
    messages.append({"role": "user", "content": "more"})
    done(routed)
    sent = [record.body["messages"] for record in models.requests if record.body]
    assert sent[0] == sent[1]


def test_labels_of_shadows_outlive_the_process_with_their_propensity(router: Routers, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/state.db"
    routed = router(policy=ALONE, state={"url": url}, shadow={**ALWAYS, "plans": ["fair"]})
    outcome = routed.complete(adding())
    done(routed)
    store = open_store(url)
    (record,) = [json.loads(record.text) for record in store.read(LESSONS)]
    store.close()
    assert (record["source"], record["propensity"], record["key"]) == ("agreement", 1.0, None)
    assert record["shadow_of"] == outcome.decision_id
    other = router(state={"url": url})
    other.learn()
    assert rows(other) == [{"fair": 1.0, "dear": 1.0}]


def test_only_a_share_of_the_steps_is_sampled_and_a_seed_says_which(router: Routers) -> None:
    counts = []
    for _ in range(2):
        routed = router(policy=ALONE, shadow={"share": 0.3, "plans": ["fair"]})
        for number in range(20):
            routed.complete(adding(number))
        counts.append(done(routed).sampled)
    assert counts[0] == counts[1]
    assert 0 < counts[0] < 20


def test_a_new_model_comes_first_until_it_is_known(router: Routers, models: RunningServer) -> None:
    routed = router(policy=ALONE, shadow=ALWAYS)
    teach(routed, "cheap", 20)
    for number in range(22):
        routed.complete(adding(number))
        done(routed)
    asked = [record.model for record in models.requests if record.model != "dear"]
    assert asked[:20] == ["fair"] * 20
    assert routed._teaching.learner.known("fair") >= 20


def teach(router: Router, model: str, count: int) -> None:
    plans = {name: Plan(models=(name,)) for name in ("dear", model)}
    row = Labelled(identity=Identity("/adder", "reasoning"), scores={name: Scored(1.0, 0.001) for name in plans})
    router._teaching.learner.adopt([Lesson(row, plans)] * count)


def test_calls_of_the_users_own_clients_are_made_again_only_if_they_say_so(router: Routers) -> None:
    routed = router(policy=ALONE, shadow={**ALWAYS, "plans": ["fair"]})
    called: list[str] = []

    def call(model: str) -> ResponseView:
        called.append(model)
        return ResponseView(
            text="The answer is 42.", finish_reason="stop", usage=Usage(input_tokens=9, output_tokens=4)
        )

    routed.run(adding(), call, lambda view: view)
    assert done(routed).sampled == 0
    routed.run(adding(), call, lambda view: view, shadow=True)
    assert done(routed).labelled == 1
    assert called == ["dear", "dear", "fair"]


async def test_asynchronous_clients_are_called_in_their_own_loop(router: Routers) -> None:
    routed = router(policy=ALONE, shadow={**ALWAYS, "plans": ["fair"]})
    loops: list[Any] = []

    async def call(model: str) -> ResponseView:
        loops.append(asyncio.get_running_loop())
        return ResponseView(
            text="The answer is 42.", finish_reason="stop", usage=Usage(input_tokens=9, output_tokens=4)
        )

    await routed.arun(adding(), call, lambda view: view, shadow=True)
    status = await asyncio.to_thread(done, routed)
    assert status.labelled == 1
    assert len(loops) == 2
    assert set(loops) == {asyncio.get_running_loop()}


def test_a_grader_that_needs_no_expected_answer_can_judge(router: Routers) -> None:
    grader = {"kind": "regex", "pattern": "42"}
    routed = router(policy=ALONE, shadow={**ALWAYS, "plans": ["fair"], "judge": grader})
    routed.complete(adding())
    assert done(routed).labelled == 1
    assert {row.weight for row in routed._teaching.learner._rows} == {1.0}


@pytest.mark.parametrize(
    ("shadow", "said"),
    [
        ({"judge": "none"}, "shadow.judge: 'none' is not in the pool"),
        ({"judge": {"kind": "exact"}}, "needs to be told what is right"),
        ({"judge": {"kind": "tea leaves"}}, "shadow.judge: 'kind' must be one of"),
        ({"plans": ["none"]}, "shadow.plans: 'none' is not in the pool"),
    ],
)
def test_mistakes_show_when_the_router_is_built(router: Routers, shadow: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        router(shadow={**ALWAYS, **shadow})


def test_without_a_share_there_is_no_shadow_and_no_thread(router: Routers) -> None:
    routed = router(policy=ALONE)
    routed.complete(adding())
    assert routed.shadow is None
    assert not [thread for thread in threading.enumerate() if thread.name == "taskrouter-shadow"]


def test_closing_ends_it(router: Routers) -> None:
    routed = router(policy=ALONE, shadow={**ALWAYS, "plans": ["fair"]})
    routed.complete(adding())
    done(routed)
    routed.close()
    assert routed.shadow is not None
    routed.shadow.consider(adding(), None)  # type: ignore[arg-type] # nothing is looked at any more
    assert not [thread for thread in threading.enumerate() if thread.name == "taskrouter-shadow"]


def test_a_disagreement_that_the_incumbent_has_settled_costs_nothing(router: Routers) -> None:
    routed = router(shadow=ALWAYS)
    cities = {"cheap": "Bergen", "fair": "Oslo", "dear": "Oslo"}
    step = Step(messages=[{"role": "user", "content": "Weather in Oslo?"}], tools=[WEATHER])
    called: list[str] = []

    def call(model: str) -> ResponseView:
        called.append(model)
        asked = ToolCall(name="weather", arguments=json.dumps({"city": cities[model]}))
        return ResponseView(
            tool_calls=(asked,), finish_reason="tool_calls", usage=Usage(input_tokens=9, output_tokens=4)
        )

    decision = replace(routed.route(step), plan=Plan(kind="agree", models=("cheap", "fair", "dear")))
    outcome = routed.run(step, call, lambda answer: answer, decision=decision, shadow=True)
    assert (outcome.check, outcome.model) == ("disagreed", "dear")
    done(routed)
    assert {"agree(cheap, fair, dear)": 1.0, "dear": 1.0} in rows(routed)
    assert called.count("dear") == 1
