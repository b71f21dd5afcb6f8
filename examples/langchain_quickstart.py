"""One chat model over two: ask, stream, get an object, use it in an agent. Simulated models: no key, no network.

    pip install 'langchain-taskrouter[demo]'
    python examples/langchain_quickstart.py

With real models leave the simulator and `config` out, and give `ChatOpenAI(model="gpt-4.1-mini")`, `ChatAnthropic(...)`
and so on as candidates: prices and quality figures of many are in the bundled catalogue.
"""

from __future__ import annotations

from typing import Any

from langchain.agents import create_agent
from langchain_core.messages import BaseMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI
from pydantic import BaseModel, SecretStr

from langchain_taskrouter import RoutedChatModel
from taskrouter import Step, simulator

SIMULATED = [
    {"id": "small", "input_usd_per_million": 0.10, "output_usd_per_million": 0.40},
    {"id": "large", "input_usd_per_million": 3.00, "output_usd_per_million": 15.00},
]
QUALITY = {  # invented: the router cannot know what simulated models are good at
    "small": {"general": 0.90, "extraction": 0.94, "tool_use": 0.90, "planning": 0.70},
    "large": {"general": 0.91, "extraction": 0.95, "tool_use": 0.91, "planning": 0.92},
}
QUESTION = "Extract the total of this invoice.\n\nThree chairs at 20 EUR each were sold. The total is 60 EUR."


class Invoice(BaseModel):
    """An invoice."""

    number: str
    total: float


@tool
def opening_hours(place: str) -> str:
    """Tell when a place is open."""
    return f"{place} is open from 9 to 17 h, on Sundays from 11 h."


def routed(base_url: str) -> RoutedChatModel:
    """Return the model. This is all that changes in an application."""
    return RoutedChatModel(
        candidates={
            name: ChatOpenAI(model=name, base_url=base_url, api_key=SecretStr("none")) for name in ("small", "large")
        },
        incumbent="large",  # the model you use today: the router stays with it whenever it is unsure
        policy="balanced",  # the default, `safe`, only leaves it where answers are checked
        config={"models": [{**model, "quality": figures(str(model["id"]))} for model in SIMULATED]},
    )


def figures(name: str) -> dict[str, Any]:
    return {task: {"mean": mean, "source": "invented"} for task, mean in QUALITY[name].items()}


def show(what: str, message: BaseMessage, text: str = "") -> None:
    """Print what an answer says of itself."""
    account = message.response_metadata["taskrouter"]
    said = " ".join((text or message.text or "(a tool call)").split())
    print(f"{what:<7} {account['model']:<6} {account['reason']:<21} ${account['cost_usd']:.6f}  {said[:58]}")


def main() -> None:
    with simulator.serve({"speed": 0.0, "models": SIMULATED}) as server:
        model = routed(server.base_url)

        show("ask", model.invoke(QUESTION))

        whole: Any = None
        for chunk in model.stream("Plan the move of an office: find a flat, pack the books and tell the post."):
            whole = chunk if whole is None else whole + chunk  # the account is on the last chunk, so the sum has it
        show("stream", whole)

        reader = model.with_structured_output(Invoice, include_raw=True)  # `raw` is the message
        found: Any = reader.invoke("Extract the invoice.\n\nInvoice number: INV-2041. Total: 310 EUR.")
        show("object", found["raw"], repr(found["parsed"]))

        agent: Any = create_agent(model.for_node("guide", task="tool_use"), [opening_hours])
        state = agent.invoke({"messages": [("user", "Call opening_hours with place: museum")]})
        for message in state["messages"]:
            if "taskrouter" in message.response_metadata:  # each model call is a decision of its own
                show("agent", message)

        print("\nWhy the first one went where it went:\n")
        print(model.router.route(Step(messages=[{"role": "user", "content": QUESTION}])).explain())


if __name__ == "__main__":
    main()
