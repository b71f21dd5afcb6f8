"""From prompts to the matrix that the classifier is fitted to: the same features that it hears when it serves."""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Final, NamedTuple, TypeVar

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from training.classifier.rows import Row

from taskrouter.profile import TASK_TYPES
from taskrouter.profiling.grams import Gram, system_shape, system_voice, user_shape, user_voice
from taskrouter.profiling.rules import Score, hear_identity, hear_user, look_at
from taskrouter.profiling.text import words
from taskrouter.profiling.weights import FEWEST, LEAD

Floats = NDArray[np.float32]
G = TypeVar("G", str, Gram)

LEAST_ROWS: Final = 3
LEAST_SOURCES: Final = 2
"""An n-gram is learnt if so many rows of so many sources have it; in our own prompts each voice is a source."""
NAME_SHARE: Final = 0.6
"""A word that is written with a capital inside of sentences so often is a name, and not learnt."""
NOT_PRIVATE: Final = """
i english french german spanish italian portuguese chinese japanese korean russian arabic turkish hindi polish
vietnamese dutch latin python java javascript typescript rust ruby swift kotlin html css sql json xml yaml csv
excel linux docker kubernetes git bash react markdown latex wikipedia google internet
"""
"""Names that say something of the task."""
VOICE_SCALE: Final = 3.0
SHAPE_SCALE: Final = 0.5
"""What a feature is multiplied by before the fit: the greater, the less its weight is held back."""

_INNER_WORD = re.compile(r"(?<=[a-z,;] )[A-Za-z]{2,}")


class Heard(NamedTuple):
    """All that is heard of a row."""

    system: tuple[frozenset[Gram], frozenset[Gram]]
    """n-grams of the lead, and of the rest."""
    user: tuple[frozenset[Gram], frozenset[Gram]]
    shape: list[str]
    identity_rules: Floats
    user_rules: Floats


def hear(row: Row) -> Heard:
    """Return what is heard of a row."""
    step = row.step()
    view, text = step.view, words(step.view)
    request = Score({}, [])
    look = look_at(view.user, text.user)
    hear_user(request, view, text.user, look)
    return Heard(
        _parts(*system_voice(view, text, step.context)),
        _parts(*user_voice(view, text)),
        [system_shape(view), *user_shape(view, look)],
        _vector(hear_identity(step.context, text.system).weights),
        _vector(request.weights),
    )


def _parts(lead: Iterable[Gram], rest: Iterable[Gram]) -> tuple[frozenset[Gram], frozenset[Gram]]:
    first = frozenset(lead)
    return first, frozenset(rest) - first


def _vector(weights: Mapping[str, float]) -> Floats:
    return np.array([weights.get(task_type, 0.0) for task_type in TASK_TYPES], np.float32)


@dataclass(frozen=True, slots=True, kw_only=True)
class Columns:
    """The features by number: n-grams of the system prompt, of the user's text, then shape, then 1."""

    system: dict[Gram, int]
    user: dict[Gram, int]
    shape: dict[str, int]

    @property
    def count(self) -> int:
        """Number of features, the constant among them."""
        return len(self.system) + len(self.user) + len(self.shape) + 1

    def twins(self) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Return, for the n-grams that both voices have, their numbers in each."""
        shared = [gram for gram in self.system if gram in self.user]
        return np.array([self.system[g] for g in shared], np.intp), np.array([self.user[g] for g in shared], np.intp)


def columns(rows: Sequence[Row], heard: Sequence[Heard]) -> Columns:
    """Number the features that enough rows of enough sources have, in a fixed order."""
    grams = _frequent(rows, heard)
    return numbered(grams, grams, sorted({name for h in heard for name in h.shape}))


def numbered(system: Sequence[Gram], user: Sequence[Gram], shape: Sequence[str]) -> Columns:
    """Number features in the order in which they are given."""
    numbers = count()
    return Columns(
        system=dict(zip(system, numbers, strict=False)),
        user=dict(zip(user, numbers, strict=False)),
        shape=dict(zip(shape, numbers, strict=False)),
    )


def _frequent(rows: Sequence[Row], heard: Sequence[Heard]) -> list[Gram]:
    seen: Counter[Gram] = Counter()
    sources: dict[Gram, set[str]] = defaultdict(set)
    for row, h in zip(rows, heard, strict=True):
        for gram in frozenset().union(*h.system, *h.user):
            seen[gram] += 1
            if len(sources[gram]) < LEAST_SOURCES:
                sources[gram].add(row.source)
    often = [g for g, n in seen.items() if n >= LEAST_ROWS and len(sources[g]) >= LEAST_SOURCES]
    return sorted(learnable(often, rows), key=_order)


def learnable(grams: Iterable[G], rows: Sequence[Row]) -> list[G]:
    """Return the n-grams that do not look like a piece of somebody's data: a name, a number, a code."""
    names = _names(rows)
    return [gram for gram in grams if not _private(gram, names)]


def _private(gram: Gram, names: frozenset[str]) -> bool:
    parts = (gram,) if isinstance(gram, str) else gram
    return any(part in names or len(part) > 24 or any(map(str.isdigit, part)) for part in parts)


def _names(rows: Sequence[Row]) -> frozenset[str]:
    """Return the words that are mostly written with a capital inside of sentences."""
    capital: Counter[str] = Counter()
    inside: Counter[str] = Counter()
    for row in rows:
        for word in _INNER_WORD.findall(f"{row.system}\n{row.user}"):
            inside[word.lower()] += 1
            capital[word.lower()] += word[0].isupper() and not word.isupper()
    return frozenset(w for w, n in inside.items() if capital[w] >= NAME_SHARE * n).difference(NOT_PRIVATE.split())


def _order(gram: Gram) -> tuple[bool, Gram]:
    return isinstance(gram, tuple), gram


def matrix(heard: Sequence[Heard], cols: Columns) -> sp.csr_matrix:
    """Return the features of all rows; each voice has the same length however much it says."""
    starts, indices, values = [0], [], []
    for h in heard:
        for (lead, rest), own in ((h.system, cols.system), (h.user, cols.user)):
            known = [(gram, 1.0) for gram in lead if gram in own]
            known += [(gram, 1 / LEAD) for gram in rest if gram in own]
            if not known:
                continue
            factor = VOICE_SCALE / math.sqrt(max(sum(v * v for _, v in known), FEWEST))
            for gram, value in known:
                indices.append(own[gram])
                values.append(value * factor)
        shape = [cols.shape[name] for name in h.shape if name in cols.shape]
        indices += [*shape, cols.count - 1]
        values += [SHAPE_SCALE] * len(shape) + [1.0]
        starts.append(len(indices))
    shape_of = (len(heard), cols.count)
    built = sp.csr_matrix((np.array(values, np.float32), np.array(indices, np.int32), np.array(starts)), shape_of)
    built.sum_duplicates()  # sorts as well: sets have another order in each process
    return built
