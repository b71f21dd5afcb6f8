"""One step of an agent: what is asked, with what, and who asks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from taskrouter.errors import InvalidStepError

Message: TypeAlias = Mapping[str, Any]
"""A message in the chat-completions shape: `role`, `content` (text or a list of parts), `tool_calls`, ..."""

Tool: TypeAlias = Mapping[str, Any]
"""A tool in the chat-completions shape: `{"type": "function", "function": {"name", "description", "parameters"}}`."""

ROLES = frozenset({"system", "developer", "user", "assistant", "tool", "function"})
SYSTEM_ROLES = frozenset({"system", "developer"})

SYSTEM_HEAD_CHARS, SYSTEM_TAIL_CHARS = 600, 300
USER_HEAD_CHARS, USER_TAIL_CHARS = 800, 400


@dataclass(frozen=True, slots=True, kw_only=True)
class StepContext:
    """Where in the application a step comes from. What is not known stays None."""

    agent: str | None = None
    """Name of the agent, as the framework has it."""
    node: str | None = None
    """Node of the graph or workflow that makes the call."""
    index: int | None = None
    """Number of the step within its run, from 0."""
    run_id: str | None = None
    """The run: one execution of the agent from its task to its end. Budgets and credit follow it."""
    session_id: str | None = None
    """The conversation, which may hold many runs."""
    tenant: str | None = None
    """Customer or team on whose behalf the step runs."""
    tags: frozenset[str] = frozenset()
    """Free labels that rules can match on. Any iterable of strings is taken, and None for none."""

    def __post_init__(self) -> None:
        for name in _NAMES:
            value = getattr(self, name)
            if value is not None and not isinstance(value, str):
                raise InvalidStepError(
                    f"StepContext.{name} is a {type(value).__name__}; it must be text or None: pass str({name})"
                )
        if self.index is not None and not isinstance(self.index, int):
            raise InvalidStepError(f"StepContext.index is a {type(self.index).__name__}; it must be a number or None")
        object.__setattr__(self, "tags", _tags(self.tags))


_NAMES = ("agent", "node", "run_id", "session_id", "tenant")


def _tags(given: Iterable[str] | None) -> frozenset[str]:
    if given is None:
        return frozenset()
    if isinstance(given, str):
        raise InvalidStepError(f"StepContext.tags is a collection of strings, not the string {given!r}")
    if not isinstance(given, Iterable):
        raise InvalidStepError(f"StepContext.tags is a {type(given).__name__}; it must be a collection of strings")
    tags = tuple(given)
    for tag in tags:
        if not isinstance(tag, str):
            raise InvalidStepError(f"StepContext.tags holds a {type(tag).__name__}; a tag is text")
    return frozenset(tags)


@dataclass(frozen=True, slots=True)
class StepView:
    """What profiling reads of a step: short extracts and counts, taken in one pass over the messages."""

    system: str
    """Head and tail of the system prompt (600 + 300 characters)."""
    user: str
    """Head and tail of the last user message (800 + 400 characters)."""
    chars: int
    """Characters of text in all messages and tools."""
    images: int
    """Image parts in all messages."""
    turns: int
    """Number of messages."""
    last_role: str
    """Role of the last message; `tool` inside a tool loop."""
    last_tool: str | None
    """Name of the tool whose result came last, where the transcript names it."""
    system_chars: int
    """Length of the whole system prompt: with the extract it identifies the prompt."""
    words: Any = field(default=None, init=False, repr=False, compare=False)
    """What `taskrouter.profiling.text.words` has made of it: kept here, so that it goes when the step goes."""


_NO_CONTEXT = StepContext()


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Step:
    """One model call that an agent wants to make.

    Args:
        messages: the conversation in the chat-completions shape, oldest first; at least one.
        tools: the tools offered, in the same shape; None is taken for none.
        response_schema: JSON Schema that the answer must satisfy, for structured output.
        context: where the step comes from.
        task_type: the task type, if the caller knows it (see `taskrouter.profile.TASK_TYPES`).
        framework_task: the task type that the framework's own component has that makes the call (a selector, a
            synthesizer), where an adapter knows it. What the caller or a rule declares comes first.
        payload: the framework's own request. Core never looks inside; `Router.complete` passes a mapping on as further
            request parameters (`temperature`, `max_tokens`, ...).

    Raises:
        InvalidStepError: there is no message, or a message or a tool has not the expected shape.
    """

    messages: Sequence[Message]
    tools: Sequence[Tool] = ()
    response_schema: Mapping[str, Any] | None = None
    context: StepContext = _NO_CONTEXT
    task_type: str | None = None
    framework_task: str | None = None
    payload: Any = None
    _view: StepView = field(init=False, compare=False)

    def __post_init__(self) -> None:
        if self.tools is None:
            object.__setattr__(self, "tools", ())
        if not isinstance(self.context, StepContext):
            raise InvalidStepError(
                f"Step.context is a {type(self.context).__name__}; pass a StepContext, "
                "such as StepContext(agent='...', node='...')"
            )
        for name, task in (("task_type", self.task_type), ("framework_task", self.framework_task)):
            if task is not None and not isinstance(task, str):
                raise InvalidStepError(f"Step.{name} is a {type(task).__name__}; it must be text or None")
        object.__setattr__(self, "_view", _view(self.messages, self.tools))

    @property
    def view(self) -> StepView:
        """The extracts and counts that profiling reads."""
        return self._view

    def __repr__(self) -> str:
        view = self._view
        return (
            f"Step({view.turns} messages, {view.chars} characters, {len(self.tools)} tools, "
            f"task_type={self.task_type!r}, context={self.context!r})"
        )


def clip(text: str, head: int, tail: int) -> str:
    """Return the first `head` and the last `tail` characters of a text longer than both together."""
    if len(text) <= head + tail:
        return text
    return f"{text[:head]}\n{text[-tail:]}"


def _view(messages: Sequence[Message], tools: Sequence[Tool]) -> StepView:
    if isinstance(messages, str | bytes | Mapping) or not isinstance(messages, Sequence):
        raise InvalidStepError("Step.messages is a list of messages such as [{'role': 'user', 'content': '...'}]")
    if not messages:
        raise InvalidStepError("Step.messages is empty: a step needs at least one message")
    system: list[str] = []
    user = ""
    chars = images = 0
    for position, message in enumerate(messages):
        text, pictures = _read(message, position)
        chars += len(text)
        images += pictures
        role = message["role"]
        if role in SYSTEM_ROLES:
            system.append(text)
        elif role == "user":
            user = text
        calls = message.get("tool_calls")
        if calls:
            chars += _call_chars(calls, position)
    prompt = "\n".join(system)
    last = messages[-1]
    return StepView(
        clip(prompt, SYSTEM_HEAD_CHARS, SYSTEM_TAIL_CHARS),
        clip(user, USER_HEAD_CHARS, USER_TAIL_CHARS),
        chars + _tool_chars(tools),
        images,
        len(messages),
        last["role"],
        _last_tool(messages) if last["role"] == "tool" else None,
        len(prompt),
    )


def _read(message: Message, position: int) -> tuple[str, int]:
    try:
        role = message["role"]
    except (KeyError, TypeError, IndexError):
        raise InvalidStepError(f"Step.messages[{position}] is no message: it needs a 'role' and a 'content'") from None
    if not isinstance(role, str):
        raise InvalidStepError(f"Step.messages[{position}]['role'] is a {type(role).__name__}; it must be text")
    if role not in ROLES:
        raise InvalidStepError(
            f"Step.messages[{position}] has the role {role!r}; known roles: {', '.join(sorted(ROLES))}"
        )
    content = message.get("content")
    if isinstance(content, str):
        return content, 0
    if content is None:
        return "", 0
    if isinstance(content, Sequence) and not isinstance(content, bytes | bytearray):
        return _read_parts(content, position)
    raise InvalidStepError(
        f"Step.messages[{position}]['content'] is a {type(content).__name__}; it must be text or a list of parts"
    )


def _read_parts(parts: Sequence[Any], position: int) -> tuple[str, int]:
    texts: list[str] = []
    images = 0
    for number, part in enumerate(parts):
        if isinstance(part, str):
            texts.append(part)
        elif isinstance(part, Mapping):
            kind = part.get("type")
            if kind in ("image_url", "input_image", "image"):
                images += 1
            elif isinstance(text := part.get("text"), str):
                texts.append(text)
        else:
            raise InvalidStepError(
                f"Step.messages[{position}]['content'][{number}] is a {type(part).__name__}; "
                "a part is text or a mapping with a 'type'"
            )
    return "\n".join(texts), images


def _call_chars(calls: Iterable[Any], position: int) -> int:
    try:
        return sum(len(call["function"]["name"]) + len(call["function"].get("arguments") or "") for call in calls)
    except (KeyError, TypeError, AttributeError):
        raise InvalidStepError(
            f"Step.messages[{position}]['tool_calls'] is not in the chat-completions shape: "
            "[{'id': ..., 'type': 'function', 'function': {'name': ..., 'arguments': '{...}'}}]"
        ) from None


def _tool_chars(tools: Sequence[Tool]) -> int:
    if tools == ():
        return 0
    if isinstance(tools, str | bytes) or not isinstance(tools, Sequence):
        raise InvalidStepError(f"Step.tools is a {type(tools).__name__}; it must be a list of tools")
    return sum(_chars_of_tool(tool, position) for position, tool in enumerate(tools))


def _chars_of_tool(tool: Tool, position: int) -> int:
    function = tool.get("function") if isinstance(tool, Mapping) else None
    name = function.get("name") if isinstance(function, Mapping) else None
    if function is None or not isinstance(name, str) or not name:
        raise InvalidStepError(
            f"Step.tools[{position}] is no tool: it needs {{'type': 'function', 'function': {{'name': '...'}}}}"
        )
    description = function.get("description")
    if description is not None and not isinstance(description, str):
        raise InvalidStepError(
            f"Step.tools[{position}] ({name!r}): 'description' is a {type(description).__name__}; it must be text"
        )
    parameters = function.get("parameters")
    if parameters is not None and not isinstance(parameters, Mapping):
        raise InvalidStepError(
            f"Step.tools[{position}] ({name!r}): 'parameters' is a "
            f"{type(parameters).__name__}; it must be a JSON Schema of type object"
        )
    # A schema is mostly short keys: its printed length is near enough, and exact counting would cost more
    # than the rest of the decision.
    return len(name) + len(description or "") + 60 * _leaves(parameters)


def _leaves(parameters: Mapping[str, Any] | None) -> int:
    properties = (parameters or {}).get("properties")
    return len(properties) if isinstance(properties, Mapping) else 0


def _last_tool(messages: Sequence[Message]) -> str | None:
    last = messages[-1]
    if name := last.get("name"):
        return str(name)
    wanted = last.get("tool_call_id")
    for message in reversed(messages):
        for call in message.get("tool_calls") or ():
            if call.get("id") == wanted:
                return str(call["function"]["name"])
    return None
