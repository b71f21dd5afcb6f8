"""The agent that the page speaks of."""

from langchain_core.tools import tool
from langgraph.checkpoint.memory import InMemorySaver
from pydantic import BaseModel


@tool
def opening_hours(place: str) -> str:
    """Tell when a place is open."""
    return f"{place} is open from 9 to 17 h."


class Plan(BaseModel):
    """A day in town."""

    place: str


tools, checkpointer = [opening_hours], InMemorySaver()
question = {"messages": [("user", "When is the museum open?")]}
