"""A learned policy in a file: written whole, read with care, and used by a router as far as its pool allows."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import pytest
from tests.core.learning.certified import certificate_of, policy_of

from taskrouter import ResponseView, Router, Step, StepContext
from taskrouter.decision import Plan
from taskrouter.errors import ConfigurationError
from taskrouter.learning import Identity, Labelled, LearnedPolicy, Scored
from taskrouter.learning.files import read_policy, write_policy
from taskrouter.learning.learner import Lesson
from taskrouter.learning.standing import EVERY, FEWEST_SEEN, WINDOW, Standing

MODELS = [
    {"id": name, "model": f"openai/{name}", "input_usd_per_million": 1.0, "output_usd_per_million": 4.0}
    for name in ("big", "small")
]
POLICY = policy_of({"/greet": "small", "/prove": "big"})
LINE = "at most 1.0 % harm at confidence 0.90 (n=412, 2026-11-29)"
HELLO = ResponseView(text="hello", finish_reason="stop")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "policy.json"
    write_policy(path, POLICY, certificate_of(POLICY))
    return path


def step_of(node: str) -> Step:
    return Step(messages=[{"role": "user", "content": "Say hello."}], context=StepContext(node=node), task_type="chat")


def router(policy: Path, **changes: Any) -> Router:
    config = {"router": {"incumbent": "big"}, "models": MODELS, "learning": {"policy": str(policy)}}
    return Router.from_config({**config, **changes})


def answer(routed: Router, node: str) -> None:
    routed.run(step_of(node), lambda _: HELLO, lambda native: native)


# --- the file -------------------------------------------------------------------------------------------------------


def test_what_is_written_is_read_again(file):
    policy, certificate = read_policy(file)
    assert policy.to_dict() == POLICY.to_dict()
    assert certificate == certificate_of(POLICY)
    assert json.loads(file.read_text())["schema"] == 1
    assert [path.name for path in file.parent.iterdir()] == ["policy.json"]


def test_a_policy_may_have_no_certificate(file):
    write_policy(file, POLICY, None)
    assert read_policy(file).certificate is None


def test_a_file_that_cannot_be_written_leaves_the_old_one(file, monkeypatch):
    before = file.read_bytes()
    monkeypatch.setattr(LearnedPolicy, "to_dict", lambda _: {"loss": float("nan")})
    with pytest.raises(ValueError, match="JSON compliant"):
        write_policy(file, POLICY, None)
    assert file.read_bytes() == before
    assert [path.name for path in file.parent.iterdir()] == ["policy.json"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "not a JSON document"),
        ('{"schema": 1, "policy": {', "not a JSON document"),
        ("[]", "must be a table"),
        ("[" * 100_000, "nested too deeply"),
        ('{"schema": 2, "policy": {}, "certificate": null}', "'schema'"),
        ('{"schema": 1, "certificate": null}', "'policy': is missing"),
        ('{"schema": 1, "policy": {"schema": 1}, "certificate": null}', "policy: 'incumbent': is missing"),
        ('{"schema": 1, "policy": {}, "certificate": null, "more": 1}', "unknown key 'more'"),
    ],
    ids=["empty", "cut off", "a list", "deep", "another version", "no policy", "half a policy", "an unknown key"],
)
def test_a_damaged_file_is_refused_by_its_name(file, text, said):
    file.write_text(text)
    with pytest.raises(ConfigurationError, match=said) as caught:
        read_policy(file)
    assert str(file) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_damaged_certificate_is_refused_by_file_and_field(file):
    document = json.loads(file.read_text())
    document["certificate"]["bound"] = 2
    file.write_text(json.dumps(document))
    with pytest.raises(ConfigurationError, match=r"policy\.json: certificate: 'bound'"):
        router(file)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(ConfigurationError, match=r"nowhere\.json: cannot be read"):
        router(tmp_path / "nowhere.json")


def test_nothing_is_read_where_learning_is_off(tmp_path):
    with router(tmp_path / "nowhere.json", learning={"enabled": False, "policy": "nowhere.json"}) as routed:
        assert routed.route(step_of("greet")).model == "big"


def test_the_path_starts_at_the_configuration_s_file(file, tmp_path, monkeypatch):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    models = "".join(
        f'[[models]]\nid = "{m["id"]}"\nmodel = "{m["model"]}"\ninput_usd_per_million = 1\n' for m in MODELS
    )
    config = tmp_path / "taskrouter.toml"
    config.write_text(f'{models}[router]\nincumbent = "big"\n[learning]\npolicy = "policy.json"\n')
    monkeypatch.chdir(elsewhere)
    with Router.from_config(config) as routed:
        assert routed.route(step_of("greet")).model == "small"
    with pytest.raises(ConfigurationError, match=r"policy\.json: cannot be read"):
        router(Path("policy.json"))


# --- the router -----------------------------------------------------------------------------------------------------


def test_a_decision_that_follows_the_policy_shows_what_is_promised(file):
    with router(file) as routed:
        decision = routed.route(step_of("greet"))
        assert (decision.model, decision.reason) == ("small", "learned")
        assert decision.certificate == LINE
        assert f"promise   {LINE}" in decision.explain()
        assert decision.to_dict()["certificate"] == LINE
        assert routed.route(step_of("prove")).certificate == LINE


def test_a_decision_that_does_not_follow_it_promises_nothing(file):
    with router(file) as routed:
        for decision in (
            routed.route(step_of("unseen")),
            routed.route(step_of("greet"), policy={"quality": 1}),
            routed.route(step_of("greet"), use=["big"]),
        ):
            assert decision.certificate is None
            assert "promise" not in decision.explain()


def test_a_policy_without_a_certificate_is_followed_and_promises_nothing(file):
    write_policy(file, POLICY, None)
    with router(file) as routed:
        decision = routed.route(step_of("greet"))
        assert (decision.model, decision.certificate) == ("small", None)


def test_labels_do_not_change_a_given_policy_nor_its_promise(file):
    with router(file) as routed:
        plans = {name: Plan(models=(name,)) for name in ("big", "small")}
        scores = {"big": Scored(1.0, 0.01), "small": Scored(1.0, 0.001)}
        row = Labelled(identity=Identity("/greet", "chat"), scores=scores)
        routed._teaching.learner.adopt([Lesson(row, plans)] * 80)
        assert routed.route(step_of("greet")).certificate == LINE
        routed.learn()
        decision = routed.route(step_of("greet"))
        assert (decision.model, decision.reason, decision.certificate) == ("small", "learned", LINE)


def test_it_lapses_with_a_price_and_says_so_once(file, caplog):
    dear = [{**model, "output_usd_per_million": 5.2 if model["id"] == "small" else 4.0} for model in MODELS]
    with caplog.at_level(logging.WARNING, "taskrouter"), router(file, models=dear) as routed:
        decisions = [routed.route(step_of("greet")) for _ in range(3)]
        answer(routed, "greet")
    assert {decision.certificate for decision in decisions} == {"lapsed: prices of small changed by +30 %"}
    assert "lapsed: prices of small" in decisions[0].explain()
    assert [record.message for record in caplog.records if "lapsed" in record.message] == [
        "the certificate of the learned policy has lapsed: prices of small changed by +30 %; record anew and run "
        "`taskrouter tune`"
    ]


def test_identities_whose_models_are_gone_are_left_out_and_the_certificate_lapses(file, caplog):
    pool = [{**MODELS[0]}, {**MODELS[1], "id": "other", "model": "openai/other"}]
    with caplog.at_level(logging.WARNING, "taskrouter"), router(file, models=pool) as routed:
        assert routed.route(step_of("greet")).reason != "learned"
        decision = routed.route(step_of("prove"))
    assert (decision.model, decision.reason) == ("big", "learned")
    assert decision.certificate == "lapsed: small is no longer in the pool"
    assert any("small is not in the pool; 1 of 2 identities" in record.message for record in caplog.records)


def test_it_lapses_when_the_policy_was_changed_by_hand(file):
    document = json.loads(file.read_text())
    document["policy"]["identities"]["/prove"]["branches"][0]["plan"]["models"] = ["small"]
    file.write_text(json.dumps(document))
    with router(file) as routed:
        decision = routed.route(step_of("prove"))
        assert decision.certificate == "lapsed: the policy was changed after it was certified"


def test_it_lapses_when_the_router_s_work_is_of_other_kinds(file, caplog):
    with caplog.at_level(logging.WARNING, "taskrouter"), router(file) as routed:
        for _ in range(FEWEST_SEEN - 1):
            answer(routed, "greet")
        assert routed.route(step_of("greet")).certificate == LINE
        answer(routed, "greet")
        lapsed = "lapsed: 50 % of the last 200 steps are of other kinds than it was counted on"
        assert routed.route(step_of("greet")).certificate == lapsed
        answer(routed, "prove")
    assert sum("lapsed" in record.message for record in caplog.records) == 1


# --- the watch over the mix -----------------------------------------------------------------------------------------


def standing() -> Standing:
    return Standing(certificate_of(POLICY))


def test_work_of_the_same_mix_keeps_a_certificate_alive():
    watch = standing()
    for _ in range(2 * WINDOW):
        watch.note("/greet")
        watch.note("/prove")
    assert watch.lapsed is None
    assert watch.line == LINE


def test_only_the_latest_steps_count():
    watch = standing()
    for _ in range(WINDOW):
        watch.note("/greet")
        watch.note("/prove")
    for _ in range(WINDOW // 3):
        watch.note("/greet")
    assert watch.lapsed is None
    for _ in range(WINDOW // 3 + EVERY):
        watch.note("/greet")
    assert watch.lapsed is not None


def test_once_lapsed_it_stays_so():
    watch = standing()
    for _ in range(FEWEST_SEEN):
        watch.note("/elsewhere")
    reason = watch.lapsed
    assert reason is not None
    for _ in range(WINDOW):
        watch.note("/greet")
        watch.note("/prove")
    assert watch.lapsed == reason


def test_the_span_says_only_whether_a_promise_stands(file, exporter, provider):
    config = {"router": {"incumbent": "big"}, "models": MODELS, "learning": {"policy": str(file)}}
    with Router.from_config(config, tracer_provider=provider) as routed:
        answer(routed, "greet")
        answer(routed, "unseen")
    known = [
        span.attributes.get("taskrouter.decision.certificate")
        for span in exporter.get_finished_spans()
        if span.name.startswith("route ")
    ]
    assert sorted(map(str, known)) == ["None", "valid"]
