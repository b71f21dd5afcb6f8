"""What a stand-in says: decided from the question, the tools and the schema alone, the same for every vendor."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

from tests.standins.filling import Filler, quoted

GREETING = "Hello! What can I do for you today?"
MISSHAPEN = {"nobody": "asked"}
THOUGHT = "The question is simple. I answer it."


@dataclass(frozen=True, slots=True)
class Tool:
    """A tool that the client runs."""

    name: str
    schema: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Ask:
    """A request, in no vendor's words."""

    model: str
    question: str
    """The text of the last message that a person wrote."""
    results: Sequence[str] = ()
    """What tools have said since."""
    tools: Sequence[Tool] = ()
    choice: str = "auto"
    """`auto`, `none`, `any`, or the name of the tool to call."""
    schema: Mapping[str, Any] | None = None
    json_mode: bool = False
    stop: Sequence[str] = ()
    max_tokens: int | None = None
    thinks: bool = False


@dataclass(frozen=True, slots=True)
class Call:
    """A call of a tool."""

    name: str
    arguments: Mapping[str, Any]

    @property
    def json(self) -> str:
        return json.dumps(self.arguments, ensure_ascii=False)


@dataclass(frozen=True, slots=True)
class Answer:
    """What is said, in no vendor's words."""

    text: str = ""
    calls: Sequence[Call] = ()
    thought: str = ""
    finish: str = "stop"
    """`stop`, `length`, `tools` or `sequence`."""
    sequence: str | None = None
    """The stop sequence that was met."""

    @property
    def tokens(self) -> int:
        return words(self.text) + sum(words(call.name) + words(call.json) for call in self.calls) + words(self.thought)


Brain: TypeAlias = Callable[[Ask], Answer]


def words(text: str) -> int:
    """Return how many tokens a text has: a word is one."""
    return len(text.split())


def answer(ask: Ask) -> Answer:
    """Answer a request."""
    thought = THOUGHT if ask.thinks else ""
    if wanted := _wanted(ask):
        calls = [Call(tool.name, Filler(ask.question).filled(tool.schema)) for tool in wanted]
        return Answer(calls=calls, thought=thought, finish="tools")
    text, finish, sequence = _ended(_text(ask), ask)
    return Answer(text, thought=thought, finish=finish, sequence=sequence)


def silence(ask: Ask) -> Answer:
    """Say nothing, whatever is asked."""
    return Answer()


def misunderstanding(ask: Ask) -> Answer:
    """Give tools and schemas what they did not ask for."""
    said = answer(ask)
    if said.calls:
        return replace(said, calls=[replace(call, arguments=MISSHAPEN) for call in said.calls])
    return said if ask.schema is None else replace(said, text=json.dumps(MISSHAPEN))


def _wanted(ask: Ask) -> Sequence[Tool]:
    """Return the tool to call: the one that must be, else one that the question speaks of and nobody has called.

    A question with the words "at once" wants all the tools that it speaks of.
    """
    if ask.choice == "none" or not ask.tools:
        return ()
    asked = set(re.findall(r"[a-z]+", ask.question.lower()))
    spoken = [tool for tool in ask.tools if asked & (set(re.findall(r"[a-z]+", tool.name.lower())) - {"get", "my"})]
    if ask.choice == "any":
        return (spoken or ask.tools)[:1]
    if ask.choice == "auto":
        return () if ask.results else spoken if "at once" in ask.question else spoken[:1]
    return [tool for tool in ask.tools if tool.name == ask.choice][:1]


def _text(ask: Ask) -> str:
    if ask.schema is not None:
        return json.dumps(Filler(ask.question).filled(ask.schema), ensure_ascii=False)
    if ask.json_mode:
        return json.dumps({name: f"a {name}" for name in quoted(ask.question)})
    if ask.results:
        return f"The tool says: {ask.results[-1]}"
    return GREETING


def _ended(text: str, ask: Ask) -> tuple[str, str, str | None]:
    """Return the text up to a stop sequence or the limit, and why it ends."""
    met = min((place, sequence) for sequence in ("", *ask.stop) if (place := _place(text, sequence)) >= 0)
    finish, sequence = ("stop", None) if not met[1] else ("sequence", met[1])
    text = text[: met[0]]
    if ask.max_tokens is not None and words(text) > ask.max_tokens:
        cut = list(re.finditer(r"\S+", text))[ask.max_tokens - 1]
        return text[: cut.end()], "length", None
    return text, finish, sequence


def _place(text: str, sequence: str) -> int:
    return text.find(sequence) if sequence else len(text)
