"""A routed model whose first candidate does not answer, and what its provider has received."""

import socket

from langchain_core.tools import tool
from langchain_openai import ChatOpenAI

from langchain_taskrouter import RoutedChatModel


@tool
def opening_hours(place: str) -> str:
    """Tell when a place is open."""
    return f"{place} is open from 9 to 17 h."


with socket.socket() as listener:
    listener.bind(("127.0.0.1", 0))
    nobody = f"http://127.0.0.1:{listener.getsockname()[1]}/v1"

seen: list[str] = []


class Watched(ChatOpenAI):
    """Keeps what it sends."""

    def _get_request_payload(self, *args: object, **kwargs: object) -> dict:  # type: ignore[type-arg]
        payload = super()._get_request_payload(*args, **kwargs)  # type: ignore[arg-type]
        seen.append(repr(payload))
        return payload


def sent() -> str:
    """Return everything that was sent."""
    return "\n".join(seen)


spare = Watched(model="gpt-4o")
model = RoutedChatModel(
    {"down": ChatOpenAI(model="gpt-4o", base_url=nobody), "spare": spare, "third": ChatOpenAI(model="gpt-4o-mini")},
    incumbent="down",
    config={"execution": {"backoff_base_s": 0.001}},
)
