"""From results to what they teach: a recording, the plans that follow from its answers, and their labels per case."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from taskrouter.calibration.journal import Result, case_key
from taskrouter.decision import Plan
from taskrouter.evaluation.arms import arms_of
from taskrouter.evaluation.recordings import Prompt, RecordedOutcome, Recording
from taskrouter.evaluation.replay import serve
from taskrouter.grading import Case
from taskrouter.learning import Identity, Labelled, Lesson, Scored

COMPLETE = 0.5
"""Share of the cases that must have results of all models before pairs and gates are looked for: a model that lacks too
many is left out of those."""


def prompts_of(cases: Sequence[Case], results: Mapping[tuple[str, str], Result]) -> list[Prompt]:
    """Return the cases that have results, as recorded prompts; what has no score or no known price is left out."""
    found = []
    for case in cases:
        outcomes = {
            model: outcome
            for (case_id, model), result in results.items()
            if case_id == case.id and (outcome := outcome_of(result)) is not None
        }
        if outcomes:
            found.append(Prompt(id=case.id, step=case.step, outcomes=outcomes))
    return found


def outcome_of(result: Result) -> RecordedOutcome | None:
    """Return a result as recordings have it."""
    if result.score is None or result.cost_usd is None:
        return None
    return RecordedOutcome(
        score=result.score,
        cost_usd=result.cost_usd,
        input_tokens=result.input_tokens,
        output_tokens=result.output_tokens,
        latency_s=result.latency_s,
        answer=result.comes_to,
        valid=result.valid,
    )


def plans_of(prompts: Sequence[Prompt], models: Sequence[str], incumbent: str) -> list[Plan]:
    """Return what may be chosen: each model alone, and the gates and pairs that follow from recorded answers."""
    alone = [Plan(models=(model,)) for model in models]
    recording = complete(prompts, models, incumbent)
    if recording is None:
        return alone
    return list(dict.fromkeys([*alone, *arms_of(recording, incumbent)]))


def complete(prompts: Sequence[Prompt], models: Sequence[str], incumbent: str) -> Recording | None:
    """Return the prompts that were answered by the same models, or None where even the incumbent lacks most.

    Models that lack most prompts are left out, those with the fewest first.
    """
    kept = {model: sum(model in prompt.outcomes for prompt in prompts) for model in models}
    while incumbent in kept:
        whole = [prompt for prompt in prompts if all(model in prompt.outcomes for model in kept)]
        if whole and len(whole) >= COMPLETE * len(prompts):
            return Recording(prompts=tuple(whole), models=tuple(kept))
        if len(kept) == 1:
            return None
        del kept[min((model for model in kept if model != incumbent), key=lambda model: kept[model])]
    return None


def lessons_of(
    prompts: Sequence[Prompt], plans: Sequence[Plan], cases: Mapping[str, Case], identities: Mapping[str, Identity]
) -> list[Lesson]:
    """Return what each case teaches: labels of all plans on the same prompt, as far as their models have answered."""
    lessons = []
    for prompt in prompts:
        possible = {str(plan): plan for plan in plans if all(model in prompt.outcomes for model in plan.models)}
        served = {name: serve(plan, prompt) for name, plan in possible.items()}
        scores = {name: Scored(one.score, one.cost_usd) for name, one in served.items()}
        identity = identities[prompt.id]
        row = Labelled(identity=identity, scores=scores)
        lessons.append(Lesson(row, possible, key=case_key(cases[prompt.id], identity.key)))
    return lessons


def write_recording(path: Path, prompts: Sequence[Prompt]) -> None:
    """Write prompts as a recording, whole or not at all.

    Raises:
        OSError: the file cannot be written.
    """
    lines = "".join(f"{json.dumps(_line(prompt), ensure_ascii=False, default=str)}\n" for prompt in prompts)
    draft = path.with_name(f"{path.name}.part")
    draft.write_text(lines, encoding="utf-8")
    draft.replace(path)


def _line(prompt: Prompt) -> dict[str, Any]:
    step, context = prompt.step, prompt.step.context
    line: dict[str, Any] = {
        "id": prompt.id,
        "task": context.node,
        "messages": list(step.messages),
    }
    if context.agent is not None:
        line["agent"] = context.agent
    if step.tools:
        line["tools"] = list(step.tools)
    if step.response_schema is not None:
        line["response_schema"] = step.response_schema
    line["outcomes"] = {
        model: {name: value for name in RecordedOutcome.__slots__ if (value := getattr(outcome, name)) is not None}
        for model, outcome in prompt.outcomes.items()
    }
    return line
