"""From a request to an answer: text, structured JSON or tool calls. Pure and deterministic."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

from taskrouter.simulator import filling, skills
from taskrouter.simulator.config import SimulatedModel
from taskrouter.simulator.evidence import readable, words
from taskrouter.simulator.request import (
    AssistantMessage,
    ChatRequest,
    Function,
    NamedChoice,
    SchemaFormat,
    ToolMessage,
    UserMessage,
)
from taskrouter.simulator.tokens import CHARS_PER_TOKEN, count, text_of

FinishReason: TypeAlias = Literal["stop", "length", "tool_calls", "content_filter"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A tool call of an answer."""

    id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a simulated model says."""

    text: str | None = None
    refusal: str | None = None
    """What it says instead when it declines."""
    calls: tuple[Call, ...] = ()
    finish_reason: FinishReason = "stop"

    @property
    def tokens(self) -> int:
        """Estimated tokens of the answer; at least one unless it is empty."""
        said = (self.text or "") + (self.refusal or "") + "".join(call.name + call.arguments for call in self.calls)
        return max(1, count(said)) if said else 0


def answer(request: ChatRequest, model: SimulatedModel, *, seed: int, index: int) -> Answer:
    """Answer a valid request.

    Args:
        request: what is asked.
        model: who is asked.
        seed: decides, with model and prompt, whether the answer is wrong.
        index: position of the request, which makes the ids of tool calls unique.
    """
    task = task_of(request, wrong=is_wrong(request, model, seed))
    chosen = _tools_to_call(request, task)
    limit = min(request.output_limit or model.max_output_tokens, model.max_output_tokens)
    if chosen:
        return _limited(_call(chosen, task, f"{seed}:{model.id}:{index}"), limit)
    text = _structured(request, task) or skills.answer(task)
    return _limited(Answer(text=_stopped(text, request.stop)), limit)


def is_wrong(request: ChatRequest, model: SimulatedModel, seed: int) -> bool:
    """Tell whether the model gets this prompt wrong: always the same for the same seed, model and prompt."""
    prompt = "\0".join(f"{message.role}:{text_of(message)}" for message in request.messages)
    digest = hashlib.sha256(f"{seed}\0{model.id}\0{prompt}".encode("utf-8", "replace")).digest()
    return int.from_bytes(digest[:8]) / 2**64 >= model.skill


def task_of(request: ChatRequest, *, wrong: bool) -> skills.Task:
    """Read the task off the messages."""
    messages = request.messages
    system = "\n".join(text_of(m) for m in messages if m.role in {"system", "developer"})
    users = [index for index, message in enumerate(messages) if isinstance(message, UserMessage)]
    last = users[-1] if users else len(messages) - 1
    results = [readable(text_of(m)) for m in messages[last:] if isinstance(m, ToolMessage)]
    earlier = [readable(text_of(m)) for m in messages[:last] if m.role not in {"system", "developer"}]
    asked = text_of(messages[last])
    context = "\n".join(results) or "\n".join([asked, *reversed(earlier), system])
    return skills.Task(system=system, asked=asked, context=context, wrong=wrong)


def _structured(request: ChatRequest, task: skills.Task) -> str | None:
    response_format = request.response_format
    if isinstance(response_format, SchemaFormat):
        wanted = response_format.json_schema
        return _document(wanted.schema_ or {}, task, wanted.name)
    if response_format is not None and response_format.type == "json_object":
        return skills.free_object(task)
    return None


def _document(schema: filling.Node, task: skills.Task, name: str) -> str:
    text = task.context if task.asked in task.context else f"{task.asked}\n{task.context}"
    value = filling.fill(schema, text, name=name)
    return json.dumps(filling.spoil(value, schema) if task.wrong else value, ensure_ascii=False)


def _forced(request: ChatRequest) -> bool:
    return isinstance(request.tool_choice, NamedChoice) or request.tool_choice == "required"


def _tools_to_call(request: ChatRequest, task: skills.Task) -> list[Function]:
    """Choose tools: the named one; else those the user names, or the best fit, that have not been called yet."""
    functions = [tool.function for tool in request.tools or ()]
    if not functions or request.tool_choice == "none":
        return []
    if isinstance(request.tool_choice, NamedChoice):
        name = request.tool_choice.function.name
        return [function for function in functions if function.name == name]
    ranked = sorted(functions, key=lambda function: -_fit(function, task.asked))
    called = _called_since_asked(request)
    places = {function.name: _place(function, task.asked) for function in ranked}
    named = sorted((f for f in ranked if places[f.name] >= 0), key=lambda function: places[function.name])
    wanted = named or ([] if called else ranked[:1])
    wanted = [function for function in wanted if function.name not in called]
    if not wanted and _forced(request):
        wanted = [function for function in ranked if function.name not in called][:1] or ranked[:1]
    return wanted if request.parallel_tool_calls is not False else wanted[:1]


def _called_since_asked(request: ChatRequest) -> set[str]:
    called: set[str] = set()
    for message in reversed(request.messages):
        if isinstance(message, UserMessage):
            break
        if isinstance(message, AssistantMessage):
            called |= {call.function.name for call in message.tool_calls or ()}
    return called


def _place(function: Function, asked: str) -> int:
    """Return where the request names the tool, or -1."""
    return f" {' '.join(words(asked))} ".find(f" {' '.join(words(function.name))} ")


def _fit(function: Function, asked: str) -> float:
    said = set(words(asked))
    described = set(words(function.description or ""))
    return 2 * len(said & set(words(function.name))) + len(said & described)


def _call(functions: list[Function], task: skills.Task, salt: str) -> Answer:
    calls = []
    for position, function in enumerate(functions):
        digest = hashlib.sha256(f"{salt}:{position}".encode()).hexdigest()
        arguments = _document(function.parameters or {"type": "object"}, task, function.name)
        calls.append(Call(id=f"call_{digest[:24]}", name=function.name, arguments=arguments))
    return Answer(calls=tuple(calls), finish_reason="tool_calls")


def _stopped(text: str, stop: str | list[str] | None) -> str:
    marks = [stop] if isinstance(stop, str) else stop or []
    places = [place for mark in marks if mark and (place := text.find(mark)) >= 0]
    return text[: min(places)] if places else text


def _limited(answer: Answer, limit: int) -> Answer:
    """Cut an answer at the limit of tokens."""
    room = limit * CHARS_PER_TOKEN
    if answer.text is not None and len(answer.text) > room:
        return replace(answer, text=answer.text[:room], finish_reason="length")
    calls: list[Call] = []
    for call in answer.calls:
        room -= len(call.name) + len(call.arguments)
        if room < 0:
            kept = max(0, len(call.arguments) + room)
            return replace(
                answer, calls=(*calls, replace(call, arguments=call.arguments[:kept])), finish_reason="length"
            )
        calls.append(call)
    return answer
