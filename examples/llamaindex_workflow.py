"""Two LlamaIndex agents in a workflow over one routed LLM, with another policy for each. No key, no network.

    pip install llama-index-llms-taskrouter llama-index-llms-openai 'taskrouter[simulate]'
    python examples/llamaindex_workflow.py

Rules know agents by the names that they have in the workflow. The simulated models bear the names of real ones, because
LlamaIndex's `OpenAI` takes no others; so prices and quality figures are those of the bundled catalogue.
"""

from __future__ import annotations

import asyncio
from typing import Any

from llama_index.core.agent.workflow import AgentWorkflow, FunctionAgent, ToolCallResult
from llama_index.llms.openai import OpenAI

from llama_index.llms.taskrouter import RoutedLLM
from taskrouter import Outcome, Router, hookimpl, simulator

MODELS = {"small": "gpt-4.1-mini", "large": "gpt-4o"}
SIMULATED = [
    {"id": "gpt-4.1-mini", "input_usd_per_million": 0.40, "output_usd_per_million": 1.60},
    {"id": "gpt-4o", "input_usd_per_million": 2.50, "output_usd_per_million": 10.00},
]
RULES = [
    {"name": "searching is cheap", "when": {"agent": "researcher"}, "task_type": "tool_use", "policy": "economy"},
    {"name": "what users read", "when": {"agent": "writer"}, "task_type": "closed_qa", "use": ["large"]},
]

ASKED = """How many tons does the harbour crane lift, when was it built and when restored?
Call search with query: harbour crane, then handoff with to_agent: writer, reason: found"""


def search(query: str) -> str:
    """Search the archive."""
    return f"One note on the {query}: it was built in 1908, lifts 12 tons and was restored in 2019."


class Printer:
    """A plugin that is told of every step."""

    @hookimpl
    def taskrouter_completed(self, outcome: Outcome[Any]) -> None:
        decision = outcome.decision
        who, task = decision.context.agent or "-", decision.profile.task_type
        print(f"  {who:<12} {task:<14} {outcome.model:<6} {decision.reason:<22} ${outcome.cost_usd:.6f}")


def workflow_of(llm: RoutedLLM) -> AgentWorkflow:
    """Return a researcher, and a writer to whom the researcher hands over."""
    researcher = FunctionAgent(
        name="researcher",
        description="Searches the archive.",
        system_prompt="You look things up.",
        tools=[search],
        llm=llm,
        can_handoff_to=["writer"],
        allow_parallel_tool_calls=False,  # it is to read what it has found before it hands over
    )
    writer = FunctionAgent(
        name="writer",
        description="Writes for visitors.",
        system_prompt="You answer visitors from what was found.",
        llm=llm,
        can_handoff_to=[],
    )
    return AgentWorkflow(agents=[researcher, writer], root_agent="researcher")


async def main() -> None:
    with (
        simulator.serve({"speed": 0.0, "models": SIMULATED}) as server,
        Router(
            {name: {"model": f"openai/{model}"} for name, model in MODELS.items()},
            incumbent="large",
            rules=RULES,
            plugins=[Printer()],
        ) as router,
    ):
        candidates = {
            name: OpenAI(model=model, api_base=server.base_url, api_key="none") for name, model in MODELS.items()
        }
        workflow = workflow_of(RoutedLLM(candidates, router=router))
        run = workflow.run(ASKED)
        async for event in run.stream_events():
            if isinstance(event, ToolCallResult):
                print(f"  {'':<12} {event.tool_name}({event.tool_kwargs})")
        print(await run)


if __name__ == "__main__":
    asyncio.run(main())
