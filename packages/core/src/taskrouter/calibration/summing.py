"""Sums up what a run has given: by model, and by identity of the cases."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from taskrouter.calibration.report import (
    GOOD_FROM,
    WORKS_FROM,
    IdentityReport,
    Interval,
    ModelReport,
    Standing,
    gain_of,
    quality_of,
)
from taskrouter.calibration.running import Run
from taskrouter.learning import Identity, LearnedPolicy
from taskrouter.trials import Trials

WITHOUT = "as without labels"
"""Where steps go of which nothing was learned."""


def model_report(model: str, trials: Trials, run: Run, *, new: bool) -> ModelReport:
    """Sum up what a model made of the cases."""
    own = {case: result for (case, name), result in run.results.items() if name == model}
    scores = {case: result.score for case, result in own.items() if result.score is not None}
    base = {case: r.score for (case, name), r in run.results.items() if name == trials.incumbent}
    costs = [result.cost_usd for result in own.values()]
    known = [cost for cost in costs if cost is not None]
    gains = [score - other for case, score in scores.items() if (other := base.get(case)) is not None]
    return ModelReport(
        model=model,
        incumbent=model == trials.incumbent,
        new=new,
        graded=len(scores),
        quality=quality_of(list(scores.values())),
        gain=None if model == trials.incumbent else gain_of(gains),
        cost_usd=sum(known) / len(known) if known and len(known) == len(costs) else None,
        failed=dict(run.failed.get(model, {})),
        skipped=dict(Counter(result.skip for result in own.values() if result.skip is not None)),
        barred=dict(run.barred.get(model, {})),
        said=run.said.get(model),
    )


def identity_reports(
    identities: Mapping[str, Identity], before: LearnedPolicy | None, now: LearnedPolicy | None, trials: Trials
) -> list[IdentityReport]:
    """Say for each identity of the cases where its steps went before and where they go now.

    Args:
        identities: by id of the case.
        before: what was learned before.
        now: what is learned now.
        trials: has the labels.
    """
    cases = Counter(identity.key for identity in identities.values())
    return [
        IdentityReport(
            identity=key,
            cases=count,
            labels=trials.book.learner.known(trials.incumbent, key),
            before=_plan(before, key),
            now=_plan(now, key),
            loss=_loss(now, key),
            standing=_standing(now, key, trials),
        )
        for key, count in cases.items()
    ]


def _plan(policy: LearnedPolicy | None, key: str) -> str:
    branches = policy.of(key) if policy is not None else ()
    if not branches:
        return WITHOUT
    if len(branches) == 1:
        return str(branches[0].plan)
    return ", ".join(f"{branch.share:.0%} {branch.plan}" for branch in branches)


def _loss(policy: LearnedPolicy | None, key: str) -> Interval | None:
    branches = policy.of(key) if policy is not None else ()
    if not branches:
        return None
    mixed = [sum(branch.share * getattr(branch.loss, name) for branch in branches) for name in Interval._fields]
    return Interval(*mixed)


def _standing(policy: LearnedPolicy | None, key: str, trials: Trials) -> Standing:
    labels = trials.book.learner.known(trials.incumbent, key)
    loss = _loss(policy, key)
    if labels < WORKS_FROM:
        return "too few"
    if labels < GOOD_FROM:
        return "few"
    return "unsure" if loss is None or loss.high > trials.book.learner.max_loss else "good"
