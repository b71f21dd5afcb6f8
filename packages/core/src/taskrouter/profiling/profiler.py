"""From a step to its task profile."""

from __future__ import annotations

import difflib
from typing import Final, NamedTuple

from taskrouter.config import ProfilingConfig
from taskrouter.errors import InvalidStepError, PluginError
from taskrouter.ports import Classification, Classifier
from taskrouter.profile import FAMILIES, TASK_TYPES, UNKNOWN, Evidence, Requirements, TaskProfile
from taskrouter.profiling.complexity import complexity
from taskrouter.profiling.domain import guess_domain
from taskrouter.profiling.identity import IdentityMemory, identify
from taskrouter.profiling.language import guess_language
from taskrouter.profiling.text import words
from taskrouter.profiling.tokens import estimate_tokens, expect_output_tokens
from taskrouter.step import Step

LANGUAGE_WORDS: Final = 30
"""Words that the language is guessed from."""


class Profiler:
    """Profiles steps.

    The task type comes from the strongest evidence there is:

    1. what the caller declares;
    2. what the framework's own component that makes the call is for;
    3. what is remembered of the step's identity;
    4. the classifier, if it is at least as sure as `config.confidence_floor`; else the type is `unknown`.
    """

    def __init__(self, config: ProfilingConfig, classifier: Classifier) -> None:
        self._floor = config.confidence_floor
        self._classifier = classifier
        self._memory = IdentityMemory(config.identities, config.confidence_floor)

    @property
    def memory(self) -> IdentityMemory:
        """What is remembered of step identities; a labeller adds to it."""
        return self._memory

    @property
    def known_identities(self) -> int:
        """Number of step identities whose task type is remembered."""
        return len(self._memory)

    def profile(self, step: Step, *, task_type: str | None = None, sensitivity: str = "unspecified") -> TaskProfile:
        """Profile a step.

        Args:
            step: the step.
            task_type: the task type that a rule declares; it wins over the step's own.
            sensitivity: the privacy class that a rule declares.

        Raises:
            InvalidStepError: the declared task type is not known.
            PluginError: the classifier names a task type that is not known.
        """
        view = step.view
        verdict = self._verdict(step, task_type or step.task_type)
        text = words(view)
        points, reasons = complexity(view, text, step.tools, step.response_schema, verdict.task_type)
        input_tokens = estimate_tokens(view.chars, view.images, view.user or view.system)
        return TaskProfile(
            task_type=verdict.task_type,
            confidence=verdict.confidence,
            alternatives=verdict.alternatives,
            family=FAMILIES[verdict.task_type],
            domain=guess_domain(text.unique),
            language=guess_language(view.user or view.system, (text.user or text.system)[:LANGUAGE_WORDS]),
            complexity=points,
            input_tokens=input_tokens,
            output_tokens=expect_output_tokens(verdict.task_type, input_tokens, step.response_schema),
            requirements=_REQUIREMENTS[bool(step.tools), bool(view.images), step.response_schema is not None],
            sensitivity=sensitivity,
            evidence=verdict.evidence,
            signals=verdict.signals + reasons,
        )

    def _verdict(self, step: Step, declared: str | None) -> _Verdict:
        if declared is not None:
            return _declared(declared)
        if step.framework_task is not None:
            return _known(step.framework_task)
        identity = identify(step.view, step.context)
        known = self._memory.recall(identity)
        if known is not None:
            return _trusted(known, "identity")
        found = self._classifier.classify(step.view, step.context)
        if not found.alternatives or found.alternatives[0][1] < self._floor:
            return _Verdict(UNKNOWN, 0.0, found.alternatives, "none", found.signals)
        if (task_type := found.alternatives[0][0]) not in FAMILIES:
            raise PluginError(
                f"classifier {self._classifier.name!r} returned the unknown task type {task_type!r}. {_KNOWN}"
            )
        self._memory.remember(identity, found)
        return _trusted(found, "classifier")


class _Verdict(NamedTuple):
    task_type: str
    confidence: float
    alternatives: tuple[tuple[str, float], ...]
    evidence: Evidence
    signals: tuple[str, ...]


def _trusted(found: Classification, evidence: Evidence) -> _Verdict:
    task_type, confidence = found.alternatives[0]
    return _Verdict(task_type, confidence, found.alternatives, evidence, found.signals)


def _declared(task_type: str) -> _Verdict:
    _check(task_type)
    return _Verdict(task_type, 1.0, ((task_type, 1.0),), "declared", ("the caller declares the task type",))


def _known(task_type: str) -> _Verdict:
    _check(task_type)
    return _Verdict(task_type, 1.0, ((task_type, 1.0),), "identity", ("the framework's component has this task type",))


def _check(task_type: str) -> None:
    if task_type not in FAMILIES:
        near = difflib.get_close_matches(task_type.lower(), TASK_TYPES, n=1, cutoff=0.5)
        hint = f"did you mean {near[0]!r}? " if near else ""
        raise InvalidStepError(f"unknown task type {task_type!r}: {hint}{_KNOWN}")


_KNOWN = f"Known: {', '.join(FAMILIES)}"
_FLAGS = (False, True)
_REQUIREMENTS = {
    (tools, vision, schema): Requirements(tools=tools, vision=vision, json_schema=schema)
    for tools in _FLAGS
    for vision in _FLAGS
    for schema in _FLAGS
}
"""All there are: making one per step would cost more than looking it up."""
