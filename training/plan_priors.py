"""Measure what plans lose and how often two models agree, on published answers: `plans.json` for the catalogue.

    python -m training.plan_priors RECORDINGS [--without NAME ...]

`RECORDINGS` is a folder of recorded prompts (`docs/evaluation.md` has the format) with the answers, scores and prices
of real models; nothing of it but means, spreads and counts gets into the file. For each kind of comparison pools of
models are drawn from a recording. The best model of a pool is its incumbent, and the pair is chosen as the router
chooses it, by cards alone. What the plan loses on the prompts is set against the gap between the general figures of
incumbent and pair:

    loss = mean at the usual gap + slope x (gap - usual gap)

The spread is that between pairs and between tasks, without what chance adds in small samples. `--without` leaves
recordings out, and with them those that share prompts with them, as in a measurement on data that was not seen.
"""

from __future__ import annotations

import argparse
import json
import math
import random
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np

from taskrouter.catalog.card import GENERAL
from taskrouter.evaluation.recordings import Prompt, Recording, read_recordings
from taskrouter.evaluation.replay import agree
from taskrouter.evaluation.routed import card_of
from taskrouter.planning.checks import Check, check_of
from taskrouter.planning.measured import ABILITY, OTHER, log_odds
from taskrouter.planning.pairs import ABLE, DEAREST, TOKENS_IN, TOKENS_OUT, house
from taskrouter.planning.quality import estimate
from taskrouter.profile import TaskProfile

OUTPUT = Path(__file__).parents[1] / "packages/core/src/taskrouter/catalog/data/plans.json"

SOURCES: Final = {
    "tool_calls": ("Berkeley Function-Calling Leaderboard, published answers", "2024"),
    "code_and_math": ("ZeroEval, published answers (CRUX, MATH level 5)", "2024"),
    "knowledge": ("MMLU-Pro leaderboard, published answers", "2024"),
    "agent_mix": ("Berkeley Function-Calling Leaderboard and ZeroEval, published answers", "2024"),
}
"""Where recordings come from; of another recording its name is told."""

POOLS = 400
"""Pools that are drawn from a recording."""
LEAST = 25
"""Prompts below which a task is left out."""
OWN_SLOPE = 10.0
"""Pairs at which a kind's own slope counts for half; the rest is the slope of all kinds."""
LEAST_SD = 0.01
BETWEEN_KINDS = 0.02
"""Standard deviation of the loss between kinds of comparison, at least: few were measured."""


class Trial(NamedTuple):
    """A pair before an incumbent, on the prompts of one task."""

    kind: Check
    recording: str
    task: str
    models: tuple[str, str, str]
    prompts: int
    gap: float
    """Incumbent's general figure less the mean of the pair's."""
    loss: float
    error: float
    """Standard error of the loss: what chance adds."""
    agree: float
    expected_agree: float
    """Product of the cited figures: the share on which both are right, were they independent."""
    draws: int
    """Pools in which the pair would have been chosen."""


def main() -> None:
    """Build the data file and print what is in it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recordings", type=Path)
    parser.add_argument("--without", action="append", default=[], help="a recording that must not have been seen")
    parser.add_argument("--output", type=Path, default=OUTPUT)
    arguments = parser.parse_args()
    document = measure(without(read(arguments.recordings), arguments.without))
    arguments.output.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    for kind, figures in document["agreement"].items():
        print(kind, figures)


def read(folder: Path) -> dict[str, Recording]:
    """Read a folder's recordings, by their names."""
    return {path.name.split(".jsonl")[0]: read_recordings([path]) for path in sorted(folder.glob("*.jsonl*"))}


def without(recordings: dict[str, Recording], names: Sequence[str]) -> dict[str, Recording]:
    """Leave recordings out, and those that share prompts with them."""
    texts = {name: {p.step.view.user for p in recording.prompts} for name, recording in recordings.items()}
    unseen = set().union(*(texts[name] for name in names))
    return {name: recording for name, recording in recordings.items() if unseen.isdisjoint(texts[name])}


def measure(recordings: dict[str, Recording]) -> dict[str, Any]:
    """Return the data file's content."""
    trials = [trial for name, recording in recordings.items() for trial in trials_of(name, recording)]
    return {"agreement": dict(sorted(fit(trials).items()))}


def trials_of(name: str, recording: Recording) -> Iterator[Trial]:
    """Try every pair that would be chosen in some pool of the recording's models, on each of its tasks."""
    groups: dict[tuple[Check, str], list[Prompt]] = defaultdict(list)
    for prompt in recording.prompts:
        kind = check_of(prompt.step, _ASKS_FOR_AN_ANSWER)
        if kind and any(outcome.answer is not None for outcome in prompt.outcomes.values()):
            groups[kind, prompt.task or ""].append(prompt)
    groups = {key: prompts for key, prompts in groups.items() if len(prompts) >= LEAST}
    for kind in {kind for kind, _ in groups}:
        for models, draws in _draw(recording, kind).items():
            for (its_kind, task), prompts in groups.items():
                if its_kind == kind:
                    yield _try(name, recording, kind, task, prompts, models, draws)


def _draw(recording: Recording, kind: Check) -> Counter[tuple[str, str, str]]:
    """Draw pools; count how often a pair stands before an incumbent."""
    rng = random.Random(0)
    cards = {model: card_of(model, recording) for model in recording.models}
    quality = {model: estimate(card, ABILITY[kind]) for model, card in cards.items()}
    costs = {model: card.cost_usd(TOKENS_IN, TOKENS_OUT) or math.inf for model, card in cards.items()}
    scores = {m: sum(p.outcomes[m].score for p in recording.prompts) for m in recording.models}
    found: Counter[tuple[str, str, str]] = Counter()
    for _ in range(POOLS):
        pool = rng.sample(recording.models, rng.randint(3, len(recording.models)))
        incumbent = max(pool, key=lambda model: scores[model])
        able = [m for m in pool if m != incumbent and quality[m].mean >= quality[incumbent].mean - ABLE]
        able.sort(key=lambda model: (-quality[model].low, costs[model]))
        pairs = [
            (quality[one].low * quality[other].low - (costs[one] + costs[other]) / costs[incumbent], (one, other))
            for one, other in combinations(able, 2)
            if house(cards[one]) != house(cards[other]) and costs[one] + costs[other] <= DEAREST * costs[incumbent]
        ]
        if pairs:
            found[(*max(pairs)[1], incumbent)] += 1
    return found


def _try(
    name: str,
    recording: Recording,
    kind: Check,
    task: str,
    prompts: Sequence[Prompt],
    models: tuple[str, str, str],
    draws: int,
) -> Trial:
    one, other, incumbent = models
    agreed = [agree(prompt.outcomes[one], prompt.outcomes[other]) for prompt in prompts]
    losses = np.array(
        [
            prompt.outcomes[incumbent].score - prompt.outcomes[one].score if same else 0.0
            for prompt, same in zip(prompts, agreed, strict=True)
        ]
    )
    cards = [card_of(model, recording) for model in models]
    general = [estimate(card, GENERAL).mean for card in cards]
    ability = [estimate(card, ABILITY[kind]).mean for card in cards]
    return Trial(
        kind=kind,
        recording=name,
        task=task,
        models=models,
        prompts=len(prompts),
        gap=general[2] - (general[0] + general[1]) / 2,
        loss=float(losses.mean()),
        error=float(losses.std() / math.sqrt(len(losses))),
        agree=sum(agreed) / len(agreed),
        expected_agree=ability[0] * ability[1],
        draws=draws,
    )


def fit(trials: Sequence[Trial]) -> dict[str, dict[str, Any]]:
    """Fit each kind of comparison."""
    kinds = {trial.kind: [t for t in trials if t.kind == trial.kind] for trial in trials}
    lines = {kind: _line(own) for kind, own in kinds.items()}
    within = sum(line.inside for line in lines.values())
    common = sum(line.inside * line.slope for line in lines.values()) / within if within else 0.0
    between_tasks = _between_tasks(kinds, lines)
    found = {kind: _figures(own, lines[kind], common, between_tasks) for kind, own in kinds.items()}
    return found | {OTHER: _of_others(list(found.values()))} if found else {}


def _of_others(kinds: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """What may be expected of a kind that was not measured: the mean of the others, less certain where they differ."""
    mean = {name: sum(kind[name] for kind in kinds) / len(kinds) for name in ("loss", "gap", "slope", "agree_shift")}
    between = max(BETWEEN_KINDS**2, float(np.var([kind["loss"] for kind in kinds])))
    sd = math.sqrt(sum(kind["sd"] ** 2 for kind in kinds) / len(kinds) + between)
    counts = {name: sum(kind[name] for kind in kinds) for name in ("prompts", "tasks", "pairs")}
    source = "; ".join(sorted({source for kind in kinds for source in kind["source"].split("; ")}))
    return {**{name: round(value, 4) for name, value in mean.items()}, "sd": round(sd, 4), **counts, "source": source}


class _Line(NamedTuple):
    gap: float
    loss: float
    slope: float
    inside: float
    """Weighted squares of the gaps: how much the slope rests on."""
    pairs: int


def _weights(trials: Sequence[Trial]) -> Any:
    return np.array([float(t.draws * t.prompts) for t in trials])


def _line(trials: Sequence[Trial]) -> _Line:
    weights = _weights(trials)
    gaps, losses = np.array([t.gap for t in trials]), np.array([t.loss for t in trials])
    gap, loss = np.average(gaps, weights=weights), np.average(losses, weights=weights)
    share = weights / weights.sum()
    inside = float(share @ (gaps - gap) ** 2)
    slope = float(share @ ((gaps - gap) * (losses - loss))) / inside if inside > 1e-9 else 0.0
    return _Line(float(gap), float(loss), slope, inside, len({t.models for t in trials}))


def _between_tasks(kinds: dict[Check, list[Trial]], lines: dict[Check, _Line]) -> float:
    """Variance of the loss between tasks of one kind, less what chance adds; kinds with one task tell nothing."""
    squares, weights = 0.0, 0.0
    for kind, trials in kinds.items():
        by_task: dict[tuple[str, str], list[Trial]] = defaultdict(list)
        for trial in trials:
            by_task[trial.recording, trial.task].append(trial)
        tasks = len({task for _, task in by_task})
        if tasks < 3:
            continue
        for own in by_task.values():
            share = _weights(own) / _weights(own).sum()
            off = float(share @ np.array([t.loss - _at(lines[kind], t.gap) for t in own]))
            chance = float(share @ np.array([t.error**2 for t in own]))
            squares += own[0].prompts * (off**2 - chance) * tasks / (tasks - 1)
            weights += own[0].prompts
    return max(0.0, squares / weights) if weights else 0.03**2


def _at(line: _Line, gap: float) -> float:
    return line.loss + line.slope * (gap - line.gap)


def _figures(trials: Sequence[Trial], line: _Line, common: float, between_tasks: float) -> dict[str, Any]:
    own = line.pairs / (line.pairs + OWN_SLOPE)
    slope = max(0.0, own * line.slope + (1 - own) * common)
    by_pair: dict[tuple[str, tuple[str, str, str]], list[Trial]] = defaultdict(list)
    for trial in trials:
        by_pair[trial.recording, trial.models].append(trial)
    offs, shifts, draws = [], [], []
    for of_pair in by_pair.values():
        share = np.array([t.prompts for t in of_pair]) / sum(t.prompts for t in of_pair)
        lost = float(share @ np.array([t.loss for t in of_pair]))
        offs.append(lost - line.loss - slope * (of_pair[0].gap - line.gap))
        met = float(share @ np.array([t.agree for t in of_pair]))
        shifts.append(log_odds(met) - log_odds(of_pair[0].expected_agree))
        draws.append(of_pair[0].draws)
    between_pairs = float(np.average(np.square(offs), weights=draws))
    return {
        "loss": round(line.loss, 4),
        "gap": round(line.gap, 3),
        "slope": round(slope, 3),
        "sd": round(math.sqrt(max(LEAST_SD**2, between_pairs + between_tasks)), 4),
        "agree_shift": round(float(np.average(shifts, weights=draws)), 2),
        "prompts": sum({(t.task, t.kind): t.prompts for t in trials}.values()),
        "tasks": len({t.task for t in trials}),
        "pairs": line.pairs,
        "source": "; ".join(sorted({", ".join(SOURCES.get(t.recording, (t.recording, "undated"))) for t in trials})),
    }


_ASKS_FOR_AN_ANSWER = TaskProfile(task_type="reasoning", confidence=1.0, evidence="declared")
"""Leaderboards ask for one short answer: what kind it is of is read from the prompt."""


if __name__ == "__main__":
    main()
