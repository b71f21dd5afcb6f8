"""`taskrouter import`: where the file goes, what is said on which stream."""

import json

import pytest
import typer
from tests.core.evaluation.public_files import CHEAP, DEAR, lay_out, written
from typer.testing import CliRunner

from taskrouter.cli import import_
from taskrouter.errors import ConfigurationError


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    app = typer.Typer()
    app.callback()(lambda: None)
    import_.register(app)
    return lambda *args: CliRunner().invoke(app, ["import", *map(str, args)])


@pytest.fixture
def clone(tmp_path):
    rows = [
        {"task_name": "t", "query": str(n), "model_name": m, "performance": 1, "input_tokens": 9, "output_tokens": 9}
        for n in range(3)
        for m in (CHEAP, DEAR, "nobody-knows-7b")
    ]
    return lay_out(tmp_path / "clone", {"data/rows.jsonl!": rows})


def test_the_recording_is_written_and_the_summary_goes_to_standard_error(run, clone, tmp_path):
    result = run("llmrouter", clone)
    assert result.exit_code == 0, result.output
    assert result.stdout == "llmrouter.jsonl.gz\n"
    assert "3 prompts, 1 tasks, 2 models" in result.stderr
    assert "left out: nobody-knows-7b: no price of it is known" in result.stderr
    assert f"{CHEAP}: litellm" in result.stderr
    assert len(written(tmp_path / "llmrouter.jsonl.gz")) == 3


def test_json_is_one_document_on_standard_output(run, clone, tmp_path):
    result = run("llmrouter", clone, "--output", tmp_path / "x.jsonl.gz", "--models", f"{CHEAP}, {DEAR}", "--json")
    document = json.loads(result.stdout)
    assert document["models"] == [DEAR, CHEAP]
    assert (document["prompts"], document["repository"]) == (3, "ulab-uiuc/LLMRouter")
    assert list(written(tmp_path / "x.jsonl.gz")[0]["outcomes"]) == [DEAR, CHEAP]


def test_nothing_found_is_an_error_and_writes_nothing(run, tmp_path):
    result = run("routellm", tmp_path)
    assert isinstance(result.exception, ConfigurationError)
    assert not (tmp_path / "routellm.jsonl.gz").exists()


def test_an_output_that_cannot_be_written_is_said(run, clone, tmp_path):
    result = run("llmrouter", clone, "--output", tmp_path / "no" / "such" / "x.gz")
    assert isinstance(result.exception, ConfigurationError)
    assert "cannot be written" in str(result.exception)
