"""How closely a step without a name is looked at: by its task type, its domain and its form, or by some of them.

The finer the view, the fewer labels each identity has. Which one pays is not known beforehand, so `fit` tries them all
on steps left out. Steps that the framework names are always seen by their name.
"""

from __future__ import annotations

import re
from typing import Final, Literal, TypeAlias, get_args

View: TypeAlias = Literal["whole", "task", "domain", "form"]
"""`whole`: task type, domain and form; `task`: task type and form; `domain`: domain and form; `form`: form alone."""

VIEWS: Final[tuple[View, ...]] = get_args(View)

_UNNAMED: Final = re.compile(r"~([a-z_]*):([a-z_]*)(.*)", re.DOTALL)


def unnamed(task_type: str, domain: str, form: str) -> str:
    """Return the identity key of a step without a name."""
    return f"~{task_type}:{domain}{form}"


def seen(key: str, view: View) -> str:
    """Return an identity's key as a view has it."""
    if view == "whole" or (match := _UNNAMED.fullmatch(key)) is None:
        return key
    task_type, domain, form = match.groups()
    return unnamed(task_type if view == "task" else "", domain if view == "domain" else "", form)


def has_unnamed(keys: set[str]) -> bool:
    """Tell whether any of the identities can be seen in several ways."""
    return any(key.startswith("~") for key in keys)


def offers_tools(key: str) -> bool:
    """Tell whether an identity is of steps without a name that offer tools."""
    return key.startswith("~") and "+tools" in key
