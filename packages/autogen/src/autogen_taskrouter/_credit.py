"""What AutoGen's messages tell of the answers that led to them: a tool that failed."""

from __future__ import annotations

from collections.abc import Sequence

from autogen_core.models import AssistantMessage, FunctionExecutionResultMessage, LLMMessage

from autogen_taskrouter._history import author_of
from taskrouter.adapters import Authors, Credit
from taskrouter.adapters.credit import TOOL_ERROR


def read(credit: Credit, messages: Sequence[LLMMessage], authors: Authors) -> None:
    """Blame the step whose tool calls failed, as the results at the end of a conversation say."""
    failed: set[str] = set()
    for message in reversed(messages):
        if isinstance(message, FunctionExecutionResultMessage):
            failed.update(result.call_id for result in message.content if result.is_error)
            continue
        if failed and isinstance(message, AssistantMessage) and not isinstance(message.content, str):
            author = author_of(message, authors)
            if author is not None and not failed.isdisjoint(call.id for call in message.content):
                credit.blame(author.decision_id, TOOL_ERROR)
        return
