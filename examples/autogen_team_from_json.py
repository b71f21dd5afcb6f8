"""An AutoGen team that is loaded from JSON, with its routed clients. Simulated models: no key, no network.

    pip install autogen-taskrouter autogen-agentchat 'autogen-ext[openai]' 'taskrouter[simulate]'
    python examples/autogen_team_from_json.py

No key is in the file: the candidates read `OPENAI_API_KEY` from the environment, and what the team dumps has none
either. Each agent of a loaded team has a client of its own, and each client a router. AutoGen's head, which is not
released, loads components of others only where `AUTOGEN_ALLOWED_PROVIDER_NAMESPACES` names them.
"""

from __future__ import annotations

import asyncio
import json
import os
from typing import Any

from autogen_agentchat.teams import RoundRobinGroupChat

from autogen_taskrouter import RoutedUsage
from taskrouter import ConfigurationError, simulator

SIMULATED = [
    {"id": "gpt-4.1-mini", "input_usd_per_million": 0.40, "output_usd_per_million": 1.60},
    {"id": "gpt-4o", "input_usd_per_million": 2.50, "output_usd_per_million": 10.00},
]
TEAM = """
{
  "provider": "autogen_agentchat.teams.RoundRobinGroupChat",
  "config": {
    "participants": [
      {
        "provider": "autogen_agentchat.agents.AssistantAgent",
        "config": {
          "name": "guide",
          "description": "Plans a visit.",
          "system_message": "You plan visits.",
          "reflect_on_tool_use": false,
          "tool_call_summary_format": "{result}",
          "model_client": {
            "provider": "autogen_taskrouter.RoutedChatCompletionClient",
            "config": {
              "candidates": {
                "small": {
                  "provider": "autogen_ext.models.openai.OpenAIChatCompletionClient",
                  "config": {"model": "gpt-4.1-mini"}
                },
                "large": {
                  "provider": "autogen_ext.models.openai.OpenAIChatCompletionClient",
                  "config": {"model": "gpt-4o"}
                }
              },
              "incumbent": "large",
              "declared": {"task": "planning"}
            }
          }
        }
      },
      {
        "provider": "autogen_agentchat.agents.AssistantAgent",
        "config": {
          "name": "checker",
          "description": "Checks what was said.",
          "system_message": "You verify what others say.",
          "reflect_on_tool_use": false,
          "tool_call_summary_format": "{result}",
          "model_client": {
            "provider": "autogen_taskrouter.RoutedChatCompletionClient",
            "config": {
              "candidates": {
                "small": {
                  "provider": "autogen_ext.models.openai.OpenAIChatCompletionClient",
                  "config": {"model": "gpt-4.1-mini"}
                },
                "large": {
                  "provider": "autogen_ext.models.openai.OpenAIChatCompletionClient",
                  "config": {"model": "gpt-4o"}
                }
              },
              "incumbent": "large",
              "policy": "economy",
              "declared": {"task": "verification"}
            }
          }
        }
      }
    ],
    "max_turns": 2
  }
}
"""


async def run(team: RoundRobinGroupChat) -> None:
    """Run a team, and print who said what, with which model."""
    result = await team.run(task="See the crane, eat fish, climb the lighthouse.")
    for message in result.messages:
        usage = message.models_usage
        account = usage.taskrouter if isinstance(usage, RoutedUsage) else {}
        print(f"  {message.source:<8} {account.get('model', ''):<6} {' '.join(message.to_text().split())[:70]}")


def masked(team: dict[str, Any]) -> dict[str, Any]:
    """Return a team as other tools write it down: with a key of which only asterisks are left."""
    client = team["config"]["participants"][0]["config"]["model_client"]
    client["config"]["candidates"]["small"]["config"]["api_key"] = "**********"
    return team


async def main() -> None:
    with simulator.serve({"speed": 0.0, "models": SIMULATED}) as server:
        os.environ |= {"OPENAI_BASE_URL": server.base_url, "OPENAI_API_KEY": "a-secret"}  # your own: the key alone

        print("loaded:")
        team = RoundRobinGroupChat.load_component(json.loads(TEAM))
        await run(team)

        print("dumped and loaded again:")
        written = team.dump_component().model_dump_json()
        await run(RoundRobinGroupChat.load_component(json.loads(written)))
        print(f"  the key is in the file: {'a-secret' in written}")

        print("a key that was masked:")
        try:
            RoundRobinGroupChat.load_component(masked(json.loads(TEAM)))
        except ConfigurationError as error:
            print(f"  {error}")


if __name__ == "__main__":
    asyncio.run(main())
