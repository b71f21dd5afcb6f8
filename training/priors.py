"""Turn published benchmark figures (`priors.toml`) into quality priors per model and task type.

    python -m training.priors

Benchmarks differ in difficulty, and no document covers all models: 77 % on an easy benchmark is less than 60 % on a
hard one. So for each task type one additive model is fitted to all figures of its benchmarks, in log-odds:

    log-odds(share right) = ability of the model + easiness of the benchmark

by weighted ridge regression (a figure that was not checked counts for half, and for nothing where it is all that is
known of a specialist; the ridge draws abilities that rest on little to the average). A model's prior is its fitted
share right, averaged over ALL benchmarks of the task type's yardstick, whether it took them or not: the same for
everybody. `general` is fitted to all figures of the table but the `narrow` ones, and models that are known by special
benchmarks alone get none.
"""

from __future__ import annotations

import json
import math
import tomllib
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from taskrouter.catalog import Catalog
from taskrouter.catalog.card import GENERAL, Tier
from taskrouter.catalog.names import parse
from taskrouter.catalog.priors import kin_keys
from taskrouter.catalog.tiers import tier_of

TABLE = Path(__file__).with_name("priors.toml")
OUTPUT = Path(__file__).parents[1] / "packages/core/src/taskrouter/catalog/data/priors.json"

UNCHECKED = 0.5
"""Weight of a figure that was not checked against its document."""
RIDGE = 0.15
"""Figures' worth of pull to the average ability: little, yet enough for a model with a single figure."""
ROUNDS = 200
RECENT = "2024-06"
"""From here on benchmarks were run on models that are still sold."""


class Figure(NamedTuple):
    """One published figure."""

    stem: str
    revision: str
    benchmark: str
    share: float
    source: str
    date: str
    weight: float

    @property
    def model(self) -> tuple[str, str]:
        """The model as the data file keys it."""
        return self.stem, self.revision


class Prior(NamedTuple):
    """What the figures say of one model and task type."""

    mean: float
    weight: float
    source: str


def main() -> None:
    """Build the data file and print its size."""
    content = build(TABLE.read_text(encoding="utf-8"))
    OUTPUT.write_text(content, encoding="utf-8")
    document = json.loads(content)
    models = sum(len(revisions) for revisions in document["models"].values())
    print(f"{OUTPUT.name}: {models} models, {len(document['sources'])} sources, {len(content):,} bytes")


def build(table: str) -> str:
    """Return the data file, the same for the same table and catalogue.

    `models`: {stem: {revision: {task type: [mean, weight, source]}}}. `kin`: {family, or size class, or both: {task
    type: [mean, models]}}, the means of those models, for models that have no figure of their own.
    """
    document = tomllib.loads(table)
    figures = list(_figures(document["table"]))
    models: dict[str, dict[str, dict[str, Prior]]] = {}
    broad = _broad_models(figures, document["broad"])
    used = {task: _telling(figures, names, broad) for task, names in document["tasks"].items()}
    used[GENERAL] = [f for f in figures if f.model in broad and f.benchmark not in document.get("narrow", ())]
    yardsticks: dict[str, Sequence[str]] = document["tasks"] | document["yardsticks"]
    for task, of_task in used.items():
        for (stem, revision), prior in _fit_task(of_task, yardsticks[task]).items():
            models.setdefault(stem, {}).setdefault(revision, {})[task] = prior
    for alias, model in document["aliases"].items():
        theirs, mine = parse(model), parse(alias)
        models.setdefault(mine.stem, {})[mine.revision or ""] = models[theirs.stem][theirs.revision or ""]
    return _json(models, _kin(models))


def _kin(models: Mapping[str, Mapping[str, Mapping[str, Prior]]]) -> dict[str, dict[str, tuple[float, int]]]:
    """Average the figures of each family and size class; a model counts once, whatever its revisions."""
    shares: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for stem, revisions in models.items():
        for task in sorted({task for tasks in revisions.values() for task in tasks}):
            own = [tasks[task].mean for tasks in revisions.values() if task in tasks]
            for key in filter(None, kin_keys(parse(stem).family, _tier(stem, revisions))):
                shares[key][task].append(sum(own) / len(own))
    return {
        key: {task: (round(sum(means) / len(means), 3), len(means)) for task, means in sorted(by_task.items())}
        for key, by_task in sorted(shares.items())
    }


def _tier(stem: str, revisions: Iterable[str]) -> Tier | None:
    """Size class by the catalogue, which knows prices, else by the name."""
    for revision in ("", *sorted(revisions, reverse=True)):
        card = Catalog.bundled().resolve(f"{stem}-{revision}" if revision else stem)
        if card is not None and card.tier:
            return card.tier
    return tier_of(parse(stem), None)


def _figures(tables: Iterable[Mapping[str, Any]]) -> Iterator[Figure]:
    for table in tables:
        for model, shares in table["models"].items():
            name = parse(model)
            for benchmark, share in zip(table["benchmarks"], shares, strict=True):
                if not math.isnan(share):
                    yield Figure(
                        name.stem,
                        name.revision or "",
                        benchmark,
                        share / 100,
                        table["source"],
                        table["date"],
                        1.0 if table["verified"] else UNCHECKED,
                    )


def _broad_models(figures: Sequence[Figure], broad: Sequence[str]) -> set[tuple[str, str]]:
    """Leave out models that were only tested on their speciality: a good mathematician need not write well."""
    taken: dict[tuple[str, str], set[str]] = defaultdict(set)
    for figure in figures:
        taken[figure.model].add(figure.benchmark)
    return {model for model, its in taken.items() if len(its) > 1 and not its.isdisjoint(broad)}


def _telling(figures: Sequence[Figure], benchmarks: Sequence[str], broad: Collection[tuple[str, str]]) -> list[Figure]:
    """Return the figures that speak for a task; a specialist's only one must have been checked."""
    of_task = [f for f in figures if f.benchmark in benchmarks]
    counts = Counter(f.model for f in of_task)
    return [f for f in of_task if f.model in broad or counts[f.model] > 1 or f.weight > UNCHECKED]


def _fit_task(figures: Sequence[Figure], yardstick: Sequence[str]) -> dict[tuple[str, str], Prior]:
    ability, easiness = _fit(figures)
    by_model: dict[tuple[str, str], list[Figure]] = defaultdict(list)
    for figure in figures:
        by_model[figure.model].append(figure)
    return {
        model: Prior(
            mean=round(sum(_share(ability[model] + easiness[b]) for b in yardstick) / len(yardstick), 3),
            weight=_weight(own),
            source=_source(own),
        )
        for model, own in by_model.items()
    }


def _fit(figures: Sequence[Figure]) -> tuple[dict[tuple[str, str], float], dict[str, float]]:
    """Fit abilities and easiness by alternating weighted means, which is coordinate descent on the ridge's loss."""
    points = [(f.model, f.benchmark, _log_odds(f.share), f.weight) for f in figures]
    ability = dict.fromkeys((model for model, *_ in points), 0.0)
    easiness = dict.fromkeys(sorted(benchmark for _, benchmark, *_ in points), 0.0)
    for _ in range(ROUNDS):
        easiness |= _means(((b, y - ability[m], w) for m, b, y, w in points), ridge=0.0)
        ability |= _means(((m, y - easiness[b], w) for m, b, y, w in points), ridge=RIDGE)
    return ability, easiness


def _means(points: Iterable[tuple[Any, float, float]], *, ridge: float) -> dict[Any, float]:
    sums: dict[Any, float] = defaultdict(float)
    weights: dict[Any, float] = defaultdict(lambda: ridge)
    for key, value, weight in points:
        sums[key] += weight * value
        weights[key] += weight
    return {key: total / weights[key] for key, total in sums.items()}


def _weight(figures: Sequence[Figure]) -> float:
    """Labels that the figures are worth: 10 plus 6 per checked benchmark, 5 more for recent ones, at most 50."""
    best: dict[str, float] = {}
    for figure in figures:
        best[figure.benchmark] = max(best.get(figure.benchmark, 0.0), figure.weight)
    recent = 5 if max(f.date for f in figures) >= RECENT else 0
    return min(50.0, 10 + 6 * sum(best.values()) + recent)


def _source(figures: Sequence[Figure]) -> str:
    """Every figure with its document and date: `MATH 76.6, GPQA 49.9 (OpenAI, simple-evals README, 2025-04)`."""
    documents: dict[str, list[str]] = defaultdict(list)
    for f in figures:
        unchecked = "" if f.weight == 1 else "; not checked"
        documents[f"{f.source}, {f.date}{unchecked}"].append(f"{f.benchmark} {100 * f.share:.1f}")
    return "; ".join(f"{', '.join(values)} ({document})" for document, values in documents.items())


def _log_odds(share: float) -> float:
    inside = min(max(share, 0.01), 0.99)
    return math.log(inside / (1 - inside))


def _share(log_odds: float) -> float:
    return 1 / (1 + math.exp(-log_odds))


def _json(
    models: Mapping[str, Mapping[str, Mapping[str, Prior]]], kin: Mapping[str, Mapping[str, tuple[float, int]]]
) -> str:
    sources = sorted(
        {p.source for revisions in models.values() for tasks in revisions.values() for p in tasks.values()}
    )
    index = {source: i for i, source in enumerate(sources)}
    lines = [
        f"{json.dumps(stem)}: "
        + _short(
            {
                revision: {task: [p.mean, p.weight, index[p.source]] for task, p in sorted(tasks.items())}
                for revision, tasks in sorted(models[stem].items())
            }
        )
        for stem in sorted(models)
    ]
    head = ",\n".join(json.dumps(source, ensure_ascii=False) for source in sources)
    relatives = ",\n".join(f"{json.dumps(key)}: {_short(means)}" for key, means in kin.items())
    body = ",\n".join(lines)
    return f'{{"sources": [\n{head}\n],\n"models": {{\n{body}\n}},\n"kin": {{\n{relatives}\n}}}}\n'


def _short(value: object) -> str:
    return json.dumps(value, separators=(",", ":"))


if __name__ == "__main__":
    main()
