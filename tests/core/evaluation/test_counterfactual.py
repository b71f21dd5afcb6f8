"""Replaying a policy on logged decisions, and `taskrouter replay`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import typer
from hypothesis import given
from hypothesis import strategies as st
from tests.core.evaluation.ledgers import ANSWER, config, file_of, logged, policy_file, record
from typer.testing import CliRunner, Result

from taskrouter import ConfigurationError, Router, RouterConfig, Step, StepContext
from taskrouter.cli import replay as command
from taskrouter.evaluation.counterfactual import Replay, replay
from taskrouter.evaluation.logged import read_log
from taskrouter.evaluation.newpolicy import NewPolicy
from taskrouter.evaluation.offpolicy import OverlapError
from taskrouter.hookspecs import hookimpl
from taskrouter.ledger import Record
from taskrouter.ports import Choice


@pytest.fixture(scope="module")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> str:
    """400 labelled decisions, half of them drawn for the small model."""
    return logged(tmp_path_factory.mktemp("ledger"))


def replayed(source: str, **sections: Any) -> Replay:
    return replay(read_log(source), NewPolicy(RouterConfig.load(config(**sections))))


def chances(document: dict[str, Any], **sections: Any) -> Any:
    return NewPolicy(RouterConfig.load(config(**sections))).chances(Record.model_validate(document))


def test_the_worth_of_another_policy_is_told_from_the_log_of_a_drawn_one(ledger: str, tmp_path: Path) -> None:
    best = {"clerk/": {"small": 1.0}, "planner/": {"large": 1.0}}
    found = replayed(ledger, learning={"policy": str(policy_file(tmp_path, best))})
    assert found.score is not None
    assert found.cost_usd is not None
    assert found.cost_usd.dr.low < 0.000_015_7 < found.cost_usd.dr.high  # half of the steps at either price, as before
    assert found.overlap.unsupported_share == 0.0
    for mean in (found.score.snips, found.score.dr):
        assert mean.low < 0.9 < mean.high
    assert found.score.logged.mean < 0.82
    assert found.score.difference.low > 0.0
    assert 100 < found.score.ess < 300


def test_a_mixed_policy_is_replayed_with_its_shares(ledger: str, tmp_path: Path) -> None:
    same = {key: {"small": 0.5, "large": 0.5} for key in ("clerk/", "planner/")}
    found = replayed(ledger, learning={"policy": str(policy_file(tmp_path, same))})
    assert found.score is not None
    assert found.score.ess == pytest.approx(400)
    assert found.score.snips.mean == pytest.approx(found.score.logged.mean)


def test_a_policy_without_support_is_refused_and_the_identities_are_named(tmp_path: Path) -> None:
    source = logged(tmp_path, share=0.0, steps=40)
    small = policy_file(tmp_path, {"planner/": {"small": 1.0}})
    with pytest.raises(OverlapError, match=r"no chance when the log was made.*'planner/' \((\d+) of \1\)"):
        replayed(source, learning={"policy": str(small)})


def test_a_log_that_is_worth_too_little_is_refused(tmp_path: Path) -> None:
    with pytest.raises(
        OverlapError, match=r"are worth \d+ steps of the new policy \(at least 30 are wanted\).*'clerk/'"
    ):
        replayed(logged(tmp_path, steps=30))


def test_without_labels_nothing_is_said_of_the_score(tmp_path: Path) -> None:
    source = file_of(tmp_path, *(record(number) for number in range(1, 41)))
    found = replayed(source)
    assert found.score is None
    assert found.cost_usd is not None
    assert found.cost_usd.snips.mean == pytest.approx(0.001)
    assert found.unknown_models == ()


def test_models_that_only_the_ledger_has_are_named(tmp_path: Path) -> None:
    other = record(
        1, plan={"models": ["old"]}, propensity=0.5, alternatives=[{"plan": {"models": ["large"]}, "propensity": 0.5}]
    )
    source = file_of(tmp_path, other, *(record(number) for number in range(2, 41)))
    assert replayed(source).unknown_models == ("old",)


@pytest.mark.parametrize(
    ("changes", "sections", "chosen"),
    [
        ({}, {}, "large"),
        ({"use": ["small"]}, {}, "small"),
        ({"out": {"large": "breaker_open"}}, {}, "small"),
        ({"out": {"large": "breaker_open", "small": "down"}}, {}, "large"),
        ({"agent": "clerk"}, {"rules": [{"name": "r", "when": {"agent": "cl*"}, "use": ["small"]}]}, "small"),
        ({"agent": "planner"}, {"rules": [{"name": "r", "when": {"agent": "cl*"}, "use": ["small"]}]}, "large"),
        ({"tools": True}, {"rules": [{"name": "r", "when": {"tools": True}, "avoid": ["large"]}]}, "small"),
        ({}, {"rules": [{"name": "r", "when": {"min_input_tokens": 10}, "use": ["small"]}]}, "small"),
        ({}, {"rules": [{"name": "r", "when": {"tenant": "acme"}, "use": ["small"]}]}, "large"),
    ],
    ids=str,
)
def test_rules_constraints_and_outages_hold_in_the_replay(
    changes: dict[str, Any], sections: dict[str, Any], chosen: str
) -> None:
    assert chances(record(1, **changes), **sections) == {chosen: 1.0}


def test_a_step_that_no_model_may_take_is_left_out(tmp_path: Path) -> None:
    long = record(1, profile={"input_tokens": 100_000})
    assert chances(long) is None
    source = file_of(tmp_path, long, *(record(number) for number in range(2, 41)))
    assert replayed(source).unroutable == 1
    with pytest.raises(OverlapError, match="no model of the new configuration may take any of the 1 decisions"):
        replayed(file_of(tmp_path, long))


def test_a_learned_plan_is_taken_only_where_it_can_be(tmp_path: Path) -> None:
    learning = {"policy": str(policy_file(tmp_path, {"clerk/": {"small": 0.5, "large": 0.5}}))}
    assert chances(record(1), learning=learning) == {"small": 0.5, "large": 0.5}
    assert chances(record(1, out={"small": "down"}), learning=learning) == {"large": 1.0}
    assert chances(record(1, identity="another/"), learning=learning) == {"large": 1.0}
    weighted = {"name": "weighted", "weights": {"quality": 1}}
    assert len(chances(record(1), learning=learning, policy=weighted)) == 1


class Draws:
    """A plugin's policy that draws and does not say among what."""

    name = "draws"

    def choose(self, slate: Any) -> Choice:
        return Choice([0.0] * len(slate.cards), "drawn", "drawn", propensity=0.5)

    @hookimpl
    def taskrouter_selectors(self) -> Any:
        return {"draws": lambda config: self}


def test_a_policy_that_hides_what_it_draws_among_cannot_be_replayed() -> None:
    policy = NewPolicy(RouterConfig.load(config(policy="draws")), plugins=[Draws()])
    with pytest.raises(ConfigurationError, match="draws among plans and does not say which"):
        policy.chances(Record.model_validate(record(1)))


TEXTS = (
    "Translate this into French: good morning.",
    "Write a function that sorts a list.",
    "What is 17 * 23?",
    "Hello",
)


@given(
    text=st.sampled_from(TEXTS),
    agent=st.sampled_from([None, "clerk", "planner 17"]),
    policy=st.sampled_from(["safe", "balanced", "economy"]),
    tools=st.booleans(),
)
def test_what_is_replayed_from_its_record_is_what_was_decided(
    text: str, agent: str | None, policy: str, tools: bool
) -> None:
    """With the same configuration, for steps that were answered under normal conditions."""
    offered = [{"type": "function", "function": {"name": "search", "parameters": {"type": "object"}}}] if tools else []
    pool = [{"id": id_} for id_ in ("gpt-4o", "gpt-4o-mini", "gpt-4.1-nano")]
    settings = {
        "router": {"incumbent": "gpt-4o"},
        "models": pool,
        "policy": policy,
        "profiling": {"classifier": "rules"},
    }
    with Router.from_config(settings) as router:
        step = Step(messages=[{"role": "user", "content": text}], tools=offered, context=StepContext(agent=agent))
        done = router.run(step, lambda _: ANSWER, lambda native: native)
        (kept,) = router.ledger.records()
    policy_again = NewPolicy(RouterConfig.load(settings))
    assert policy_again.chances(kept) == {str(done.decision.plan): 1.0}


# --- the command ------------------------------------------------------------------------------------------------------


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., Result]:
    app = typer.Typer()
    app.callback()(lambda: None)
    command.register(app)
    small = policy_file(tmp_path, {"clerk/": {"small": 1.0}, "planner/": {"large": 1.0}})
    (tmp_path / "new.toml").write_text(
        f"""
[router]
incumbent = "large"
[profiling]
classifier = "rules"
[learning]
policy = "{small}"
[state]
url = "sqlite:///{tmp_path}/untouched.db"
[[models]]
id = "small"
model = "house/small"
input_usd_per_million = 1
output_usd_per_million = 1
[[models]]
id = "large"
model = "house/large"
input_usd_per_million = 10
output_usd_per_million = 10
""",
        encoding="utf-8",
    )
    return lambda *args: CliRunner().invoke(app, ["replay", *map(str, args), "--config", str(tmp_path / "new.toml")])


def test_the_command_prints_one_document(run: Callable[..., Result], ledger: str, tmp_path: Path) -> None:
    result = run(ledger, "--json")
    assert result.exit_code == 0, result.output
    document = json.loads(result.stdout)
    assert document["decisions"] == document["labelled"] == 400
    assert document["score"]["dr"]["low"] < document["score"]["dr"]["mean"] < document["score"]["dr"]["high"]
    assert document["cost_usd"]["snips"]["mean"] > 0
    assert document["unsupported"] == []
    assert not (tmp_path / "untouched.db").exists()


def test_the_command_shows_the_logged_policy_beside_the_new_one(run: Callable[..., Result], ledger: str) -> None:
    result = run(ledger)
    assert result.exit_code == 0, result.output
    for word in ("logged", "SNIPS", "DR", "IPS", "score", "USD/1k", "worth", "400 decisions"):
        assert word in result.stdout


def test_the_command_reports_what_it_skipped(run: Callable[..., Result], tmp_path: Path) -> None:
    labels = [{"score": 1}, {"score": 0}]
    good = [record(n, identity="planner/", labels=labels) for n in range(1, 41)]
    result = run(file_of(tmp_path, *good, record(99, v=3), {"decision_id": "dec_ffffffffffffffff", "score": 1}))
    assert result.exit_code == 0, result.output
    assert "skipped 1 records of another schema version than 1" in result.stderr
    assert "skipped 1 labels of decisions that are not in the ledger" in result.stderr
    assert "40 decisions have labels that contradict each other" in result.stderr
    assert "USD/1k" in result.stdout


def test_the_command_says_what_it_cannot_tell(run: Callable[..., Result], tmp_path: Path) -> None:
    silent = [record(n, identity="planner/", outcome={"model": "large"}) for n in range(1, 41)]
    result = run(file_of(tmp_path, *silent))
    assert result.exit_code == 0, result.output
    assert "nothing can be said of the score" in result.stderr
    assert "nothing can be said of the cost" in result.stderr
    assert [line.split()[-2:] for line in result.stdout.splitlines() if line.startswith("new,")] == [["-", "-"]] * 3


def test_another_policy_can_be_named(run: Callable[..., Result], ledger: str) -> None:
    result = run(ledger, "--policy", "economy", "--json")
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["policy"] == "economy"


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["missing.jsonl"], 2, "missing.jsonl: cannot be read"),
        (["sqlite:///missing.db"], 2, "there is no state file missing.db"),
        (["LEDGER", "--policy", "nonsense"], 2, "nonsense"),
        (["LEDGER", "--min-ess", "1000"], 1, "are worth"),
    ],
    ids=str,
)
def test_a_refusal_is_one_line(
    run: Callable[..., Result], ledger: str, tmp_path: Path, arguments: list[str], code: int, said: str
) -> None:
    given_ = [ledger if argument == "LEDGER" else argument for argument in arguments]
    done = subprocess.run(
        [sys.executable, "-c", "from taskrouter.cli.app import main; main()", "replay", *given_, "-c", "new.toml"],
        cwd=tmp_path,
        env={**os.environ, "COLUMNS": "80"},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == code, done.stderr
    assert done.stdout == ""
    assert said in done.stderr
    assert done.stderr.count("\n") == 1
