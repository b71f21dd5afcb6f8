"""LlamaIndex's callbacks and events: every call is told once, by the candidate that answers it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from llama_index.core import Settings
from llama_index.core.callbacks import CallbackManager, TokenCountingHandler
from llama_index.core.instrumentation.event_handlers import BaseEventHandler
from llama_index.core.prompts import PromptTemplate
from llama_index_instrumentation import get_dispatcher
from tests.standins.brain import GREETING

from llama_index.llms.taskrouter import RoutedLLM

from .conftest import CLAUDE, COMPLETIONS, FACTS, FIRST, SECOND, WAYS, Bench, Handler, ask, managed, said

ANSWERED = len(GREETING.split())


def counter(**fields: Any) -> TokenCountingHandler:
    return TokenCountingHandler(tokenizer=str.split, **fields)


class Events(BaseEventHandler):
    """Keeps the names of all events."""

    names: list[str] = []

    @classmethod
    def class_name(cls) -> str:
        return "events"

    def handle(self, event: Any, **kwargs: Any) -> None:
        self.names.append(event.class_name())


@pytest.fixture
def events() -> Iterator[Events]:
    dispatcher, events = get_dispatcher(), Events(names=[])
    dispatcher.add_event_handler(events)
    yield events
    dispatcher.event_handlers.remove(events)


@pytest.mark.parametrize("way", [*WAYS, *COMPLETIONS])
@pytest.mark.parametrize("incumbent", ["chatty", "quiet"])
async def test_tokens_are_counted_once(bench: Bench, way: str, incumbent: str) -> None:
    tokens, handler = counter(), Handler()
    llm = bench.both(incumbent=incumbent, fields={"callback_manager": managed(tokens, handler)})
    await ask(llm, way)
    # LlamaIndex's `Anthropic` itself tells of a completion twice: of the completion, and of the chat that makes it
    told = 2 if incumbent == "quiet" and way in COMPLETIONS else 1
    assert len(tokens.llm_token_counts) == told
    assert tokens.completion_llm_token_count == ANSWERED * told
    assert handler.llm == (told, told)


@pytest.mark.parametrize("way", WAYS)
async def test_a_dead_first_candidate_adds_no_tokens(bench: Bench, way: str) -> None:
    bench.vendors.fail(FIRST, "unavailable")
    tokens, handler = counter(), Handler()
    llm = bench.both(fields={"callback_manager": managed(tokens, handler)})
    await ask(llm, way)
    assert bench.asked == [FIRST, CLAUDE]
    assert tokens.completion_llm_token_count == ANSWERED
    assert handler.llm == (2, 2), "both attempts are told, the failed one with its exception"


@pytest.mark.parametrize("way", WAYS)
async def test_a_candidate_s_own_handlers_are_told_too_and_shared_ones_once(bench: Bench, way: str) -> None:
    own, shared = Handler(), Handler()
    first = bench.openai(callback_manager=managed(own, shared))
    llm = bench.routed({"first": first}, fields={"callback_manager": managed(shared)})
    await ask(llm, way)
    assert own.llm == shared.llm == (1, 1)
    assert first.callback_manager.handlers == [own, shared]


@pytest.mark.parametrize("way", WAYS)
async def test_settings_may_replace_the_manager_later(bench: Bench, way: str) -> None:
    before, after = Handler(), Handler()
    Settings.callback_manager = managed(before)
    Settings.llm = bench.routed()
    await ask(Settings.llm, way)
    Settings.callback_manager = managed(after)
    await ask(Settings.llm, way)
    assert (before.llm, after.llm) == ((1, 1), (1, 1))


async def test_candidates_made_under_settings_tell_nobody_twice(bench: Bench) -> None:
    handler = Handler()
    Settings.callback_manager = managed(handler)
    llm = bench.routed()
    await ask(llm, "chat")
    await ask(llm, "achat")
    assert handler.llm == (2, 2)


async def test_a_handler_may_be_added_later(bench: Bench) -> None:
    llm, handler = bench.routed(), Handler()
    llm.callback_manager.add_handler(handler)
    await ask(llm, "chat")
    assert handler.llm == (1, 1)


async def test_every_view_tells_its_own_handlers(bench: Bench) -> None:
    one, other = Handler(), Handler()
    llm = bench.routed(fields={"callback_manager": managed(one)})
    view = llm.for_node("planner")
    view.callback_manager = managed(other)
    await ask(view, "achat")
    await ask(llm, "achat")
    assert (one.llm, other.llm) == ((1, 1), (1, 1))


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("incumbent", ["chatty", "quiet"])
async def test_a_token_budget_that_is_spent_is_no_model_s_failure(bench: Bench, way: str, incumbent: str) -> None:
    llm = bench.both(incumbent=incumbent, fields={"callback_manager": managed(counter(token_budget=1))})
    with pytest.raises(ValueError, match=r"[Bb]udget"):
        await ask(llm, way)
    assert len(bench.asked) == 1
    assert not [attempt for attempt in bench.watcher.attempts if attempt.error_type is not None]
    bench.vendors.reset()
    llm.callback_manager = CallbackManager([])
    assert (await ask(llm, way)).additional_kwargs["taskrouter"]["status"] == "ok"


@pytest.mark.parametrize("way", ["structured_predict", "astructured_predict"])
async def test_a_token_budget_holds_in_predictions(bench: Bench, way: str) -> None:
    from pydantic import BaseModel

    class City(BaseModel):
        name: str

    llm = bench.routed(fields={"callback_manager": managed(counter(token_budget=1))})
    with pytest.raises(ValueError, match=r"[Bb]udget"):
        await ask(llm, way, City, prompt=PromptTemplate("Where is 'Paris'?"))
    assert bench.asked == [FIRST]


@pytest.mark.parametrize(
    ("way", "begins", "ends"),
    [
        *[(way, "LLMChatStartEvent", "LLMChatEndEvent") for way in WAYS],
        *[(way, "LLMCompletionStartEvent", "LLMCompletionEndEvent") for way in COMPLETIONS],
    ],
)
async def test_events_of_instrumentation_come_once(
    bench: Bench, events: Events, way: str, begins: str, ends: str
) -> None:
    await ask(bench.routed({"quiet": bench.claude()} if way in WAYS else None), way)
    assert (events.names.count(begins), events.names.count(ends)) == (1, 1)


def test_the_user_s_instance_keeps_its_manager_and_its_retries(bench: Bench) -> None:
    first, handler = bench.openai(max_retries=7, callback_manager=managed(Handler())), Handler()
    bench.routed({"first": first}, fields={"callback_manager": managed(handler)}).chat(said("Hello"))
    assert first.max_retries == 7
    assert handler not in first.callback_manager.handlers
    assert first.additional_kwargs == {}


def test_predict_tells_its_own_events_and_the_candidate_s(bench: Bench) -> None:
    handler = Handler()
    llm = RoutedLLM(
        {"first": bench.openai(), "second": bench.openai(SECOND)},
        "first",
        callback_manager=managed(handler),
        config={"models": [{"id": "first", **FACTS}]},
    )
    assert llm.predict(PromptTemplate("Hello")) == GREETING
    assert handler.llm == (1, 1)
