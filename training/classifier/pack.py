"""Write a fitted model into the file that the package reads; `taskrouter.profiling.weights` says how it is laid out."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
from training.classifier.domains import Domains
from training.classifier.features import SHAPE_SCALE, VOICE_SCALE, Columns, Floats, numbered
from training.classifier.fit import Model

from taskrouter.profile import DOMAINS, TASK_TYPES
from taskrouter.profiling.grams import CUT, Gram
from taskrouter.profiling.language import STOPWORDS
from taskrouter.profiling.weights import MAGIC, ZERO

GREATEST: Final = 127
SAYS_THE_TASK: Final = (
    "please write explain summarize translate list create prove implement review compare design build fix hi hello "
    "thanks"
)
CLIPPED: Final = 0.0005
"""Share of the weights that may be cut off so that the others keep their precision."""
TELLING: Final = 0.85
"""Quantile of n-grams, by their greatest weight, from which they are worth showing."""
TOO_COMMON: Final = frozenset(" ".join(STOPWORDS.values()).split()).difference(SAYS_THE_TASK.split())
"""Words that are never shown: they are in every text. Beginnings of words are not shown either."""


def folded(model: Model, cols: Columns) -> tuple[Floats, Floats, Floats]:
    """Return what the n-grams of the system prompt count, those of the user's text, and the shapes.

    The mean over the task types, which a softmax does not see, is taken away.
    """
    system, user, shape = (
        (part := model.weights[list(own.values())] * scale) - part.mean(1, keepdims=True)
        for own, scale in ((cols.system, VOICE_SCALE), (cols.user, VOICE_SCALE), (cols.shape, SHAPE_SCALE))
    )
    return system, user, shape


def pruned(model: Model, cols: Columns, most: int) -> Columns:
    """Keep, of each voice, the n-grams with the greatest weights."""
    system, user, _ = folded(model, cols)
    return numbered(_strongest(cols.system, system, most), _strongest(cols.user, user, most), list(cols.shape))


def _strongest(grams: Mapping[Gram, int], rows: Floats, most: int) -> list[Gram]:
    order = np.argsort(-np.abs(rows).max(1), kind="stable")[:most]
    listed = list(grams)
    return [listed[place] for place in np.sort(order)]


def packed(model: Model, cols: Columns, sharpness: tuple[float, float], domains: Domains) -> bytes:
    """Return the content of the file."""
    system, user, shape = folded(model, cols)
    tables = [
        _table(list(cols.system), system),
        _table(list(cols.user), user),
        _table(list(cols.shape), shape),
        _table(domains.grams, domains.rows),
    ]
    bias = model.weights[-1] - model.weights[-1].mean()
    of_identity, of_user = (
        {task_type: _short(count) for task_type, count in zip(TASK_TYPES, row, strict=True)} for row in model.rules
    )
    header: dict[str, Any] = {
        "task_types": TASK_TYPES,
        "domains": DOMAINS,
        "domain_bias": [_short(value) for value in domains.bias],
        "bias": [_short(value) for value in bias],
        "rules": {"identity": of_identity, "user": of_user},
        "sharpness": {"identity": _short(sharpness[0]), "whole": _short(sharpness[1])},
        "tables": [head for head, _ in tables],
    }
    head = json.dumps(header, sort_keys=True, separators=(",", ":")).encode()
    return b"".join([MAGIC, len(head).to_bytes(4, "little"), head, *(body for _, body in tables)])


def _table(grams: Sequence[Gram], rows: Floats) -> tuple[dict[str, Any], bytes]:
    scale = float(f"{float(np.quantile(np.abs(rows), 1 - CLIPPED)) / GREATEST:.6g}")
    units = np.clip(np.rint(rows / scale), -GREATEST, GREATEST).astype(np.int16)
    peaks = units.max(1)
    least = int(np.quantile(peaks, TELLING))
    lines: list[str] = []
    order: list[int] = []
    counts: list[int] = []
    telling: list[int] = []
    for size in (1, 2, 3):
        kind = [i for i, gram in enumerate(grams) if _size(gram) == size]
        shown = [i for i in kind if peaks[i] >= least and _shown(grams[i])]
        kind = shown + sorted(set(kind).difference(shown))
        for place in range(size):
            lines += [gram if isinstance(gram := grams[i], str) else gram[place] for i in kind]
        order += kind
        counts.append(len(kind))
        telling.append(len(shown))
    text = "\n".join(lines).encode()
    head = {"grams": len(text), "scale": scale, "least": least, "width": rows.shape[1], "telling": telling}
    head |= dict(zip(("words", "pairs", "triples"), counts, strict=True))
    return head, text + (units[order] + ZERO).astype(np.uint8).tobytes()


def _shown(gram: Gram) -> bool:
    return gram not in TOO_COMMON and not (isinstance(gram, str) and gram.endswith(CUT))


def _size(gram: Gram) -> int:
    return 1 if isinstance(gram, str) else len(gram)


def _short(value: float) -> float:
    return round(float(value), 4)
