"""The router's account of an answer, beside the native one: never within the message, which may reach a wire."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from llama_index.core.base.llms.types import ChatResponse

from llama_index.llms.taskrouter._transcripts import signs_of
from llama_index.llms.taskrouter._view import Response
from taskrouter import Outcome
from taskrouter.adapters import KEY, Author, Authors, account

CANDIDATE = "taskrouter_candidate"
"""The key in `additional_kwargs` of a chunk that says which candidate it is of; the last one has the whole account."""


def annotated(response: Response, outcome: Outcome[Any], notes: Mapping[str, Any]) -> Response:
    """Return a copy of a response with the account in `additional_kwargs`; the candidate's own is not changed."""
    return _with(response, KEY, account(outcome, notes))


def marked(chunk: Response, model_id: str) -> Response:
    """Return a copy of a chunk that says which candidate it is of: agents read tool calls out of every chunk."""
    return _with(chunk, CANDIDATE, model_id)


def model_of(response: Response) -> str | None:
    """Return the id of the candidate that a response is of, as it says."""
    said = response.additional_kwargs.get(KEY)
    found = said.get("model") if isinstance(said, Mapping) else response.additional_kwargs.get(CANDIDATE)
    return found if isinstance(found, str) else None


def remember(response: Response, outcome: Outcome[Any], authors: Authors) -> None:
    """Remember who gave an answer, by what it will be known by in a conversation."""
    if isinstance(response, ChatResponse) and (signs := signs_of(response.message)):
        authors.note(signs, Author(outcome.model, outcome.decision_id))


def _with(response: Response, key: str, said: Any) -> Response:
    return response.model_copy(update={"additional_kwargs": {**response.additional_kwargs, key: said}})
