"""An AutoGen team over one routed client, with another policy for each agent. Simulated models: no key, no network.

    pip install autogen-taskrouter autogen-agentchat 'autogen-ext[openai]' 'taskrouter[simulate]'
    python examples/autogen_team.py

Rules know agents by their names in the team; who picks the next speaker is called `SelectorGroupChatManager`. The
simulated models bear the names of real ones, so prices and quality figures are those of the bundled catalogue.
"""

from __future__ import annotations

import asyncio
from typing import Any

from autogen_agentchat.agents import AssistantAgent
from autogen_agentchat.conditions import MaxMessageTermination
from autogen_agentchat.teams import SelectorGroupChat
from autogen_ext.models.openai import OpenAIChatCompletionClient

from autogen_taskrouter import RoutedChatCompletionClient
from taskrouter import Outcome, Router, hookimpl, simulator

MODELS = {"small": "gpt-4.1-mini", "large": "gpt-4o"}
SIMULATED = [
    {"id": "gpt-4.1-mini", "input_usd_per_million": 0.40, "output_usd_per_million": 1.60},
    {"id": "gpt-4o", "input_usd_per_million": 2.50, "output_usd_per_million": 10.00},
]
RULES = [
    {
        "name": "who is next",
        "when": {"agent": "SelectorGroupChatManager"},
        "task_type": "classification",
        "policy": "economy",
    },
    {"name": "plans", "when": {"agent": "guide"}, "task_type": "planning", "use": ["large"]},
    {"name": "checks", "when": {"agent": "checker"}, "task_type": "verification", "policy": "economy"},
]
GUIDES = "Says which sights to visit, in which order, how long each takes, how to walk from one to the other."
CHECKS = "Checks what was said."


class Printer:
    """A plugin that is told of every step, also of those whose answer no message shows: who speaks next."""

    @hookimpl
    def taskrouter_completed(self, outcome: Outcome[Any]) -> None:
        decision = outcome.decision
        who, task = decision.context.agent, decision.profile.task_type
        print(f"  {who:<24} {task:<15} {outcome.model:<6} {decision.reason:<22} ${outcome.cost_usd:.6f}")


def team_of(client: RoutedChatCompletionClient) -> SelectorGroupChat:
    """Return a guide and a checker, and who picks the next of them: all with the same client."""
    guide = AssistantAgent("guide", client, description=GUIDES, system_message="You plan visits.")
    checker = AssistantAgent("checker", client, description=CHECKS, system_message="You verify what others say.")
    return SelectorGroupChat([guide, checker], client, termination_condition=MaxMessageTermination(3))


async def main() -> None:
    with simulator.serve({"speed": 0.0, "models": SIMULATED}) as server:
        async with Router(
            {name: {"model": f"openai/{model}"} for name, model in MODELS.items()},
            incumbent="large",
            rules=RULES,
            plugins=[Printer()],
        ) as router:
            client = RoutedChatCompletionClient(
                {
                    name: OpenAIChatCompletionClient(model=model, base_url=server.base_url, api_key="none")
                    for name, model in MODELS.items()
                },
                router=router,
            )
            team = team_of(client)
            with router.budget(usd=0.05) as budget:
                result = await team.run(task="See the crane, eat fish, climb the lighthouse.")
            for message in result.messages:
                print(f"\n{message.source}: {message.to_text()}")
            print(f"\nspent: ${budget.spent_usd:.6f} of $0.05")
            await client.close()


if __name__ == "__main__":
    asyncio.run(main())
