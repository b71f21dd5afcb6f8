"""What a step is: its task type and what it asks of a model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

Evidence: TypeAlias = Literal["declared", "identity", "classifier", "none"]
"""Where a task type comes from, strongest first: declared by the caller, remembered for this step identity, classified
from the text, or nothing that could be trusted."""

UNKNOWN: Final = "unknown"
"""The task type of a step below the confidence floor: policies treat it as the safe case."""

FAMILIES: Final[dict[str, str]] = {
    "code_generation": "code",
    "code_repair": "code",
    "planning": "agent_control",
    "tool_use": "agent_control",
    "verification": "agent_control",
    "retrieval": "agent_control",
    "reasoning": "reasoning",
    "summarization": "text_transform",
    "extraction": "text_transform",
    "rewriting": "text_transform",
    "translation": "text_transform",
    "classification": "text_transform",
    "closed_qa": "question_answering",
    "open_qa": "question_answering",
    "creative_writing": "writing",
    "brainstorming": "writing",
    "chat": "chat",
    UNKNOWN: UNKNOWN,
}
"""Family of each task type."""

TASK_TYPES: Final[tuple[str, ...]] = tuple(t for t in FAMILIES if t != UNKNOWN)
"""The 17 task types, without `unknown`."""

DOMAINS: Final[tuple[str, ...]] = (
    "finance_business", "legal", "medical", "software_it", "math", "science_eng", "humanities_social",
    "customer_support", "general",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Requirements:
    """Capabilities without which a model cannot take the step."""

    tools: bool = False
    vision: bool = False
    json_schema: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskProfile:
    """All that the router knows of a step when it decides."""

    task_type: str
    """One of `TASK_TYPES`, or `unknown` when nothing speaks clearly enough."""
    confidence: float
    """Probability that `task_type` is right, 0 to 1; 1 when declared."""
    alternatives: tuple[tuple[str, float], ...] = ()
    """(task type, probability), best first."""
    family: str = UNKNOWN
    domain: str = "general"
    language: str = "en"
    """ISO 639-1 code, or `und` where the script tells too little."""
    complexity: float = 0.0
    """0 (trivial) to 1 (demanding), by the rubric in `profiling.complexity`."""
    input_tokens: int = 0
    """Estimate; see `profiling.tokens` for its error."""
    output_tokens: int = 0
    """Tokens expected in the answer."""
    requirements: Requirements = Requirements()
    sensitivity: str = "unspecified"
    """Privacy class: declared by a rule, else `unspecified`."""
    evidence: Evidence = "none"
    signals: tuple[str, ...] = ()
    """What spoke for the task type and the complexity, in words; never a piece of the prompt."""
