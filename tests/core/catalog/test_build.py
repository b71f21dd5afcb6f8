"""The data files are what the build scripts make of their inputs."""

import datetime as dt
import gzip
import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import pytest

TRAINING = Path(__file__).parents[3] / "training"
DATA = Path(__file__).parents[3] / "packages/core/src/taskrouter/catalog/data"

TABLE = """
broad = ["Easy"]
[tasks]
reasoning = ["Easy", "Hard"]
[yardsticks]
general = ["Easy"]
[aliases]
"house-two" = "house-strong"
[[table]]
source = "A paper"
date = "2025-01"
verified = true
benchmarks = ["Easy", "Hard"]
[table.models]
"house-anchor" = [80, 40]
"house-strong" = [nan, 60]
"house-weak" = [77, nan]
"""


@pytest.fixture(scope="module")
def script():
    def load(name):
        spec = importlib.util.spec_from_file_location(f"training_{name}", TRAINING / f"{name}.py")
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[spec.name] = module
        spec.loader.exec_module(module)
        return module

    return load


@pytest.fixture(scope="module")
def catalogue(script):
    return script("catalogue")


def test_the_catalogue_has_the_same_bytes_for_the_same_inputs(catalogue):
    day = dt.date(2026, 1, 1)
    content, summary = catalogue.build(day)
    assert content == catalogue.build(day)[0]
    assert len(content) < 250_000
    assert "litellm" in json.loads(gzip.decompress(content))["sources"][0]
    assert any("differ by more than 5 %" in line for line in summary)


def test_building_the_catalogue_does_not_import_litellm(tmp_path):
    code = (
        "import runpy, sys; sys.argv = ['catalogue', '--as-of', '2026-01-01', '--output', sys.argv[2]]; "
        f"runpy.run_path({str(TRAINING / 'catalogue.py')!r}, run_name='__main__'); print('litellm' in sys.modules)"
    )
    output = tmp_path / "models.json.gz"
    ran = subprocess.run(
        [sys.executable, "-c", code, "--output", str(output)], capture_output=True, text=True, check=True, timeout=60
    )
    assert ran.stdout.splitlines()[-1] == "False"
    assert output.stat().st_size > 10_000


def test_a_price_of_nothing_is_unknown(catalogue):
    row = catalogue._litellm_row({"litellm_provider": "x", "input_cost_per_token": 0, "output_cost_per_token": 0.0})
    assert row.input_usd is None
    assert row.output_usd is None
    assert row.capabilities == "????"


def test_prices_are_per_million_and_flags_are_kept(catalogue):
    row = catalogue._litellm_row(
        {
            "litellm_provider": "vertex_ai-language-models",
            "input_cost_per_token": 1e-6,
            "output_cost_per_token": 2e-6,
            "supports_vision": False,
            "supports_function_calling": True,
        }
    )
    assert (row.provider, row.input_usd, row.output_usd, row.capabilities) == ("vertex_ai", 1, 2, "yn??")


def test_the_bundled_priors_are_made_from_the_table(script):
    table = (TRAINING / "priors.toml").read_text(encoding="utf-8")
    assert script("priors").build(table) == (DATA / "priors.json").read_text(encoding="utf-8")


def test_models_that_took_different_benchmarks_are_compared_through_a_common_one(script):
    models = json.loads(script("priors").build(TABLE))["models"]
    reasoning = {name: revisions[""]["reasoning"][0] for name, revisions in models.items()}
    assert reasoning["house-strong"] > reasoning["house-anchor"] > reasoning["house-weak"]
    assert reasoning["house-two"] == reasoning["house-strong"]


def test_only_broadly_tested_models_get_a_general_prior(script):
    models = json.loads(script("priors").build(TABLE))["models"]
    assert {name for name, revisions in models.items() if "general" in revisions[""]} == {"house-anchor"}


def test_what_agreement_loses_is_measured_from_answers_and_a_recording_can_be_left_out(script, tmp_path):
    plans = script("plan_priors")
    write_recordings(tmp_path)
    recordings = plans.read(tmp_path)
    figures = plans.measure(recordings)["agreement"]["number"]
    assert figures["prompts"] == 80
    assert figures["tasks"] == 2
    assert figures["loss"] == pytest.approx(0.1)  # the pair shares a mistake in one of ten, and the incumbent has none
    assert figures["source"] == "one, undated; two, undated"
    assert plans.measure(plans.without(recordings, ["one", "two"])) == {"agreement": {}}
    assert sorted(plans.without(recordings, ["one"])) == ["two"]


def test_a_recording_that_shares_prompts_with_one_that_is_left_out_is_left_out_too(script, tmp_path):
    plans = script("plan_priors")
    write_recordings(tmp_path)
    (tmp_path / "mix.jsonl").write_bytes((tmp_path / "one.jsonl").read_bytes())
    assert sorted(plans.without(plans.read(tmp_path), ["one"])) == ["two"]


def write_recordings(folder):
    """Two recordings in which two cheap models always agree, and are wrong together in one of ten answers."""
    for name, start in (("one", 0), ("two", 1000)):
        lines = []
        for number in range(start, start + 40):
            wrong = number % 10 == 0
            cheap = {"score": 0.0 if wrong else 1.0, "cost_usd": 0.0001, "answer": "wrong" if wrong else "right"}
            outcomes = {
                "gpt-4o": {"score": 1.0, "cost_usd": 0.01, "answer": "right"},
                "gpt-4o-mini": cheap,
                "gemini-1.5-flash": cheap,
            }
            message = {"role": "user", "content": f"How much is {number} plus 1?"}
            lines.append(
                json.dumps({"id": f"{number}", "task": f"sums {name}", "messages": [message], "outcomes": outcomes})
            )
        (folder / f"{name}.jsonl").write_text("\n".join(lines), encoding="utf-8")
