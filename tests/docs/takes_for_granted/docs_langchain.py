"""The agent that the page speaks of."""

from langchain_anthropic import ChatAnthropic  # type: ignore[import-not-found] # a stand-in, see test_examples.py
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI

from taskrouter import Step


@tool
def opening_hours(place: str) -> str:
    """Tell when a place is open."""
    return f"{place} is open from 9 to 17 h."


class App:
    """A graph that the page invokes."""

    def invoke(self, state: object, config: object) -> None:
        """Do nothing: what matters is that the page's call is well-formed."""


tools = [opening_hours]
app, run_id = App(), "run-1"
state: dict[str, object] = {}
step = Step(messages=[{"role": "user", "content": "When is the museum open?"}])
candidates = {"small": ChatOpenAI(model="house/unknown"), "large": ChatAnthropic(model="claude-sonnet-4-5")}
