"""`taskrouter tune`: what it certifies, what it refuses, what it writes, and how it says so."""

from __future__ import annotations

import json
import os
import random
from datetime import UTC, date, datetime

import pytest
import typer
from typer.testing import CliRunner

from taskrouter import Router, Step, StepContext
from taskrouter.cli import tune
from taskrouter.errors import ConfigurationError
from taskrouter.evaluation.recordings import read_recordings
from taskrouter.evaluation.tuning import of_pool, tuned
from taskrouter.learning import Identity
from taskrouter.learning.bounds import binomial_bound
from taskrouter.learning.certificate import split
from taskrouter.learning.files import read_policy


@pytest.fixture
def run():
    app = typer.Typer()
    app.callback()(lambda: None)
    tune.register(app)
    return lambda *args: CliRunner().invoke(app, ["tune", *map(str, args)])


def recorded(make_line, count, *, harm=0.0, drop=1.0, task="greet"):
    """Prompts on which `tiny` falls behind `big` as often as is said, and `mid` does half the time."""
    rng = random.Random(count)
    return [
        make_line(
            f"{task}-{i}",
            task,
            f"greet customer {i}",
            1,
            1 - drop * (rng.random() < 0.5),
            1 - drop * (rng.random() < harm),
        )
        for i in range(count)
    ]


@pytest.fixture
def easy(write_recording, make_line):
    return write_recording(recorded(make_line, 400))


def test_what_is_certified_is_printed_with_saving_bound_and_n(run, easy):
    result = run(easy, "--max-loss", "0.02", "--incumbent", "big")
    assert result.exit_code == 0, result.output
    n = split(400, 0.02, 0.9)
    assert result.stdout.splitlines() == [
        f"400 prompts: learned from {400 - n}, tested on {n}; incumbent big",
        "certified: harm of at most 2 % at confidence 0.9",
        f"  saving  90 % of the incumbent's cost on the {n} tested prompts",
        f"  bound   {100 * binomial_bound(0, n, 0.9):.2f} %",
        f"  harmed  0 of n = {n}",
        "  /greet: tiny",
        "Nothing was written: name a file with --output.",
    ]


def test_the_file_that_is_written_drives_a_router(run, easy, tmp_path):
    file = tmp_path / "policy.json"
    result = run(easy, "--max-loss", "0.02", "--incumbent", "big", "--output", file, "--json")
    document = json.loads(result.stdout)
    assert document["certified"] is True
    assert document["output"] == str(file)
    policy, certificate = read_policy(file)
    assert certificate is not None
    assert certificate.to_dict() == document["certificate"]
    assert certificate.policy_hash == policy.version
    assert (certificate.n, certificate.bound, certificate.mix) == (document["n"], document["bound"], {"/greet": 1.0})
    assert date.fromisoformat(certificate.date) <= datetime.now(UTC).date()
    models = [{"id": id_, "model": id_, "input_usd_per_million": 1.0} for id_ in ("big", "mid", "tiny")]
    config = {"router": {"incumbent": "big"}, "models": models, "learning": {"policy": str(file)}}
    with Router.from_config(config) as router:
        step = Step(messages=[{"role": "user", "content": "greet them"}], context=StepContext(node="greet"))
        decision = router.route(step)
    assert decision.model == "tiny"
    assert decision.certificate == certificate.line


def test_too_few_prompts_are_refused_with_the_number_that_would_do(run, write_recording, make_line, tmp_path):
    file = tmp_path / "policy.json"
    result = run(write_recording(recorded(make_line, 60)), "--incumbent", "big", "--output", file)
    assert result.exit_code == 1
    assert "not certifiable at this n: harm of at most 1 % at confidence 0.9" in result.stdout
    assert "Without any harm it takes 230 tested prompts, so about 250 in all." in result.stdout
    assert "The incumbent keeps everything." in result.stdout
    assert not file.exists()


def test_one_prompt_is_refused(run, write_recording, make_line):
    result = run(write_recording(recorded(make_line, 1)), "--json")
    assert result.exit_code == 1
    document = json.loads(result.stdout)
    assert (document["certified"], document["certificate"], document["needed"]) == (False, None, 250)


@pytest.mark.parametrize("harm", [0.05, 0.5])
def test_harm_above_the_limit_is_refused(run, write_recording, make_line, harm):
    result = run(write_recording(recorded(make_line, 400, harm=harm)), "--incumbent", "big", "--json")
    document = json.loads(result.stdout)
    if document["certified"]:  # a small share of the steps may go to a model that harms some of them
        assert document["bound"] <= 0.01
        assert document["saving"] < 0.3
    else:
        assert result.exit_code == 1


def test_contradictory_labels_of_the_same_prompts_certify_nothing_that_harms(run, write_recording, make_line):
    rows = [make_line(str(i), "greet", "greet the customer", 1, i % 2, (i + 1) % 2) for i in range(500)]
    document = json.loads(run(write_recording(rows), "--incumbent", "big", "--json").stdout)
    assert not document["certified"] or document["bound"] <= 0.01


def test_where_nothing_is_cheaper_it_says_so(run, easy):
    result = run(easy, "--incumbent", "tiny", "--max-loss", "0.02")
    assert result.exit_code == 1
    assert "No policy was found that costs less than the incumbent." in result.stdout


def test_graded_scores_are_certified_by_size(run, write_recording, make_line):
    rows = recorded(make_line, 800, harm=0.1, drop=0.05)
    document = json.loads(run(write_recording(rows), "--max-loss", "0.02", "--incumbent", "big", "--json").stdout)
    assert (document["certified"], document["method"]) == (True, "betting")
    assert document["saving"] > 0.8
    assert 0.0 < document["harmed"] < 10.0


def test_a_limit_that_nobody_can_show_is_refused_without_a_number(run, easy):
    result = run(easy, "--max-loss", "0.0000001")
    assert result.exit_code == 1
    assert "more than 200,000 prompts" in result.stdout


def test_the_same_seed_gives_the_same_answer_and_another_another_division(run, easy):
    first, again, other = (json.loads(run(easy, "--seed", seed, "--json").stdout) for seed in (1, 1, 2))
    assert first == again
    assert first["prompts"] == other["prompts"] == 400


def test_the_pool_of_a_configuration_gives_ids_and_prices(run, easy, tmp_path):
    config = tmp_path / "taskrouter.toml"
    config.write_text(
        '[router]\nincumbent = "large"\n'
        '[[models]]\nid = "large"\nmodel = "acme/big"\ninput_usd_per_million = 3\noutput_usd_per_million = 12\n'
        '[[models]]\nid = "tiny"\nmodel = "acme/other"\ninput_usd_per_million = 1\noutput_usd_per_million = 2\n'
        '[[models]]\nid = "unrecorded"\nmodel = "acme/new"\ninput_usd_per_million = 1\n'
    )
    document = json.loads(run(easy, "--config", config, "--max-loss", "0.02", "--json").stdout)
    assert document["incumbent"] == "large"
    assert document["certificate"]["pool"] == {
        "large": {"model": "acme/big", "input_usd_per_million": 3.0, "output_usd_per_million": 12.0},
        "tiny": {"model": "acme/other", "input_usd_per_million": 1.0, "output_usd_per_million": 2.0},
    }


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--incumbent", "huge"], "'huge' is not in the recordings"),
        (["--max-loss", "0"], "max-loss is 0.0"),
        (["--max-loss", "1.5"], "max-loss is 1.5"),
        (["--confidence", "1"], "confidence is 1.0"),
        (["--output", "nowhere/policy.json"], "there is no folder nowhere"),
        (["--output", "."], "what stands there is no file"),
        (["--output", os.devnull], "what stands there is no file"),
    ],
)
def test_wrong_usage_is_named(run, easy, options, said, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = run(easy, *options)
    assert isinstance(result.exception, ConfigurationError)
    assert said in str(result.exception)


def test_a_pool_without_a_recorded_model_is_refused(easy):
    with pytest.raises(ConfigurationError, match="none of the recorded models"):
        of_pool(read_recordings([easy]), {})


def test_prompts_of_an_identity_that_was_not_learned_stay_with_the_incumbent(easy):
    recording = read_recordings([easy])
    rare = [Identity("rare" if i % 100 == 0 else "often", "chat") for i in range(len(recording.prompts))]
    found = tuned(recording, rare, max_loss=0.02, confidence=0.9, incumbent="big")
    assert found.policy is not None
    assert {str(branch.plan) for branch in found.policy.branches.get("rare", ())} <= {"big"}
    assert {str(branch.plan) for branch in found.policy.branches["often"]} == {"tiny"}
