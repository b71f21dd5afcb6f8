"""An AutoGen agent whose model is chosen call by call. Simulated models: no key, no network.

    pip install autogen-taskrouter autogen-agentchat 'autogen-ext[openai]' 'taskrouter[simulate]'
    python examples/autogen_agent.py

The simulated models bear the names of real ones, so prices and quality figures are those of the bundled catalogue. With
real models leave `base_url` and `api_key` out.
"""

from __future__ import annotations

import asyncio
from typing import Any

from autogen_agentchat.agents import AssistantAgent
from autogen_agentchat.messages import BaseAgentEvent, BaseChatMessage
from autogen_ext.models.openai import OpenAIChatCompletionClient

from autogen_taskrouter import RoutedChatCompletionClient, RoutedUsage
from taskrouter import simulator

MODELS = {"small": "gpt-4.1-mini", "large": "gpt-4o"}
SIMULATED = [
    {"id": "gpt-4.1-mini", "input_usd_per_million": 0.40, "output_usd_per_million": 1.60},
    {"id": "gpt-4o", "input_usd_per_million": 2.50, "output_usd_per_million": 10.00},
]


async def opening_hours(place: str) -> str:
    """Tell when a place is open."""
    return f"{place} is open from 9 to 17 h, on Sundays from 11 h."


def routed(base_url: str) -> RoutedChatCompletionClient:
    """Return the model client. This is all that changes in an application."""
    return RoutedChatCompletionClient(
        {
            name: OpenAIChatCompletionClient(model=model, base_url=base_url, api_key="none")
            for name, model in MODELS.items()
        },
        incumbent="large",  # the model you use today: the router stays with it whenever it is unsure
        policy="economy",  # the default, `safe`, only leaves it where answers are checked
    )


def show(message: Any) -> None:
    """Print a message, and where it came from, which its usage tells."""
    if not isinstance(message, BaseChatMessage | BaseAgentEvent):
        return
    print(f"  {type(message).__name__:<23} {message.to_text()[:75]}")
    if isinstance(usage := message.models_usage, RoutedUsage):
        account = usage.taskrouter
        why = f"{account['model']}, {account['reason']}, {account['status']}, calls: {account['attempts']}"
        print(f"  {'':<23} [{why}, ${account['cost_usd']:.6f}]")


async def main() -> None:
    with simulator.serve({"speed": 0.0, "models": SIMULATED}) as server:
        client = routed(server.base_url)
        agent = AssistantAgent(
            "guide",
            client.for_agent("guide", task="tool_use"),
            tools=[opening_hours],
            reflect_on_tool_use=True,
        )
        print("A tool, then the answer:")
        async for message in agent.run_stream(task="Call opening_hours with place: museum"):
            show(message)

        print("The same while the small model's provider is down:")
        server.chaos({"phases": [{"models": [MODELS["small"]], "faults": ["overloaded"]}]})
        async for message in agent.run_stream(task="Call opening_hours with place: library"):
            show(message)

        print(f"AutoGen's own count, of all calls: {client.total_usage()}")
        await client.close()


if __name__ == "__main__":
    asyncio.run(main())
