"""From the arguments of a routed model to its candidates and its router."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from taskrouter import ConfigurationError, Router, RouterConfig
from taskrouter.adapters import Arguments, Parts, PoolModel, check_arguments, model_config, parts_of


@dataclass(frozen=True)
class Candidate:
    id: str
    timeout_s: float
    pool_model: PoolModel | None = None


def not_asked(candidate: Candidate) -> dict[str, Any]:
    raise AssertionError(f"the framework was asked about {candidate.id}")


def parts(*names: str, **given: Any) -> Parts[Candidate]:
    return parts_of(
        Arguments(names, **given),
        lambda candidates, timeout_s: {name: Candidate(name, timeout_s) for name in candidates},
        lambda candidate: {"id": candidate.id, "model": candidate.id, "input_usd_per_million": 1.0},
    )


def test_the_router_is_made_of_what_is_said() -> None:
    made = parts("a", "b", incumbent="b", policy="economy", config={"execution": {"retries": 3}}, timeout=7)
    assert list(made.router.models) == list(made.pool) == ["a", "b"]
    assert (made.router.incumbent, made.router.execution.retries, made.router.execution.timeout_s) == ("b", 3, 7)
    assert made.pool["a"].timeout_s == 7
    assert made.policy is None
    assert made.recipe is not None
    assert (made.recipe["incumbent"], made.recipe["policy"]) == ("b", "economy")


def test_a_recipe_makes_the_same_again() -> None:
    made = parts("a", "b", incumbent="b", config={"execution": {"retries": 3}}, max_retries=1)
    assert made.recipe is not None
    again = parts("a", "b", **made.recipe)
    assert again.router.execution == made.router.execution
    assert again.router.incumbent == "b"


@pytest.mark.parametrize("shared", [False, True])
def test_models_of_the_router_s_own_backends_learn_what_it_knows(shared: bool) -> None:
    name = "openai/gpt-4o"
    model = PoolModel(model_config(name, "here"))
    assert model.card.input_usd_per_million is None
    router = Router([name], name) if shared else None
    given = Arguments((name,), router=router)
    made = parts_of(given, lambda _, timeout_s: {name: Candidate(name, timeout_s, model)}, not_asked)
    assert model.card == made.router.models[name]
    assert model.card.input_usd_per_million is not None
    assert model.backend is made.router.backend(name)


def test_limits_come_before_the_configuration_and_leave_it_alone() -> None:
    config = RouterConfig.load({"execution": {"retries": 3, "timeout_s": 9}})
    made = parts("a", config=config, max_retries=0)
    assert (made.router.execution.retries, made.router.execution.timeout_s) == (0, 9)
    assert config.execution.retries == 3


def test_a_shared_router_is_used_as_it_is() -> None:
    router = Router(["openai/gpt-4o"], "openai/gpt-4o", config={"execution": {"timeout_s": 5}})
    made = parts("openai/gpt-4o", router=router, policy="economy")
    assert made.router is router
    assert made.recipe is None
    assert made.policy is not None
    assert made.pool["openai/gpt-4o"].timeout_s == 5


@pytest.mark.parametrize(
    ("names", "given", "message"),
    [
        (["openai/gpt-4o"], {"router": "mine"}, "router is a str; it must be a taskrouter.Router"),
        (["openai/gpt-4o"], {"config": {}}, "config and router are given together"),
        (["openai/gpt-4o"], {"timeout": 3}, "timeout and max_retries are the router's"),
        (["openai/gpt-4o"], {"max_retries": 3}, "timeout and max_retries are the router's"),
        (["openai/gpt-4o", "x"], {}, "'x' is not in the pool of the given router, which has openai/gpt-4o"),
        ([], {}, "the incumbent of the given router, 'openai/gpt-4o', is missing"),
        (["openai/gpt-4o"], {"incumbent": "x"}, "incumbent='x', but the given router's incumbent is 'openai/gpt-4o'"),
    ],
)
def test_what_does_not_fit_a_shared_router_is_named(names: list[str], given: dict[str, Any], message: str) -> None:
    router = Router(["openai/gpt-4o"], "openai/gpt-4o")
    with pytest.raises(ConfigurationError) as caught:
        parts(*names, **{"router": router, **given})
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("incumbant", "; did you mean 'incumbent'?"),
        ("max_retry", "; did you mean 'max_retries'?"),
        ("windw", "; did you mean 'window'?"),
        ("zzz", "; give it to the candidates, or in `config`"),
        ("plugins", "; give it to a router, and that to Routed: router=Router(..., plugins=...)"),
        ("tracer_provider", "; give it to a router, and that to Routed: router=Router(..., tracer_provider=...)"),
    ],
)
def test_an_unknown_argument_is_named(name: str, hint: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        check_arguments("Routed", [name], ["window"])
    assert str(caught.value) == f"Routed has no argument {name!r}{hint}"


def test_known_arguments_pass() -> None:
    check_arguments("Routed", ["window", *Arguments._fields], ["window"])
    with pytest.raises(ConfigurationError):
        check_arguments("Routed", ["window"], [])
