"""The router's account of an answer, put on the native response, or on exactly one update of a stream."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

from agent_framework import ChatResponse, ChatResponseUpdate

from taskrouter import Outcome, Router
from taskrouter.adapters import KEY, account


def annotated(outcome: Outcome[ChatResponse[Any]], router: Router, notes: Mapping[str, Any]) -> ChatResponse[Any]:
    """Return the answer with its account, in a copy: a candidate's middleware may keep its own."""
    response = copy.copy(outcome.response)
    response.additional_properties = {**response.additional_properties, KEY: account(outcome, notes)}
    response.model = response.model or router.models[outcome.model].model
    return response


def last_update(outcome: Outcome[Any], router: Router, notes: Mapping[str, Any]) -> ChatResponseUpdate:
    """Return an update with the account alone, to end a stream with: the framework puts it on the whole response."""
    unnamed = router.models[outcome.model].model if outcome.view.model is None else None
    return ChatResponseUpdate(model=unnamed, additional_properties={KEY: account(outcome, notes)})
