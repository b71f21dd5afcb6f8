"""What the routed client says of itself to agents, and what each candidate can take."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from autogen_core.models import LLMMessage, ModelFamily, ModelInfo

from autogen_taskrouter._messages import has_pictures, has_scattered_instructions, is_answer_type
from taskrouter import ConfigurationError

_ABILITIES = ("vision", "function_calling", "json_output", "structured_output")
_KNOWN = (*_ABILITIES, "family", "multiple_system_messages")


def joint_info(infos: Sequence[ModelInfo], said: Mapping[str, Any] | None = None) -> ModelInfo:
    """Return what agents may rely on.

    What one candidate can do is offered: a step that needs it goes to those that can. How messages are to be written is
    another thing, for nobody knows yet who will read them: several system messages only where all take them, a family
    only where it is everybody's.

    Args:
        infos: of the candidates.
        said: what the user says instead.

    Raises:
        ConfigurationError: the user says something that AutoGen does not know.
    """
    _check(said or {})
    families = {info.get("family", ModelFamily.UNKNOWN) for info in infos}
    joint: Any = {name: any(info.get(name) for info in infos) for name in _ABILITIES}
    joint["family"] = families.pop() if len(families) == 1 else ModelFamily.UNKNOWN
    joint["multiple_system_messages"] = all(info.get("multiple_system_messages") for info in infos)
    joint.update(said or {})
    info: ModelInfo = joint
    return info


def _check(said: Mapping[str, Any]) -> None:
    if not isinstance(said, Mapping):
        raise ConfigurationError(f"model_info is a {type(said).__name__}; it must be a mapping")
    for name, value in said.items():
        if name not in _KNOWN:
            raise ConfigurationError(f"model_info: unknown key {name!r}; known keys: {', '.join(_KNOWN)}")
        if not isinstance(value, str if name == "family" else bool):
            what = "text" if name == "family" else "True or False"
            raise ConfigurationError(f"model_info: {name} is a {type(value).__name__}; it must be {what}")


def needs(messages: Sequence[LLMMessage], *, tools: bool, output: object) -> list[str]:
    """Return what a candidate must be able to do, as keys of its `model_info`."""
    found = {
        "vision": has_pictures(messages),
        "function_calling": tools,
        "json_output": output is True,
        "structured_output": is_answer_type(output) or isinstance(output, Mapping),
        "multiple_system_messages": has_scattered_instructions(messages),
    }
    return [name for name, needed in found.items() if needed]


def lacking(info: ModelInfo, wanted: Iterable[str]) -> list[str]:
    """Return what of it a candidate cannot do."""
    return [name for name in wanted if not info.get(name)]
