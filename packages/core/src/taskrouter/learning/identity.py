"""Who asks: the identity of a step, for which outcomes are remembered and plans are chosen.

An agent framework knows it: the agent, the node, whether tools are offered, whether a tool has just answered, what
schema the answer must have. A step without a name is told by what the profiler finds and by the form of its text.
"""

from __future__ import annotations

import hashlib
import json
import re
from typing import Final, NamedTuple

from taskrouter.learning.views import unnamed
from taskrouter.profile import TaskProfile
from taskrouter.step import Step

SHORT, LONG = 120, 700
"""Characters of a user message below which it is short, and above which it brings material."""
LONGEST: Final = 120
"""Characters of a name that count; names that hold a run's id would else make every step an identity."""


class Identity(NamedTuple):
    """What kind of step it is, from specific to general."""

    key: str
    """The step identity."""
    task_type: str
    """The kind of task, which identities borrow from while they have few labels of their own."""


_VOLATILE: Final = re.compile(r"[0-9a-f]{8}-[0-9a-f-]{27}|[0-9a-f]{16,}|\d{3,}")
"""Parts of a name that change from run to run: UUIDs, hashes, counters."""
_OPTIONS: Final = re.compile(r"(?:^|\n)[^\S\n]*\(?[A-J1-9][.):]\s")
_CODE: Final = re.compile(r"```|\[PYTHON\]|\bdef \w+\(|\bimport \w|\bfunction\b|#include|\bclass \w+[:({]")
_FORMULA: Final = re.compile(r"\\[a-z]+|\$[^$\n]+\$|[≤≥∑∫√]")
_MANY_DIGITS: Final = re.compile(r"(?:\d\D*){5}")


def identify(step: Step, profile: TaskProfile) -> Identity:
    """Return the identity of a step."""
    context = step.context
    manner = f"{_tools(step)}{_schema(step)}"
    if context.agent or context.node:
        named = "/".join(plain_name(name) or "" for name in (context.agent, context.node))
        return Identity(f"{named.lstrip('~')}{manner}", profile.task_type)  # only keys without a name begin with ~
    return Identity(unnamed(profile.task_type, profile.domain, f"{manner}{_form(step)}"), profile.task_type)


def plain_name(name: str | None) -> str | None:
    """Return the name of an agent or a node without what changes from run to run."""
    return _VOLATILE.sub("#", name[:LONGEST]) if name else None


def _tools(step: Step) -> str:
    if step.view.last_role == "tool":
        return "+result"
    return "+tools" if step.tools else ""


def _schema(step: Step) -> str:
    if step.response_schema is None:
        return ""
    try:
        text = json.dumps(step.response_schema, sort_keys=True, default=str)
    except TypeError:  # keys of several types, such as 1 beside "a", have no order
        text = json.dumps(step.response_schema, default=str)
    return f"+schema:{hashlib.sha256(text.encode()).hexdigest()[:8]}"


def _form(step: Step) -> str:
    """The form of an unnamed step's text: how many tools there are to choose from, options, code, formulas, length."""
    text = step.view.user
    marks = [
        "tools" if len(step.tools) > 1 else "",
        "options" if len(_OPTIONS.findall(text)) > 1 else "",
        "code" if _CODE.search(text) else "",
        "formulas" if _FORMULA.search(text) else "",
        "figures" if _MANY_DIGITS.search(text) else "",
        "short" if len(text) < SHORT else "long" if len(text) > LONG else "",
    ]
    return "".join(f",{mark}" for mark in marks if mark)
