"""What must hold between the fields of a request, and between a request and its model."""

from __future__ import annotations

from collections.abc import Sequence

from taskrouter.simulator import schemas
from taskrouter.simulator.apierror import ApiError
from taskrouter.simulator.config import SimulatedModel
from taskrouter.simulator.httpfaults import context_overflow
from taskrouter.simulator.request import (
    AssistantMessage,
    ChatRequest,
    ImagePart,
    Message,
    NamedChoice,
    SchemaFormat,
    ToolMessage,
    UserMessage,
)
from taskrouter.simulator.tokens import prompt_tokens, text_of


def check(request: ChatRequest, model: SimulatedModel) -> None:
    """Refuse what the real API refuses.

    Raises:
        ApiError: the first rule that the request breaks.
    """
    _options_belong_together(request)
    _tools_are_usable(request)
    _format_is_usable(request)
    _calls_are_answered(request.messages)
    _model_is_able(request, model)
    _fits_the_window(request, model)


def _options_belong_together(request: ChatRequest) -> None:
    if request.stream_options is not None and not request.stream:
        raise ApiError(
            "The 'stream_options' parameter is only allowed when 'stream' is enabled.", param="stream_options"
        )
    for name in ("tool_choice", "parallel_tool_calls"):
        if getattr(request, name) is not None and not request.tools:
            raise ApiError(f"'{name}' is only allowed when 'tools' are specified.", param=name)
    if request.max_tokens is not None and request.max_completion_tokens is not None:
        raise ApiError(
            "Setting 'max_tokens' and 'max_completion_tokens' at the same time is not supported.",
            param="max_tokens",
            code="invalid_parameter_combination",
        )


def _tools_are_usable(request: ChatRequest) -> None:
    for index, tool in enumerate(request.tools or ()):
        function = tool.function
        if reason := schemas.problem(function.parameters, strict=bool(function.strict)):
            raise ApiError(
                f"Invalid schema for function '{function.name}': {reason}",
                param=f"tools[{index}].function.parameters",
                code="invalid_function_parameters",
            )
    choice = request.tool_choice
    if isinstance(choice, NamedChoice):
        known = [tool.function.name for tool in request.tools or ()]
        if choice.function.name not in known:
            raise ApiError(f"Tool choice '{choice.function.name}' not found in 'tools' parameter.", param="tool_choice")


def _format_is_usable(request: ChatRequest) -> None:
    response_format = request.response_format
    if response_format is None or response_format.type == "text":
        return
    if isinstance(response_format, SchemaFormat):
        wanted = response_format.json_schema
        if wanted.schema_ is None:
            raise ApiError(
                "Missing required parameter: 'response_format.json_schema.schema'.",
                param="response_format.json_schema.schema",
                code="missing_required_parameter",
            )
        if reason := schemas.problem(wanted.schema_, strict=bool(wanted.strict)):
            raise ApiError(
                f"Invalid schema for response_format '{wanted.name}': {reason}",
                param="response_format",
                code="invalid_json_schema",
            )
    elif not any("json" in text_of(message).lower() for message in request.messages):
        raise ApiError(
            "'messages' must contain the word 'json' in some form, to use 'response_format' of type 'json_object'.",
            param="messages",
        )


def _model_is_able(request: ChatRequest, model: SimulatedModel) -> None:
    if request.tools and not model.tools:
        raise ApiError("'tools' is not supported with this model.", param="tools", code="unsupported_parameter")
    if isinstance(request.response_format, SchemaFormat) and not model.json_schema:
        raise ApiError(
            "Invalid parameter: 'response_format' of type 'json_schema' is not supported with this model.",
            param="response_format",
            code="unsupported_value",
        )
    name = "max_tokens" if request.max_tokens else "max_completion_tokens"
    if request.output_limit and request.output_limit > model.max_output_tokens:
        raise ApiError(
            f"{name} is too large: {request.output_limit}. This model supports at most {model.max_output_tokens} "
            f"completion tokens, whereas you provided {request.output_limit}.",
            param=name,
            code="invalid_value",
        )
    if not model.vision and any(_has_image(message) for message in request.messages):
        raise ApiError(
            "Invalid content type. image_url is only supported by certain models.",
            param="messages",
            code="unsupported_content",
        )


def _has_image(message: Message) -> bool:
    return (
        isinstance(message, UserMessage)
        and isinstance(message.content, list)
        and any(isinstance(part, ImagePart) for part in message.content)
    )


def _calls_are_answered(messages: Sequence[Message]) -> None:
    """Each tool call is answered by exactly one tool message before anything else is said."""
    open_calls: dict[str, None] = {}
    for index, message in enumerate(messages):
        if isinstance(message, ToolMessage):
            if message.tool_call_id not in open_calls:
                raise ApiError(
                    "Invalid parameter: messages with role 'tool' must be a response to a preceeding message with "
                    "'tool_calls'.",
                    param=f"messages[{index}].role",
                )
            del open_calls[message.tool_call_id]
            continue
        _none_open(open_calls, index)
        if isinstance(message, AssistantMessage):
            if message.tool_calls is None and message.content is None and message.refusal is None:
                raise ApiError(
                    f"Invalid value for 'content' of messages[{index}]: expected a string, got null.",
                    param=f"messages[{index}].content",
                    code="invalid_type",
                )
            ids = [call.id for call in message.tool_calls or ()]
            _unique(ids, index)
            open_calls = dict.fromkeys(ids)
    _none_open(open_calls, len(messages))


def _none_open(open_calls: dict[str, None], index: int) -> None:
    if open_calls:
        raise ApiError(
            "An assistant message with 'tool_calls' must be followed by tool messages responding to each "
            f"'tool_call_id'. The following tool_call_ids did not have response messages: {', '.join(open_calls)}",
            param=f"messages[{index}].role",
        )


def _unique(ids: Sequence[str], index: int) -> None:
    if len(set(ids)) < len(ids):
        raise ApiError(
            f"Invalid 'messages[{index}].tool_calls': tool call ids must be unique.",
            param=f"messages[{index}].tool_calls",
            code="invalid_value",
        )


def _fits_the_window(request: ChatRequest, model: SimulatedModel) -> None:
    count = prompt_tokens(request)
    if count > model.context_tokens:
        raise context_overflow(model, count)
