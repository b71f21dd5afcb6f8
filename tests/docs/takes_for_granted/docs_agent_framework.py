"""The tools and the candidates that the page speaks of."""

from agent_framework_openai import OpenAIChatCompletionClient


def opening_hours(place: str) -> str:
    """Tell when a place is open."""
    return f"{place} is open from 9 to 17 h."


tools = [opening_hours]
candidates = {
    "small": OpenAIChatCompletionClient(model="gpt-4o-mini"),
    "large": OpenAIChatCompletionClient(model="gpt-4o"),
}
