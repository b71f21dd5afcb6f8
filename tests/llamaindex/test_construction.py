"""Making a routed LLM of LlamaIndex's: what is refused, and what is known of a candidate."""

from __future__ import annotations

from typing import Any

import pytest
from llama_index.core.base.llms.types import ChatMessage
from llama_index.core.llms import LLMMetadata, MockLLM
from llama_index.core.prompts import PromptTemplate
from llama_index.llms.openai import OpenAI
from tests.standins.brain import GREETING

from llama_index.llms.taskrouter import RoutedLLM
from taskrouter import BudgetExceededError, ConfigurationError, ModelCard, NoEligibleModelError

from .conftest import FACTS, FIRST, SECOND, Bench, ask, lite, said

LONG = "word " * 30_000


class Bare(MockLLM):
    """A model whose metadata fail."""

    how: Any = None

    @property
    def metadata(self) -> LLMMetadata:
        if isinstance(self.how, Exception):
            raise self.how
        metadata: LLMMetadata = self.how
        return metadata


class Sized(MockLLM):
    """A model that declares a window."""

    window: int = 0
    tools: bool = False

    @property
    def metadata(self) -> LLMMetadata:
        return LLMMetadata(
            model_name=f"sized-{self.window}", context_window=self.window, is_function_calling_model=self.tools
        )


def bare(how: Any) -> Bare:
    return Bare(max_tokens=None).model_copy(update={"how": how})


def sized(window: int, *, tools: bool = False) -> Sized:
    return Sized(max_tokens=None).model_copy(update={"window": window, "tools": tools})


WRONG: dict[str, tuple[Any, dict[str, Any]]] = {
    r"candidates is a mapping from id to LLM, or a list of LLMs, not a OpenAI": (
        OpenAI(model=FIRST, api_key="any"),
        {},
    ),
    r"candidates is a mapping from id to LLM, or a list of LLMs, not a MockLLM": (MockLLM(), {}),
    r"candidates is a mapping .* not a NoneType": (None, {}),
    r"candidates\[0\] is a ModelMetaclass; it must be a LlamaIndex LLM": ([OpenAI], {}),
    r"candidates\['x'\] is a int; it must be a LlamaIndex LLM": ({"x": 3}, {}),
    r"candidates\['x'\] is a NoneType": ({"x": None}, {}),
    r"candidates\[0\] is 'openai:gpt-4o'; a string is a LiteLLM model string, such as 'openai/gpt-4o'": (
        ["openai:gpt-4o"],
        {},
    ),
    r"candidates\['x'\]: OpenAI has no metadata for this model": (
        {"x": OpenAI(model="a-model-nobody-knows", api_key="any")},
        {},
    ),
    r"candidates\['x'\]: Bare has no metadata for this model": ({"x": bare(ValueError("unknown"))}, {}),
    r"candidates\[1\]: the id 'sized-8' is taken twice": ([sized(8), sized(8)], {}),
    r"candidates have different system prompts": (
        {"a": MockLLM(system_prompt="Be brief."), "b": MockLLM(system_prompt="Be long.")},
        {"incumbent": "a"},
    ),
    r"RoutedLLM has no argument 'temprature'; did you mean 'temperature'": ([MockLLM()], {"temprature": 1}),
    r"RoutedLLM has no argument 'model'": ([MockLLM()], {"model": "gpt-4o"}),
    r"RoutedLLM has no argument 'api_key'": ([MockLLM()], {"api_key": "canary"}),
    r"declared: unknown key 'agnet'; known keys: ": ([MockLLM()], {"declared": {"agnet": "guide"}}),
    r"candidates is empty": ([], {}),
}


@pytest.mark.parametrize("message", WRONG)
def test_a_wrong_argument_is_named(message: str) -> None:
    candidates, more = WRONG[message]
    with pytest.raises(ConfigurationError, match=message) as caught:
        RoutedLLM(candidates, **more)
    assert "canary" not in str(caught.value)


def test_the_cause_of_missing_metadata_is_kept() -> None:
    with pytest.raises(ConfigurationError) as caught:
        RoutedLLM({"x": OpenAI(model="a-model-nobody-knows", api_key="any")})
    assert isinstance(caught.value.__cause__, ValueError)


@pytest.mark.parametrize("how", [ValueError("unknown"), NotImplementedError(), None, "metadata"])
def test_a_candidate_without_metadata_is_refused(how: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"candidates\['x'\]: Bare has no metadata"):
        RoutedLLM({"x": bare(how)})


def test_metadata_that_cannot_be_had_today_leave_a_candidate_unknown() -> None:
    card = RoutedLLM({"x": bare(ConnectionError("no server"))}).router.models["x"]
    assert (card.context_tokens, card.capabilities.tools) == (None, None)


def test_a_system_prompt_of_the_routed_llm_settles_it(bench: Bench) -> None:
    candidates = {"a": bench.openai(system_prompt="One."), "b": bench.openai(SECOND, system_prompt="Other.")}
    llm = RoutedLLM(candidates, "a", system_prompt="Be brief.")
    assert llm.predict(PromptTemplate("Hello")) == GREETING
    assert [m["content"] for m in bench.last.body["messages"]] == ["Be brief.", "Hello"]


def test_a_system_prompt_that_all_have_is_the_routed_llm_s(bench: Bench) -> None:
    llm = RoutedLLM({"a": bench.openai(system_prompt="Be brief.")})
    assert llm.predict(PromptTemplate("Hello")) == GREETING
    assert [m["content"] for m in bench.last.body["messages"]] == ["Be brief.", "Hello"]


async def test_a_table_a_string_and_a_card_are_candidates(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "any")
    monkeypatch.setenv("OPENAI_BASE_URL", bench.vendors.openai_url)
    monkeypatch.setenv("OPENAI_API_BASE", bench.vendors.openai_url)  # LiteLLM's name for it
    table = {"model": SECOND, "base_url": bench.vendors.openai_url, **FACTS}
    card = ModelCard(id="card", model=f"openai/{FIRST}")
    llm = RoutedLLM({"table": table, "card": card, "native": bench.openai()}, "table")
    for way in ("chat", "achat", "stream_chat", "astream_chat", "complete", "acomplete", "stream_complete"):
        for name in ("table", "card", "native"):
            answer = await ask(llm, way, model=name)
            assert answer.additional_kwargs["taskrouter"]["model"] == name
            assert (answer.text if "complete" in way else answer.message.content) == GREETING


@pytest.mark.parametrize(("window", "tokens"), [("min", 2_000), ("max", 100_000), (5_000, 5_000)])
def test_the_window_is_the_least_the_greatest_or_a_number(window: Any, tokens: int) -> None:
    llm = RoutedLLM({"a": sized(100_000), "b": sized(2_000)}, "a", window=window)
    assert llm.metadata.context_window == tokens
    assert llm.metadata.is_chat_model


@pytest.mark.parametrize("window", ["mean", 1.5, None, [1]])
def test_a_window_of_another_kind_is_refused(window: Any) -> None:
    with pytest.raises(ValueError, match="window"):
        RoutedLLM([MockLLM()], window=window)


def test_what_litellm_makes_up_spoils_nothing() -> None:
    unknown = lite("openai/a-model-nobody-knows")
    assert (unknown.metadata.context_window, unknown.metadata.is_function_calling_model) == (2048, False)
    llm = RoutedLLM({"big": sized(100_000, tools=True), "lite": unknown}, "big")
    assert llm.metadata.context_window == 100_000
    assert llm.metadata.is_function_calling_model
    card = llm.router.models["lite"]
    assert (card.context_tokens, card.capabilities.tools) == (None, None)


def test_what_litellm_knows_is_known() -> None:
    llm = RoutedLLM({"lite": lite("openai/gpt-4o")})
    assert llm.metadata.context_window == 128_000
    assert llm.metadata.is_function_calling_model


def test_a_long_step_goes_to_the_one_that_can_take_it(bench: Bench) -> None:
    small, big = bench.openai(SECOND), bench.openai(FIRST)
    facts = {"small": {"context_tokens": 8_000}, "big": {"context_tokens": 1_000_000}}
    llm = bench.routed({"small": small, "big": big}, facts=facts, fields={"window": "max"})
    assert llm.metadata.context_window == 1_000_000
    llm.chat(said("Hello"))
    llm.chat(said(LONG))
    llm.complete(LONG)
    assert bench.asked == [SECOND, FIRST, FIRST]


def test_nothing_is_sent_that_nobody_can_take(bench: Bench) -> None:
    llm = bench.routed(facts={name: {"context_tokens": 4_000} for name in ("first", "second")})
    with pytest.raises(NoEligibleModelError, match="window"):
        llm.chat(said(LONG))
    assert bench.asked == []


def test_a_model_without_tools_is_offered_none(bench: Bench, tools: Any) -> None:
    llm = bench.routed({"mute": MockLLM(), "first": bench.openai()}, facts={"mute": {"capabilities": {"tools": False}}})
    assert llm.chat(said("Hello")).additional_kwargs["taskrouter"]["model"] == "mute"
    answer = llm.chat_with_tools(tools, "What is the weather in 'Paris'?")
    assert answer.additional_kwargs["taskrouter"]["model"] == "first"


def test_a_model_that_has_tools_by_name_alone_is_explained(tools: Any) -> None:
    llm = RoutedLLM({"mute": MockLLM()}, config={"models": [{"id": "mute", "capabilities": {"tools": True}}]})
    with pytest.raises(ConfigurationError, match=r"MockLLM has no chat_with_tools: .* `capabilities.tools = false`"):
        llm.chat_with_tools(tools, ChatMessage("Hello"))


def test_how_long_its_answers_may_be_is_what_a_budget_sets_aside(bench: Bench) -> None:
    enough_usd = 0.0002  # for twenty tokens, not for four times the usual answer
    short = bench.routed(fields={"max_tokens": 20})
    with short.router.budget(usd=enough_usd):
        assert short.chat([ChatMessage("Hello")]).message.content
    usual = bench.routed()
    with usual.router.budget(usd=enough_usd), pytest.raises(BudgetExceededError):
        usual.chat([ChatMessage("Hello")])
