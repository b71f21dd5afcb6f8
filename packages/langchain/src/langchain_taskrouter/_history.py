"""What of a conversation another model must not see.

A thought is signed by the model that had it, and another model refuses it (Anthropic answers 400). Everything else goes
to a candidate as it is: LangChain's integrations translate it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from langchain_core.messages import AIMessage, BaseMessage

from langchain_taskrouter._identity import KEY

_SIGNED = frozenset({"thinking", "redacted_thinking", "reasoning"})


def history_for(candidate: str, messages: list[BaseMessage]) -> list[BaseMessage]:
    """Return the messages without the thoughts of other candidates; the same list where there are none."""
    if not any(_foreign(message, candidate) for message in messages):
        return messages
    return [_without_thoughts(m) if _foreign(m, candidate) else m for m in messages]


def _foreign(message: BaseMessage, candidate: str) -> bool:
    if not isinstance(message, AIMessage) or isinstance(message.content, str):
        return False
    account: Mapping[str, Any] = message.response_metadata.get(KEY) or {}
    return account.get("model", candidate) != candidate and any(_is_thought(part) for part in message.content)


def _without_thoughts(message: BaseMessage) -> BaseMessage:
    kept = [part for part in message.content if not _is_thought(part)]
    return message.model_copy(update={"content": kept or ""})


def _is_thought(part: str | Mapping[str, Any]) -> bool:
    return isinstance(part, Mapping) and part.get("type") in _SIGNED
