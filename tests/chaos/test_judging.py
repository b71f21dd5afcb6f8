"""A judge that finds nothing wrong proves nothing unless it finds what is: each test breaks one promise on purpose."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from benchmarks.chaos import judging
from benchmarks.chaos import stage as stages
from benchmarks.chaos.cell import Cell
from benchmarks.chaos.judging import run
from benchmarks.chaos.matrix import warm_up
from benchmarks.chaos.stage import Stage, staged

from taskrouter import Router
from taskrouter.budget.wallet import StepWallet
from taskrouter.execution.backends.openai import OpenAIBackend
from taskrouter.execution.gates import Gate
from taskrouter.health import Health
from taskrouter.observability.step_trace import StepTrace
from taskrouter.outcome import Attempt

RETRIED = Cell(fault="rate_limit", driver="sync")


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    with staged() as running:
        warm_up(running, ["openai"])
        yield running


def found(stage: Stage, cell: Cell = RETRIED) -> str:
    return "\n".join(run(cell, stage).problems)


def nothing(*_: Any, **__: Any) -> None:
    """Do nothing, in place of what was to be done."""


def test_an_honest_router_passes(stage: Stage) -> None:
    assert found(stage) == ""


def charge_nothing(wallet: StepWallet, reservation: object, _: Attempt) -> None:
    """Give back what was set aside, whatever the call has cost."""
    wallet.give_back(reservation)


SABOTAGE: dict[str, tuple[Any, str, Callable[..., Any], Cell]] = {
    "nano-dollars are still reserved": (StepWallet, "settle", nothing, RETRIED),
    "the budget has spent 0": (StepWallet, "settle", charge_nothing, RETRIED),
    "spans that were not ended": (StepTrace, "step_ended", nothing, RETRIED),
    "calls of 'second' are in flight": (Health, "succeeded", nothing, RETRIED),
    "wrong answer": (Gate, "fault", nothing, Cell(fault="truncated", mode="plain")),
}


@pytest.mark.parametrize("symptom", SABOTAGE)
def test_a_broken_promise_is_found(stage: Stage, monkeypatch: pytest.MonkeyPatch, symptom: str) -> None:
    owner, name, instead, cell = SABOTAGE[symptom]
    monkeypatch.setattr(owner, name, instead)
    assert symptom in found(stage, cell)


def test_a_connection_that_stays_open_is_found(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    backends: list[OpenAIBackend] = []

    def forget(backend: OpenAIBackend) -> None:
        backends.append(backend)

    with monkeypatch.context() as sabotaged:
        sabotaged.setattr(OpenAIBackend, "close", forget)
        assert "connections are open after the router was closed" in found(stage)
    for backend in backends:
        backend.close()


def test_a_call_before_its_time_is_found(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(judging, "RETRY_AFTER_S", 0.5)  # as if the provider had asked for more than the router waited
    assert "too early" in found(stage)


def test_a_lost_step_is_found(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    complete = Router.complete

    def alone(self: Router, step: Any, **options: Any) -> Any:
        decision = dataclasses.replace(self.route(step), fallbacks=())
        return complete(self, step, **{**options, "decision": decision})

    monkeypatch.setattr(Router, "complete", alone)
    assert "lost: 'second' is well" in found(stage)


def test_two_answers_in_one_are_found(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    stream = Router.stream

    def twice(self: Router, step: Any, **options: Any) -> Any:
        list(stream(self, step, **options))
        return stream(self, step, **options)

    monkeypatch.setattr(Router, "stream", twice)
    assert "the requests went to" in found(stage, Cell(fault="wrong_schema", driver="sync", mode="stream"))


def test_an_answer_of_another_model_is_found(stage: Stage) -> None:
    swapped = {(stages.SECOND if name == stages.FIRST else stages.FIRST, m): s for (name, m), s in stage.truths.items()}
    assert "wrong answer: not what 'second' says" in found(stage._replace(truths=swapped))
