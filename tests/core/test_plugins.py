"""A plugin that cannot work is refused when the router is built, in words that say why."""

from __future__ import annotations

import re
from typing import Any

import pytest

from taskrouter import ConfigurationError, PluginError, Router, Step, hookimpl
from taskrouter.plugins import load_plugins
from taskrouter.ports import Choice

POOL = ["openai/gpt-4o-mini"]


class Good:
    @hookimpl
    def taskrouter_decided(self) -> None:
        """Watch."""


class WithoutMark:
    def taskrouter_decided(self) -> None:
        """The mark is missing."""


class WrongArgument:
    @hookimpl
    def taskrouter_decided(self, decison: object) -> None:
        """Misspelt."""


class NoMapping:
    @hookimpl
    def taskrouter_selectors(self) -> list[str]:
        return ["mine"]


GOOD = Good()


@pytest.mark.parametrize(
    ("plugins", "message"),
    [
        ([Good], r"plugin Good is a class: pass an object, Good\(\)"),
        ([GOOD, GOOD], "is given twice"),
        ([WithoutMark()], "implements no hook: mark its methods with @taskrouter.hookimpl"),
        (["my_plugin"], "plugin 'my_plugin' implements no hook"),
        ([WrongArgument()], "decison"),
        ([NoMapping()], "offers a list; it must be a mapping from name to policy"),
        ("plugin", "plugins must be a list of plugin objects, not 'plugin'"),
        (GOOD, "plugins must be a list of plugin objects"),
    ],
)
def test_a_plugin_that_cannot_work_is_one_plugin_error(plugins: list[object], message: str) -> None:
    with pytest.raises(PluginError, match=message):
        Router(POOL, plugins=plugins)


def test_two_objects_of_one_class_are_two_plugins() -> None:
    manager = load_plugins([Good(), Good()])
    assert len(manager.hook.taskrouter_decided.get_hookimpls()) == 2


class Failing:
    @hookimpl
    def taskrouter_backends(self) -> dict[str, Any]:
        raise KeyError("endpoint")

    def __repr__(self) -> str:
        return "<Failing>"


def test_a_registration_hook_that_fails_is_named_with_its_plugin_and_its_cause() -> None:
    with pytest.raises(PluginError, match="plugin <Failing> failed in taskrouter_backends: KeyError") as caught:
        Router(POOL, plugins=[Failing()])
    assert isinstance(caught.value.__cause__, KeyError)


class Offers:
    """A plugin with one policy, `mine`."""

    def __init__(self, factory: Any) -> None:
        self._factory = factory

    @hookimpl
    def taskrouter_selectors(self) -> dict[str, Any]:
        return {"mine": self._factory}


class Chooses:
    """A policy that returns what it is told."""

    name = "mine"

    def __init__(self, choice: Any) -> None:
        self._choice = choice

    def choose(self, slate: Any) -> Any:
        return self._choice(slate) if callable(self._choice) else self._choice


def no_factory(config: Any) -> Any:
    raise ZeroDivisionError


def refusing(config: Any) -> Any:
    raise ConfigurationError("mine: needs weights")


@pytest.mark.parametrize(
    ("factory", "message"),
    [
        (Chooses(None), "the policy 'mine' is .*; it must be a callable that makes a selector"),
        (lambda config: None, "policy 'mine': its factory returns a NoneType; it must be an object with `choose`"),
        (lambda config: Chooses, "policy 'mine': its factory returns the class Chooses"),
        (no_factory, "policy 'mine' cannot be made: ZeroDivisionError"),
    ],
)
def test_a_policy_that_cannot_be_made_is_refused_when_the_router_is_built(factory: Any, message: str) -> None:
    with pytest.raises(PluginError, match=message):
        Router(POOL, policy="mine", plugins=[Offers(factory)])


def test_a_factory_may_refuse_its_configuration_in_its_own_words() -> None:
    with pytest.raises(ConfigurationError, match=r"^mine: needs weights$"):
        Router(POOL, policy="mine", plugins=[Offers(refusing)])


def failing(slate: Any) -> Any:
    raise LookupError("no table")


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        (None, "policy 'mine' returned a NoneType from `choose`; it must be a taskrouter.ports.Choice"),
        (Choice([], "r", ""), "policy 'mine' scored 0 models of 1"),
        (Choice([1.0, 2.0], "r", ""), "policy 'mine' scored 2 models of 1"),
        (Choice([float("nan")], "r", ""), "policy 'mine' gave the score nan; a score is a number"),
        (Choice(["high"], "r", ""), "policy 'mine' gave the score 'high'"),  # type: ignore[list-item]
        (Choice(None, "r", ""), "policy 'mine' failed to choose: TypeError"),  # type: ignore[arg-type]
        (Choice([1.0], "r", "", [(), ()]), "policy 'mine' explained 2 scores of 1"),
        (Choice([1.0], "r", "", propensity=0.0), "policy 'mine' gave the propensity 0.0"),
        (failing, "policy 'mine' failed to choose: LookupError"),
    ],
)
def test_a_choice_that_ranks_wrongly_names_its_policy(choice: Any, message: str) -> None:
    router = Router(POOL, policy="mine", plugins=[Offers(lambda config: Chooses(choice))])
    with pytest.raises(PluginError, match=re.escape(message)):
        router.route(Step(messages=[{"role": "user", "content": "hi"}]))


@pytest.mark.parametrize(
    ("hook", "part", "message"),
    [
        ("taskrouter_backends", {"mine": "http"}, "the backend 'mine' is 'http'; it must be a callable"),
        ("taskrouter_classifiers", {"mine": print}, "the classifier 'mine' is .*; it must be a named Classifier"),
        ("taskrouter_selectors", {3: Chooses}, "a plugin offers a policy named 3; a name is text"),
    ],
)
def test_a_part_that_cannot_be_used_is_refused(hook: str, part: dict[Any, Any], message: str) -> None:
    plugin = type("Plugin", (), {hook: hookimpl(lambda self: part)})()
    with pytest.raises(PluginError, match=message):
        Router(POOL, plugins=[plugin])
