"""`taskrouter evaluate`: arguments, output for people and for programs, exit codes."""

import json
import os
import subprocess
import sys

import pytest
import typer
from typer.testing import CliRunner

from taskrouter.cli import evaluate
from taskrouter.errors import ConfigurationError

TASKROUTER = [sys.executable, "-c", "from taskrouter.cli.app import main; main()"]


@pytest.fixture
def run():
    app = typer.Typer()
    app.callback()(lambda: None)
    evaluate.register(app)
    return lambda *args: CliRunner().invoke(app, ["evaluate", *map(str, args)])


def test_json_is_one_document_on_standard_output(run, judged_file, learned_file):
    result = run(judged_file, "--fit", learned_file, "--json")
    assert result.exit_code == 0, result.output
    document = json.loads(result.stdout)
    assert document["incumbent"]["model"] == "big"
    assert document["prompts"] == 8


def test_the_table_shows_policies_beside_every_baseline(run, judged_file, learned_file):
    result = run(judged_file, "--fit", learned_file)
    assert result.exit_code == 0, result.output
    names = ("safe", "balanced", "economy", "learned", "task-table", "knn-text", "default", "big", "mid", "tiny")
    for name in (*names, "oracle", "random", "hull"):
        assert name in result.stdout
    assert "ignificantly worse than the incumbent" in result.stdout


def test_one_fit_takes_all_files_up_to_the_next_option(run, judged_file, learned_file, write_recording, make_line):
    more = write_recording([make_line("z", "code", "something else", 1, 1, 1)], "more.jsonl")
    results = [
        run(judged_file, "--fit", learned_file, more, "--seed", 1, "--json"),
        run("--fit", learned_file, more, "--seed", 1, "--json", judged_file),
        run(judged_file, "--fit", learned_file, "--fit", more, "--json"),
        run(f"--fit={learned_file}", more, "--json", "--", judged_file),
    ]
    documents = [json.loads(result.stdout) for result in results]
    assert [document["train_prompts"] for document in documents] == [6, 6, 6, 6]
    assert [document["prompts"] for document in documents] == [8, 8, 8, 8]


def test_a_split_learns_from_a_part_and_judges_on_the_rest(run, judged_file):
    document = json.loads(run(judged_file, "--split", "0.5", "--json").stdout)
    assert (document["train_prompts"], document["prompts"]) == (4, 4)
    assert document["overlap"] == 0


@pytest.mark.parametrize("arguments", [[], ["--split", "0.5", "--fit", "x.jsonl"]])
def test_learning_from_nothing_or_from_both_is_refused(run, judged_file, arguments):
    result = run(judged_file, *arguments)
    assert isinstance(result.exception, ConfigurationError)
    assert "--fit" in str(result.exception)
    assert "--split" in str(result.exception)


def test_a_leak_is_said_on_standard_error(run, judged_file):
    result = run(judged_file, "--fit", judged_file, "--json")
    assert json.loads(result.stdout)["leak"] is True
    assert "8 of 8 test prompts were also trained on" in result.stderr


def test_dropped_models_are_said_on_standard_error(run, judged_file, write_recording, make_line):
    row = make_line("z", "code", "x", 1, 1, 1)
    del row["outcomes"]["mid"]
    result = run(judged_file, "--fit", write_recording([row]), "--json")
    assert json.loads(result.stdout)["dropped_models"] == ["mid"]
    assert "left out" in result.stderr
    assert "mid" in result.stderr


def test_tools_with_faults_deep_inside_are_counted_in_one_line(run, write_recording, make_line):
    def tool(name):
        parameters = {"type": "object", "properties": {name: {"type": "any"}}}
        return {"type": "function", "function": {"name": name, "parameters": parameters}}

    rows = [make_line(str(i), "code", f"call {i}", 1, 1, 1, tools=[tool(f"f{i % 3}")]) for i in range(9)]
    result = run(write_recording(rows), "--split", "0.5", "--json")
    assert result.exit_code == 0, result.output
    assert len(result.stderr.strip().splitlines()) == 1
    assert "warning: schemas of tools or answers with a fault deep inside: 3, for example" in result.stderr


def test_the_plot_is_written(run, judged_file, learned_file, tmp_path):
    assert run(judged_file, "--fit", learned_file, "--plot", tmp_path / "plot.svg").exit_code == 0
    assert (tmp_path / "plot.svg").stat().st_size > 10_000


def taskrouter(*args: object) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "NO_COLOR": "1", "COLUMNS": "200"}
    return subprocess.run([*TASKROUTER, *map(str, args)], capture_output=True, text=True, env=environment, check=False)


def test_exit_codes(judged_file, learned_file, write_recording):
    assert taskrouter("evaluate", judged_file, "--fit", learned_file, "--json").returncode == 0
    unknown = taskrouter("evaluate", judged_file, "--fit", learned_file, "--incumbent", "huge")
    assert unknown.returncode == 2
    assert "the models are big, mid, tiny" in unknown.stderr
    assert len(unknown.stderr.strip().splitlines()) == 1
    damaged = taskrouter("evaluate", write_recording(["{"], "damaged.jsonl"), "--fit", learned_file)
    assert damaged.returncode == 2
    assert "damaged.jsonl:1" in damaged.stderr
    assert taskrouter("evaluate", judged_file, "--fit", learned_file, "--plot", "plot.bmp").returncode == 2
    assert taskrouter("evaluate").returncode == 2
