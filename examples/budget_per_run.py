"""A run of many parallel branches under one budget, and its outcome as feedback. Simulated models: no key, no network.

    pip install 'langchain-taskrouter[demo]'
    python examples/budget_per_run.py

Every run of the graph has the same limit, of its own. Before a call the most that it may cost is set aside, so branches
that run at the same time cannot spend the same money twice. What to do with those that got none is for you to say.
"""

from __future__ import annotations

import asyncio
import operator
from typing import Annotated, Any, TypedDict
from uuid import uuid4

from langchain_openai import ChatOpenAI
from langgraph.graph import END, START, StateGraph
from langgraph.types import Send
from pydantic import SecretStr

from langchain_taskrouter import RoutedChatModel
from taskrouter import BudgetExceededError, simulator

SIMULATED = [
    {"id": "small", "input_usd_per_million": 0.10, "output_usd_per_million": 0.40},
    {"id": "large", "input_usd_per_million": 3.00, "output_usd_per_million": 15.00},
]
LIMIT_USD = 0.0015
TEXT = "The harbour crane of 1908 lifts 12 tons. It was restored in 2019. Visitors may climb it on Sundays."


class State(TypedDict):
    chapters: list[int]
    summaries: Annotated[list[str], operator.add]
    skipped: Annotated[list[int], operator.add]
    spent_usd: Annotated[float, operator.add]
    served: Annotated[list[str], operator.add]
    answer: str


class Chapter(TypedDict):
    number: int


def graph_of(model: RoutedChatModel) -> Any:
    """Return a graph that reads all chapters at once."""
    reader = model.for_node("read", task="summarization").bind(max_tokens=60)  # so that the most it costs is known

    async def read(chapter: Chapter) -> dict[str, Any]:
        try:
            answer = await reader.ainvoke(f"Summarise chapter {chapter['number']}:\n{TEXT}")
        except BudgetExceededError:  # nothing was sent; what is there already is kept
            return {"skipped": [chapter["number"]]}
        account = answer.response_metadata["taskrouter"]
        return {"summaries": [answer.text], "spent_usd": account["cost_usd"], "served": [account["model"]]}

    async def conclude(state: State) -> dict[str, Any]:
        return {"answer": f"{len(state['summaries'])} of {len(state['chapters'])} chapters were read."}

    graph: Any = StateGraph(State)
    graph.add_node("read", read)
    graph.add_node("conclude", conclude)
    graph.add_conditional_edges(START, lambda state: [Send("read", {"number": n}) for n in state["chapters"]], ["read"])
    graph.add_edge("read", "conclude")
    graph.add_edge("conclude", END)
    return graph.compile()


async def main() -> None:
    with simulator.serve({"speed": 0.0, "models": SIMULATED}) as server:
        model = RoutedChatModel(
            {m: ChatOpenAI(model=m, base_url=server.base_url, api_key=SecretStr("none")) for m in ("small", "large")},
            incumbent="large",
            config={"models": SIMULATED, "budget": {"run": {"usd": LIMIT_USD}}},
        )
        graph = graph_of(model)
        for chapters in (2, 40, 150):
            run_id = uuid4()  # LangGraph's own id of the run; the router uses it too
            empty = {"summaries": [], "skipped": [], "spent_usd": 0.0, "served": [], "answer": ""}
            final = await graph.ainvoke({"chapters": list(range(chapters)), **empty}, {"run_id": run_id})
            by = {m: final["served"].count(m) for m in ("large", "small")}
            print(f"{final['answer']} ${final['spent_usd']:.4f} of ${LIMIT_USD} spent, by {by}")

            # How good the run was, as far as you can tell: each of its steps is credited with a share.
            model.router.feedback_run(str(run_id), len(final["summaries"]) / chapters, source="chapters read")

        try:  # a budget may also be a block's, for whatever is called in it
            with model.router.budget(usd=0.000001):
                await model.ainvoke("What is 12 * 12?")
        except BudgetExceededError as error:
            print(f"\nThe message says what to do:\n{error}")


if __name__ == "__main__":
    asyncio.run(main())
