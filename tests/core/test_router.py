"""The router from the outside: construction, decisions, rules, bad input."""

from __future__ import annotations

import re
import uuid
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskrouter import (
    ConfigurationError,
    Decision,
    InvalidStepError,
    ModelCard,
    NoEligibleModelError,
    PluginError,
    Router,
    Step,
    StepContext,
    hookimpl,
)
from taskrouter.profile import TASK_TYPES

USER = [{"role": "user", "content": "Write a Python function that reverses a string."}]
TOOL = {"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}}


def card(
    name: str,
    price: float | None = 1.0,
    quality: float | None = None,
    quality_by_task: dict[str, float] | None = None,
    **fields: object,
) -> ModelCard:
    data: dict[str, object] = {"id": name, "model": f"house/{name}", "context_tokens": 100_000, **fields}
    if price is not None:
        data |= {"input_usd_per_million": price, "output_usd_per_million": price * 4}
    if quality is not None:
        quality_by_task = dict.fromkeys(TASK_TYPES, quality)
    if quality_by_task is not None:
        data["quality"] = {t: {"mean": mean, "source": "our own test"} for t, mean in quality_by_task.items()}
    return ModelCard.model_validate(data)


def pool() -> list[ModelCard]:
    return [card("small", 0.1, 0.70), card("medium", 1.0, 0.895), card("large", 10.0, 0.90)]


def step(**fields: object) -> Step:
    return Step(messages=USER, **fields)  # type: ignore[arg-type]


def test_safe_keeps_every_step_with_the_incumbent() -> None:
    decision = Router(pool(), incumbent="large").route(step())
    assert decision.model == "large"
    assert decision.reason == "incumbent"
    assert decision.propensity == 1.0


def test_balanced_takes_the_cheapest_model_within_the_accepted_loss() -> None:
    decision = Router(pool(), incumbent="large", policy="balanced").route(step(task_type="code_generation"))
    assert decision.model == "medium"
    assert decision.reason == "cheaper_within_loss"
    assert decision.fallbacks[0] == "large"


def test_balanced_stays_with_the_incumbent_on_an_unknown_task() -> None:
    decision = Router(pool(), incumbent="large", policy="balanced").route(
        Step(messages=[{"role": "user", "content": "zxqv"}])
    )
    assert decision.profile.task_type == "unknown"
    assert (decision.model, decision.reason) == ("large", "incumbent_unknown_task")


def test_balanced_stays_with_the_incumbent_where_no_figure_is_cited() -> None:
    models = [card("small", 0.1), card("large", 10.0)]
    decision = Router(models, incumbent="large", policy="balanced").route(step(task_type="planning"))
    assert (decision.model, decision.reason) == ("large", "incumbent_no_evidence")


def test_balanced_keeps_demanding_steps_with_the_incumbent() -> None:
    router = Router(pool(), incumbent="large", policy={"name": "balanced", "demanding": 0.0})
    assert router.route(step(task_type="planning")).reason == "incumbent_demanding"


def test_balanced_does_not_take_one_good_benchmark_for_quality() -> None:
    figures = {"planning": 0.92, "general": 0.70}
    lucky = card("lucky", 0.1, quality_by_task=figures)
    models = [lucky, card("large", 10.0, quality_by_task={"planning": 0.90, "general": 0.88})]
    decision = Router(models, incumbent="large", policy="balanced").route(step(task_type="planning"))
    assert (decision.model, decision.reason) == ("large", "incumbent_no_cheaper")


def test_economy_takes_the_cheapest_model_above_the_floor() -> None:
    router = Router(pool(), incumbent="large", policy={"name": "economy", "quality_floor": 0.6})
    decision = router.route(step(task_type="planning"))
    assert (decision.model, decision.reason) == ("small", "cheapest_above_floor")


def test_weights_find_the_best_weighted_sum_and_show_its_parts() -> None:
    router = Router(pool(), incumbent="large", policy={"cost": 1.0})
    decision = router.route(step(task_type="planning"))
    assert decision.model == "small"
    assert {part.name for part in decision.ranking[0].parts} == {"quality", "cost", "latency", "carbon"}
    assert Router(pool(), incumbent="large", policy={"quality": 1.0}).route(step(task_type="chat")).model == "large"


def test_a_model_of_unknown_price_is_never_chosen_to_save() -> None:
    models = [card("mystery", None, 0.95), card("large", 10.0, 0.90)]
    for policy in ("balanced", "economy"):
        decision = Router(models, incumbent="large", policy=policy).route(step(task_type="planning"))
        assert decision.model == "large"
    row = next(r for r in decision.ranking if r.model == "mystery")
    assert row.cost_usd is None


def test_a_model_that_cannot_take_the_step_is_rejected_with_its_reason() -> None:
    models = [
        card("deaf", capabilities={"tools": False}),
        card("unknown"),
        card("able", capabilities={"tools": True}),
    ]
    decision = Router(models, incumbent="deaf").route(step(tools=[TOOL]))
    assert (decision.model, decision.reason) == ("able", "only_eligible")
    assert {(r.model, r.code) for r in decision.rejected} == {("deaf", "tools"), ("unknown", "tools")}
    assert "capabilities.tools" in next(r.detail for r in decision.rejected if r.model == "unknown")
    also_able = card("also able", capabilities={"tools": True})
    several = Router([*models, also_able], incumbent="deaf").route(step(tools=[TOOL]))
    assert several.reason == "incumbent_ineligible"


def test_a_model_that_the_call_names_is_the_only_one() -> None:
    decision = Router([card("small"), card("large")], incumbent="large").route(step(), use=["small"])
    assert (decision.model, decision.reason) == ("small", "only_eligible")


def test_a_prompt_longer_than_every_window_is_refused_before_any_call() -> None:
    with pytest.raises(NoEligibleModelError) as caught:
        Router(pool(), incumbent="large").route(Step(messages=[{"role": "user", "content": "word " * 1_000_000}]))
    assert {r.code for r in caught.value.rejections} == {"context_window"}
    assert "1,250,000" in str(caught.value)


def test_images_need_a_model_that_sees() -> None:
    content = [{"type": "text", "text": "what is this?"}, {"type": "image_url", "image_url": {"url": "data:,"}}]
    models = [card("blind", capabilities={"vision": False}), card("seeing", capabilities={"vision": True})]
    decision = Router(models, incumbent="blind").route(Step(messages=[{"role": "user", "content": content}]))
    assert decision.model == "seeing"


def test_rules_declare_tighten_and_change_the_policy() -> None:
    rules = [
        {"name": "planner", "when": {"node": "plan*"}, "task_type": "planning", "policy": "economy"},
        {"name": "europe", "when": {"tags": ["eu"]}, "regions": ["eu"]},
    ]
    models = [card("small", 0.1, 0.8), card("home", 5.0, 0.8, regions=["eu"]), card("large", 10.0, 0.9)]
    router = Router(models, incumbent="large", rules=rules)
    planned = router.route(step(context=StepContext(node="planner")))
    assert (planned.profile.task_type, planned.model, planned.rule) == ("planning", "small", "planner")
    pinned = router.route(step(context=StepContext(node="planner", tags={"eu"})))  # type: ignore[arg-type]
    assert pinned.model == "home"
    assert pinned.fallbacks == ()
    assert router.route(step()).rule is None


def test_two_rules_together_allow_only_what_both_allow() -> None:
    rules = [{"name": "a", "use": ["small", "medium"]}, {"name": "b", "use": ["medium", "large"]}]
    decision = Router(pool(), incumbent="large", rules=rules).route(step())
    assert [row.model for row in decision.ranking] == ["medium"]


def test_a_rule_may_limit_the_price_of_a_step() -> None:
    models = [card("mystery", None), *pool()]
    router = Router(models, incumbent="large", rules=[{"name": "cheap", "max_cost_usd": 0.001}])
    decision = router.route(step(task_type="code_generation"))
    assert decision.model == "small"
    assert {(r.model, r.code) for r in decision.rejected} == {(m, "max_cost") for m in ("mystery", "medium", "large")}


def test_the_caller_may_allow_some_models_only() -> None:
    assert Router(pool(), incumbent="large").route(step(), use=["small"]).model == "small"
    with pytest.raises(ConfigurationError, match="use: unknown model 'smal'"):
        Router(pool(), incumbent="large").route(step(), use=["smal"])


def test_a_decision_explains_itself_in_words_and_in_json() -> None:
    decision = Router(pool(), incumbent="large", policy="balanced").route(step(task_type="planning"))
    text = decision.explain()
    for expected in ("medium", "within 2 points", "our own test", "incumbent large", "ranking"):
        assert expected in text
    document = decision.to_dict()
    assert document["model"] == "medium"
    assert [row["model"] for row in document["ranking"]] == ["medium", "large", "small"]
    assert "Python function" not in text + str(document)


def test_reprs_hold_no_content() -> None:
    secret = Step(messages=[{"role": "user", "content": "my secret"}])
    assert "my secret" not in repr(secret)
    assert "my secret" not in repr(Router(pool(), incumbent="large").route(secret))


@given(
    st.lists(st.tuples(st.floats(0.01, 50), st.floats(0, 1)), min_size=1, max_size=8),
    st.sampled_from(["safe", "balanced", "economy", {"quality": 1, "cost": 1}, {"latency": 1}]),
    st.sampled_from([*TASK_TYPES, None]),
    st.data(),
)
def test_every_policy_ranks_exactly_the_eligible_models_and_falls_back_to_the_incumbent(
    facts: list[tuple[float, float]], policy: object, task: str | None, data: st.DataObject
) -> None:
    models = [card(f"m{i}", price, quality) for i, (price, quality) in enumerate(facts)]
    incumbent = data.draw(st.sampled_from([m.id for m in models]))
    decision: Decision = Router(models, incumbent=incumbent, policy=policy).route(step(task_type=task))  # type: ignore[arg-type]
    ranked = [row.model for row in decision.ranking]
    assert sorted(ranked) == sorted(m.id for m in models)
    assert ranked[0] == decision.model
    assert sorted([decision.model, *decision.fallbacks]) == sorted(ranked)
    if decision.model != incumbent:
        assert decision.fallbacks[0] == incumbent
    scores = [row.score for row in decision.ranking]
    assert scores == sorted(scores, reverse=True)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"models": [], "incumbent": "x"}, "no model to route to"),
        ({"models": pool()}, "incumbent is missing.*small, medium, large"),
        ({"models": pool(), "incumbent": "lage"}, "did you mean 'large'"),
        ({"models": [card("a"), card("a")], "incumbent": "a"}, r"models\[1\].id: 'a' is taken twice"),
        ({"models": ["openai/gpt-4o-mni"], "incumbent": None}, r"not in the catalogue \(did you mean"),
        ({"models": [{"id": "a", "api_key": "sk-123"}]}, "env:NAME"),
        ({"models": [{"id": "a", "input_usd_per_milion": 1}]}, "did you mean 'input_usd_per_million'"),
        ({"models": [{"id": "a", "input_usd_per_million": -1}]}, "greater than or equal to 0"),
        ({"models": [3]}, r"models\[0\] is a int"),
        ({"models": "gpt-4o"}, "a list of models"),
        ({"models": pool(), "incumbent": "large", "policy": "cheapest"}, "unknown name 'cheapest'; known: balanced"),
        ({"models": pool(), "incumbent": "large", "policy": {"quality": 0}}, "at least one weight above zero"),
        ({"models": pool(), "incumbent": "large", "policy": {"name": "safe", "max_los": 1}}, "did you mean 'max_loss'"),
        ({"models": pool(), "incumbent": "large", "rules": [{"name": "r", "use": ["x"]}]}, r"rules\[0\] \('r'\).use"),
        ({"models": pool(), "incumbent": "large", "rules": [{"name": "r", "task_type": "plan"}]}, "unknown task type"),
        ({"models": [{"id": "a", "base_url": "http://x", "backend": "carrier"}]}, "unknown backend 'carrier'; known"),
        ({"models": pool(), "incumbent": "large", "config": {"profiling": {"classifier": "x"}}}, "known: ngrams,"),
        ({"models": pool(), "incumbent": 3}, "incumbent: unknown model 3; the pool has small, medium, large"),
        ({"models": pool(), "incumbent": ["large"]}, r"incumbent: unknown model \['large'\]"),
        ({"models": pool(), "incumbent": "large", "rules": 3}, "rules must be a list of rules, not 3"),
        ({"models": pool(), "incumbent": "large", "rules": {"name": "r"}}, "rules must be a list of rules"),
        ({"models": pool(), "incumbent": "large", "rules": ["r"]}, r"rules\[0\]: must be a table"),
        ({"models": pool(), "incumbent": "large", "rules": [{"name": "r", "avoid": ["lage"]}]}, "mean 'large'"),
        (
            {"models": pool(), "incumbent": "large", "rules": [{"name": "r", "policy": "balancd"}]},
            r"rules\[0\] \('r'\).policy: unknown name 'balancd'; known: .*; did you mean 'balanced'\?",
        ),
        ({"models": pool(), "incumbent": "large", "plugins": None}, "plugins must be a list of plugin objects"),
        ({"models": [{"id": "a", "quality": {"chat": {"mean": float("nan"), "source": "x"}}}]}, "finite"),
        ({"models": [{"id": "a", "first_token_s": float("inf")}]}, "finite"),
    ],
)
def test_a_wrong_construction_is_one_error_that_names_the_key(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        Router(**arguments)  # type: ignore[arg-type]
    assert re.search(message, str(caught.value)), str(caught.value)
    assert "sk-123" not in str(caught.value)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"messages": []}, "at least one message"),
        ({"messages": "hello"}, "a list of messages"),
        ({"messages": [{"content": "x"}]}, r"messages\[0\] is no message"),
        ({"messages": [{"role": "boss", "content": "x"}]}, "role 'boss'"),
        ({"messages": [{"role": "user", "content": 3}]}, r"messages\[0\]\['content'\] is a int"),
        ({"messages": [{"role": "user", "content": [3]}]}, r"\['content'\]\[0\] is a int"),
        ({"messages": [{"role": "assistant", "content": "", "tool_calls": [3]}]}, "tool_calls"),
        ({"messages": USER, "tools": [{"name": "f"}]}, r"tools\[0\] is no tool"),
        ({"messages": USER, "tools": [{"function": {"name": "f", "parameters": "x"}}]}, "'f'.*'parameters' is a str"),
        ({"messages": USER, "task_type": "plannning"}, "planning"),
        ({"messages": USER, "task_type": 3}, "task_type is a int"),
        ({"messages": [{"role": ["user"], "content": "x"}]}, r"messages\[0\]\['role'\] is a list; it must be text"),
        ({"messages": [{"role": "user", "content": b"x"}]}, r"\['content'\] is a bytes; it must be text"),
        ({"messages": USER, "tools": 3}, "Step.tools is a int; it must be a list of tools"),
        ({"messages": USER, "tools": (tool for tool in [TOOL])}, "Step.tools is a generator"),
        ({"messages": USER, "tools": {"f": TOOL}}, "Step.tools is a dict"),
        ({"messages": USER, "tools": [{"function": {"name": ""}}]}, r"tools\[0\] is no tool"),
        ({"messages": USER, "tools": [{"function": {"name": "f", "description": 3}}]}, "'description' is a int"),
        ({"messages": USER, "context": {"agent": "a"}}, "Step.context is a dict; pass a StepContext"),
    ],
)
def test_a_wrong_step_is_one_error_that_says_where(fields: dict[str, object], message: str) -> None:
    with pytest.raises(InvalidStepError) as caught:
        Router(pool(), incumbent="large").route(Step(**fields))  # type: ignore[arg-type]
    assert re.search(message, str(caught.value)), str(caught.value)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"run_id": uuid.UUID(int=1)}, r"StepContext.run_id is a UUID; it must be text or None: pass str\(run_id\)"),
        ({"agent": 3}, "StepContext.agent is a int"),
        ({"node": b"n"}, "StepContext.node is a bytes"),
        ({"session_id": []}, "StepContext.session_id is a list"),
        ({"tenant": object()}, "StepContext.tenant is a object"),
        ({"index": "0"}, "StepContext.index is a str; it must be a number or None"),
        ({"tags": "eu"}, "StepContext.tags is a collection of strings, not the string 'eu'"),
        ({"tags": 3}, "StepContext.tags is a int; it must be a collection of strings"),
        ({"tags": [[]]}, "StepContext.tags holds a list; a tag is text"),
        ({"tags": frozenset({3})}, "StepContext.tags holds a int; a tag is text"),
    ],
)
def test_a_wrong_context_is_one_error_that_names_the_field(fields: dict[str, object], message: str) -> None:
    with pytest.raises(InvalidStepError, match=message):
        StepContext(**fields)  # type: ignore[arg-type]


def test_none_is_taken_for_no_tools_and_no_tags() -> None:
    bare = step(tools=None, context=StepContext(tags=None))  # type: ignore[arg-type]
    assert (bare.tools, bare.context.tags) == ((), frozenset())
    assert bare == step()


@pytest.mark.parametrize("given", ["hi", {"messages": USER}, None, USER])
def test_what_is_no_step_is_told_to_be_one(given: object) -> None:
    router = Router(pool(), incumbent="large")
    decision = router.route(step())
    for ask in (
        lambda: router.route(given),  # type: ignore[arg-type]
        lambda: router.complete(given),  # type: ignore[arg-type]
        lambda: router.run(given, str, decision=decision),  # type: ignore[arg-type]
    ):
        with pytest.raises(InvalidStepError, match=r"is no step: pass Step\(messages="):
            ask()


def test_a_decision_about_models_of_another_pool_is_refused() -> None:
    foreign = Router([card("abroad")]).route(step())
    router = Router(pool(), incumbent="large")
    with pytest.raises(ConfigurationError, match="decision: unknown model 'abroad'; the pool has small, medium, large"):
        router.run(step(), str, decision=foreign)
    with pytest.raises(ConfigurationError, match="decision is a str; pass what `route` returned"):
        router.complete(step(), decision="large")  # type: ignore[arg-type]


def test_a_decision_of_an_equal_pool_is_taken() -> None:
    decision = Router(pool(), incumbent="large").route(step())
    assert Router(pool(), incumbent="small").run(step(), str, decision=decision).text == "large"


@pytest.mark.parametrize(
    ("use", "message"),
    [
        ("small", "use must be a list of model ids, not 'small'"),
        (3, "use must be a list of model ids, not 3"),
        ([3], "use: unknown model 3"),
        ([["small"]], r"use: unknown model \['small'\]"),
        (["smal"], "did you mean 'small'"),
    ],
)
def test_a_wrong_list_of_allowed_models_is_refused(use: object, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        Router(pool(), incumbent="large").route(step(), use=use)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ('[router]\nincumbent = "lage"', "incumbent: unknown model 'lage'"),
        ('[policy]\nname = "cheapest"', "policy: unknown name 'cheapest'"),
        ('[[rules]]\nname = "r"\nuse = ["x"]', r"rules\[0\] \('r'\).use: unknown model 'x'"),
        ('[[rules]]\nname = "r"\npolicy = "x"', r"rules\[0\] \('r'\).policy: unknown name 'x'"),
    ],
)
def test_what_is_wrong_between_the_lines_of_a_file_is_said_of_the_file(
    tmp_path: Path, lines: str, message: str
) -> None:
    file = tmp_path / "taskrouter.toml"
    file.write_text(f'{lines}\n[[models]]\nid = "large"\nmodel = "openai/gpt-4o"\n', encoding="utf-8")
    with pytest.raises(ConfigurationError, match=rf"taskrouter.toml: {message}"):
        Router.from_config(file)


def test_a_tool_schema_that_is_no_schema_is_found_before_the_provider_finds_it() -> None:
    tool = {"type": "function", "function": {"name": "f", "parameters": {"type": "objekt"}}}
    router = Router(pool(), incumbent="large")
    with pytest.raises(InvalidStepError, match=r"tools\[0\] \('f'\): 'parameters' is no JSON Schema: at type"):
        router.route(step(tools=[tool]))
    with pytest.raises(InvalidStepError, match="response_schema is no JSON Schema"):
        router.route(step(response_schema={"properties": 3}))


def test_a_misspelt_hook_fails_when_the_router_is_built() -> None:
    class Plugin:
        @hookimpl
        def taskrouter_decide(self) -> None:
            """Misspelt."""

    with pytest.raises(PluginError, match="taskrouter_decided"):
        Router(pool(), incumbent="large", plugins=[Plugin()])


def test_a_plugin_may_bring_a_policy_and_watch_decisions(caplog: pytest.LogCaptureFixture) -> None:
    seen: list[str] = []

    class Cheapest:
        name = "cheapest"

        def choose(self, slate):
            from taskrouter.ports import Choice

            return Choice([-(cost or 0.0) for cost in slate.costs], "cheapest", "it is the cheapest")

    class Plugin:
        @hookimpl
        def taskrouter_selectors(self):
            return {"cheapest": lambda config: Cheapest()}

        @hookimpl
        def taskrouter_decided(self, decision):
            seen.append(decision.model)
            raise RuntimeError("an observer's own trouble")

    router = Router(pool(), incumbent="large", policy="cheapest", plugins=[Plugin()])
    assert router.route(step()).model == "small"
    assert seen == ["small"]
    assert "a plugin failed" in caplog.text


def test_two_plugins_may_not_offer_the_same_name() -> None:
    class Plugin:
        @hookimpl
        def taskrouter_selectors(self):
            return {"safe": lambda config: None}

    with pytest.raises(PluginError, match="two plugins offer a policy named 'safe'"):
        Router(pool(), incumbent="large", plugins=[Plugin()])


def test_a_fault_deep_inside_a_tool_schema_is_left_to_the_provider(caplog: pytest.LogCaptureFixture) -> None:
    parameters = {"type": "object", "properties": {"x": {"type": "any"}}}
    router = Router([card("able", capabilities={"tools": True})])
    for _ in range(2):
        step_with_tool = step(tools=[{"type": "function", "function": {"name": "f", "parameters": parameters}}])
        assert router.route(step_with_tool).model == "able"
    assert [record.getMessage().split(":")[0] for record in caplog.records] == ["Step.tools[0] ('f')"]


@pytest.mark.parametrize("own", [None, ["eu", "us"], ["us"]])
def test_a_model_is_served_where_its_deployments_are(own: list[str] | None) -> None:
    model = {"id": "a", "base_url": "http://localhost:1/v1", "deployments": [{"name": "eu", "region": "eu"}]}
    router = Router([model | ({"regions": own} if own else {})], rules=[{"name": "here", "regions": ["eu"]}])
    outcome = router.run(step(), lambda name: "hello")
    assert outcome.attempts[0].endpoint_id == "a@eu"
    abroad = Router([model | ({"regions": own} if own else {})], rules=[{"name": "there", "regions": ["us"]}])
    with pytest.raises(NoEligibleModelError, match="must be served in us; it is served in eu"):
        abroad.route(step())


def test_a_chain_of_a_single_step_may_name_known_models_only() -> None:
    router = Router(pool(), incumbent="large")
    with pytest.raises(ConfigurationError, match=r"policy.escalation: unknown model 'largest'.*did you mean 'large'"):
        router.route(step(), policy={"name": "safe", "escalation": ["largest"]})


@pytest.mark.parametrize("timeout_s", [0, -1.0, float("nan"), float("inf"), "10", None])
def test_warming_needs_a_time_limit(timeout_s: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"warm\(timeout_s=.*\): it must be a number of seconds above zero"):
        Router(pool(), incumbent="large").warm(timeout_s=timeout_s)
