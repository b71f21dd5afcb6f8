"""The reference tables in the documentation say what the code says."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import typer.main
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from tests.docs.pages import ROOT, code, name, pages, rows

from taskrouter import config, errors, hookspecs
from taskrouter.adapters import CALL_KEYS, STEP_KEYS, Arguments
from taskrouter.catalog import Capabilities, QualityPrior
from taskrouter.catalog.card import WarmUp
from taskrouter.cli.app import build
from taskrouter.execution.reactions import reaction
from taskrouter.planning import selectors
from taskrouter.policy import constraints

DOCS = ROOT / "docs"
SECTIONS: dict[str, type[BaseModel]] = {
    "### `[router]`": config.RouterSection,
    "### `[[models]]`": config.ModelConfig,
    "### `[[models.deployments]]`": config.DeploymentConfig,
    "### `[models.warmup]`": WarmUp,
    "### `[models.capabilities]`": Capabilities,
    "### `[models.quality.TASK]`": QualityPrior,
    "### `[policy]`": config.PolicyConfig,
    "### `[policy.weights]`": config.Weights,
    "### `[[rules]]`": config.RuleConfig,
    "### `[rules.when]`": config.When,
    "### `[profiling]`": config.ProfilingConfig,
    "### `[profiling.labeller]`": config.LabellerConfig,
    "### `[execution]`": config.ExecutionConfig,
    "### `[gates]`": config.GatesConfig,
    "### `[health]`": config.HealthConfig,
    "### `[budget]`": config.BudgetConfig,
    "### `[budget.SCOPE]`": config.WindowedLimits,
    "### `[state]`": config.StateConfig,
    "### `[shadow]`": config.ShadowConfig,
    "### `[learning]`": config.LearningConfig,
    "### `[learning.exploration]`": config.ExplorationConfig,
    "### `[telemetry]`": config.TelemetryConfig,
}


@pytest.mark.parametrize("heading", SECTIONS)
def test_the_configuration_page_has_every_key_with_its_default(heading: str) -> None:
    table = {code(row[0])[0]: row[1] for row in rows(DOCS / "configuration.md", heading) if code(row[0])}
    assert table == {key: shown(field) for key, field in SECTIONS[heading].model_fields.items()}


def test_the_configuration_page_has_every_section() -> None:
    headings = {heading.strip("#`[] ").split(".")[0] for heading in SECTIONS}
    assert headings == set(config.RouterConfig.model_fields)


def shown(field: FieldInfo) -> str:
    """Return a default as the page shows it."""
    if field.is_required():
        return "required"
    default: Any = field.get_default(call_default_factory=True)
    if default is None:
        return "–"
    if isinstance(default, BaseModel):
        return "below"
    if isinstance(default, bool | str | dict):
        return {True: "`true`", False: "`false`"}[default] if isinstance(default, bool) else _quoted(default)
    return "`[]`" if isinstance(default, tuple | frozenset) else f"`{default:g}`"


def _quoted(default: str | dict[str, Any]) -> str:
    return f'`"{default}"`' if isinstance(default, str) else "`{}`"


def test_the_execution_page_says_what_each_failure_does() -> None:
    table = {code(row[0])[0]: (code(row[1])[0], code(row[2])[0]) for row in rows(DOCS / "execution.md") if _kind(row)}
    kinds = [cls for cls in subclasses(errors.ModelCallError) if cls is not errors.StreamBroken]
    assert table == {cls.kind: (cls.__name__, reaction(cls("m")).name) for cls in kinds}


def _kind(row: list[str]) -> bool:
    return len(row) == 4 and bool(code(row[0]) and code(row[2]))


def subclasses(cls: type[errors.ModelCallError]) -> list[type[errors.ModelCallError]]:
    """Return a class and all beneath it."""
    return [cls, *(found for child in cls.__subclasses__() for found in subclasses(child))]


@pytest.mark.parametrize(
    ("module", "pattern"),
    [(selectors, r'"((?:incumbent|cheap|best)\w*)"'), (constraints, r'(?:rejection\(|code=)"(\w+)"')],
    ids=["reasons", "rejections"],
)
def test_the_policies_page_explains_every_code(module: object, pattern: str) -> None:
    documented = {found for row in rows(DOCS / "policies.md") for found in code(row[0])}
    codes = set(re.findall(pattern, source(module)))
    assert codes
    assert codes <= documented


def test_the_plugins_page_names_every_hook() -> None:
    documented = {found for row in rows(DOCS / "plugins.md") for found in code(row[0])}
    assert {hook for hook in vars(hookspecs) if hook.startswith("taskrouter_")} == documented


def test_the_dependencies_page_names_every_dependency() -> None:
    documented = {found for row in rows(DOCS / "dependencies.md") for found in code(row[0])}
    for file in (ROOT / "pyproject.toml", *ROOT.glob("packages/*/pyproject.toml")):
        assert wanted(file) <= documented | {"taskrouter"}, file


def wanted(file: Path) -> set[str]:
    """Return the names of all that a project depends on, extras and groups included."""
    project = tomllib.loads(file.read_text(encoding="utf-8"))
    extras = project["project"].get("optional-dependencies", {}).values()
    lists = [project["project"].get("dependencies", []), *extras, *project.get("dependency-groups", {}).values()]
    return {re.split(r"[\[<>=~! ]", requirement)[0] for requirements in lists for requirement in requirements}


@pytest.mark.parametrize("page", pages(), ids=name)
def test_commands_in_the_documentation_exist(page: Path) -> None:
    group = typer.main.get_command(build())
    commands: dict[str, Any] = group.commands  # type: ignore[attr-defined] # the root is a group
    for command, rest in re.findall(r"(?<![\w/.-])taskrouter (\w+)\b([^`\n|]*)", page.read_text(encoding="utf-8")):
        if command not in commands:
            continue
        options = {option for p in commands[command].params for option in (*p.opts, *p.secondary_opts)}
        assert set(re.findall(r"(?<= )--[a-z-]+", rest)) <= options | {"--help"}, f"taskrouter {command}{rest}"


def test_the_command_page_shows_every_command() -> None:
    group = typer.main.get_command(build())
    text = (DOCS / "cli.md").read_text(encoding="utf-8")
    assert [c for c in group.commands if f"## `taskrouter {c}`" not in text] == []  # type: ignore[attr-defined]


def test_the_readme_has_the_figures_of_the_evaluation_page() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    shown = re.search(r"<!-- figures:evaluation -->\n(.*?)\n<!-- /figures", readme, re.DOTALL)
    assert shown is not None
    measured = set((DOCS / "evaluation.md").read_text(encoding="utf-8").splitlines())
    assert set(shown[1].splitlines()) <= measured


def test_the_pages_show_where_the_steps_of_the_demo_go(tmp_path: Path) -> None:
    command = [str(Path(sys.executable).with_name("taskrouter")), "demo", "--json"]
    run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=True)
    went = {(str(s["step"]), s["node"], s["task_type"], s["model"]) for s in json.loads(run.stdout)["run"]["steps"]}
    for page in (ROOT / "README.md", DOCS / "cli.md"):
        rows_shown = re.findall(
            r"^ (\d) (\w+) +(\w+) +(\w+) +\d+ +\d+\+", page.read_text(encoding="utf-8"), re.MULTILINE
        )
        assert rows_shown
        assert set(rows_shown) <= went, page


def source(module: Any) -> str:
    """Return a module's source."""
    return Path(module.__file__).read_text(encoding="utf-8")


@pytest.mark.parametrize("page", ["langchain", "llamaindex", "autogen", "agent_framework"])
def test_a_doors_page_names_every_key_that_a_call_may_say(page: str) -> None:
    documented = {found for row in rows(DOCS / f"{page}.md", "## Per call") for found in code(row[0])}
    assert documented >= set(CALL_KEYS)
    everywhere = {found for row in rows(DOCS / f"{page}.md") for cell in row for found in code(cell)}
    assert everywhere >= set(STEP_KEYS)


@pytest.mark.parametrize("page", ["langchain", "llamaindex", "autogen", "agent_framework"])
def test_a_doors_page_names_every_argument_that_all_doors_take(page: str) -> None:
    documented = {found for row in rows(DOCS / f"{page}.md", "### Arguments") for found in code(row[0])}
    assert documented >= set(Arguments._fields)
