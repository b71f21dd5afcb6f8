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
