"""Agents, engines and programs of LlamaIndex over a routed LLM, with a dead first candidate and without."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from llama_index.core import Document, SummaryIndex
from llama_index.core.agent.workflow import AgentStream, AgentWorkflow, CodeActAgent, FunctionAgent, ReActAgent
from llama_index.core.base.llms.types import ChatMessage, ToolCallBlock
from llama_index.core.chat_engine import SimpleChatEngine
from llama_index.core.memory import ChatMemoryBuffer
from llama_index.core.program import FunctionCallingProgram
from llama_index.core.query_engine import RouterQueryEngine
from llama_index.core.selectors import PydanticSingleSelector
from llama_index.core.tools import FunctionTool, QueryEngineTool
from llama_index.llms.openai import OpenAIResponses
from pydantic import BaseModel
from tests.standins.brain import GREETING

from .conftest import AGENTS, CLAUDE, FIRST, SECOND, Bench, ask, clock, said, weather

pytestmark = AGENTS

ONE = "What is the weather in 'Paris'?"
TWO = "Tell me weather and clock of 'Paris' at once."


class City(BaseModel):
    """A city."""

    name: str
    degrees: int


PARIS = City(name="Paris", degrees=21)
OF_PARIS = "Of what city is this said: it is 21 degrees in 'Paris'."


@pytest.mark.parametrize("streaming", [True, False])
@pytest.mark.parametrize("incumbent", ["chatty", "quiet"])
@pytest.mark.parametrize(("question", "called"), [(ONE, 1), (TWO, 2)])
async def test_a_function_agent_calls_its_tools(
    bench: Bench, tools: Sequence[FunctionTool], question: str, called: int, incumbent: str, *, streaming: bool
) -> None:
    llm = bench.both(incumbent=incumbent)
    agent = FunctionAgent(llm=llm, tools=list(tools), streaming=streaming, allow_parallel_tool_calls=True)
    output: Any = await agent.run(question)
    assert len(output.tool_calls) == called
    assert str(output).startswith("The tool says: It is ")
    assert len(bench.asked) == 2


@pytest.mark.parametrize("streaming", [True, False])
@pytest.mark.parametrize("incumbent", ["chatty", "quiet"])
async def test_a_dead_candidate_is_asked_once_per_step(
    bench: Bench, tools: Sequence[FunctionTool], incumbent: str, *, streaming: bool
) -> None:
    dead, alive = (FIRST, CLAUDE) if incumbent == "chatty" else (CLAUDE, FIRST)
    bench.vendors.fail(dead, "unavailable")
    llm = bench.both(incumbent=incumbent, health={"failures": 100})
    output = await FunctionAgent(llm=llm, tools=list(tools), streaming=streaming).run(ONE)
    assert str(output) == f"The tool says: {weather('Paris')}"
    assert bench.asked == [dead, alive] * 2


@pytest.mark.parametrize("streaming", [True, False])
@pytest.mark.parametrize("incumbent", ["chatty", "quiet"])
async def test_a_candidate_may_die_between_a_call_and_its_result(
    bench: Bench, incumbent: str, *, streaming: bool
) -> None:
    dying = FIRST if incumbent == "chatty" else CLAUDE

    def lookup(city: str) -> str:
        """Look up the weather of a city."""
        bench.vendors.fail(dying, "unavailable")
        return weather(city)

    tool = FunctionTool.from_defaults(lookup, name="weather")
    output = await FunctionAgent(llm=bench.both(incumbent=incumbent), tools=[tool], streaming=streaming).run(ONE)
    assert str(output) == f"The tool says: {weather('Paris')}"
    assert len(bench.asked) == 3


@pytest.mark.parametrize("streaming", [True, False])
@pytest.mark.parametrize("incumbent", ["chatty", "quiet"])
async def test_an_agent_without_tools_talks(bench: Bench, incumbent: str, *, streaming: bool) -> None:
    output = await FunctionAgent(llm=bench.both(incumbent=incumbent), streaming=streaming).run("Hello")
    assert str(output) == GREETING


async def test_events_of_a_streaming_agent_show_every_word_once(bench: Bench) -> None:
    handler = FunctionAgent(llm=bench.both(incumbent="quiet"), streaming=True).run("Hello")
    shown = [event.delta async for event in handler.stream_events() if isinstance(event, AgentStream)]
    await handler
    assert "".join(shown) == GREETING


async def test_a_workflow_hands_over(bench: Bench, tools: Sequence[FunctionTool]) -> None:
    bench.vendors.fail(FIRST, "limited")
    llm = bench.both()
    boss = FunctionAgent(name="boss", description="leads", llm=llm, can_handoff_to=["worker"])
    worker = FunctionAgent(name="worker", description="works", llm=llm, tools=list(tools))
    flow = AgentWorkflow(agents=[boss, worker], root_agent="boss")
    output: Any = await flow.run("handoff to 'worker'", max_iterations=3, early_stopping_method="generate")
    assert output.current_agent_name == "worker"


@pytest.mark.parametrize("streaming", [True, False])
async def test_agents_that_call_no_tools_of_the_model_talk(bench: Bench, *, streaming: bool) -> None:
    bench.vendors.fail(FIRST, "unavailable")
    llm = bench.both()
    thinker = ReActAgent(llm=llm, streaming=streaming, tools=[FunctionTool.from_defaults(clock)])
    coder = CodeActAgent(llm=llm, streaming=streaming, code_execute_fn=weather)
    for agent in (thinker, coder):
        assert GREETING in str(await agent.run("Hello"))


@pytest.mark.parametrize("streaming", [True, False])
@pytest.mark.parametrize("order", ["steady quiet", "quiet steady", "steady chatty", "chatty steady"])
async def test_responses_of_openai_are_one_more_candidate(
    bench: Bench, tools: Sequence[FunctionTool], order: str, *, streaming: bool
) -> None:
    steady = OpenAIResponses(model=SECOND, api_base=bench.vendors.openai_url, api_key="any")
    candidates = {"steady": steady, "quiet": bench.claude(), "chatty": bench.openai()}
    llm = bench.routed({name: candidates[name] for name in order.split()})
    agent = FunctionAgent(llm=llm, tools=list(tools), streaming=streaming, allow_parallel_tool_calls=True)
    memory = ChatMemoryBuffer.from_defaults(llm=llm)
    assert str(await agent.run(TWO, memory=memory)).startswith("The tool says: ")
    bench.vendors.fail(bench.last.model, "unavailable")
    assert str(await agent.run("And in 'Rome'?", memory=memory))
    assert bench.outcome.status == "fallback"


@pytest.mark.parametrize("way", ["chat", "achat", "stream_chat", "astream_chat"])
@pytest.mark.parametrize("allowed", [True, False])
async def test_parallel_calls_come_as_the_caller_allows(
    bench: Bench, tools: Sequence[FunctionTool], way: str, *, allowed: bool
) -> None:
    llm = bench.both(incumbent="quiet")
    answer = await ask(llm, f"{way}_with_tools", list(tools), user_msg=TWO, allow_parallel_tool_calls=allowed)
    calls = llm.get_tool_calls_from_response(answer)
    if allowed:
        assert [call.tool_name for call in calls] == ["weather", "clock"]
    assert {call.tool_kwargs["city"] for call in calls} == {"Paris"}
    with pytest.raises(ValueError, match="tool call"):
        llm.get_tool_calls_from_response(llm.chat(said("Hello")))
    assert llm.get_tool_calls_from_response(llm.chat(said("Hello")), error_on_no_tool_call=False) == []


@pytest.mark.parametrize("choice", ["weather", "any", "required", "none", "auto", {"type": "tool", "name": "weather"}])
@pytest.mark.parametrize("incumbent", ["chatty", "quiet"])
def test_a_choice_of_tools_is_said_in_anybody_s_words(
    bench: Bench, tools: Sequence[FunctionTool], choice: Any, incumbent: str
) -> None:
    answer = bench.both(incumbent=incumbent).chat_with_tools(list(tools), "the weather of 'Paris'", tool_choice=choice)
    called = [block.tool_name for block in answer.message.blocks if isinstance(block, ToolCallBlock)]
    assert called == ([] if choice == "none" else ["weather"])


def test_engines_answer(bench: Bench) -> None:
    bench.vendors.fail(FIRST, "unavailable")
    llm = bench.both()
    index = SummaryIndex.from_documents([Document(text="The ferry leaves at nine.")])
    assert str(index.as_query_engine(llm=llm).query("When?")) == GREETING
    streamed: Any = index.as_query_engine(llm=llm, streaming=True).query("When?")
    assert "".join(streamed.response_gen) == GREETING
    chat = SimpleChatEngine.from_defaults(llm=llm, memory=ChatMemoryBuffer.from_defaults(llm=llm))
    assert str(chat.chat("Hello")) == GREETING
    assert "".join(chat.stream_chat("Hello").response_gen) == GREETING
    assert set(bench.asked) == {FIRST, CLAUDE}


def test_an_engine_that_selects_asks_the_selected_one(bench: Bench) -> None:
    llm = bench.routed()
    engines = [
        QueryEngineTool.from_defaults(
            SummaryIndex.from_documents([Document(text=name)]).as_query_engine(llm=llm), name=name, description=name
        )
        for name in ("boats", "trains")
    ]
    selector: Any = PydanticSingleSelector.from_defaults(llm=llm)  # type: ignore[arg-type] # the annotation says OpenAI's
    engine = RouterQueryEngine(selector=selector, query_engine_tools=engines, llm=llm)
    assert str(engine.query("Number 1, please.")) == GREETING
    assert [decision.context.node for decision in bench.watcher.decisions] == [
        "PydanticSingleSelector.select",
        "CompactAndRefine.synthesize",
    ]


def test_predict_and_call_calls(bench: Bench, tools: Sequence[FunctionTool]) -> None:
    bench.vendors.fail(FIRST, "unavailable")
    assert str(bench.both().predict_and_call(list(tools), ONE)) == weather("Paris")
    assert bench.asked == [FIRST, CLAUDE]


@pytest.mark.filterwarnings("ignore:The `json` method:DeprecationWarning")  # of LlamaIndex's StructuredLLM
async def test_programs_and_structured_llms_give_objects(bench: Bench) -> None:
    bench.vendors.fail(FIRST, "unavailable")
    llm = bench.both()
    program = FunctionCallingProgram.from_defaults(City, prompt_template_str="{said}", llm=llm)
    assert program(said=OF_PARIS) == PARIS
    assert await program.acall(said=OF_PARIS) == PARIS
    structured = llm.as_structured_llm(City)
    for way in ("chat", "achat", "stream_chat", "astream_chat"):
        assert (await ask(structured, way, [ChatMessage(OF_PARIS)])).raw == PARIS
    assert structured.complete(OF_PARIS).raw == PARIS
