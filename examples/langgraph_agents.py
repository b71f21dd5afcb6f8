"""A supervisor with three workers over one routed model, and another policy for each of them. No key, no network.

    pip install 'langchain-taskrouter[demo]'
    python examples/langgraph_agents.py

Three ways to say what a node needs, all of them here: a rule (agents and nodes by name), `for_node` (where the node is
written) and `configurable` (for one run). The models, their prices and their quality are simulated.
"""

from __future__ import annotations

from typing import Any, Literal, TypedDict

from langchain.agents import create_agent
from langchain_core.messages import HumanMessage, SystemMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI
from langgraph.graph import END, START, StateGraph
from pydantic import BaseModel, SecretStr

from langchain_taskrouter import RoutedChatModel
from taskrouter import Outcome, Router, hookimpl, simulator

SIMULATED = [
    {"id": "small", "input_usd_per_million": 0.10, "output_usd_per_million": 0.40},
    {"id": "large", "input_usd_per_million": 3.00, "output_usd_per_million": 15.00},
]
QUALITY = {"small": 0.80, "large": 0.95}  # invented, the same for every task
RULES = [
    {"name": "picking a branch is easy", "when": {"node": "supervisor"}, "policy": "economy"},
    {"name": "research", "when": {"agent": "researcher"}, "task_type": "tool_use", "policy": "economy"},
    {"name": "whoever checks must not be weak", "when": {"node": "critic"}, "use": ["large"]},
]


class Next(BaseModel):
    """Which worker is next."""

    worker: Literal["research", "write", "check", "finish"]


class State(TypedDict, total=False):
    todo: list[str]
    worker: str
    facts: str
    text: str
    verdict: str


@tool
def search(query: str) -> str:
    """Search the archive."""
    return f"One note on the {query}: it was built in 1908, lifts 12 tons and was restored in 2019."


def graph_of(model: RoutedChatModel) -> Any:
    """Return the supervisor and its workers."""
    picker = model.for_node("supervisor", task="classification").with_structured_output(Next)
    researcher: Any = create_agent(model, [search], name="researcher")  # LangGraph tells its name and its nodes
    writer = model.for_node("writer", task="summarization")
    critic = model.for_node("critic", task="verification")

    def supervise(state: State) -> State:
        picked: Any = picker.invoke(f"Name the next worker. Still to do: {', '.join(state['todo'])}.")
        return {"worker": picked.worker, "todo": state["todo"][1:]}

    def research(_: State) -> State:
        found = researcher.invoke({"messages": [("user", "Call search with query: harbour crane")]})
        return {"facts": found["messages"][-1].text}

    def write(state: State) -> State:
        return {"text": writer.invoke(f"Summarise for a visitor:\n{state['facts']}").text}

    def check(state: State) -> State:
        role = SystemMessage("You verify the work of others. Answer PASS or FAIL, with a reason.")
        return {"verdict": critic.invoke([role, HumanMessage(state["text"])]).text}

    graph: Any = StateGraph(State)
    graph.add_node("supervise", supervise)
    graph.add_edge(START, "supervise")
    for name, worker in {"research": research, "write": write, "check": check}.items():
        graph.add_node(name, worker)
        graph.add_edge(name, "supervise")
    graph.add_conditional_edges("supervise", lambda state: END if state["worker"] == "finish" else state["worker"])
    return graph.compile()


class Printer:
    """A plugin that is told of every step."""

    @hookimpl
    def taskrouter_completed(self, outcome: Outcome[Any]) -> None:
        made = outcome.decision.context
        where = f"{made.agent or '-'} / {made.node}"
        print(f"  {where:<24} {outcome.model:<6} {outcome.decision.reason:<21} ${outcome.cost_usd:.6f}")


def main() -> None:
    facts: list[dict[str, Any]] = [
        {**model, "capabilities": {"tools": True}, "quality": {"general": {"mean": mean, "source": "invented"}}}
        for model, mean in zip(SIMULATED, QUALITY.values(), strict=True)
    ]
    with (
        simulator.serve({"speed": 0.0, "models": SIMULATED}) as server,
        Router(facts, incumbent="large", rules=RULES, plugins=[Printer()]) as router,
    ):
        models = {m: ChatOpenAI(model=m, base_url=server.base_url, api_key=SecretStr("none")) for m in QUALITY}
        graph = graph_of(RoutedChatModel(models, router=router))
        work: State = {"todo": ["research", "write", "check", "finish"]}
        print("agent / node, with `safe` where no rule says otherwise:")
        graph.invoke(work)
        print("the same run with `economy`: what a rule forbids stays forbidden")
        final = graph.invoke(work, {"configurable": {"taskrouter": {"policy": "economy"}}})
    print(f"\n{final['text']}\n{final['verdict']}")


if __name__ == "__main__":
    main()
