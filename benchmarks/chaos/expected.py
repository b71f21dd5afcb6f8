"""What each fault has to lead to, when the first model meets it and the second one is well."""

from __future__ import annotations

from enum import Enum
from typing import Literal, TypeAlias

from taskrouter.simulator.config import Fault

Mode: TypeAlias = Literal["plain", "stream", "tools", "structured"]
Backend: TypeAlias = Literal["openai", "litellm"]

MODES: tuple[Mode, ...] = ("plain", "stream", "tools", "structured")
BACKENDS: tuple[Backend, ...] = ("openai", "litellm")


class Fate(Enum):
    """What becomes of a step."""

    RETRY = "asks the first model once more, then the second"
    NEXT = "goes to the second model at once"
    STANDS = "takes the first model's answer: the fault does nothing here"
    CUT = "hands on the first model's answer with the finish reason 'length'"
    BROKEN = "raises StreamBroken with what had arrived"


HANGING: tuple[Fault, ...] = ("timeout", "slow_start", "stall", "stall_after_role")
"""Faults in the middle of which a client can be cancelled."""

LIMITS: tuple[Fault, ...] = ("rate_limit", "rate_limit_date", "rate_limit_ms", "rate_limit_reset")
"""Faults that say how long to wait."""

INSTANT: tuple[Fault, ...] = ("server_error", "overloaded", "empty_answer")
"""Faults that take no time of their own."""

_RETRIED = (*LIMITS, "server_error", "bad_gateway", "overloaded", "overloaded_529", "error_after_role")
_BROKEN_IN_STREAMS = ("stall", "cut_stream", "drop_connection", "error_event", "malformed_json")
_HANGS_UP = ("cut_stream", "cut_after_role", "drop_connection", "error_event")
_ONLY_IN: dict[Fault, Mode] = {"wrong_schema": "structured", "invalid_tool_call": "tools"}
_BLURRED = ("malformed_json", "html_answer", "empty_stream", "cut_after_role")
"""LiteLLM makes a 500 of an answer that cannot be read, and a whole stream of an empty or a cut one: what is no fault
of the server then looks like one, and the model is asked once more."""


def fates(fault: Fault, mode: Mode, backend: Backend) -> tuple[Fate, ...]:
    """Return what a fault may lead to; two where a client cannot tell two failures apart."""
    if (fault, mode) == ("truncated", "stream"):
        return (Fate.CUT,)  # whole answers are judged, streams only where `buffer_streams` holds them back
    if mode != _ONLY_IN.get(fault, mode):
        return (Fate.STANDS,)
    if mode == "stream" and fault in _BROKEN_IN_STREAMS:
        return (Fate.BROKEN,)
    if mode != "stream" and fault in _HANGS_UP:
        return (Fate.RETRY,)
    if backend == "litellm" and fault in _BLURRED:
        return (Fate.RETRY, Fate.NEXT)
    return (Fate.RETRY,) if fault in _RETRIED else (Fate.NEXT,)
