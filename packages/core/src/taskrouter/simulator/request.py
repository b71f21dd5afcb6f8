"""The body of `POST /v1/chat/completions`, as strict as the real API: unknown and mistyped parameters are refused."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag, ValidationError

from taskrouter.simulator.apierror import ApiError

Name: TypeAlias = Annotated[str, Field(pattern=r"^[a-zA-Z0-9_-]{1,64}$")]
CallId: TypeAlias = Annotated[str, Field(min_length=1, max_length=40)]
"""The real API refuses ids of more than 40 characters, which other vendors mint."""
Count: TypeAlias = Annotated[int, Field(ge=1)]
Penalty: TypeAlias = Annotated[float, Field(ge=-2, le=2)]


class _Wire(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class TextPart(_Wire):
    """A piece of text in a message."""

    type: Literal["text"]
    text: str


class RefusalPart(_Wire):
    """A refusal that an assistant gave earlier."""

    type: Literal["refusal"]
    refusal: str


class ImageUrl(_Wire):
    """Where an image is; it is never fetched."""

    url: Annotated[str, Field(pattern=r"^(https?://|data:image/)")]
    detail: Literal["auto", "low", "high"] = "auto"


class ImagePart(_Wire):
    """An image in a message."""

    type: Literal["image_url"]
    image_url: ImageUrl


Text: TypeAlias = str | Annotated[list[TextPart], Field(min_length=1)]
UserPart: TypeAlias = Annotated[TextPart | ImagePart, Field(discriminator="type")]
AssistantPart: TypeAlias = Annotated[TextPart | RefusalPart, Field(discriminator="type")]


def _text_or_parts(value: Any) -> str:
    return "parts" if isinstance(value, list) else "text"


class CalledFunction(_Wire):
    """The function that a tool call names, with its arguments as a JSON text."""

    name: Name
    arguments: str


class ToolCall(_Wire):
    """A tool call that an assistant made earlier."""

    id: CallId
    type: Literal["function"]
    function: CalledFunction


class SystemMessage(_Wire):
    """Instructions."""

    role: Literal["system", "developer"]
    content: Text
    name: str | None = None


class UserMessage(_Wire):
    """What the user said, with images where the model can see."""

    role: Literal["user"]
    content: Annotated[
        Annotated[str, Tag("text")] | Annotated[list[UserPart], Field(min_length=1), Tag("parts")],
        Discriminator(_text_or_parts),
    ]
    name: str | None = None


class AssistantMessage(_Wire):
    """An earlier answer. Clients send answers back as they got them, so their null fields are accepted."""

    role: Literal["assistant"]
    content: (
        Annotated[
            Annotated[str, Tag("text")] | Annotated[list[AssistantPart], Field(min_length=1), Tag("parts")],
            Discriminator(_text_or_parts),
        ]
        | None
    ) = None
    name: str | None = None
    refusal: str | None = None
    tool_calls: Annotated[list[ToolCall], Field(min_length=1)] | None = None
    annotations: list[dict[str, Any]] | None = None
    audio: None = None
    function_call: None = None


class ToolMessage(_Wire):
    """The result of a tool call."""

    role: Literal["tool"]
    content: Text
    tool_call_id: CallId


Message: TypeAlias = Annotated[
    SystemMessage | UserMessage | AssistantMessage | ToolMessage, Field(discriminator="role")
]


class Function(_Wire):
    """A function that the model may call."""

    name: Name
    description: str | None = None
    parameters: dict[str, Any] | None = None
    strict: bool | None = None


class Tool(_Wire):
    """A tool on offer."""

    type: Literal["function"]
    function: Function


class NamedFunction(_Wire):
    """The name of a function."""

    name: Name


class NamedChoice(_Wire):
    """The one tool that must be called."""

    type: Literal["function"]
    function: NamedFunction


class JsonSchema(_Wire):
    """The schema of a structured answer."""

    name: Name
    description: str | None = None
    schema_: Annotated[dict[str, Any] | None, Field(alias="schema")] = None
    strict: bool | None = None


class PlainFormat(_Wire):
    """Text, or any JSON object."""

    type: Literal["text", "json_object"]


class SchemaFormat(_Wire):
    """JSON that fits a schema."""

    type: Literal["json_schema"]
    json_schema: JsonSchema


class StreamOptions(_Wire):
    """Options of a stream."""

    include_usage: bool | None = None
    include_obfuscation: bool | None = None


class ChatRequest(_Wire):
    """One request, validated field by field; `rules` checks what holds between the fields."""

    model: str
    messages: Annotated[list[Message], Field(min_length=1)]
    tools: Annotated[list[Tool], Field(min_length=1, max_length=128)] | None = None
    tool_choice: (
        Annotated[
            Annotated[Literal["none", "auto", "required"], Tag("mode")] | Annotated[NamedChoice, Tag("named")],
            Discriminator(lambda value: "named" if isinstance(value, dict | NamedChoice) else "mode"),
        ]
        | None
    ) = None
    parallel_tool_calls: bool | None = None
    response_format: Annotated[PlainFormat | SchemaFormat, Field(discriminator="type")] | None = None
    stop: str | Annotated[list[str], Field(max_length=4)] | None = None
    max_tokens: Count | None = None
    max_completion_tokens: Count | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    top_p: Annotated[float, Field(ge=0, le=1)] | None = None
    n: Annotated[int, Field(ge=1, le=1)] | None = None
    seed: int | None = None
    user: str | None = None
    presence_penalty: Penalty | None = None
    frequency_penalty: Penalty | None = None
    logprobs: Literal[False] | None = None
    logit_bias: dict[str, float] | None = None
    metadata: Annotated[dict[str, str], Field(max_length=16)] | None = None
    modalities: list[Literal["text"]] | None = None
    store: bool | None = None
    reasoning_effort: Literal["none", "minimal", "low", "medium", "high", "xhigh"] | None = None
    verbosity: Literal["low", "medium", "high"] | None = None
    service_tier: Literal["auto", "default", "flex", "priority", "scale"] | None = None
    prompt_cache_key: str | None = None
    prompt_cache_retention: Literal["in-memory", "24h"] | None = None
    safety_identifier: str | None = None

    @property
    def output_limit(self) -> int | None:
        """The number of tokens that the client allows for the answer."""
        return self.max_completion_tokens or self.max_tokens


def parse(body: Any) -> ChatRequest:
    """Validate a request body.

    Raises:
        ApiError: the first thing that is wrong, in the words of the real API.
    """
    if not isinstance(body, Mapping):
        raise ApiError("We could not parse the JSON body of your request: expected a JSON object.")
    for name in ("functions", "function_call"):
        if body.get(name) is not None:
            raise ApiError(
                f"{name!r} is deprecated and not supported: use 'tools' and 'tool_choice'.",
                param=name,
                code="unsupported_parameter",
            )
    try:
        return ChatRequest.model_validate(dict(body))
    except ValidationError as error:
        raise _first_problem(error.errors(include_url=False, include_input=False)) from None


_UNION_LISTS = {"messages", "parts"}
"""Lists whose items are told apart by a tag, which pydantic puts into the location after the index."""
_UNIONS = {"content", "tool_choice", "response_format", "stop"}
"""Keys whose value is a union, whose branch pydantic puts into the location after the key."""


def _first_problem(errors: Sequence[Any]) -> ApiError:
    error = min(errors, key=lambda item: item["type"] not in {"missing", "extra_forbidden"})
    param, kind, message = _param(error["loc"]), str(error["type"]), str(error["msg"])
    if kind.startswith("union_tag"):
        param = f"{param}.{error['ctx']['discriminator']}".replace("'", "")
    if kind in {"missing", "union_tag_not_found"}:
        return ApiError(f"Missing required parameter: '{param}'.", param=param, code="missing_required_parameter")
    if kind == "extra_forbidden":
        return ApiError(f"Unknown parameter: '{param}'.", param=param, code="unknown_parameter")
    if kind == "union_tag_invalid":
        tag, expected = error["ctx"]["tag"], error["ctx"]["expected_tags"]
        return ApiError(f"Invalid value: '{tag}'. Supported values are: {expected}.", param=param, code="invalid_value")
    if kind == "too_short":
        message = "empty array. Expected an array with minimum length 1, but got an empty array instead."
        return ApiError(f"Invalid '{param}': {message}", param=param, code="empty_array")
    code = "invalid_type" if kind.endswith("_type") else "invalid_value"
    verb = "Invalid type for" if code == "invalid_type" else "Invalid value for"
    return ApiError(f"{verb} '{param}': {message[0].lower()}{message[1:]}.", param=param, code=code)


def _param(location: tuple[int | str, ...]) -> str:
    """Write a location as the API does: `messages[0].content`."""
    text = ""
    for position, part in enumerate(location):
        before = location[max(0, position - 2) : position]
        if isinstance(part, int):
            text += f"[{part}]"
        elif before and (before[-1] in _UNIONS or (isinstance(before[-1], int) and before[0] in _UNION_LISTS)):
            continue
        else:
            text += f".{part}" if text else part
    return text
