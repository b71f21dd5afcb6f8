"""The tools and the candidates that the page speaks of."""

from langchain_anthropic import ChatAnthropic
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI


@tool
def opening_hours(place: str) -> str:
    """Tell when a place is open."""
    return f"{place} is open from 9 to 17 h."


tools = [opening_hours]
candidates = {"small": ChatOpenAI(model="house/unknown"), "large": ChatAnthropic(model="claude-sonnet-4-5")}
