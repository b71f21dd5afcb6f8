"""Calls of a routed LLM: what comes back, what reaches the wire, and what one call may say of itself."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest
from llama_index.core.base.llms.types import ChatMessage, ImageBlock, TextBlock
from llama_index.core.llms import MockLLM
from llama_index.core.prompts import PromptTemplate
from llama_index.core.rate_limiter import BaseRateLimiter
from llama_index.llms.openai import OpenAIResponses
from llama_index_instrumentation.dispatcher import instrument_tags
from tests.standins.brain import GREETING
from tests.standins.server import Fault

from llama_index.llms.taskrouter import RoutedLLM
from taskrouter import ConfigurationError, NoEligibleModelError
from taskrouter.errors import LocalFailure

from .conftest import CLAUDE, COMPLETIONS, FACTS, FIRST, SECOND, WAYS, Bench, ask, read, said

ACCOUNT = {"decision_id", "model", "reason", "task_type", "status", "attempts", "cost_usd"}


@pytest.mark.parametrize("way", [*WAYS, *COMPLETIONS])
@pytest.mark.parametrize("quiet", [False, True], ids=["openai", "anthropic"])
async def test_the_account_is_beside_the_answer_once_and_nowhere_within(bench: Bench, way: str, *, quiet: bool) -> None:
    llm = bench.both(incumbent="quiet" if quiet else "chatty")
    chunks = await read(llm, way)
    accounts = [chunk.additional_kwargs["taskrouter"] for chunk in chunks if "taskrouter" in chunk.additional_kwargs]
    assert len(accounts) == 1
    assert set(accounts[0]) == ACCOUNT
    assert accounts[0]["model"] == ("quiet" if quiet else "chatty")
    last = chunks[-1]
    text = last.text if "complete" in way else last.message.content
    assert text == GREETING
    assert "taskrouter" not in str(last.raw)
    if "complete" not in way:
        assert all("taskrouter" not in str(chunk.message.additional_kwargs) for chunk in chunks)
    if "stream" in way:
        assert "".join(chunk.delta or "" for chunk in chunks) == GREETING


@pytest.mark.parametrize("way", ["chat", "achat"])
async def test_an_answer_is_what_the_candidate_itself_gives(bench: Bench, way: str) -> None:
    own = bench.openai().chat(said("Hello"))
    bench.vendors.reset()
    routed = await ask(bench.routed(), way)
    assert type(routed.raw) is type(own.raw)
    assert routed.message == own.message
    assert {k: v for k, v in routed.additional_kwargs.items() if k != "taskrouter"} == own.additional_kwargs


async def test_the_candidate_s_own_response_is_not_changed() -> None:
    given = MockLLM()
    llm = RoutedLLM({"mock": given})
    answer = llm.complete("one two")
    again = given.complete("one two")
    assert "taskrouter" in answer.additional_kwargs
    assert again.additional_kwargs == {}


@pytest.mark.parametrize("way", [*WAYS, *COMPLETIONS])
async def test_a_call_may_name_its_candidate_and_no_other_is_asked(bench: Bench, way: str) -> None:
    llm = bench.routed()
    assert (await ask(llm, way, model="second")).additional_kwargs["taskrouter"]["model"] == "second"
    assert (await ask(llm, way, taskrouter={"model": "second"})).additional_kwargs["taskrouter"]["model"] == "second"
    assert bench.asked == [SECOND, SECOND]
    assert "taskrouter" not in bench.last.body
    bench.vendors.fail(SECOND, "unavailable")
    with pytest.raises(Exception):  # noqa: B017, PT011 - which one is not the point here
        await ask(llm, way, model="second")
    assert bench.asked == [SECOND] * 3


@pytest.mark.parametrize("way", [*WAYS, *COMPLETIONS])
async def test_a_dry_run_lets_the_incumbent_answer(bench: Bench, way: str) -> None:
    llm = bench.routed(facts={"second": {"input_usd_per_million": 0.01, "output_usd_per_million": 0.01}})
    trial = (await ask(llm, way, taskrouter={"policy": {"cost": 1.0}, "dry_run": True})).additional_kwargs["taskrouter"]
    assert (trial["model"], trial["dry_run"]["model"]) == ("first", "second")
    assert bench.asked == [FIRST]


async def test_declarations_come_in_three_strengths(bench: Bench) -> None:
    llm = bench.routed().for_node("planner", task="planning", tenant="acme")
    llm.chat(said("Hello"))
    assert (bench.context.node, bench.context.tenant) == ("planner", "acme")
    with instrument_tags({"taskrouter": {"node": "critic", "tags": ["night"]}, "release": "v2"}):
        await llm.achat(said("Hello"))
        assert (bench.context.node, bench.context.tenant) == ("critic", "acme")
        assert {"night", "release=v2"} <= bench.context.tags
        llm.chat(said("Hello"), taskrouter={"node": "writer"})
        assert bench.context.node == "writer"
        assert {"night", "release=v2"} <= bench.context.tags, "what it does not say stays as it was declared"


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"model": "third"}, r"model='third' is no candidate; the candidates are first, second"),
        ({"taskrouter": {"model": "third"}}, "taskrouter: model='third' is no candidate"),
        ({"taskrouter": {"nod": "x"}}, "taskrouter: unknown key 'nod'"),
        ({"taskrouter": {"task": "cooking"}}, "unknown task type 'cooking'"),
        ({"taskrouter": "planner"}, "taskrouter is a str; it must be a mapping"),
        ({"taskrouter": {"dry_run": "yes"}}, "dry_run is a str"),
        ({"taskrouter": {"tags": "night"}}, "tags is a collection of strings"),
        ({"taskrouter": {"policy": "cheap"}}, "policy: unknown name 'cheap'"),
        ({"model": 3}, "model=3 is no candidate"),
        ({"model": ["first"]}, "model"),
    ],
)
@pytest.mark.parametrize("way", ["chat", "astream_chat", "complete"])
async def test_what_is_wrong_with_a_call_is_said_and_nothing_is_sent(
    bench: Bench, way: str, kwargs: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigurationError, match=message):
        await ask(bench.routed(), way, **kwargs)
    assert bench.asked == []


def test_what_is_wrong_with_tags_is_said(bench: Bench) -> None:
    with (
        instrument_tags({"taskrouter": {"nod": "x"}}),
        pytest.raises(ConfigurationError, match=r"instrument_tags\['taskrouter'\]: unknown key 'nod'"),
    ):
        bench.routed().chat(said("Hello"))


@pytest.mark.parametrize("way", COMPLETIONS)
@pytest.mark.parametrize("prompt", [None, 3, [ChatMessage("Hello")], b"Hello"])
async def test_a_prompt_is_text(bench: Bench, way: str, prompt: Any) -> None:
    llm = bench.routed()
    with pytest.raises(ConfigurationError, match=r"the prompt is a .*; it must be text"):
        await _asked(llm, way, prompt)
    assert bench.asked == []


async def _asked(llm: Any, way: str, prompt: Any) -> None:
    answered = getattr(llm, way)(prompt)
    if way.startswith("a"):
        await answered


def test_a_prompt_is_needed(bench: Bench) -> None:
    llm: Any = bench.routed()
    with pytest.raises(TypeError, match="prompt"):
        llm.complete()


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("given", ["Hello", 3, ["Hello"], [{"role": "user", "content": "Hello"}], ChatMessage("Hello")])
async def test_messages_are_chat_messages(bench: Bench, way: str, given: Any) -> None:
    with pytest.raises(ConfigurationError, match="messages"):
        await ask(bench.routed(), way, given)
    assert bench.asked == []


@pytest.mark.parametrize("way", WAYS)
async def test_the_caller_s_list_may_change_while_a_call_is_under_way(bench: Bench, way: str) -> None:
    llm, messages = bench.routed(), said("Hello")
    bench.vendors.fail(FIRST, "unavailable")
    before = deepcopy(messages)
    if "stream" in way:
        answered: Any = getattr(llm, way)(messages)
        answered = await answered if way.startswith("a") else answered
        messages.clear()
        last = [chunk async for chunk in answered][-1] if way.startswith("a") else list(answered)[-1]
    else:
        last = await ask(llm, way, messages)
        assert messages == before
    assert last.message.content == GREETING
    assert [len(request.body["messages"]) for request in bench.vendors.received] == [1, 1]


async def test_arguments_of_a_call_reach_the_wire(bench: Bench) -> None:
    llm = bench.both()
    llm.chat(said("Hello"), max_tokens=3, temperature=0.25)
    assert (bench.last.body["max_tokens"], bench.last.body["temperature"]) == (3, 0.25)
    await llm.achat(said("Hello"), model="quiet", max_tokens=3)
    assert bench.last.body["max_tokens"] == 3


def test_temperature_and_length_are_every_candidate_s(bench: Bench) -> None:
    llm = bench.both(fields={"temperature": 0.75, "max_tokens": 7})
    for model in ("chatty", "quiet"):
        llm.chat(said("Hello"), model=model)
        assert (bench.last.body["max_tokens"], bench.last.body["temperature"]) == (7, 0.75)


async def test_a_model_without_metadata_of_its_own_answers() -> None:
    llm = RoutedLLM({"mock": MockLLM()})
    assert (await llm.acomplete("one two")).text == "one two"
    assert llm.chat(said("one two")).message.content


@pytest.mark.parametrize("fault", ["unavailable", "limited", "empty", "silent", "cut"])
@pytest.mark.parametrize("way", COMPLETIONS)
async def test_a_completion_that_fails_is_made_by_the_next(bench: Bench, way: str, fault: Fault) -> None:
    bench.vendors.fail(FIRST, fault)
    answer = await ask(bench.both(), way)
    assert answer.additional_kwargs["taskrouter"]["status"] == "fallback"
    assert bench.asked == [FIRST, CLAUDE]


@pytest.mark.parametrize("way", WAYS)
async def test_an_argument_that_no_candidate_takes_is_the_caller_s_fault(bench: Bench, way: str) -> None:
    with pytest.raises(LocalFailure) as caught:
        await ask(bench.both(), way, a_slip_of_the_pen=True)
    assert "a_slip_of_the_pen" in str(caught.value.__cause__)
    assert bench.asked == []


def test_nobody_that_can_take_a_step_is_an_error_that_says_why(bench: Bench) -> None:
    llm = bench.routed(rules=[{"name": "none", "when": {"tenant": "acme"}, "use": ["first"], "avoid": ["first"]}])
    with pytest.raises(NoEligibleModelError):
        llm.chat(said("Hello"), taskrouter={"tenant": "acme"})
    assert bench.asked == []


class Limiter(BaseRateLimiter):
    """Counts who asks."""

    asked: int = 0

    def acquire(self, num_tokens: int = 0) -> None:
        self.asked += 1

    async def async_acquire(self, num_tokens: int = 0) -> None:
        self.asked += 1


@pytest.mark.parametrize("way", [*WAYS, *COMPLETIONS])
async def test_rate_limiters_are_asked_once_per_call_and_per_attempt(bench: Bench, way: str) -> None:
    ours, first, second = Limiter(), Limiter(), Limiter()
    bench.vendors.fail(FIRST, "unavailable")
    candidates = {"first": bench.openai(rate_limiter=first), "second": bench.openai(SECOND, rate_limiter=second)}
    await ask(bench.routed(candidates, fields={"rate_limiter": ours}), way)
    assert (ours.asked, first.asked, second.asked) == (1, 1, 1)


class Completer(MockLLM):
    """A model that completes, and would not chat."""

    def chat(self, *args: Any, **kwargs: Any) -> Any:
        raise AssertionError("a completion is no chat")


def test_a_completion_is_the_candidate_s_own() -> None:
    llm = RoutedLLM({"own": Completer(max_tokens=None)})
    assert llm.complete("one two").text == "one two"
    assert "".join(chunk.delta or "" for chunk in llm.stream_complete("one two")) == "one two"


@pytest.mark.parametrize("model", ["native", "quiet", "table", "steady"])
async def test_pictures_reach_every_candidate(bench: Bench, model: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_KEY", "any")
    table = {"model": SECOND, "base_url": bench.vendors.openai_url, "api_key": "env:SOME_KEY", **FACTS}
    steady = OpenAIResponses(model=SECOND, api_base=bench.vendors.openai_url, api_key="any")
    pool = {"native": bench.openai(), "quiet": bench.claude(), "table": table, "steady": steady}
    llm = RoutedLLM(pool, "native", config={"models": [{"id": name, **FACTS} for name in pool]})
    picture = ImageBlock(image=b"\x89PNG\r\n\x1a\n", image_mimetype="image/png")
    answer = await llm.achat([ChatMessage(role="user", blocks=[TextBlock(text="Hello"), picture])], model=model)
    assert answer.message.content == GREETING
    assert "image" in str(bench.last.body)


def test_a_manager_that_is_none_is_one_without_handlers(bench: Bench) -> None:
    llm = RoutedLLM({"first": bench.openai()}, callback_manager=None)
    assert llm.chat(said("Hello")).message.content == GREETING


def test_a_class_beneath_it_is_one_too(bench: Bench) -> None:
    class Mine(RoutedLLM):
        """A user's own."""

    mine: Any = Mine
    assert mine({"first": bench.openai()}).predict(PromptTemplate("Hello")) == GREETING
