"""The examples in the documentation run as they are printed.

They are written for the real API. Here `OPENAI_BASE_URL` leads them to simulated models of the same names. The blocks
of a page share one namespace, in order. What a page takes for granted (`tools`, `agent`, ...) is made by
`takes_for_granted/<page>.py`, which runs before its first block.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from langchain_openai import ChatOpenAI
from llama_index.core import Settings
from tests.docs.pages import ROOT, blocks, links, name, pages

from taskrouter import RouterConfig, simulator

MODELS = ("gpt-4.1-mini", "gpt-4o-mini", "gpt-4o", "claude-sonnet-4-5")
GRANTED = Path(__file__).parent / "takes_for_granted"
WITH_EXAMPLES = [page for page in pages() if blocks(page, "python")]
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))


@pytest.fixture
def real_names(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """Simulated models under real names, where the OpenAI SDK looks for them; files go to a temporary folder."""
    models = [{"id": id_, "input_usd_per_million": 1.0, "output_usd_per_million": 4.0} for id_ in MODELS]
    with simulator.serve({"speed": 0.0, "models": models}) as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.base_url)
        monkeypatch.setenv("OPENAI_API_BASE", server.base_url)  # LlamaIndex's name for it
        monkeypatch.setenv("OPENAI_API_KEY", "simulated")
        monkeypatch.setitem(sys.modules, "langchain_anthropic", anthropic())
        monkeypatch.setattr(Settings, "_llm", None)  # a page sets it for its process
        monkeypatch.chdir(tmp_path)
        yield


def anthropic() -> ModuleType:
    """Return a stand-in for Anthropic's package, which is no dependency of ours."""
    module = ModuleType("langchain_anthropic")
    vars(module)["ChatAnthropic"] = type("ChatAnthropic", (ChatOpenAI,), {})
    return module


@pytest.mark.filterwarnings("ignore:The `__fields(_set)?__` attribute is deprecated")  # LlamaIndex's agents
@pytest.mark.filterwarnings("ignore:Pydantic serializer warnings:UserWarning")  # AutoGen logs what the SDK has parsed
@pytest.mark.parametrize("page", WITH_EXAMPLES, ids=name)
def test_the_python_on_a_page_runs(page: Path, real_names: None) -> None:
    namespace: dict[str, Any] = {"__name__": "__example__"}
    granted = GRANTED / f"{name(page).removesuffix('.md').replace('/', '_')}.py"
    if granted.exists():
        exec(compile(granted.read_text(encoding="utf-8"), granted, "exec"), namespace)  # noqa: S102 - our own file
    ran = 0
    for line, source in blocks(page, "python"):
        # Empty lines before the source make a traceback name the page's own line.
        exec(compile("\n" * (line - 1) + source, page, "exec"), namespace)  # noqa: S102 - our own documentation
        ran += 1
    assert ran > 0


@pytest.mark.parametrize("example", EXAMPLES, ids=name)
def test_an_example_runs_without_a_key(example: Path, tmp_path: Path) -> None:
    environment = {key: value for key, value in os.environ.items() if not key.endswith("_API_KEY")}
    done = subprocess.run(
        [sys.executable, "-W", "error::DeprecationWarning:__main__", str(example)],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()


@pytest.mark.parametrize("page", pages(), ids=name)
def test_every_relative_link_leads_somewhere(page: Path) -> None:
    broken = [target for target in links(page) if not (page.parent / target).exists()]
    assert broken == []


@pytest.mark.parametrize(
    ("line", "source"), blocks(ROOT / "docs/configuration.md", "toml"), ids=lambda value: f"line{value}"[:10]
)
def test_a_configuration_in_the_documentation_loads(line: int, source: str, tmp_path: Path) -> None:
    file = tmp_path / "taskrouter.toml"
    file.write_text(source, encoding="utf-8")
    assert RouterConfig.load(file).model_fields_set, f"docs/configuration.md:{line} sets nothing"
