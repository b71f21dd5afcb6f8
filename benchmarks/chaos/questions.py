"""The steps of the soak: each asks for a number of its own, so that an answer to another one is found out."""

from __future__ import annotations

import json

from benchmarks.chaos.stage import Said

from taskrouter import Step

_TOOL = {
    "type": "function",
    "function": {
        "name": "note_rain",
        "description": "Notes on how many days it rained",
        "parameters": {"type": "object", "properties": {"days": {"type": "integer"}}, "required": ["days"]},
    },
}
_SCHEMA = {"type": "object", "title": "Rain", "properties": {"days": {"type": "integer"}}, "required": ["days"]}


def kind(number: int) -> str:
    """Return how a step is asked."""
    return ("plain", "plain", "stream", "plain", "tools", "plain", "stream", "structured", "plain", "plain")[
        number % 10
    ]


def _days(number: int) -> int:
    return 1000 + number


def _facts(days: int) -> str:
    return f"In the year of the comet it rained on {days} days in Bergen, and the harbour master wrote them all down."


def step(number: int) -> Step:
    """Return a step."""
    days, asked = _days(number), kind(number)
    if asked == "tools":
        return Step(messages=[{"role": "user", "content": f"Use note_rain: days: {days}"}], tools=[_TOOL])
    if asked == "structured":
        return Step(messages=[{"role": "user", "content": f"How many days? days: {days}"}], response_schema=_SCHEMA)
    return Step(messages=[{"role": "user", "content": f"{_facts(days)}\n\nOn how many days did it rain in Bergen?"}])


def right(number: int, said: Said, *, wrong_by: int) -> bool:
    """Tell whether an answer is that of a model that answers everything wrongly by so much, and of no other step."""
    days = _days(number) + wrong_by
    match kind(number):
        case "tools":
            return [(name, json.loads(arguments)) for name, arguments in said.calls] == [("note_rain", {"days": days})]
        case "structured":
            return bool(json.loads(said.text) == {"days": days})
        case "stream" if said.finish_reason == "length":
            return bool(said.text) and _facts(days).startswith(said.text)
    return said.text == _facts(days)
