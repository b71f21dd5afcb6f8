"""A LangGraph agent whose model is routed, step by step. Runs against simulated models: no key, no network.

    pip install 'langchain-taskrouter[demo]'
    python examples/langgraph_agent.py

With real models, leave the simulator out and give `ChatOpenAI(...)`, `ChatAnthropic(...)`, ... as candidates.
"""

from __future__ import annotations

from typing import Any

from langchain.agents import create_agent
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI
from pydantic import SecretStr

from langchain_taskrouter import RoutedChatModel
from taskrouter import simulator

SIMULATED: list[dict[str, Any]] = [
    {"id": "sim-small", "input_usd_per_million": 0.10, "output_usd_per_million": 0.40},
    {"id": "sim-large", "input_usd_per_million": 3.00, "output_usd_per_million": 15.00},
]
QUALITY = {"sim-small": 0.85, "sim-large": 0.95}  # invented: the catalogue knows the figures of real models


def facts(model: dict[str, Any]) -> dict[str, Any]:
    return {**model, "quality": {"general": {"mean": QUALITY[model["id"]], "source": "invented"}}}


@tool
def opening_hours(place: str) -> str:
    """Tell when a place is open."""
    return f"{place} is open from 9 to 17 h, on Sundays from 11 h."


def main() -> None:
    with simulator.serve({"models": SIMULATED}) as server:
        model = RoutedChatModel(
            [ChatOpenAI(model=m["id"], base_url=server.base_url, api_key=SecretStr("none")) for m in SIMULATED],
            incumbent="sim-large",
            policy="economy",
            config={"models": [facts(model) for model in SIMULATED]},
        )
        agent: Any = create_agent(model.for_node("guide", task="tool_use"), [opening_hours], name="guide")
        asked = "Use opening_hours: when is the museum open?"
        state = agent.invoke({"messages": [("user", asked)]})
        for message in state["messages"]:
            if account := message.response_metadata.get("taskrouter"):
                print(f"{account['model']:<10} {account['reason']:<24} ${account['cost_usd']:.6f}")
        print("answer:", state["messages"][-1].text)


if __name__ == "__main__":
    main()
