"""Measure a classifier of task types on labelled prompts, and the rating of complexity beside it.

    python benchmarks/classifier_quality.py DATA.jsonl.gz [--classifier ngrams] [--floor 0.5] [--json]

Each line of DATA is `{"label", "source", "system", "user", "tools"}`; lines without a label count only where they have
a demand `tier`. What counts is the accuracy as a mean over the sources: the largest source must not drown the others.
Where lines have a `lang`, accuracy is given for each language; where they have a `tier`, the rank correlation of the
complexity with it. With the figures come the time that classifying takes and the size of the weights.
"""

from __future__ import annotations

import argparse
import gzip
import json
import sys
import time
from bisect import bisect_left, bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from statistics import correlation, fmean, quantiles
from typing import Any, Final, NamedTuple

from taskrouter.config import ProfilingConfig
from taskrouter.ports import Classifier
from taskrouter.profiling import Profiler
from taskrouter.profiling.plugin import taskrouter_classifiers
from taskrouter.profiling.weights import FILE
from taskrouter.step import Step

BINS: Final = 10
"""Bins of equal width for the calibration error."""
TIERS: Final = ("SIMPLE", "MEDIUM", "COMPLEX", "REASONING")
"""How demanding a prompt is, as people labelled it, least first."""
LENGTHS: Final = {50: 200, 500: 2_000, 5000: 20_000}
"""Tokens -> characters of the prompts that are timed."""
ROUNDS: Final = 300
"""Prompts of each length that are timed."""
REPEATS: Final = 5
"""Times that each is classified; the fastest counts, since the others were disturbed."""


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
    parser.add_argument("--classifier", default=ProfilingConfig().classifier)
    parser.add_argument("--floor", type=float, default=ProfilingConfig().confidence_floor)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(arguments)
    classifier = taskrouter_classifiers()[options.classifier]
    lines = list(_lines(options.data))
    labelled = [line for line in lines if line["label"]]
    rows = [_row(line, classifier) for line in labelled]
    figures = quality(rows, options.floor)
    if any("lang" in line for line in labelled):
        figures["languages"] = by_language(rows, [line.get("lang") or "?" for line in labelled])
    if any("tier" in line for line in lines):
        figures["complexity_rank_correlation"] = complexity_correlation(lines, classifier)
    figures["classify_us"] = {tokens: latency(chars, lines, classifier) for tokens, chars in LENGTHS.items()}
    figures["weights_bytes"] = FILE.stat().st_size
    print(json.dumps(figures, indent=2) if options.json else report(figures))
    return 0


def quality(rows: Sequence[Row], floor: float) -> dict[str, Any]:
    """Return accuracy, F1, coverage above the floor and calibration error, all as shares."""
    by_source: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        by_source[row.source].append(row)
    sources = {s: fmean(r.right for r in group) for s, group in by_source.items()}
    sure = [r for r in rows if r.confidence >= floor]
    surest = sorted(rows, key=lambda r: r.confidence, reverse=True)[: (len(rows) + 1) // 2]
    return {
        "prompts": len(rows),
        "accuracy": fmean(r.right for r in rows),
        "accuracy_macro_sources": fmean(sources.values()),
        "macro_f1": macro_f1(rows),
        "top2": fmean(r.label in [t for t, _ in r.ranked[:2]] for r in rows),
        "coverage": len(sure) / len(rows),
        "accuracy_covered": fmean(r.right for r in sure) if sure else None,
        "accuracy_surest_half": fmean(r.right for r in surest),
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


def by_language(rows: Sequence[Row], languages: Sequence[str]) -> dict[str, Any]:
    """Return accuracy by language, and of all languages but English together."""
    groups: dict[str, list[bool]] = defaultdict(list)
    for row, language in zip(rows, languages, strict=True):
        groups[language].append(row.right)
    others = [right for language, group in groups.items() if language != "en" for right in group]
    found = {f"{language} ({len(group)})": fmean(group) for language, group in sorted(groups.items())}
    return found | {f"all but en ({len(others)})": fmean(others)} if others else found


def complexity_correlation(lines: Iterable[dict[str, Any]], classifier: Classifier) -> float:
    """Return Spearman's rank correlation of the complexity of a profile with the demand tier."""
    profiler = Profiler(ProfilingConfig(identities=0), classifier)
    tiered = [line for line in lines if line.get("tier") in TIERS]
    rated = [profiler.profile(_step(line)).complexity for line in tiered]
    return correlation(ranks(rated), ranks([TIERS.index(line["tier"]) for line in tiered]))


def ranks(values: Sequence[float]) -> list[float]:
    """Return the rank of each value; equal values share the mean of their ranks."""
    ordered = sorted(values)
    return [(bisect_left(ordered, value) + bisect_right(ordered, value)) / 2 for value in values]


def latency(chars: int, lines: Sequence[dict[str, Any]], classifier: Classifier) -> dict[str, float]:
    """Return p50 and p99 over prompts of that length of the microseconds that classifying takes, words included."""
    text = "\n".join(f"{line['system']} {line['user']}" for line in lines)
    starts = range(0, max(1, len(text) - chars), max(1, (len(text) - chars) // ROUNDS))
    messages = [[{"role": "user", "content": text[at : at + chars]}] for at in starts]
    cuts = quantiles([min(_time(asked, classifier) for _ in range(REPEATS)) for asked in messages], n=100)
    return {"p50": round(cuts[49], 1), "p99": round(cuts[98], 1)}


def _time(messages: list[dict[str, str]], classifier: Classifier) -> float:
    step = Step(messages=messages)  # a new one each time: a step keeps its words once they are split
    start = time.perf_counter_ns()
    classifier.classify(step.view, step.context)
    return (time.perf_counter_ns() - start) / 1000


def report(figures: dict[str, Any]) -> str:
    """Write the figures for people."""
    shares = {k: v for k, v in figures.items() if isinstance(v, float)}
    lines = [f"{figures['prompts']} prompts", *(f"{name:24} {value:.3f}" for name, value in shares.items())]
    lines += [f"{s:40} {f['accuracy']:.3f}  ({f['prompts']})" for s, f in figures["sources"].items()]
    lines += [f"{label} taken for {guess or 'nothing'}: {n}" for label, guess, n in figures["confusions"]]
    lines += [f"{language:24} {share:.3f}" for language, share in figures.get("languages", {}).items()]
    lines += [f"classify {n} tokens: p50 {t['p50']} µs, p99 {t['p99']} µs" for n, t in figures["classify_us"].items()]
    lines.append(f"weights {figures['weights_bytes']:,} bytes")
    return "\n".join(lines)


def _confusions(rows: Iterable[Row]) -> Counter[tuple[str, str]]:
    return Counter((r.label, r.guess) for r in rows if not r.right)


def _lines(path: Path) -> Iterable[dict[str, Any]]:
    with gzip.open(path, "rt", encoding="utf-8") as stream:
        yield from map(json.loads, stream)


def _row(line: dict[str, Any], classifier: Classifier) -> Row:
    step = _step(line)
    return Row(line["label"], line["source"], classifier.classify(step.view, step.context).alternatives)


def _step(line: dict[str, Any]) -> Step:
    messages = [{"role": "system", "content": line["system"]}] if line["system"] else []
    if line["user"] or not messages:
        messages.append({"role": "user", "content": line["user"]})
    return Step(messages=messages)


if __name__ == "__main__":
    sys.exit(main())
