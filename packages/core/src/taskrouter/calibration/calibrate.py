"""`calibrate`: runs the models of a pool on cases of the user's own, and lets the router learn from it."""

from __future__ import annotations

import asyncio
import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from taskrouter.calibration.journal import Journal
from taskrouter.calibration.report import GOOD_FROM, WORKS_FROM, CalibrationReport
from taskrouter.calibration.rows import lessons_of, plans_of, prompts_of, write_recording
from taskrouter.calibration.running import Pair, Run, Runner
from taskrouter.calibration.summing import identity_reports, model_report
from taskrouter.errors import ConfigurationError
from taskrouter.evaluation.recordings import check_output
from taskrouter.grading import Case, Suite, read_suite
from taskrouter.learning import Learner
from taskrouter.router import Router
from taskrouter.trials import Trials


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far a run has come."""

    done: int
    pairs: int
    asked: int
    cost_usd: float
    failed: int


async def calibrate(  # noqa: PLR0913 - all but the first two are named
    router: Router,
    suite: Suite | str | Path,
    *,
    models: Sequence[str] | None = None,
    budget_usd: float | None = 1.0,
    concurrency: int = 4,
    results: str | Path | None = None,
    output: str | Path | None = None,
    judge: str | None = None,
    refresh: bool = False,
    seed: int = 0,
    stop: asyncio.Event | None = None,
    progress: Callable[[Progress], None] = lambda _: None,
) -> CalibrationReport:
    """Send every case to every model, grade the answers, and learn from the scores of all plans on the same prompts.

    Every call goes through the router: its rules, regions and tags hold, for judges too, and its budgets are charged.

    Args:
        router: has the pool, the policy and the state.
        suite: cases, or the file that they are in.
        models: ids of the candidates; None: the whole pool. The incumbent is always among them.
        budget_usd: the most that this run may cost, judges included; None: no limit.
        concurrency: cases under way at once.
        results: file that answers and grades are appended to; what stands there is not paid again.
        output: file that the results are written to as a recording, for `taskrouter evaluate` and `tune`.
        judge: id of the model that judges where a grader names none; the incumbent by default.
        refresh: ask again what was answered before.
        seed: of the order of the cases: where the money ends, those that were done are a fair sample.
        stop: set it to let the run end once what is under way is done.
        progress: told after every answer.

    Raises:
        ConfigurationError: the suite, a grader, a model's id, a file of results or the place of the output is wrong.
            Nothing was sent.
    """
    cases = suite if isinstance(suite, Suite) else read_suite(suite)
    trials = router.trials
    wanted, notes = _candidates(trials, models, budget_usd)
    if concurrency < 1:
        raise ConfigurationError(f"concurrency is {concurrency}; it must be at least 1")
    if judge is not None and judge not in trials.models:
        raise ConfigurationError(f"judge: {judge!r} is not in the pool, which has {', '.join(trials.models)}")
    if output is not None:
        check_output(Path(output), where="output")
    before = await asyncio.to_thread(router.learn)
    learner = trials.book.learner
    new = {model for model in wanted if learner.labels and not learner.known(model)}
    pairs = _pairs(cases.cases, wanted, seed)
    runner = Runner(
        trials,
        Journal(None if results is None else Path(results)),
        judge=judge or trials.incumbent,
        concurrency=concurrency,
        refresh=refresh,
        stop=stop or asyncio.Event(),
        told=lambda run: progress(_progress(run, len(pairs))),
    )
    runner.check(cases.cases)
    if budget_usd is None:
        await runner.answer(pairs)
    else:
        async with router.budget(usd=budget_usd):
            await runner.answer(pairs)
    run = runner.run
    prompts = prompts_of(cases.cases, run.results)
    if output is not None:
        write_recording(Path(output), prompts)
    identities = {case.id: trials.identity(case.step) for case in cases.cases}
    priced = [model for model in wanted if any(model in prompt.outcomes for prompt in prompts)]
    lessons = lessons_of(
        prompts, plans_of(prompts, priced, trials.incumbent), {case.id: case for case in cases.cases}, identities
    )
    taught = trials.book.teach(lessons, source="suite")
    now = await asyncio.to_thread(router.learn)
    return CalibrationReport(
        suite=cases.path,
        cases=len(cases.cases),
        incumbent=trials.incumbent,
        models=tuple(model_report(model, trials, run, new=model in new) for model in wanted),
        identities=tuple(identity_reports(identities, before, now, trials)),
        asked=run.asked,
        known=run.known,
        regraded=run.regraded,
        undone=run.undone,
        stopped=run.stopped,
        cost_usd=run.cost_usd,
        unpriced=run.unpriced,
        budget_usd=budget_usd,
        taught=taught.new,
        kept=taught.kept and trials.book.shared,
        labels=learner.labels,
        notes=(*cases.warnings, *notes, *_notes(learner, learned=now is not None)),
    )


def _candidates(trials: Trials, models: Sequence[str] | None, budget_usd: float | None) -> tuple[list[str], list[str]]:
    notes: list[str] = []
    wanted = list(dict.fromkeys(trials.models if models is None else models))
    for model in wanted:
        if model not in trials.models:
            raise ConfigurationError(f"models: {model!r} is not in the pool, which has {', '.join(trials.models)}")
    if trials.incumbent not in wanted:
        wanted.insert(0, trials.incumbent)
        notes.append(f"{trials.incumbent} is the incumbent, which all are compared with: it is run too")
    if budget_usd is not None:
        unpriced = [model for model in wanted if not trials.models[model].priced]
        if trials.incumbent in unpriced:
            raise ConfigurationError(
                f"the price of the incumbent {trials.incumbent!r} is unknown, so no budget can hold it: set "
                "input_usd_per_million and output_usd_per_million in its card, or run without a budget"
            )
        if unpriced:
            notes.append(f"left out, for their price is unknown and there is a budget: {', '.join(unpriced)}")
            wanted = [model for model in wanted if model not in unpriced]
    return wanted, notes


def _pairs(cases: Sequence[Case], models: Sequence[str], seed: int) -> list[Pair]:
    """Return all pairs, case by case: where the money ends, the cases before are complete."""
    order = list(cases)
    random.Random(seed).shuffle(order)
    return [Pair(case, model) for case in order for model in models]


def _progress(run: Run, pairs: int) -> Progress:
    failed = sum(kinds.total() for kinds in run.failed.values())
    barred = sum(codes.total() for codes in run.barred.values())
    return Progress(
        done=len(run.results) + failed + barred, pairs=pairs, asked=run.asked, cost_usd=run.cost_usd, failed=failed
    )


def _notes(learner: Learner, *, learned: bool) -> list[str]:
    labels = learner.labels
    notes = []
    if learner.given:
        notes.append(
            "routers with this configuration follow the policy that it names, and not these labels; `taskrouter tune` "
            "makes it anew from a recording"
        )
    if labels < GOOD_FROM:
        said = "too few to learn from" if labels < WORKS_FROM else "few to learn from"
        notes.append(
            f"{labels} labelled steps are {said}: an identity gets a plan of its own from {WORKS_FROM} labels on, and "
            f"can be relied on from {GOOD_FROM}"
        )
    if not learned and labels >= WORKS_FROM:
        notes.append(
            f"no plan is proven yet to lose at most {100 * learner.max_loss:g} points, so steps go on as without "
            f"labels; over all identities that takes about {math.ceil(1 / max(learner.max_loss, 0.001))} cases without "
            "a loss"
        )
    return notes
