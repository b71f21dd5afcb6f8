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

PRICES = {
    "small": {"model": "sim-small", "input_usd_per_million": 0.10, "output_usd_per_million": 0.40},
    "large": {"model": "sim-large", "input_usd_per_million": 3.00, "output_usd_per_million": 15.00},
}


@tool
def opening_hours(place: str) -> str:
    """Tell when a place is open."""
    return f"{place} is open from 9 to 17 h, on Sundays from 11 h."


def main() -> None:
    with simulator.serve() as server:
        candidates = {
            "small": ChatOpenAI(model="sim-small", base_url=server.base_url, api_key=SecretStr("none")),
            "large": ChatOpenAI(model="sim-large", base_url=server.base_url, api_key=SecretStr("none")),
        }
        model = RoutedChatModel(
            candidates,
            incumbent="large",
            policy="economy",
            config={"models": [{"id": name, **facts} for name, facts in PRICES.items()]},
        )
        agent: Any = create_agent(model, [opening_hours], name="guide")
        asked = "Use opening_hours: when is the museum open?"
        state = agent.invoke({"messages": [("user", asked)]})
        for message in state["messages"]:
            if account := message.response_metadata.get("taskrouter"):
                print(f"{account['model']:<6} {account['reason']:<24} ${account['cost_usd']:.6f}")
        print("answer:", state["messages"][-1].text)


if __name__ == "__main__":
    main()
