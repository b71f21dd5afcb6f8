"""Calibration over real HTTP: what is asked, what is paid, what is learned."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from tests.core.calibration.conftest import Routers, Suites

from taskrouter import ConfigurationError, Step, StepContext
from taskrouter.calibration import CalibrationReport, calibrate
from taskrouter.evaluation.recordings import read_recordings
from taskrouter.grading import read_suite
from taskrouter.simulator import RunningServer
from taskrouter.simulator.config import Event

REFUSES: Event = "unauthorized"
ADDING = Step(messages=[{"role": "user", "content": "What is 1 + 2?"}], context=StepContext(node="adder"))


def model(report: CalibrationReport, name: str) -> Any:
    return next(one for one in report.models if one.model == name)


async def test_every_case_is_sent_to_every_model_and_the_router_learns_where_its_steps_go(
    router: Routers, sums: Suites, models: RunningServer
) -> None:
    routed = router(policy={"name": "safe", "agreement": False})
    assert routed.route(ADDING).model == "dear"
    report = await calibrate(routed, sums(60))
    assert len(models.requests) == report.asked == 180
    assert report.undone == report.known == 0
    assert model(report, "fair").quality.mean == 1.0
    assert 0.3 < model(report, "cheap").quality.mean < 0.7
    assert model(report, "fair").gain.low < 0.0 == model(report, "fair").gain.mean
    (identity,) = report.identities
    assert (identity.identity, identity.labels, identity.before) == ("/adder", 60, "as without labels")
    assert "fair" in identity.now
    assert identity.standing in {"good", "unsure"}
    assert routed.route(ADDING).model != "dear"


async def test_what_is_known_is_not_paid_again(
    router: Routers, sums: Suites, models: RunningServer, tmp_path: Path
) -> None:
    results = tmp_path / "results.jsonl"
    first = await calibrate(router(), sums(6), results=results)
    again = await calibrate(router(), sums(8), results=results)
    assert (first.asked, again.asked, again.known) == (18, 6, 18)
    assert len(models.requests) == 24
    refreshed = await calibrate(router(), sums(8), results=results, refresh=True)
    assert (refreshed.asked, refreshed.known) == (24, 0)


@pytest.mark.parametrize(
    ("change", "asked"),
    [({"cards": {"fair": {"params": {"temperature": 0}}}}, 4), ({"cards": {"fair": {"tags": ["eu"]}}}, 0)],
)
async def test_a_changed_model_is_asked_anew_and_a_changed_card_is_not(
    router: Routers, sums: Suites, tmp_path: Path, change: dict[str, Any], asked: int
) -> None:
    results = tmp_path / "results.jsonl"
    await calibrate(router(), sums(4), results=results)
    assert (await calibrate(router(**change), sums(4), results=results)).asked == asked


async def test_another_grader_grades_the_answers_that_are_there(router: Routers, sums: Suites, tmp_path: Path) -> None:
    results = tmp_path / "results.jsonl"
    await calibrate(router(), sums(4), results=results)
    report = await calibrate(router(), sums(4, grader={"kind": "regex", "pattern": "."}), results=results)
    assert (report.asked, report.regraded) == (0, 12)
    assert model(report, "cheap").quality.mean == 1.0


async def test_a_run_ends_with_its_money_and_says_what_is_left(
    router: Routers, sums: Suites, models: RunningServer, tmp_path: Path
) -> None:
    results = tmp_path / "results.jsonl"
    report = await calibrate(router(), sums(40), budget_usd=0.02, results=results)
    assert report.stopped == "budget"
    assert 0 < report.asked < 120
    assert report.asked + report.undone == 120
    assert report.cost_usd <= 0.02
    assert len(models.requests) == report.asked
    rest = await calibrate(router(), sums(40), budget_usd=None, results=results)
    assert rest.stopped is None
    assert rest.asked == report.undone


async def test_no_more_pairs_are_under_way_than_was_said(router: Routers, sums: Suites, models: RunningServer) -> None:
    await calibrate(router(), sums(30), concurrency=3)
    begun = sorted((record.at, 1) for record in models.requests)
    ended = sorted((record.ended_at or record.at, -1) for record in models.requests)
    most = under_way = 0
    for _, change in sorted([*begun, *ended]):
        under_way += change
        most = max(most, under_way)
    assert 1 < most <= 3


async def test_a_run_that_is_told_to_stop_ends_what_is_under_way(router: Routers, sums: Suites, tmp_path: Path) -> None:
    stop = asyncio.Event()
    results = tmp_path / "results.jsonl"
    report = await calibrate(
        router(), sums(20), stop=stop, results=results, progress=lambda at: stop.set() if at.done >= 5 else None
    )
    assert report.stopped == "interrupted"
    assert 5 <= report.asked < 20
    assert report.asked + report.undone == 60


async def test_one_case_is_run_and_said_to_be_too_few(router: Routers, sums: Suites) -> None:
    report = await calibrate(router(), sums(1))
    assert any("one case only" in note for note in report.notes)
    assert any("too few to learn from" in note for note in report.notes)
    assert [one.standing for one in report.identities] == ["too few"]


async def test_labels_that_prove_too_little_change_nothing_and_that_is_said(router: Routers, sums: Suites) -> None:
    report = await calibrate(router(), sums(25))
    assert report.changed == 0
    assert any("about 50 cases" in note for note in report.notes)


async def test_failed_calls_are_counted_and_tried_again_and_say_nothing_of_quality(
    router: Routers, sums: Suites, models: RunningServer, tmp_path: Path
) -> None:
    results = tmp_path / "results.jsonl"
    models.script("fair", "server_error", "rate_limit")
    routed = router(execution={"retries": 0}, health={"enabled": False})
    report = await calibrate(routed, sums(5), results=results, concurrency=1)
    assert model(report, "fair").failed == {"server_error": 1, "rate_limited": 1}
    assert model(report, "fair").quality.mean == 1.0
    assert report.taught == 5
    again = await calibrate(router(), sums(5), results=results)
    assert again.asked == 2
    assert model(again, "fair").failed == {}


async def test_an_answer_that_cannot_be_used_counts_as_wrong(
    router: Routers, sums: Suites, models: RunningServer, tmp_path: Path
) -> None:
    results = tmp_path / "results.jsonl"
    models.script("fair", "empty_answer", "refusal")
    report = await calibrate(router(), sums(4), results=results, concurrency=1)
    assert model(report, "fair").quality.mean == 0.5
    assert (await calibrate(router(), sums(4), results=results)).asked == 0


async def test_a_model_without_a_key_is_left_after_its_first_call(
    router: Routers, sums: Suites, models: RunningServer
) -> None:
    models.script("fair", *[REFUSES] * 30)
    report = await calibrate(router(), sums(8), concurrency=1)
    assert model(report, "fair").failed == {"unauthenticated": 1, "given_up": 7}
    assert sum(record.model == "fair" for record in models.requests) == 1
    assert "API key" in model(report, "fair").said


async def test_rules_hold_for_candidates(router: Routers, sums: Suites, models: RunningServer) -> None:
    rules = [{"name": "here", "when": {"node": "adder"}, "regions": ["eu"]}]
    cards = {"dear": {"regions": ["eu"]}, "cheap": {"regions": ["us"]}}
    report = await calibrate(router(cards=cards, rules=rules), sums(5))
    assert {record.model for record in models.requests} == {"dear"}
    assert model(report, "cheap").barred == model(report, "fair").barred == {"region": 5}


async def test_the_recording_can_be_read_and_lacks_what_no_model_has_given(
    router: Routers, sums: Suites, models: RunningServer, tmp_path: Path
) -> None:
    output = tmp_path / "recording.jsonl"
    models.script("fair", "server_error")
    await calibrate(router(health={"enabled": False}), sums(6), output=output, concurrency=1)
    recording = read_recordings([output])
    assert recording.models == ("cheap", "dear")
    assert recording.dropped == ("fair",)
    assert {prompt.task for prompt in recording.prompts} == {"adder"}
    assert sum("fair" in prompt.outcomes for prompt in recording.prompts) == 5
    assert all(prompt.outcomes["dear"].answer is not None for prompt in recording.prompts)


async def test_rows_outlive_the_process_and_take_the_place_of_older_ones(
    router: Routers, sums: Suites, models: RunningServer, tmp_path: Path
) -> None:
    state = {"url": f"sqlite:///{tmp_path}/state.db"}
    results = tmp_path / "results.jsonl"
    first = await calibrate(router(state=state), sums(30), results=results)
    assert (first.taught, first.kept, first.labels) == (30, True, 30)
    other = router(state=state)
    other.learn()
    assert other._teaching.learner.labels == 30
    again = await calibrate(router(state=state), sums(30), results=results)
    assert (again.taught, again.labels) == (0, 30)


async def test_a_model_that_is_new_is_brought_in_and_shown(
    router: Routers, sums: Suites, models: RunningServer, tmp_path: Path
) -> None:
    state = {"url": f"sqlite:///{tmp_path}/state.db"}
    results = tmp_path / "results.jsonl"
    await calibrate(router(state=state, without=("fair",)), sums(60), results=results)
    report = await calibrate(router(state=state), sums(60), results=results)
    assert [one.model for one in report.models if one.new] == ["fair"]
    assert report.asked == 60
    assert report.labels == 60
    assert "fair" in report.identities[0].now


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"models": ["none"]}, "models: 'none' is not in the pool"),
        ({"judge": "none"}, "judge: 'none' is not in the pool"),
        ({"concurrency": 0}, "concurrency is 0"),
        ({"output": "nowhere/recording.jsonl"}, "there is no folder nowhere"),
        ({"output": "."}, "what stands there is no file"),
        ({"results": "nowhere/results.jsonl"}, "there is no folder nowhere"),
    ],
)
async def test_mistakes_show_before_anything_is_sent(
    router: Routers, sums: Suites, models: RunningServer, options: dict[str, Any], said: str
) -> None:
    with pytest.raises(ConfigurationError, match=said):
        await calibrate(router(), sums(3), **options)
    assert models.requests == []


async def test_a_model_without_a_price_is_left_out_under_a_budget(router: Routers, sums: Suites) -> None:
    unpriced = {"input_usd_per_million": None, "output_usd_per_million": None}
    report = await calibrate(router(cards={"cheap": unpriced}), sums(3))
    assert [one.model for one in report.models] == ["fair", "dear"]
    assert any("cheap" in note and "price is unknown" in note for note in report.notes)
    free = await calibrate(router(cards={"cheap": unpriced}), sums(3), budget_usd=None)
    assert (model(free, "cheap").graded, model(free, "cheap").cost_usd, free.unpriced) == (3, None, 3)


async def test_the_report_is_json(router: Routers, sums: Suites) -> None:
    report = await calibrate(router(), read_suite(sums(3)))
    document = json.loads(json.dumps(report.to_dict()))
    assert document["models"][0]["quality"].keys() == {"mean", "low", "high"}
    assert document["identities"][0]["changed"] is False


async def test_the_incumbent_is_run_beside_the_candidates(router: Routers, sums: Suites) -> None:
    report = await calibrate(router(), sums(2), models=["fair"])
    assert [one.model for one in report.models] == ["dear", "fair"]
    assert any("dear is the incumbent" in note for note in report.notes)
