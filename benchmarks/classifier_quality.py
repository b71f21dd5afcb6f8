"""Measure a classifier of task types on labelled prompts.

    python benchmarks/classifier_quality.py DATA.jsonl.gz [--classifier rules] [--floor 0.5] [--json]

Each line of DATA is `{"label", "source", "system", "user", "tools"}`; lines without a label are left out. What counts
is the accuracy as a mean over the sources: the largest source must not drown the others.
"""

from __future__ import annotations

import argparse
import gzip
import json
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from statistics import fmean, quantiles
from typing import Any, NamedTuple

from taskrouter.config import ProfilingConfig
from taskrouter.ports import Classifier
from taskrouter.profiling import Profiler
from taskrouter.profiling.plugin import taskrouter_classifiers
from taskrouter.step import Step

BINS = 10
"""Bins of equal width for the calibration error."""


class Row(NamedTuple):
    """A labelled prompt and what the classifier says of it."""

    label: str
    source: str
    ranked: tuple[tuple[str, float], ...]

    @property
    def guess(self) -> str:
        """The best task type; empty where nothing spoke."""
        return self.ranked[0][0] if self.ranked else ""

    @property
    def confidence(self) -> float:
        """Probability of the best task type."""
        return self.ranked[0][1] if self.ranked else 0.0

    @property
    def right(self) -> bool:
        """Whether the best task type is the label."""
        return self.guess == self.label


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark and print its figures."""
    parser = argparse.ArgumentParser(description="Accuracy, coverage, calibration and speed of a task classifier.")
    parser.add_argument("data", type=Path)
    parser.add_argument("--classifier", default="rules")
    parser.add_argument("--floor", type=float, default=ProfilingConfig().confidence_floor)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(arguments)
    classifier = taskrouter_classifiers()[options.classifier]
    labelled = [(line["label"], line["source"], _step(line)) for line in _lines(options.data) if line["label"]]
    rows = [Row(label, source, classifier.classify(s.view, s.context).alternatives) for label, source, s in labelled]
    figures = quality(rows, options.floor) | {"latency_us": latency([s for *_, s in labelled], classifier)}
    print(json.dumps(figures, indent=2) if options.json else report(figures))
    return 0


def quality(rows: Sequence[Row], floor: float) -> dict[str, Any]:
    """Return accuracy, F1, coverage above the floor and calibration error, all as shares."""
    by_source: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        by_source[row.source].append(row)
    sources = {s: fmean(r.right for r in group) for s, group in by_source.items()}
    sure = [r for r in rows if r.confidence >= floor]
    return {
        "prompts": len(rows),
        "accuracy": fmean(r.right for r in rows),
        "accuracy_macro_sources": fmean(sources.values()),
        "macro_f1": macro_f1(rows),
        "top2": fmean(r.label in [t for t, _ in r.ranked[:2]] for r in rows),
        "coverage": len(sure) / len(rows),
        "accuracy_covered": fmean(r.right for r in sure) if sure else None,
        "calibration_error": calibration_error(rows),
        "sources": {s: {"prompts": len(by_source[s]), "accuracy": a} for s, a in sorted(sources.items())},
        "confusions": [[*pair, n] for pair, n in _confusions(rows).most_common(12)],
    }


def macro_f1(rows: Sequence[Row]) -> float:
    """Return the mean F1 over the labels that occur."""
    labels = Counter(r.label for r in rows)
    guesses = Counter(r.guess for r in rows)
    hits = Counter(r.label for r in rows if r.right)
    return fmean(2 * hits[label] / (labels[label] + guesses[label]) for label in labels)


def calibration_error(rows: Sequence[Row]) -> float:
    """Return the expected calibration error: the mean gap between confidence and accuracy over the bins."""
    bins: dict[int, list[Row]] = defaultdict(list)
    for row in rows:
        bins[min(int(row.confidence * BINS), BINS - 1)].append(row)
    gaps = (len(b) * abs(fmean(r.right for r in b) - fmean(r.confidence for r in b)) for b in bins.values())
    return sum(gaps) / len(rows)


def latency(steps: Sequence[Step], classifier: Classifier) -> dict[str, float]:
    """Return p50 and p99 of a whole profile in microseconds, without the memory of identities."""
    profiler = Profiler(ProfilingConfig(identities=0), classifier)
    taken = []
    for step in [*steps[:50], *steps]:
        start = time.perf_counter_ns()
        profiler.profile(step)
        taken.append((time.perf_counter_ns() - start) / 1000)
    cuts = quantiles(taken[min(50, len(steps)) :], n=100)
    return {"p50": round(cuts[49], 1), "p99": round(cuts[98], 1)}


def report(figures: dict[str, Any]) -> str:
    """Write the figures for people."""
    shares = {k: v for k, v in figures.items() if isinstance(v, float)}
    lines = [f"{figures['prompts']} prompts", *(f"{name:24} {value:.3f}" for name, value in shares.items())]
    lines += [f"{s:40} {f['accuracy']:.3f}  ({f['prompts']})" for s, f in figures["sources"].items()]
    lines += [f"{label} taken for {guess or 'nothing'}: {n}" for label, guess, n in figures["confusions"]]
    lines.append("profile p50 {p50} µs, p99 {p99} µs".format(**figures["latency_us"]))
    return "\n".join(lines)


def _confusions(rows: Iterable[Row]) -> Counter[tuple[str, str]]:
    return Counter((r.label, r.guess) for r in rows if not r.right)


def _lines(path: Path) -> Iterable[dict[str, Any]]:
    with gzip.open(path, "rt", encoding="utf-8") as stream:
        yield from map(json.loads, stream)


def _step(line: dict[str, Any]) -> Step:
    messages = [{"role": "system", "content": line["system"]}] if line["system"] else []
    if line["user"] or not messages:
        messages.append({"role": "user", "content": line["user"]})
    return Step(messages=messages)


if __name__ == "__main__":
    sys.exit(main())
