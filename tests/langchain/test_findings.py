"""What a routed model must not lose or change beside a plain one: found by reading it with suspicion."""

from __future__ import annotations

import copy
import gc
import pickle
from typing import Any

import pytest
from langchain_core.caches import InMemoryCache
from langchain_core.callbacks import CallbackManager
from langchain_core.language_models.fake_chat_models import FakeMessagesListChatModel
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.output_parsers import JsonOutputParser
from langchain_core.outputs import ChatResult
from langchain_core.retrievers import BaseRetriever
from langchain_core.runnables import RunnableLambda
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import END, START, MessagesState, StateGraph
from langgraph.types import Command, interrupt
from tests.watcher import Watcher

from langchain_taskrouter import RoutedChatModel
from langchain_taskrouter._runs import RUNS
from taskrouter import BudgetExceededError, Router
from taskrouter.simulator import RunningServer

from .conftest import FAST, PRICES, QUESTION, ModelOf, Routed

POOL = [{"id": name, **PRICES} for name in ("first", "second")]


@pytest.fixture
def watcher() -> Watcher:
    return Watcher()


@pytest.fixture
def watched(model_of: ModelOf, watcher: Watcher) -> Any:
    """Make a routed model whose outcomes the watcher sees."""

    def make(**fields: Any) -> RoutedChatModel:
        router = Router(POOL, "first", config={"execution": FAST}, plugins=[watcher])
        return RoutedChatModel({"first": model_of("first"), "second": model_of("second")}, router=router, **fields)

    return make


def call(**keys: Any) -> Any:
    return {"configurable": {"taskrouter": keys}}


@pytest.mark.filterwarnings("ignore:.*is in beta")
async def test_events_of_version_3_keep_what_the_call_says(routed: Routed) -> None:
    model = routed(config={"execution": FAST, "models": POOL, "budget": {"run": {"steps": 2}}})
    pinned: Any = call(model="second", run_id="one")
    answer = model.stream_events(QUESTION, pinned, version="v3").output
    assert answer.response_metadata["taskrouter"]["model"] == "second"
    answer = await (await model.astream_events(QUESTION, pinned, version="v3")).output
    assert answer.response_metadata["taskrouter"]["model"] == "second"
    with pytest.raises(BudgetExceededError):
        model.invoke(QUESTION, pinned)


def test_the_cache_tells_apart_what_may_lead_elsewhere(routed: Routed, server: RunningServer) -> None:
    model = routed(cache=InMemoryCache())
    for _ in range(2):
        model.invoke(QUESTION)
        model.invoke(QUESTION, call(model="second"))
        model.invoke(QUESTION, call(dry_run=True))
        model.for_node("planner").invoke(QUESTION)
        model.model_copy(update={"temperature": 0.5}).invoke(QUESTION)
        model.model_copy(update={"stop": ["x"]}).invoke(QUESTION)
    assert len(server.requests) == 6


@pytest.mark.parametrize(
    "answer",
    [
        AIMessage([{"type": "image", "base64": "aGk=", "mime_type": "image/png"}]),
        AIMessage([{"type": "server_tool_use", "id": "s1", "name": "web_search", "input": {}}]),
        AIMessage("", additional_kwargs={"audio": {"data": "aGk="}}),
        AIMessage("", additional_kwargs={"function_call": {"name": "f", "arguments": "{}"}}),
    ],
    ids=["image", "server tool", "audio", "legacy call"],
)
def test_an_answer_without_text_is_an_answer(answer: AIMessage) -> None:
    model = RoutedChatModel({"it": FakeMessagesListChatModel(responses=[answer])})
    said = model.invoke("Draw a cat.")
    assert said.content == answer.content
    assert said.response_metadata["taskrouter"]["attempts"] == 1


@pytest.mark.parametrize("asynchronous", [False, True])
async def test_an_interrupt_inside_a_candidate_interrupts_the_graph(routed: Routed, *, asynchronous: bool) -> None:
    class Asking(FakeMessagesListChatModel):
        def _generate(self, messages: list[BaseMessage], *args: Any, **kwargs: Any) -> ChatResult:
            said = interrupt("may it?")
            self.responses = [AIMessage(f"You said {said}.")]
            return super()._generate(messages, *args, **kwargs)

    model = RoutedChatModel({"a": Asking(responses=[AIMessage("?")]), "b": Asking(responses=[AIMessage("?")])}, "a")

    def ask(state: MessagesState) -> Any:
        return {"messages": [model.invoke(state["messages"])]}

    async def aask(state: MessagesState) -> Any:
        return {"messages": [await model.ainvoke(state["messages"])]}

    graph: Any = StateGraph(MessagesState)
    graph.add_node("ask", aask if asynchronous else ask)
    graph.add_edge(START, "ask")
    graph.add_edge("ask", END)
    app = graph.compile(checkpointer=InMemorySaver())
    config: Any = {"configurable": {"thread_id": "t"}}
    first: Any = {"messages": [("user", "hi")]}
    stopped = await app.ainvoke(first, config) if asynchronous else app.invoke(first, config)
    assert stopped["__interrupt__"]
    resume: Any = Command(resume="yes")
    ended = await app.ainvoke(resume, config) if asynchronous else app.invoke(resume, config)
    assert ended["messages"][-1].text == "You said yes."


class Blamed:
    """Collects what is fed back."""

    def __init__(self, model: RoutedChatModel, monkeypatch: pytest.MonkeyPatch) -> None:
        self.sources: list[str] = []
        self.ids: list[str] = []
        monkeypatch.setattr(model.router, "feedback", self._keep)

    def _keep(self, decision_id: str, score: float, *, source: str) -> None:
        self.ids.append(decision_id)
        self.sources.append(source)


def test_in_a_batch_the_answer_that_cannot_be_read_is_blamed_and_no_other(
    routed: Routed, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = routed()
    blamed = Blamed(model, monkeypatch)
    answers: dict[str, str] = {}

    def read(message: AIMessage) -> str:
        answers[message.text] = message.response_metadata["taskrouter"]["decision_id"]
        if "144" not in message.text:
            raise KeyError("no number")
        return message.text

    with pytest.raises(KeyError):
        (model | RunnableLambda(read)).batch([QUESTION, "hello", QUESTION])
    (unread,) = [decision for text, decision in answers.items() if "144" not in text]
    assert blamed.ids == [unread]


def test_a_caught_failure_does_not_hide_the_next_one(routed: Routed, monkeypatch: pytest.MonkeyPatch) -> None:
    model = routed()
    blamed = Blamed(model, monkeypatch)
    broken: Any = RunnableLambda(lambda _: int("x"))

    def node(state: MessagesState) -> Any:
        model.invoke(QUESTION)
        try:
            broken.invoke(1)
        except ValueError:
            gc.collect()
        raise ValueError("the node's own")

    graph: Any = StateGraph(MessagesState)
    graph.add_node("node", node)
    graph.add_edge(START, "node")
    with pytest.raises(ValueError, match="own"):
        graph.compile().invoke({"messages": [("user", "hi")]})
    assert blamed.sources == ["node_error"]


def test_two_models_of_one_router_count_a_failure_once(routed: Routed, monkeypatch: pytest.MonkeyPatch) -> None:
    model = routed()
    twin = RoutedChatModel(model.candidates, router=model.router)
    blamed = Blamed(model, monkeypatch)
    with pytest.raises(ValueError, match="json"):
        (model | JsonOutputParser()).invoke("hi")
    assert model._credit is twin._credit
    assert blamed.sources == ["parser_error"]


def test_a_config_with_its_callbacks_can_be_copied_and_pickled() -> None:
    seen: list[Any] = []

    def look(given: int, config: Any) -> int:
        seen.append(copy.deepcopy(config["callbacks"].handlers))
        seen.append(pickle.loads(pickle.dumps(config["callbacks"].handlers)))  # noqa: S301 - our own bytes
        return given

    RunnableLambda(look).invoke(1)
    assert seen[0] == seen[1] == [RUNS]
    assert CallbackManager.configure().handlers == [RUNS]


def test_a_model_asked_by_a_retriever_belongs_to_the_run_around_it(watched: Any, watcher: Watcher) -> None:
    model = watched()

    class Asking(BaseRetriever):
        def _get_relevant_documents(self, query: str, **_: Any) -> list[Any]:
            model.invoke(query)
            return []

    retriever = Asking()

    def node(_: int) -> None:
        model.invoke(QUESTION)
        retriever.invoke(QUESTION)

    outermost: Any = RunnableLambda(node)
    outermost.invoke(1)
    assert len({outcome.decision.context.run_id for outcome in watcher.outcomes}) == 1


async def test_a_model_s_own_tags_and_metadata_are_read_in_all_four_ways(watched: Any, watcher: Watcher) -> None:
    model = watched(tags=["batch"], metadata={"taskrouter": {"tenant": "acme"}})
    config: Any = {"tags": ["now"]}
    model.invoke(QUESTION, config)
    await model.ainvoke(QUESTION, config)
    list(model.stream(QUESTION, config))
    [chunk async for chunk in model.astream(QUESTION, config)]
    contexts = [outcome.decision.context for outcome in watcher.outcomes]
    assert {context.tenant for context in contexts} == {"acme"}
    assert {context.tags for context in contexts} == {frozenset({"batch", "now"})}


async def test_blocks_of_version_1_are_the_same_whole_and_streamed(routed: Routed, model_of: ModelOf) -> None:
    candidates = {name: model_of(name, output_version="v1") for name in ("first", "second")}
    model = routed(candidates=candidates)
    whole = model.invoke(QUESTION)
    streamed = list(model.stream(QUESTION))
    astreamed = [chunk async for chunk in model.astream(QUESTION)]
    for chunks in (streamed, astreamed):
        joined = sum(chunks[1:], chunks[0])
        assert [block["type"] for block in joined.content] == ["text"]  # type: ignore[index]
        assert joined.text == whole.text
    assert isinstance(whole.content, list)


def test_a_candidate_that_changes_the_messages_changes_them_for_nobody_else(routed: Routed, model_of: ModelOf) -> None:
    class Rude(FakeMessagesListChatModel):
        def _generate(self, messages: list[BaseMessage], *args: Any, **kwargs: Any) -> ChatResult:
            messages.clear()
            raise ConnectionError("gone")

    model = RoutedChatModel(
        {"rude": Rude(responses=[]), "second": model_of("second")}, "rude", config={"execution": FAST}
    )
    assert model.invoke(QUESTION).text == "12 * 12 = 144"


def test_a_stream_that_ends_quietly_in_the_middle_is_no_whole_answer(routed: Routed, server: RunningServer) -> None:
    from langchain_core.exceptions import ModelError

    server.script("first", "cut_stream")
    with pytest.raises(ModelError, match="stopped in the middle"):
        list(routed().stream(QUESTION))
