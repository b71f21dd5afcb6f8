"""Tries every policy on recorded prompts: `evaluate`."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

from taskrouter.decision import Plan
from taskrouter.errors import ConfigurationError
from taskrouter.evaluation.baselines import Single, hull_of, incumbent_of, oracle, singles, uniform
from taskrouter.evaluation.intervals import Comparison, Run, compare
from taskrouter.evaluation.knn import KnnText
from taskrouter.evaluation.learned import Learned
from taskrouter.evaluation.recordings import Prompt, Recording
from taskrouter.evaluation.replay import Served, serve
from taskrouter.evaluation.report import PolicyScore, Report, quantile
from taskrouter.evaluation.routed import Routed, identity_of, routers
from taskrouter.evaluation.situations import Policy, Situation, by_task, by_text
from taskrouter.evaluation.tables import TaskTable
from taskrouter.router import Router

DEFAULT_POLICY = "safe"

Progress = Callable[[str], None]
"""Told in words what is being done."""


def evaluate(
    test: Recording,
    train: Recording,
    *,
    incumbent: str | None = None,
    step_identity: bool = True,
    seed: int = 0,
    progress: Progress = lambda _: None,
) -> Report:
    """Compare the router's policies, and the baselines, on the test prompts.

    Args:
        test: prompts that policies are judged on; what policies see of them has no outcomes.
        train: prompts with labels, for the policies that use labels and for the choice of the incumbent.
        incumbent: the model to compare with; the best one on `train` unless named.
        step_identity: whether policies see the task of a prompt. Without it the identity of a step is the task type
            that the router finds in the text.
        seed: of the bootstrap and of cross-validation.
        progress: told what is being done.

    Raises:
        ConfigurationError: the recordings have no model in common, or the incumbent is not among them.
    """
    test, train = aligned(test, train)
    chosen = incumbent_of(train, incumbent)
    built = routers(train, chosen)
    seen = [see(part, built[DEFAULT_POLICY], step_identity=step_identity) for part in (train, test)]
    routed = [Routed(name, router, chosen) for name, router in built.items()]
    policies: list[Policy] = [*routed, *_with_labels(train, seen[0], chosen, routed[0], seed, progress)]
    served = []
    for policy in policies:
        progress(f"trying {policy.name} on {len(test.prompts)} prompts")
        served.append((policy.name, *_try(policy, seen[1], test.prompts)))
    alone = singles(test)
    base = next(single for single in alone if single.model == chosen)
    return Report(
        prompts=len(test.prompts),
        train_prompts=len(train.prompts),
        models=test.models,
        dropped_models=test.dropped,
        incumbent=base,
        singles=alone,
        hull=hull_of(alone),
        oracle=oracle(test),
        random=uniform(alone),
        policies=_scores(served, base, test.prompts, seed, progress),
        step_identity=step_identity,
        seed=seed,
        overlap=_overlap(test, train),
        unroutable=max(policy.refused for policy in routed),
    )


def aligned(test: Recording, train: Recording) -> tuple[Recording, Recording]:
    """Keep the models that both recordings have for every prompt.

    Raises:
        ConfigurationError: there is none.
    """
    common = tuple(model for model in test.models if model in train.models)
    if not common:
        raise ConfigurationError(
            f"the test prompts have outcomes of {', '.join(test.models)} and the training prompts of "
            f"{', '.join(train.models)}: record one model for both at least"
        )
    every = dict.fromkeys((*test.models, *test.dropped, *train.models, *train.dropped))
    dropped = tuple(model for model in every if model not in common)
    return replace(test, models=common, dropped=dropped), replace(train, models=common, dropped=dropped)


def see(part: Recording, router: Router, *, step_identity: bool = True) -> list[Situation]:
    """Show prompts as policies may see them: with their task as the identity, or with what the router makes of them."""
    view = by_task if step_identity else by_text
    return view(part, partial(identity_of, router))


def _with_labels(
    train: Recording,
    situations: Sequence[Situation],
    incumbent: str,
    otherwise: Policy,
    seed: int,
    progress: Progress,
) -> list[Policy]:
    progress(f"learning from {len(train.prompts)} prompts")
    return [
        Learned.fit(train, situations, incumbent, otherwise=otherwise, seed=seed),
        TaskTable.fit(train, situations, incumbent),
        KnnText.fit(train, situations, incumbent),
    ]


def _try(policy: Policy, situations: Sequence[Situation], prompts: Sequence[Prompt]) -> tuple[list[Plan], list[Served]]:
    plans = policy.plans(situations)
    return plans, [serve(plan, prompt) for plan, prompt in zip(plans, prompts, strict=True)]


def _scores(
    tried: Sequence[tuple[str, list[Plan], list[Served]]],
    base: Single,
    prompts: Sequence[Prompt],
    seed: int,
    progress: Progress,
) -> tuple[PolicyScore, ...]:
    progress("resampling for the intervals")
    outcomes = [prompt.outcomes[base.model] for prompt in prompts]
    runs = [Run([s.score for s in served], [s.cost_usd for s in served]) for _, _, served in tried]
    intervals = compare(runs, Run([o.score for o in outcomes], [o.cost_usd for o in outcomes]), seed=seed)
    scores = [
        _score(name, plans, served, base, interval)
        for (name, plans, served), interval in zip(tried, intervals, strict=True)
    ]
    default = next(score for score in scores if score.name == DEFAULT_POLICY)
    return (*scores, replace(default, name="default"))


def _score(
    name: str, plans: Sequence[Plan], served: Sequence[Served], base: Single, interval: Comparison
) -> PolicyScore:
    prompts = len(served)
    score, cost_usd = sum(s.score for s in served) / prompts, sum(s.cost_usd for s in served) / prompts
    latencies = [s.latency_s for s in served if s.latency_s is not None]
    timed = len(latencies) == prompts
    return PolicyScore(
        name=name,
        score=score,
        cost_usd=cost_usd,
        delta_points=100 * (score - base.score),
        delta_ci=interval.delta_points,
        saving=1 - cost_usd / base.cost_usd if base.cost_usd else None,
        saving_ci=interval.saving,
        calls_per_prompt=sum(s.calls for s in served) / prompts,
        latency_p50_s=quantile(latencies, 0.5) if timed else None,
        latency_p95_s=quantile(latencies, 0.95) if timed else None,
        plans={plan: count / prompts for plan, count in Counter(map(str, plans)).most_common()},
    )


def _overlap(test: Recording, train: Recording) -> int:
    """Count the test prompts that were trained on, by what they say: ids may have been given anew."""
    known = {_content(prompt) for prompt in train.prompts}
    return sum(_content(prompt) in known for prompt in test.prompts)


def _content(prompt: Prompt) -> str:
    return json.dumps([prompt.task, prompt.step.messages, prompt.step.tools], sort_keys=True)
