"""What `taskrouter` offers is what it says it offers."""

from __future__ import annotations

import ast
from importlib import import_module
from pathlib import Path

import pytest

import taskrouter


def promised_to_type_checkers() -> dict[str, str]:
    """Names in the TYPE_CHECKING block, each with the module that it comes from."""
    tree = ast.parse(Path(taskrouter.__file__).read_text(encoding="utf-8"))
    block = next(node for node in tree.body if isinstance(node, ast.If))
    assert ast.unparse(block.test) == "TYPE_CHECKING"
    imports = [node for node in block.body if isinstance(node, ast.ImportFrom)]
    return {alias.name: str(node.module) for node in imports for alias in node.names}


def test_all_is_sorted_and_lists_what_is_offered_lazily() -> None:
    assert taskrouter.__all__ == sorted(taskrouter.__all__)
    assert set(taskrouter.__all__) == {*taskrouter._HOME_OF, "__version__"}
    assert dir(taskrouter) == taskrouter.__all__


def test_type_checkers_are_told_of_the_same_names_in_the_same_homes() -> None:
    assert promised_to_type_checkers() == taskrouter._HOME_OF


@pytest.mark.parametrize("name", sorted(taskrouter._HOME_OF))
def test_every_name_is_the_one_of_its_home(name: str) -> None:
    assert getattr(taskrouter, name) is getattr(import_module(taskrouter._HOME_OF[name]), name)


def test_an_unknown_name_is_an_attribute_error_that_names_it() -> None:
    with pytest.raises(AttributeError, match="module 'taskrouter' has no attribute 'Ruoter'"):
        _ = taskrouter.Ruoter
    with pytest.raises(ImportError, match="Ruoter"):
        exec("from taskrouter import Ruoter", {})  # noqa: S102 - the statement is what is tested


def test_a_star_import_brings_everything() -> None:
    names: dict[str, object] = {}
    exec("from taskrouter import *", names)  # noqa: S102 - the statement is what is tested
    assert set(taskrouter.__all__) <= set(names)
