"""An agent's words in a terminal as they come, and which model says them. Runs against simulated models: no key.

    pip install 'langchain-taskrouter[demo]'
    python examples/streaming_ui.py

What a user interface has to deal with: words of several steps, a model that fails before its first word (another one
takes over, nobody notices) and one that fails after it (no other model goes on: what was shown would be said twice).
"""

from __future__ import annotations

from typing import Any

from langchain.agents import create_agent
from langchain_core.exceptions import ModelError
from langchain_core.messages import AIMessageChunk, ToolMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI
from pydantic import SecretStr

from langchain_taskrouter import RoutedChatModel
from taskrouter import simulator
from taskrouter.errors import StreamBroken

SIMULATED = [
    {"id": "small", "input_usd_per_million": 0.10, "output_usd_per_million": 0.40, "output_tokens_per_s": 60},
    {"id": "large", "input_usd_per_million": 3.00, "output_usd_per_million": 15.00, "output_tokens_per_s": 30},
]


@tool
def opening_hours(place: str) -> str:
    """Tell when a place is open."""
    return f"The {place} is open from 9 to 17 h, on Sundays from 11 h."


def show(agent: Any, question: str) -> None:
    """Print a run as it goes."""
    print(f"\n> {question}")
    try:
        for part, _ in agent.stream({"messages": [("user", question)]}, stream_mode="messages"):
            if isinstance(part, ToolMessage):
                print(f"  ({part.name} has answered)")
            elif isinstance(part, AIMessageChunk):
                print(part.text, end="", flush=True)
                for call in part.tool_call_chunks:
                    print(f"  ({call['name']} is called)" if call["name"] else "", end="")
                if account := part.response_metadata.get("taskrouter"):  # on exactly one chunk, the last of its step
                    print(f"\n  [{signature(account)}]")
    except ModelError as error:
        broken = error.__cause__
        if not isinstance(broken, StreamBroken):
            raise  # nothing was shown: every model failed before its first word
        print(f"...\n  [{error}; {len(broken.partial.text.split())} words had arrived. Ask again?]")


def signature(account: dict[str, Any]) -> str:
    """Say who answered, and how it came to that."""
    tries = account["attempts"]
    how = account["reason"] if tries == 1 else f"after {tries} attempts"
    return f"{account['model']}, {how}, ${account['cost_usd']:.6f}"


def main() -> None:
    with simulator.serve({"speed": 0.2, "models": SIMULATED}) as server:
        model = RoutedChatModel(
            {m: ChatOpenAI(model=m, base_url=server.base_url, api_key=SecretStr("none")) for m in ("small", "large")},
            incumbent="large",
            max_retries=0,
            config={"models": SIMULATED},
        )
        agent = create_agent(model, [opening_hours])
        show(agent, "Call opening_hours with place: museum")

        server.script("large", "error_after_role")  # a chunk comes, but no word of the answer
        show(agent, "Call opening_hours with place: library")

        server.script("large", "ok", "error_event")  # the second step breaks in the middle
        show(agent, "Call opening_hours with place: swimming pool")


if __name__ == "__main__":
    main()
