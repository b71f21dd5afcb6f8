"""Building a routed model: what is taken, what is told to the router, and what is refused in one clear error."""

from __future__ import annotations

from typing import Any

import pytest
from langchain.chat_models import init_chat_model
from langchain_core.exceptions import ModelNotFoundError
from langchain_core.language_models.fake_chat_models import FakeListChatModel
from langchain_core.runnables import ConfigurableField
from langchain_openai import ChatOpenAI
from pydantic import SecretStr

from langchain_taskrouter import RoutedChatModel
from taskrouter import ConfigurationError, NoEligibleModelError, Router, Step
from taskrouter.simulator import RunningServer

from .conftest import QUESTION, ModelOf, Routed

MODELS: list[dict[str, Any]] = [{"id": name, "capabilities": {"tools": True}} for name in ("first", "second", "third")]


def test_candidates_may_be_a_list_named_by_their_models(model_of: ModelOf) -> None:
    model = RoutedChatModel([model_of("first"), model_of("second")], incumbent="second")
    assert list(model.router.models) == ["first", "second"]
    assert model.incumbent == "second"


def test_a_single_candidate_is_the_incumbent(model_of: ModelOf) -> None:
    assert RoutedChatModel({"only": model_of("first")}).invoke(QUESTION).text == "12 * 12 = 144"


def test_the_catalogue_knows_what_the_name_says() -> None:
    model = RoutedChatModel({"small": init_chat_model("gpt-4o-mini", model_provider="openai", api_key="any")})
    card = model.router.models["small"]
    assert card.model == "openai/gpt-4o-mini"
    assert card.priced
    assert card.capabilities.tools
    assert card.context_tokens


def test_facts_from_the_configuration_win(model_of: ModelOf) -> None:
    facts = {"id": "only", "input_usd_per_million": 2.5, "tags": ["private"]}
    card = RoutedChatModel({"only": model_of("first")}, config={"models": [facts]}).router.models["only"]
    assert (card.input_usd_per_million, card.model, card.tags) == (2.5, "openai/first", frozenset({"private"}))


def test_a_model_nobody_knows_has_no_price(model_of: ModelOf) -> None:
    model = RoutedChatModel({"only": model_of("first")})
    assert not model.router.models["only"].priced
    assert model.invoke(QUESTION).response_metadata["taskrouter"]["cost_usd"] is None


def test_a_model_without_tools_is_never_given_any(routed: Routed, model_of: ModelOf, weather: Any) -> None:
    model = routed(candidates={"first": FakeListChatModel(responses=["no"]), "second": model_of("second")})
    assert model.invoke(QUESTION).text == "no"
    message: Any = model.bind_tools([weather]).invoke("Use lookup for Oslo")
    assert message.response_metadata["taskrouter"]["model"] == "second"


def test_the_profile_is_what_all_candidates_can_do() -> None:
    known: Any = {"max_input_tokens": 128_000, "tool_calling": True, "structured_output": True}
    large = ChatOpenAI(model="m", api_key=SecretStr("any"), profile={**known, "name": "Large"})
    small = ChatOpenAI(
        model="m", api_key=SecretStr("any"), profile={**known, "max_input_tokens": 16_000, "structured_output": False}
    )
    model = RoutedChatModel({"large": large, "small": small}, incumbent="large")
    assert model.profile == {"max_input_tokens": 16_000, "tool_calling": True, "structured_output": False}


def test_a_shared_router_serves_several_models(model_of: ModelOf) -> None:
    router = Router(MODELS, "first")
    both = RoutedChatModel({"first": model_of("first"), "second": model_of("second")}, router=router)
    one = RoutedChatModel({"first": model_of("first")}, router=router)
    assert both.router is one.router is router
    for model in (both, one):
        assert model.invoke(QUESTION).response_metadata["taskrouter"]["model"] == "first"


def test_a_step_stays_among_the_candidates(model_of: ModelOf, server: RunningServer) -> None:
    facts = {"base_url": server.base_url, "quality": {"general": {"mean": 0.9, "source": "test"}}}
    models = [{**m, **facts, "input_usd_per_million": i, "output_usd_per_million": i} for i, m in enumerate(MODELS)]
    router = Router(models, "third", policy="economy")
    model = RoutedChatModel({"second": model_of("second"), "third": model_of("second")}, router=router)
    assert router.route(_step()).model == "first"
    message = model.for_node("reader", task="extraction").invoke(QUESTION)
    assert message.response_metadata["taskrouter"]["model"] == "second"


def _step() -> Step:
    return Step(messages=[{"role": "user", "content": QUESTION}], task_type="extraction")


def test_a_policy_may_differ_from_the_shared_routers(model_of: ModelOf) -> None:
    router = Router(MODELS[:2], "first")
    candidates = {"first": model_of("first"), "second": model_of("second")}
    message = RoutedChatModel(candidates, policy="economy", router=router).invoke(QUESTION)
    assert (
        message.response_metadata["taskrouter"]["reason"]
        != RoutedChatModel(candidates, router=router).invoke(QUESTION).response_metadata["taskrouter"]["reason"]
    )


def test_a_providers_own_tool_stays_with_candidates_of_that_provider(routed: Routed, model_of: ModelOf) -> None:
    other = FakeListChatModel(responses=["from elsewhere"])
    model = routed(candidates={"first": model_of("first"), "second": other, "third": model_of("second")}, config=None)
    # The simulator does not speak the API in which OpenAI has its own tools.
    with pytest.raises(ModelNotFoundError, match="all 2 attempts failed on 'first', 'third'"):
        model.bind_tools([{"type": "web_search_preview"}]).invoke(QUESTION)


def test_providers_tools_that_no_candidate_has_are_refused_when_they_are_bound(routed: Routed) -> None:
    theirs = {"type": "web_search_20250305", "name": "web_search"}
    with pytest.raises(ConfigurationError, match="no candidate's provider has all of them: 'first' has no web search"):
        routed().bind_tools([theirs])


def test_fields_can_be_configured_at_run_time(routed: Routed) -> None:
    model = routed().configurable_fields(policy=ConfigurableField(id="policy"))
    message = model.invoke(QUESTION, {"configurable": {"policy": "economy"}})
    assert message.text == "12 * 12 = 144"


BAD: dict[str, dict[str, Any]] = {
    "candidates is empty: give a chat model or more": {"candidates": {}},
    "incumbent: unknown model 'frist'; the pool has first, second; did you mean 'first'": {"incumbent": "frist"},
    "incumbent is missing": {"incumbent": None},
    r"candidates\['first'\] is a int; it must be a chat model": {"candidates": {"first": 3}},
    "candidates is a mapping from id to chat model, or a list of chat models, not a str": {"candidates": "gpt-4o"},
    "unknown key 'retry'": {"config": {"retry": 3}},
    "policy: unknown name 'cheap'": {"policy": "cheap"},
    "models: 'third' is no candidate; the candidates are first, second": {"config": {"models": [{"id": "third"}]}},
    "config and router are given together": {"router": Router(MODELS[:2], "first")},
}


@pytest.mark.parametrize("message", BAD)
def test_a_wrong_argument_is_named(routed: Routed, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        routed(**BAD[message])


def test_no_candidate_at_all_is_named() -> None:
    with pytest.raises(ConfigurationError, match="candidates is empty"):
        RoutedChatModel()


def test_an_id_taken_twice_is_named(model_of: ModelOf) -> None:
    with pytest.raises(ConfigurationError, match=r"candidates\[1\]: the id 'first' is taken twice; give a mapping"):
        RoutedChatModel([model_of("first"), model_of("first")])


def test_a_wrapped_model_is_refused_with_the_reason(routed: Routed, model_of: ModelOf) -> None:
    with pytest.raises(ConfigurationError, match=r"is a RunnableWithFallbacks.*retries and fallbacks are the router's"):
        routed(candidates={"first": model_of("first").with_fallbacks([model_of("second")])})
    with pytest.raises(ConfigurationError, match="is a RunnableRetry"):
        routed(candidates={"first": model_of("first").with_retry()})


@pytest.mark.parametrize(
    ("ids", "incumbent", "message"),
    [
        (("first", "fourth"), None, "candidates: 'fourth' is not in the pool of the given router, which has first"),
        (("second", "third"), None, "candidates: the incumbent of the given router, 'first', is missing"),
        (("first", "second"), "second", "incumbent='second', but the given router's incumbent is 'first'"),
    ],
)
def test_candidates_must_fit_a_shared_router(
    model_of: ModelOf, ids: tuple[str, ...], incumbent: str | None, message: str
) -> None:
    with pytest.raises(ConfigurationError, match=message):
        RoutedChatModel({name: model_of(name) for name in ids}, incumbent, router=Router(MODELS, "first"))


def test_a_litellm_string_that_nobody_knows_is_named() -> None:
    with pytest.raises(
        ConfigurationError, match=r"'openai/gpt-4o-minni' is not in the catalogue.*did you mean 'gpt-4o-mini'"
    ):
        RoutedChatModel(["openai/gpt-4o-minni"])


IMAGE: Any = [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:image/png;base64,aGk="}}]}]


def test_a_step_that_no_candidate_can_take_says_what_each_one_lacks(routed: Routed, server: RunningServer) -> None:
    blind = [
        {"id": "first", "capabilities": {"vision": False}},
        {"id": "second", "capabilities": {"vision": True}, "context_tokens": 10},
    ]
    with pytest.raises(NoEligibleModelError, match=r"'first': .*image input.*'second': .*tokens"):
        routed(config={"models": blind}).invoke(IMAGE)
    assert server.requests == []


def test_tools_that_no_candidate_takes_are_refused_before_any_request(routed: Routed, weather: Any) -> None:
    plain = {name: FakeListChatModel(responses=["no"]) for name in ("first", "second")}
    with pytest.raises(NoEligibleModelError, match=r"'first': .*tool calling.*'second': .*tool calling"):
        routed(candidates=plain, config=None).bind_tools([weather]).invoke(QUESTION)
