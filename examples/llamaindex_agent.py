"""A LlamaIndex agent whose model is chosen step by step. Simulated models: no key, no network.

    pip install llama-index-llms-taskrouter llama-index-llms-openai 'taskrouter[simulate]'
    python examples/llamaindex_agent.py

The simulated models bear the names of real ones, because LlamaIndex's `OpenAI` takes no others; so prices and quality
figures are those of the bundled catalogue. With real models leave `api_base` and `api_key` out.
"""

from __future__ import annotations

import asyncio
from typing import Any

from llama_index.core.agent.workflow import AgentStream, FunctionAgent, ToolCallResult
from llama_index.llms.openai import OpenAI

from llama_index.llms.taskrouter import RoutedLLM
from taskrouter import Outcome, Router, hookimpl, simulator

MODELS = {"small": "gpt-4.1-mini", "large": "gpt-4o"}
SIMULATED = [
    {"id": "gpt-4.1-mini", "input_usd_per_million": 0.40, "output_usd_per_million": 1.60},
    {"id": "gpt-4o", "input_usd_per_million": 2.50, "output_usd_per_million": 10.00},
]


def opening_hours(place: str) -> str:
    """Tell when a place is open."""
    return f"{place} is open from 9 to 17 h, on Sundays from 11 h."


class Printer:
    """A plugin that is told of every step: an agent keeps nothing of an answer beside what was said."""

    @hookimpl
    def taskrouter_completed(self, outcome: Outcome[Any]) -> None:
        decision = outcome.decision
        who, task = decision.context.agent, decision.profile.task_type
        calls = len(outcome.attempts)
        print(f"  [{who}, {task}: {outcome.model}, {decision.reason}, {outcome.status}, calls: {calls}]")


def routed(base_url: str) -> RoutedLLM:
    """Return the LLM. This is all that changes in an application."""
    router = Router(
        {name: {"model": f"openai/{model}"} for name, model in MODELS.items()},
        incumbent="large",  # the model you use today: the router stays with it whenever it is unsure
        rules=[{"name": "guide", "when": {"agent": "guide"}, "task_type": "tool_use", "policy": "economy"}],
        plugins=[Printer()],
    )
    candidates = {name: OpenAI(model=model, api_base=base_url, api_key="none") for name, model in MODELS.items()}
    return RoutedLLM(candidates, router=router)


async def main() -> None:
    with simulator.serve({"speed": 0.0, "models": SIMULATED}) as server:
        agent = FunctionAgent(name="guide", tools=[opening_hours], llm=routed(server.base_url))

        print("A tool, then the answer, as they come:")
        run = agent.run("Call opening_hours with place: museum")
        async for event in run.stream_events():
            if isinstance(event, ToolCallResult):
                print(f"  {event.tool_name}({event.tool_kwargs})")
            elif isinstance(event, AgentStream):
                print(event.delta, end="")

        print("\nThe same while the small model's provider is down:")
        server.chaos({"phases": [{"models": [MODELS["small"]], "faults": ["overloaded"]}]})
        print(await agent.run("Call opening_hours with place: library"))


if __name__ == "__main__":
    asyncio.run(main())
