"""The scene of a cell: a simulator with two models, the steps that are asked, and what each model answers to them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

import httpx
from benchmarks.chaos.expected import MODES, Backend, Mode

from taskrouter import Step, simulator
from taskrouter.simulator import RunningServer
from taskrouter.simulator.config import Fault

FIRST, SECOND = "first", "second"
RETRY_AFTER_S = 0.12
"""What rate limits ask for."""
HANG_S, SLOW_START_S = 20.0, 2.0
"""Longer than any limit of the cells: it is the client that has to give up."""

_PRICES = {"input_usd_per_million": 1.0, "output_usd_per_million": 4.0}
_FACTS = (
    "In the year of the comet it rained on 231 days in Bergen, and the harbour master wrote every single one of them "
    "down in a book with a green cover that is kept in the town hall to this day."
)
_SCHEMA = {
    "type": "object",
    "title": "Rain",
    "properties": {"days": {"type": "integer"}},
    "required": ["days"],
    "additionalProperties": False,
}
_TOOL = {
    "type": "function",
    "function": {
        "name": "note_rain",
        "description": "Notes on how many days it rained",
        "parameters": {key: value for key, value in _SCHEMA.items() if key != "title"},
    },
}
_MESSAGES = {
    "plain": f"{_FACTS}\n\nOn how many days did it rain in Bergen?",
    "tools": "Use note_rain: it rained on days: 231",
    "structured": "How many days did it rain? days: 231",
}


class Said(NamedTuple):
    """What a user reads of an answer."""

    text: str
    calls: tuple[tuple[str, str], ...]
    """Names and arguments of tool calls."""
    models: frozenset[str]
    """Who says to have answered, of every chunk."""
    finish_reason: str | None = None

    @property
    def content(self) -> tuple[str, tuple[tuple[str, str], ...]]:
        """The answer without who gave it."""
        return self.text, self.calls


class Stage(NamedTuple):
    """A running simulator and what its models answer when they are well."""

    server: RunningServer
    truths: Mapping[tuple[str, Mode], Said]

    def afflict(self, fault: Fault, *models: str, retry_after_s: float = RETRY_AFTER_S) -> None:
        """Forget all requests, and let every further one to these models meet the fault."""
        phase = {"models": list(models), "faults": [fault], "retry_after_s": retry_after_s}
        self.server.chaos({"phases": [phase]})
        self.server.reset()

    def heal(self) -> None:
        """Let all models be well."""
        self.server.chaos(None)


@contextmanager
def staged() -> Iterator[Stage]:
    """Start a simulator: the first model answers everything wrongly, so that nobody's answer is like another's."""
    faults = {"retry_after_s": RETRY_AFTER_S, "hang_s": HANG_S, "slow_start_s": SLOW_START_S}
    models = [
        {"id": name, **_PRICES, "skill": skill, "faults": faults} for name, skill in ((FIRST, 0.0), (SECOND, 1.0))
    ]
    with simulator.serve({"speed": 0.0, "models": models}) as server:
        truths = {(name, mode): _truth(server, name, mode) for name in (FIRST, SECOND) for mode in MODES}
        for mode in MODES:
            assert truths[FIRST, mode].content != truths[SECOND, mode].content, f"{mode}: the answers are alike"
        yield Stage(server, truths)


def step_of(mode: Mode) -> Step:
    """Return the step that is asked in a mode."""
    messages = [{"role": "user", "content": _MESSAGES.get(mode, _MESSAGES["plain"])}]
    if mode == "tools":
        return Step(messages=messages, tools=[_TOOL])
    if mode == "structured":
        return Step(messages=messages, response_schema=_SCHEMA)
    return Step(messages=messages)


def pool(server: RunningServer, backend: Backend) -> list[dict[str, Any]]:
    """Return the cards of both models; the second one's window is larger, so that an overflow has somewhere to go."""
    return [
        {
            "id": name,
            "base_url": server.base_url,
            "backend": backend,
            "context_tokens": window,
            "capabilities": {"tools": True, "json_schema": True},
            **_PRICES,
        }
        for name, window in ((FIRST, 64_000), (SECOND, 128_000))
    ]


def _truth(server: RunningServer, model: str, mode: Mode) -> Said:
    step = step_of(mode)
    body: dict[str, Any] = {"model": model, "messages": list(step.messages)}
    if step.tools:
        body["tools"] = list(step.tools)
    if step.response_schema:
        schema = {"name": "Rain", "schema": dict(step.response_schema)}
        body["response_format"] = {"type": "json_schema", "json_schema": schema}
    answer = httpx.post(f"{server.base_url}/chat/completions", json=body).raise_for_status().json()
    choice = answer["choices"][0]
    calls = choice["message"].get("tool_calls") or ()
    named = tuple((call["function"]["name"], call["function"]["arguments"]) for call in calls)
    return Said(choice["message"]["content"] or "", named, frozenset({answer["model"]}), choice["finish_reason"])
