"""Routing inside `create_agent`, by a middleware: streamed, through an outage, with every decision in the state.

    pip install 'langchain-taskrouter[demo]'
    python examples/middleware.py

Simulated models: no key, no network. With real models leave the simulator and `config` out, and give `ChatOpenAI(...)`,
`ChatAnthropic(...)` and so on as candidates.
"""

from __future__ import annotations

from typing import Any

from langchain.agents import create_agent
from langchain.agents.middleware import ToolRetryMiddleware
from langchain_core.messages import AIMessageChunk
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI
from pydantic import SecretStr

from langchain_taskrouter import RoutingMiddleware
from taskrouter import simulator

SIMULATED = [
    {"id": "small", "input_usd_per_million": 0.10, "output_usd_per_million": 0.40},
    {"id": "large", "input_usd_per_million": 3.00, "output_usd_per_million": 15.00},
]


@tool
def opening_hours(place: str) -> str:
    """Tell when a place is open."""
    return f"{place} is open from 9 to 17 h, on Sundays from 11 h."


def main() -> None:
    with simulator.serve({"models": SIMULATED}) as server:
        small, large = (
            ChatOpenAI(model=name, base_url=server.base_url, api_key=SecretStr("none")) for name in ("small", "large")
        )
        routing = RoutingMiddleware(
            candidates={"small": small, "large": large},
            incumbent="large",
            config={"models": SIMULATED, "execution": {"retries": 0}},
        )
        agent: Any = create_agent(large, [opening_hours], middleware=[ToolRetryMiddleware(), routing])

        server.script("large", "ok", "overloaded")  # the second call of the incumbent fails
        asked = {"messages": [("user", "When is the museum open?")]}
        with routing.router.budget(usd=0.05, steps=10) as budget:
            for mode, part in agent.stream(asked, stream_mode=["messages", "values"]):
                if mode == "values":
                    state = part
                elif isinstance(part[0], AIMessageChunk):
                    print(part[0].text, end="")
        print()
        for account in state["taskrouter_decisions"]:
            print(f"{account['model']:<6} {account['status']:<9} {account['reason']:<10} ${account['cost_usd']:.6f}")
        print(f"spent: ${budget.spent_usd:.6f} of $0.05")


if __name__ == "__main__":
    main()
