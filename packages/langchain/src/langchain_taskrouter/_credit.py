"""What LangChain's messages tell of the answers that led to them: a tool that failed."""

from __future__ import annotations

from collections.abc import Sequence

from langchain_core.messages import AIMessage, BaseMessage, ToolMessage

from taskrouter.adapters import KEY, Credit
from taskrouter.adapters.credit import TOOL_ERROR


def read(credit: Credit, messages: Sequence[BaseMessage]) -> None:
    """Blame the steps whose tool calls failed, as the tool messages at the end of a conversation say."""
    failed = set()
    for message in reversed(messages):
        if isinstance(message, ToolMessage):
            if message.status == "error":
                failed.add(message.tool_call_id)
        elif isinstance(message, AIMessage):
            if failed and not failed.isdisjoint(call["id"] for call in message.tool_calls):
                blame_for(credit, message, TOOL_ERROR)
            return
        else:
            return


def blame_for(credit: Credit, message: BaseMessage, source: str) -> None:
    """Blame the step that a message is the answer of, if it says so."""
    said = message.response_metadata.get(KEY)
    if isinstance(said, dict) and isinstance(decision_id := said.get("decision_id"), str):
        credit.blame(decision_id, source)
