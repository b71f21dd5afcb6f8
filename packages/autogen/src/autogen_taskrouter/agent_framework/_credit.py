"""What the framework's messages tell of the answers that led to them: a tool that failed."""

from __future__ import annotations

from collections.abc import Sequence

from agent_framework import Message

from autogen_taskrouter.agent_framework._history import author_of
from taskrouter.adapters import Authors, Credit
from taskrouter.adapters.credit import TOOL_ERROR

_NOBODYS = frozenset({"FunctionInvocationLimit", "MiddlewareFailure", "UserInputRequiredException"})
"""What stands for the failure where the framework has not run a tool to its end: no fault of the call."""


def read(credit: Credit, messages: Sequence[Message], authors: Authors) -> None:
    """Blame the step whose tool calls failed, as the results at the end of a conversation say."""
    failed: set[str | None] = set()
    for message in reversed(messages):
        results = [content for content in message.contents if content.type == "function_result"]
        failed.update(result.call_id for result in results if result.exception not in (None, *_NOBODYS))
        if results:
            continue
        if failed and message.role == "assistant" and not failed.isdisjoint(_calls(message)):
            author = author_of(authors, message)
            if author is not None:
                credit.blame(author.decision_id, TOOL_ERROR)
        return


def _calls(message: Message) -> set[str | None]:
    return {content.call_id for content in message.contents if content.type == "function_call"}
