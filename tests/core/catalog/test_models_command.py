"""`taskrouter models` shows what is known, says unknown for the rest, and suggests on a miss."""

import json

import pytest
import typer
from typer.testing import CliRunner

from taskrouter.cli import models
from taskrouter.errors import ConfigurationError

POOL = """
[[models]]
id = "small"
model = "openai/gpt-4o-mini"

[[models]]
id = "own"
base_url = "http://localhost:8000/v1"
"""


@pytest.fixture
def run():
    app = typer.Typer()
    app.callback()(lambda: None)
    models.register(app)

    def invoke(*arguments):
        result = CliRunner().invoke(app, ["models", *arguments], env={"COLUMNS": "200"})
        if result.exception and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    return invoke


def test_a_pattern_narrows_the_list_and_the_footer_counts(run):
    result = run("gpt-4o-mini", "--limit", "2")
    assert "gpt-4o-mini" in result.output
    assert "2 of " in result.output
    assert "litellm" in result.output


def test_a_glob_matches_whole_strings(run):
    document = json.loads(run("groq/*", "--json", "--limit", "0").stdout)
    assert document["total"] == document["shown"] == len(document["models"])
    assert all(model["model"].startswith("groq/") for model in document["models"])


def test_another_spelling_of_a_known_model_is_shown(run):
    document = json.loads(run("anthropic/claude-3-haiku-20240307", "--json").stdout)
    assert [model["output_usd_per_million"] for model in document["models"]] == [1.25]


def test_unknown_is_shown_as_unknown(run):
    assert "unknown" in run("ollama/llama3").output
    assert json.loads(run("ollama/llama3", "--json").stdout)["models"][0]["input_usd_per_million"] is None


def test_the_pool_of_a_configuration_is_shown_with_the_catalogue_s_facts(run, tmp_path):
    config = tmp_path / "taskrouter.toml"
    config.write_text(POOL, encoding="utf-8")
    document = json.loads(run("--config", str(config), "--json").stdout)
    small, own = document["models"]
    assert (small["id"], small["output_usd_per_million"]) == ("small", 0.6)
    assert (own["id"], own["output_usd_per_million"]) == ("own", None)
    assert "api_key" not in small


def test_a_miss_is_one_error_with_suggestions(run):
    with pytest.raises(ConfigurationError, match=r"no known model matches 'gpt-4o-mimi'; did you mean 'gpt-4o-mini'"):
        run("gpt-4o-mimi")


def test_a_miss_in_the_pool_names_the_pool(run, tmp_path):
    config = tmp_path / "taskrouter.toml"
    config.write_text(POOL, encoding="utf-8")
    with pytest.raises(ConfigurationError, match="it has 'small', 'own'"):
        run("zzz", "--config", str(config))
