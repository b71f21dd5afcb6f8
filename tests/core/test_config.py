"""`taskrouter.toml`: what may stand in it, and that whatever is wrong is one error with its place."""

from __future__ import annotations

import copy
from contextlib import suppress
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskrouter import ConfigurationError, Router, RouterConfig, Step
from taskrouter.config import ModelConfig, PolicyConfig, Weights, validated

TOML = """
policy = "balanced"

[router]
incumbent = "large"
seed = 7

[[models]]
id = "small"
model = "openai/gpt-4o-mini"
params = { temperature = 0.2 }

[[models]]
id = "large"
base_url = "http://localhost:8000/v1"
api_key = "env:LARGE_KEY"
input_usd_per_million = 2.5
output_usd_per_million = 10
context_tokens = 128_000
regions = ["eu"]
capabilities = { tools = true }

[models.quality.planning]
mean = 0.9
source = "our own labels, 2026-10"

[[rules]]
name = "planner"
when = { node = "plan*", tags = ["beta"] }
task_type = "planning"
policy = { quality = 1, cost = 0.5 }

[[rules]]
name = "long legal texts"
when = { domain = "legal", language = "de", min_input_tokens = 1000, min_complexity = 0.2, max_complexity = 0.9 }
use = ["large"]
max_cost_usd = 0.5

[execution]
timeout_s = 20
retries = 0

[profiling]
confidence_floor = 0.6

[telemetry]
usage_owner = "framework"
"""

MAPPING: dict[str, Any] = {
    "policy": "balanced",
    "router": {"incumbent": "large", "seed": 7},
    "models": [
        {"id": "small", "model": "openai/gpt-4o-mini", "params": {"temperature": 0.2}},
        {
            "id": "large",
            "base_url": "http://localhost:8000/v1",
            "api_key": "env:LARGE_KEY",
            "input_usd_per_million": 2.5,
            "output_usd_per_million": 10,
            "context_tokens": 128_000,
            "regions": ["eu"],
            "capabilities": {"tools": True},
            "quality": {"planning": {"mean": 0.9, "source": "our own labels, 2026-10"}},
        },
    ],
    "rules": [
        {
            "name": "planner",
            "when": {"node": "plan*", "tags": ["beta"]},
            "task_type": "planning",
            "policy": {"quality": 1, "cost": 0.5},
        },
        {
            "name": "long legal texts",
            "when": {
                "domain": "legal",
                "language": "de",
                "min_input_tokens": 1000,
                "min_complexity": 0.2,
                "max_complexity": 0.9,
            },
            "use": ["large"],
            "max_cost_usd": 0.5,
        },
    ],
    "execution": {"timeout_s": 20, "retries": 0},
    "profiling": {"confidence_floor": 0.6},
    "telemetry": {"usage_owner": "framework"},
}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "taskrouter.toml"
    path.write_text(TOML, encoding="utf-8")
    return path


def edited(path: str, value: Any) -> dict[str, Any]:
    """Return the mapping with one value set: `models.1.tier` is the second model's tier."""
    document = copy.deepcopy(MAPPING)
    place: Any = document
    *parents, last = path.split(".")
    for part in parents:
        place = place[int(part)] if isinstance(place, list) else place.setdefault(part, {})
    place[last] = value
    return document


# --- what is right ------------------------------------------------------------------------------------------------


def test_a_file_a_path_as_text_and_a_mapping_say_the_same(file: Path) -> None:
    assert RouterConfig.load(file) == RouterConfig.load(str(file)) == RouterConfig.load(MAPPING)


def test_routers_from_file_and_mapping_decide_the_same(file: Path) -> None:
    step = Step(messages=[{"role": "user", "content": "Translate 'good morning' into French."}])
    routers = (
        Router.from_config(file),
        Router.from_config(str(file)),
        Router.from_config(MAPPING),
        Router(config=MAPPING),
    )
    first, *others = [{**router.route(step).to_dict(), "id": "", "duration_s": 0} for router in routers]
    assert all(other == first for other in others)


def test_loading_leaves_the_mapping_as_it_was() -> None:
    before = copy.deepcopy(MAPPING)
    RouterConfig.load(MAPPING)
    assert before == MAPPING


def test_a_byte_order_mark_is_no_part_of_the_text(file: Path) -> None:
    file.write_text(TOML, encoding="utf-8-sig")
    assert RouterConfig.load(file) == RouterConfig.load(MAPPING)


def test_an_empty_configuration_is_all_defaults() -> None:
    config = RouterConfig.load({})
    assert config == RouterConfig()
    assert config.policy.name == "safe"


def test_a_model_is_named_by_its_id_where_no_string_is_given() -> None:
    assert validated(ModelConfig, {"id": "openai/gpt-4o"}, where="x").model == "openai/gpt-4o"


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("economy", PolicyConfig(name="economy")),
        ({"name": "economy", "quality_floor": 0.6}, PolicyConfig(name="economy", quality_floor=0.6)),
        ({"quality": 1, "cost": 0.5}, PolicyConfig(name="weighted", weights=Weights(quality=1, cost=0.5))),
        ({"name": "weighted", "weights": {"cost": 1}}, PolicyConfig(name="weighted", weights=Weights(cost=1))),
        ({}, PolicyConfig()),
    ],
)
def test_a_policy_is_a_name_weights_or_a_table_wherever_it_stands(written: Any, meant: PolicyConfig) -> None:
    assert PolicyConfig.of(written) == meant
    assert RouterConfig.load({"policy": written}).policy == meant
    assert RouterConfig.load({"rules": [{"name": "r", "policy": written}]}).rules[0].policy == meant


def test_a_rule_given_twice_is_as_good_as_once() -> None:
    rule = MAPPING["rules"][0]
    router = Router.from_config({**MAPPING, "rules": [rule, rule]})
    assert router.route(Step(messages=[{"role": "user", "content": "hi"}])).model == "large"


def test_a_key_is_read_from_the_environment_when_it_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    model = RouterConfig.load(MAPPING).models[1]
    monkeypatch.delenv("LARGE_KEY", raising=False)
    with pytest.raises(ConfigurationError, match=r"model 'large': api_key refers to 'env:LARGE_KEY', but LARGE_KEY is"):
        model.secret()
    monkeypatch.setenv("LARGE_KEY", "sk-from-the-environment")
    assert model.secret() == "sk-from-the-environment"
    assert "sk-from-the-environment" not in repr(model) + model.model_dump_json()
    assert RouterConfig.load(MAPPING).models[0].secret() is None


# --- what is wrong ------------------------------------------------------------------------------------------------

WRONG: dict[str, tuple[str, Any, str]] = {
    "unknown section": ("polcy", {}, "unknown key 'polcy'; did you mean 'policy'?"),
    "unknown section, nothing near": (
        "zzz",
        1,
        "unknown key 'zzz'; known here: budget, execution, gates, health, learning, models, policy",
    ),
    "unknown key": ("router.incumbant", "a", "unknown key 'router.incumbant'; did you mean 'incumbent'?"),
    "unknown model key": ("models.1.contxt_tokens", 1, "'models[1].contxt_tokens'; did you mean 'context_tokens'?"),
    "unknown capability": ("models.1.capabilities.tool", True, "'models[1].capabilities.tool'; did you mean 'tools'?"),
    "unknown key of a figure": (
        "models.1.quality.planning.wieght",
        1,
        "'models[1].quality.planning.wieght'; did you mean 'weight'?",
    ),
    "unknown condition": ("rules.0.when.agnet", "x", "'rules[0].when.agnet'; did you mean 'agent'?"),
    "unknown policy key": ("policy", {"name": "safe", "max_los": 1}, "'policy.max_los'; did you mean 'max_loss'?"),
    "no id": ("models", [{"model": "x"}], "'models[0].id': is missing"),
    "no rule name": ("rules", [{"use": ["large"]}], "'rules[0].name': is missing"),
    "no source": ("models.1.quality.chat", {"mean": 0.5}, "'models[1].quality.chat.source': is missing"),
    "models no list": ("models", {"small": {}}, "'models': must be a list"),
    "model no table": ("models", ["openai/gpt-4o"], "'models[0]': must be a table"),
    "rule no table": ("rules", [3], "'rules[0]': must be a table"),
    "section no table": ("router", "large", "'router': must be a table"),
    "policy no policy": ("policy", ["safe"], "'policy': must be a table"),
    "text for a number": ("execution.timeout_s", "soon", "'execution.timeout_s': must be a valid number"),
    "text for a list": ("rules.1.use", "large", "'rules[1].use': must be a list"),
    "text for tags": ("rules.0.when.tags", "beta", "'rules[0].when.tags': must be a list"),
    "number for text": ("router.incumbent", 3, "'router.incumbent': must be text"),
    "word for a boolean": ("models.1.capabilities.tools", "maybe", "'models[1].capabilities.tools': must be true"),
    "price below zero": ("models.1.input_usd_per_million", -1, "must be greater than or equal to 0"),
    "price nan": ("models.1.input_usd_per_million", float("nan"), "must be a finite number"),
    "speed infinite": ("models.1.output_tokens_per_s", float("inf"), "must be a finite number"),
    "weight infinite": ("policy", {"quality": float("inf")}, "'policy.weights.quality': must be a finite number"),
    "limit infinite": ("rules.1.max_cost_usd", float("inf"), "must be a finite number"),
    "number too large": ("models.1.input_usd_per_million", 10**400, "must be a valid number"),
    "time without end": ("execution.timeout_s", float("inf"), "must be a finite number"),
    "time beyond a day": ("execution.timeout_s", 1e9, "must be less than or equal to 86400"),
    "retries": ("execution.retries", 10**20, "'execution.retries': must be less than or equal to 10"),
    "margin": ("router.margin", 0.5, "'router.margin': must be greater than or equal to 1"),
    "share above one": ("policy", {"name": "balanced", "max_loss": 2}, "must be less than or equal to 1"),
    "no weight": ("policy", {"quality": 0}, "give at least one weight above zero"),
    "weights with a name": ("policy", {"name": "safe", "cost": 1}, "'cost': weights stand alone, or in a table"),
    "weighted without weights": ("policy", "weighted", "name = 'weighted' and a table `weights` go together"),
    "a key in the file": ("models.1.api_key", "sk-verysecret", "write 'env:NAME'"),
    "a reference to nothing": ("models.1.api_key", "env:", "write 'env:NAME'"),
    "no address": ("models.1.base_url", "localhost:8000", "'localhost:8000' is no address; write it in full"),
    "empty id": ("models.0.id", "", "'models[0].id': '' is no usable name"),
    "control characters": ("models.0.id", "a\x1b[31m", r"'models[0].id': 'a\x1b[31m' is no usable name"),
    "empty rule name": ("rules.0.name", " ", "'rules[0].name': ' ' is no usable name"),
    "unknown task of a rule": ("rules.0.task_type", "plan", "unknown task type 'plan'; known: brainstorming"),
    "unknown task of a figure": (
        "models.1.quality",
        {"coding": {"mean": 1, "source": "x"}},
        "unknown task type 'coding'",
    ),
    "unknown domain": ("rules.1.when.domain", "leagl", "unknown domain 'leagl'; known: customer_support"),
    "unknown language": ("rules.1.when.language", "German", "'German' is no language code"),
    "no model left": ("rules.1.use", [], "'rules[1].use': must not be empty"),
    "no complexity left": ("rules.1.when.max_complexity", 0.1, "min_complexity 0.2 is above max_complexity 0.1"),
    "usage owner": ("telemetry.usage_owner", "me", "must be 'taskrouter' or 'framework'"),
}


@pytest.mark.parametrize(("path", "value", "message"), WRONG.values(), ids=WRONG)
def test_whatever_is_wrong_is_one_error_that_names_the_key(path: str, value: Any, message: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        RouterConfig.load(edited(path, value))
    text = str(caught.value)
    assert text.startswith("configuration: ")
    assert message in text
    assert "\n" not in text
    assert "verysecret" not in text


def test_several_mistakes_are_told_at_once() -> None:
    with pytest.raises(ConfigurationError) as caught:
        RouterConfig.load({"router": {"incumbant": "a"}, "execution": {"retries": -1}})
    assert "'router.incumbant'" in str(caught.value)
    assert "'execution.retries'" in str(caught.value)


@pytest.mark.parametrize(
    "when",
    [
        {"task_type": "chat"},
        {"domain": "legal"},
        {"language": "de"},
        {"min_complexity": 0.0},
        {"max_complexity": 0.5},
        {"min_input_tokens": 100},
    ],
    ids=lambda when: next(iter(when)),
)
@pytest.mark.parametrize("declared", [{"task_type": "planning"}, {"sensitivity": "internal"}])
def test_a_rule_that_declares_something_may_not_look_at_the_profile(
    declared: dict[str, str], when: dict[str, Any]
) -> None:
    with pytest.raises(ConfigurationError, match=r"'rules\[0\]': a rule that declares .* may only look at the step's"):
        RouterConfig.load({"rules": [{"name": "r", "when": when, **declared}]})
    RouterConfig.load({"rules": [{"name": "r", "when": when, "avoid": ["x"]}]})
    RouterConfig.load({"rules": [{"name": "r", "when": {"agent": "a", "tools": True}, **declared}]})


@pytest.mark.parametrize("source", [None, 3, b"x", [], object()])
def test_a_source_of_another_kind_is_refused(source: Any) -> None:
    with pytest.raises(ConfigurationError, match="a configuration is a path or a mapping, not a"):
        Router.from_config(source)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"[router\n", "not valid TOML: .*line 1"),
        (b"a = 1\na = 2\n", "not valid TOML: .*line 2"),
        (b"a = " + b"[" * 5000 + b"]" * 5000, "not valid TOML: it is nested too deeply"),
        ("[router]".encode("utf-16"), "cannot be read: it is not UTF-8 text"),
        (b'[router]\nincumbant = "a"\n', "unknown key 'router.incumbant'; did you mean 'incumbent'"),
    ],
)
def test_an_error_in_a_file_names_the_file(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "my pool.toml"
    path.write_bytes(content)
    with pytest.raises(ConfigurationError, match=message) as caught:
        RouterConfig.load(path)
    assert str(caught.value).startswith(f"{path}: ")


def test_a_file_that_cannot_be_opened_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"nowhere\.toml: cannot be read: No such file or directory"):
        RouterConfig.load(tmp_path / "nowhere.toml")
    with pytest.raises(ConfigurationError, match="cannot be read: Is a directory"):
        RouterConfig.load(tmp_path)
    with pytest.raises(ConfigurationError, match="cannot be read: the path is not valid"):
        RouterConfig.load("a\0b")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


@given(st.sampled_from([path for path, _, _ in WRONG.values()]), JSON)
def test_no_value_anywhere_raises_anything_else(path: str, value: Any) -> None:
    config = None
    with suppress(ConfigurationError):
        config = RouterConfig.load(edited(path, value))
    assert config is None or RouterConfig.load(config.model_dump(exclude_unset=True)) == config


# --- the schema for editors ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def schema() -> jsonschema.Draft202012Validator:
    document = RouterConfig.model_json_schema()
    jsonschema.Draft202012Validator.check_schema(document)
    return jsonschema.Draft202012Validator(document)


@pytest.mark.parametrize(
    "document",
    [
        MAPPING,
        {},
        {"policy": "safe"},
        {"policy": {"quality": 1, "cost": 0.5}},
        {"policy": {"name": "weighted", "weights": {"latency": 1}}},
        {"models": [{"id": "openai/gpt-4o"}]},
        {"rules": [{"name": "r", "policy": "economy"}]},
    ],
)
def test_the_schema_takes_what_the_router_takes(schema: jsonschema.Draft202012Validator, document: Any) -> None:
    RouterConfig.load(document)
    assert [error.message for error in schema.iter_errors(document)] == []


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("modles", []),
        ("models", {}),
        ("models.1.tier", "huge"),
        ("models.1.api_key", "sk-123"),
        ("models.1.input_usd_per_million", -1),
        ("policy", 3),
        ("policy", {"name": "safe", "max_los": 1}),
        ("rules.0.when.agnet", "x"),
        ("execution.retries", 11),
    ],
)
def test_the_schema_finds_what_the_router_refuses(
    schema: jsonschema.Draft202012Validator, path: str, value: Any
) -> None:
    document = edited(path, value)
    with pytest.raises(ConfigurationError):
        RouterConfig.load(document)
    assert not schema.is_valid(document)


def test_what_a_deployment_leaves_open_is_as_its_model_says() -> None:
    model = ModelConfig.model_validate(
        {
            "id": "a",
            "model": "house/a",
            "base_url": "http://one/v1",
            "regions": ["eu"],
            "deployments": [{"name": "x", "model": None, "base_url": None}, {"name": "y", "region": "us"}],
        }
    )
    here, there = (model.at(deployment) for deployment in model.deployments)
    assert (here.id, here.model, here.base_url, here.regions) == ("a@x", "house/a", "http://one/v1", frozenset({"eu"}))
    assert (there.id, there.regions) == ("a@y", frozenset({"us"}))
    assert model.served_in() == frozenset({"eu", "us"})
