"""The router's account of an answer, put on the native message, or on exactly one chunk of a stream."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from langchain_core.messages import AIMessageChunk
from langchain_core.outputs import ChatGenerationChunk, ChatResult

from taskrouter import Outcome, Router
from taskrouter.adapters import KEY, account


def annotated(outcome: Outcome[ChatResult], router: Router, notes: Mapping[str, Any]) -> ChatResult:
    """Return the answer with its account. The candidate's own may lie in a cache, so it is copied, not changed.

    What is said of the answer beside the message goes into the message, as LangChain has it.
    """
    first, *others = outcome.response.generations
    facts = {
        **((not others and outcome.response.llm_output) or {}),
        **(first.generation_info or {}),
        **first.message.response_metadata,
        KEY: account(outcome, notes),
    }
    facts.setdefault("model_name", outcome.view.model or router.models[outcome.model].model)
    message = first.message.model_copy(update={"response_metadata": facts})
    generation = first.model_copy(update={"message": message})
    return outcome.response.model_copy(update={"generations": [generation, *others]})


class Relay:
    """Hands a stream's chunks on at once, and the account with the last: repeated on every chunk it would be joined.

    A chunk that calls itself the last is held until the stream has ended; without one an empty last chunk is added.
    """

    def __init__(self, router: Router, notes: Mapping[str, Any]) -> None:
        self._router, self._notes = router, notes
        self._held: ChatGenerationChunk | None = None
        self._content: Any = ""

    def put(self, chunk: ChatGenerationChunk) -> tuple[ChatGenerationChunk, ...]:
        """Take a chunk in, and return what is to be handed on."""
        held, self._held = self._held, None
        message = chunk.message
        self._content = message.content
        if getattr(message, "chunk_position", None) == "last":
            self._held = chunk
            return () if held is None else (held,)
        return (chunk,) if held is None else (held, chunk)

    def last(self, outcome: Outcome[Any] | None) -> ChatGenerationChunk:
        """Return the last chunk, with the account."""
        assert outcome is not None, "the stream has not ended"  # noqa: S101 - the router's contract
        facts: dict[str, Any] = {KEY: account(outcome, self._notes)}
        if outcome.view.model is None:  # else a chunk has said it, and it would be joined
            facts["model_name"] = self._router.models[outcome.model].model
        if self._held is None:
            content: Any = [] if isinstance(self._content, list) else ""
            return ChatGenerationChunk(
                message=AIMessageChunk(content=content, response_metadata=facts, chunk_position="last")
            )
        said = self._held.message.response_metadata
        message = self._held.message.model_copy(update={"response_metadata": {**said, **facts}})
        return self._held.model_copy(update={"message": message})
