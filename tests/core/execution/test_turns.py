"""Whose turn it is: deployments, what may be called, and what is called although it may not be."""

from __future__ import annotations

import random
from typing import Any

import pytest
from tests.core.execution.scripts import Play, cards, decision, engine, text

from taskrouter import AllAttemptsFailedError, Router, Step
from taskrouter import errors as e
from taskrouter.config import DeploymentConfig, ExecutionConfig, HealthConfig, ModelConfig
from taskrouter.execution import Engine, SilentObserver
from taskrouter.execution.access import OpenAccess
from taskrouter.health import Health, endpoints_of
from taskrouter.ports import Admission, Endpoint

NO_RETRY = ExecutionConfig(retries=0)
OF_THE_ENDPOINT = [e.RateLimited, e.Overloaded, e.ServerFailed, e.ConnectionFailed, e.Timeout, e.Unauthenticated]
OF_THE_REQUEST = [e.BadRequest, e.Refused, e.BadAnswer, e.ContextOverflow]


def pool(**deployments: int) -> dict[str, ModelConfig]:
    """Three models, each with so many deployments."""
    return {
        name: card.model_copy(
            update={"deployments": tuple(DeploymentConfig(name=f"d{n}") for n in range(deployments.get(name, 0)))}
        )
        for name, card in cards().items()
    }


def health(models: dict[str, ModelConfig], **settings: float) -> Health:
    """The real record of endpoints; draws are seeded."""
    config = HealthConfig.model_validate(settings)
    return Health(endpoints_of(list(models.values())), config, rng=random.Random(0))


def broken(record: Health, *endpoint_ids: str, times: int = 5, after_s: float = 0.0) -> Health:
    """Let endpoints fail until their breakers open."""
    for endpoint_id in endpoint_ids:
        for _ in range(times):
            error = e.ServerFailed(endpoint_id.split("@")[0])
            record.failed(endpoint_id, error, after_s, latency_s=0.0, probe=False)
    return record


@pytest.mark.parametrize("error", OF_THE_ENDPOINT)
def test_a_failure_of_an_endpoint_goes_at_once_to_another_deployment(error: type[e.ModelCallError]) -> None:
    models = pool(first=2)
    play = Play(engine(pool=models, access=health(models)).answer(), [error("first"), text("hi")])
    assert sorted(play.endpoints) == ["first@d0", "first@d1"]
    assert play.waits == []
    assert play.outcome is not None
    assert (play.outcome.status, play.outcome.model) == ("ok", "first")
    assert [a.role for a in play.outcome.attempts] == ["primary", "primary"]


@pytest.mark.parametrize("error", OF_THE_REQUEST)
def test_a_failure_of_the_request_leaves_the_whole_model(error: type[e.ModelCallError]) -> None:
    models = pool(first=2)
    play = Play(engine(pool=models, access=health(models)).answer(), [error("first"), text("hi")])
    assert play.called == ["first", "second"]


def test_the_last_deployment_is_retried_with_a_pause_and_then_left_for_the_next_model() -> None:
    models = pool(first=2)
    script = [*[e.ServerFailed("first")] * 3, text("hi")]
    play = Play(engine(pool=models, access=health(models)).answer(), script)
    one, other, again, last = play.endpoints
    assert {one, other} == {"first@d0", "first@d1"}
    assert (again, last) == (other, "second")
    assert len(play.waits) == 1


def test_a_model_that_cannot_be_called_comes_last_and_is_marked_as_forced() -> None:
    models = pool()
    record = broken(health(models), "first")
    play = Play(engine(pool=models, access=record, settings=NO_RETRY).answer(), [*[e.Timeout("x")] * 2, text("hi")])
    assert play.called == ["second", "third", "first"]
    assert play.outcome is not None
    assert [(a.model, a.role, a.forced) for a in play.outcome.attempts] == [
        ("second", "fallback", False),
        ("third", "fallback", False),
        ("first", "primary", True),
    ]


def test_models_that_are_left_out_are_forced_once_each_and_never_retried() -> None:
    models = pool()
    record = broken(health(models), *models)
    settings = ExecutionConfig(retries=3)
    with pytest.raises(AllAttemptsFailedError) as caught:
        Play(engine(pool=models, access=record, settings=settings).answer(), [e.ServerFailed("x")] * 9)
    assert sorted(a.model for a in caught.value.attempts) == ["first", "second", "third"]
    assert all(a.forced for a in caught.value.attempts)


def test_a_deployment_that_cannot_be_called_is_forced_when_everything_else_has_failed() -> None:
    models = pool(first=2)
    record = broken(health(models), "first@d1")
    play = Play(engine("first", pool=models, access=record, settings=NO_RETRY).answer(), [e.Timeout("x"), text("hi")])
    assert play.endpoints == ["first@d0", "first@d1"]
    assert play.outcome is not None
    assert [a.forced for a in play.outcome.attempts] == [False, True]


def test_a_model_that_fails_meanwhile_is_asked_about_anew_at_its_turn() -> None:
    models = pool()
    record = health(models)
    steps = engine(pool=models, access=record, settings=NO_RETRY).answer()

    class Meanwhile(Play):
        def _answer(self, command: object, happened: object) -> object:
            broken(record, "second")  # by other steps
            return super()._answer(command, happened)

    play = Meanwhile(steps, [e.Timeout("first"), text("hi")])
    assert play.called == ["first", "third"]


def test_a_retry_is_not_made_where_the_breaker_has_opened_meanwhile() -> None:
    models = pool()
    record = broken(health(models), "first", times=4)
    play = Play(engine(pool=models, access=record).answer(), [e.ServerFailed("first"), text("hi")])
    assert play.called == ["first", "second"]


def test_a_long_pause_is_waited_for_where_only_tried_models_are_left() -> None:
    models = pool()
    script = [e.Timeout("first"), e.RateLimited("second", retry_after_s=60.0), text("hi")]
    play = Play(engine("first", "second", pool=models, access=health(models)).answer(), script)
    assert play.called == ["first", "second", "second"]
    assert play.waits == [60.0]


def test_an_overflowing_context_leaves_smaller_models_out_at_the_end_too() -> None:
    models = {name: card.model_copy(update={"context_tokens": 8_000}) for name, card in pool().items()}
    record = broken(health(models), "second", "third")
    with pytest.raises(AllAttemptsFailedError) as caught:
        Play(engine(pool=models, access=record).answer(), [e.ContextOverflow("first")])
    assert [a.model for a in caught.value.attempts] == ["first"]


def test_a_failure_is_booked_on_the_endpoint_that_was_called_whatever_model_it_names() -> None:
    models = pool()
    play = Play(engine(pool=models, access=health(models)).answer(), [e.ContextOverflow("somebody else"), text("hi")])
    assert play.called == ["first", "second"]


def test_no_endpoint_in_the_allowed_regions_is_said_so() -> None:
    models = pool()
    plan = decision("first", "second")
    object.__setattr__(plan, "regions", frozenset({"eu"}))
    lost = Engine(
        step=Step(messages=[{"role": "user", "content": "hello"}]),
        decision=plan,
        cards=models,
        settings=NO_RETRY,
        observer=SilentObserver(),
        rng=random.Random(0),
        started_s=0.0,
        access=health(models),
    )
    with pytest.raises(e.ExecutionError, match=r"no endpoint of 'first', 'second' may be called.*regions"):
        Play(lost.answer(), [])


def test_a_cold_endpoint_is_given_the_time_to_wake() -> None:
    base = pool()
    warm = {"cold_start_s": 45.0, "idle_s": 300.0}
    models = {**base, "first": ModelConfig.model_validate({**base["first"].model_dump(), "warmup": warm})}
    play = Play(engine(pool=models, access=health(models)).answer(), [e.Timeout("first"), text("hi")])
    assert [getattr(c, "timeout_s", None) for c in play.commands] == [165.0, 120.0]


def test_a_router_calls_the_deployments_of_a_model() -> None:
    deployments = [{"name": "eu", "region": "eu", "weight": 1e9}, {"name": "us", "region": "us"}]
    router = Router([{"id": "first", "model": "openai/first", "deployments": deployments}])
    fails = [ConnectionError()]

    def call(model: str) -> str:
        if fails:
            raise fails.pop()
        return "hi"

    outcome = router.run(Step(messages=[{"role": "user", "content": "hello"}]), call)
    assert [a.endpoint_id for a in outcome.attempts] == ["first@eu", "first@us"]
    assert outcome.status == "ok"
    assert [state.in_flight for state in router.health()] == [0, 0]


def test_a_pause_is_booked_on_the_next_attempt_even_if_that_calls_another_model() -> None:
    class Once(OpenAccess):
        """Admits every endpoint once, as if its breaker had opened while a step was waiting to retry."""

        def __init__(self) -> None:
            self.admitted: set[str] = set()

        def admit(self, model: str, now_s: float, **_: Any) -> Admission | None:
            if model in self.admitted:
                return None
            self.admitted.add(model)
            return Admission(endpoint=Endpoint(id=model, model=model))

    play = Play(engine(access=Once()).answer(), [e.RateLimited("first", retry_after_s=2.0), text("hi")])
    assert play.outcome is not None
    assert [(a.model, a.waited_s) for a in play.outcome.attempts] == [("first", 0.0), ("second", 2.0)]
