"""An agent of Microsoft's Agent Framework whose model is chosen call by call. Simulated models: no key, no network.

    pip install 'autogen-taskrouter[agent-framework]' agent-framework-openai 'taskrouter[simulate]'
    python examples/agent_framework_agent.py

The simulated models bear the names of real ones, so prices and quality figures are those of the bundled catalogue. With
real models leave `base_url` and `api_key` out.
"""

from __future__ import annotations

import asyncio
from typing import Any

from agent_framework_openai import OpenAIChatCompletionClient
from pydantic import BaseModel

from autogen_taskrouter.agent_framework import RoutedChatClient
from taskrouter import Outcome, Router, hookimpl, simulator

MODELS = {"small": "gpt-4.1-mini", "large": "gpt-4o"}
SIMULATED = [
    {"id": "gpt-4.1-mini", "input_usd_per_million": 0.40, "output_usd_per_million": 1.60},
    {"id": "gpt-4o", "input_usd_per_million": 2.50, "output_usd_per_million": 10.00},
]
RULES = [
    {"name": "the guide's", "when": {"agent": "guide"}, "task_type": "tool_use", "policy": "economy"},
    {"name": "the clerk's", "when": {"agent": "clerk"}, "task_type": "extraction", "policy": "balanced"},
]


class Invoice(BaseModel):
    """An invoice."""

    number: str
    total: float


def opening_hours(place: str) -> str:
    """Tell when a place is open."""
    return f"{place} is open from 9 to 17 h, on Sundays from 11 h."


class Printer:
    """A plugin that is told of every step; a response has the account of the last one only."""

    @hookimpl
    def taskrouter_completed(self, outcome: Outcome[Any]) -> None:
        decision, calls = outcome.decision, len(outcome.attempts)
        who, cost = decision.context.agent, f"${outcome.cost_usd:.6f}"
        print(f"  [{who}: {outcome.model}, {decision.reason}, {outcome.status}, calls: {calls}, {cost}]")


def routed(base_url: str, router: Router) -> RoutedChatClient:
    """Return the chat client. This is all that changes in an application."""
    candidates = {
        name: OpenAIChatCompletionClient(model=model, base_url=base_url, api_key="none")
        for name, model in MODELS.items()
    }
    return RoutedChatClient(candidates, router=router)


async def main() -> None:
    pool = {name: {"model": f"openai/{model}"} for name, model in MODELS.items()}
    with simulator.serve({"speed": 0.0, "models": SIMULATED}) as server:
        async with Router(pool, incumbent="large", rules=RULES, plugins=[Printer()]) as router:
            client = routed(server.base_url, router)
            guide = client.as_agent(name="guide", instructions="You help visitors.", tools=[opening_hours])
            clerk = client.as_agent(name="clerk", instructions="You read invoices.")

            print("A tool, then the answer, streamed:")
            async for update in guide.run("Call opening_hours with place: museum", stream=True):
                print(update.text, end="")

            print("\nAn object:")
            asked = "Extract the invoice. Invoice number: INV-2041. Total: 310 EUR."
            print(repr((await clerk.run(asked, options={"response_format": Invoice})).value))

            print("The guide while the small model's provider is down:")
            server.chaos({"phases": [{"models": [MODELS["small"]], "faults": ["overloaded"]}]})
            print(await guide.run("Call opening_hours with place: library"))
            await client.aclose()


if __name__ == "__main__":
    asyncio.run(main())
