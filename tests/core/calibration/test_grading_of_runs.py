"""Graders inside a calibration: judges that are paid, talk nonsense or may not see a case; graders that hang."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest
from tests.core.calibration.conftest import Routers, Suites
from tests.core.calibration.court import Court

from taskrouter import ResponseView, Router
from taskrouter.calibration import calibrate
from taskrouter.grading import Case
from taskrouter.simulator import RunningServer

JUDGED = {"grader": {"kind": "judge", "model": "judge"}, "expected": "a number"}
HANG = threading.Event()


def hangs(case: Case, view: ResponseView) -> bool:
    """A grader that does not return."""
    return HANG.wait(30)


def broken(case: Case, view: ResponseView) -> bool:
    """A grader that raises."""
    raise RuntimeError(view.text)


async def test_a_judge_is_asked_twice_and_charged_to_the_run(table: Any, sums: Suites, court: Court) -> None:
    config = table()
    config["models"].append(court.card)
    async with Router.from_config(config) as routed:
        report = await calibrate(routed, sums(3, **JUDGED), models=["dear", "fair"])
    assert len(court.asked) == 12
    assert {one.quality.mean for one in report.models if one.quality} == {0.5}
    judged_usd = 12 * (100 * 1.0 + 10 * 4.0) / 1e6
    assert report.cost_usd > judged_usd


async def test_nonsense_of_a_judge_is_counted_and_not_asked_for_again(
    table: Any, sums: Suites, court: Court, tmp_path: Path
) -> None:
    court.verdict = "I like both."
    config = table()
    config["models"].append(court.card)
    results = tmp_path / "results.jsonl"
    async with Router.from_config(config) as routed:
        report = await calibrate(routed, sums(3, **JUDGED), models=["dear"], results=results)
        assert report.models[0].skipped == {"judge_nonsense": 3}
        assert report.models[0].quality is None
        assert report.taught == 0
        asked = len(court.asked)
        again = await calibrate(routed, sums(3, **JUDGED), models=["dear"], results=results)
    assert (again.asked, len(court.asked)) == (0, asked)


@pytest.mark.parametrize(
    "rule",
    [{"regions": ["eu"]}, {"require_tags": ["eu"]}, {"avoid": ["judge"]}, {"use": ["dear", "fair"]}],
    ids=lambda rule: next(iter(rule)),
)
async def test_a_judge_never_sees_a_case_that_may_not_go_there(
    table: Any, sums: Suites, court: Court, models: RunningServer, rule: dict[str, Any]
) -> None:
    here = {"regions": ["eu"], "tags": ["eu"]}
    # The rule is on the task type of the case: the judge's own request is of another one.
    config = table(
        cards={"dear": here, "fair": here},
        rules=[{"name": "here", "when": {"task_type": "reasoning"}, **rule}],
    )
    config["models"].append({**court.card, "regions": ["us"]})
    async with Router.from_config(config) as routed:
        report = await calibrate(routed, sums(3, task_type="reasoning", **JUDGED), models=["dear", "fair"])
    assert court.asked == []
    assert {record.model for record in models.requests} == {"dear", "fair"}
    assert report.models[0].skipped == {"judge_not_allowed": 3}


async def test_graders_that_hang_or_raise_are_skips_and_are_tried_again(
    router: Routers, sums: Suites, tmp_path: Path
) -> None:
    results = tmp_path / "results.jsonl"
    own = {"kind": "python", "function": f"{__name__}:hangs", "timeout_s": 0.05}
    report = await calibrate(router(), sums(5, grader=own), models=["dear"], results=results)
    assert report.models[0].skipped.keys() <= {"timed_out", "given_up"}
    assert sum(report.models[0].skipped.values()) == 5
    raising = {**own, "function": f"{__name__}:broken"}
    report = await calibrate(router(), sums(5, grader=raising), models=["dear"], results=results)
    assert (report.asked, report.models[0].skipped) == (0, {"raised": 5})
    assert "42" not in str(report)


async def test_when_the_money_ends_at_the_judge_the_answer_is_kept(
    table: Any, sums: Suites, court: Court, models: RunningServer, tmp_path: Path
) -> None:
    config = table()
    config["models"].append({**court.card, "input_usd_per_million": 1000.0, "output_usd_per_million": 1000.0})
    results = tmp_path / "results.jsonl"
    async with Router.from_config(config) as routed:
        report = await calibrate(
            routed, sums(2, **JUDGED), models=["dear"], results=results, budget_usd=0.05, concurrency=1
        )
        assert (report.stopped, report.models[0].graded) == ("budget", 0)
        assert court.asked == []
        sent = len(models.requests)
        again = await calibrate(routed, sums(2, **JUDGED), models=["dear"], results=results, budget_usd=None)
    assert again.stopped is None
    assert again.models[0].graded == 2
    assert len(models.requests) == 2
    assert sent == 1
