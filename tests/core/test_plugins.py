"""A plugin that cannot work is refused when the router is built, in words that say why."""

from __future__ import annotations

import pytest

from taskrouter import PluginError, Router, hookimpl
from taskrouter.plugins import load_plugins

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
    ],
)
def test_a_plugin_that_cannot_work_is_one_plugin_error(plugins: list[object], message: str) -> None:
    with pytest.raises(PluginError, match=message):
        Router(POOL, plugins=plugins)


def test_two_objects_of_one_class_are_two_plugins() -> None:
    manager = load_plugins([Good(), Good()])
    assert len(manager.hook.taskrouter_decided.get_hookimpls()) == 2
