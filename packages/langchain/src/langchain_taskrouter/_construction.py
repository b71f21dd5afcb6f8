"""From the arguments of a routed model to its candidates and its router."""

from __future__ import annotations

from typing import TypeAlias

from langchain_taskrouter._candidates import Candidate, candidates_of, facts_of
from langchain_taskrouter._core_model import CoreModel
from taskrouter.adapters import Arguments, parts_of
from taskrouter.adapters import Parts as AnyParts

Parts: TypeAlias = AnyParts[Candidate]


def parts(given: Arguments) -> Parts:
    """Make the router, or check the one that is shared.

    Raises:
        ConfigurationError: something of what is given is wrong; the message names it.
    """
    made = parts_of(given, candidates_of, facts_of)
    for candidate in made.pool.values():
        if isinstance(candidate.model, CoreModel):
            candidate.model.pool_model.connect(made.router, candidate.id)
    return made
