"""The short form of `make chaos`: every fault in the ways that matter most, judged by the same rules."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

import pytest
from benchmarks.chaos.cell import Cell, Situation
from benchmarks.chaos.expected import HANGING, Mode
from benchmarks.chaos.judging import run
from benchmarks.chaos.matrix import DRIVERS, warm_up
from benchmarks.chaos.stage import Stage, staged

from taskrouter.simulator.config import FAULTS, Fault

WHOLE_AND_STREAMED: tuple[Mode, ...] = ("plain", "stream")
WAYS = tuple(product(DRIVERS, WHOLE_AND_STREAMED))


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    with staged() as running:
        warm_up(running, ["openai"])
        yield running


@pytest.fixture(scope="module")
def litellm_stage(stage: Stage) -> Stage:
    warm_up(stage, ["litellm"])
    return stage


def wrong(stage: Stage, *cells: Cell) -> dict[str, tuple[str, ...]]:
    verdicts = [run(cell, stage) for cell in cells]
    assert len(verdicts) == len(cells) > 0
    return {str(verdict.cell): verdict.problems for verdict in verdicts if verdict.problems}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_of_the_first_model_costs_no_answer(stage: Stage, fault: Fault) -> None:
    assert wrong(stage, *(Cell(fault=fault, driver=driver, mode=mode) for driver, mode in WAYS)) == {}


@pytest.mark.parametrize("fault", ["wrong_schema", "invalid_tool_call", "truncated"])
def test_an_answer_of_the_wrong_shape_is_not_taken(stage: Stage, fault: Fault) -> None:
    assert wrong(stage, Cell(fault=fault, mode="tools"), Cell(fault=fault, mode="structured")) == {}


@pytest.mark.parametrize("fault", ["server_error", "cut_stream", "timeout", "malformed_json", "html_answer"])
def test_litellm_survives_too(litellm_stage: Stage, fault: Fault) -> None:
    cells = (Cell(fault=fault, driver=driver, mode=mode, backend="litellm") for driver, mode in WAYS)
    assert wrong(litellm_stage, *cells) == {}


@pytest.mark.parametrize(
    "fault", ["overloaded", "rate_limit_ms", "empty_stream", "drop_connection", "error_after_role"]
)
def test_when_both_models_fail_the_error_has_every_attempt(stage: Stage, fault: Fault) -> None:
    cells = (Cell(fault=fault, driver=driver, mode=mode, situation="both_fail") for driver, mode in WAYS)
    assert wrong(stage, *cells) == {}


def test_when_every_breaker_is_open_the_least_bad_is_called(stage: Stage) -> None:
    cells = (Cell(fault="overloaded", driver=driver, mode=mode, situation="breakers_open") for driver, mode in WAYS)
    assert wrong(stage, *cells) == {}


@pytest.mark.parametrize("fault", HANGING)
def test_nothing_is_sent_after_a_cancellation(stage: Stage, fault: Fault) -> None:
    cells = (Cell(fault=fault, driver=driver, mode=mode, situation="cancelled") for driver, mode in WAYS)
    assert wrong(stage, *cells) == {}


def test_nothing_is_sent_after_a_cancellation_in_a_pause(stage: Stage) -> None:
    cells = (Cell(fault="rate_limit", driver=d, mode=m, situation="cancelled_in_pause") for d, m in WAYS)
    assert wrong(stage, *cells) == {}


@pytest.mark.parametrize("situation", ["deadline", "step_timeout"])
@pytest.mark.parametrize("fault", ["timeout", "overloaded"])
def test_nothing_is_sent_after_the_end_of_its_time(stage: Stage, fault: Fault, situation: Situation) -> None:
    cells = (Cell(fault=fault, driver=driver, mode=mode, situation=situation) for driver, mode in WAYS)
    assert wrong(stage, *cells) == {}
