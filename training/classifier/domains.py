"""The field of a step: logistic regression on the words of our own prompts, and on lists of words."""

from __future__ import annotations

import tomllib
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
import scipy.sparse as sp
from sklearn.linear_model import LogisticRegression
from training.classifier.features import VOICE_SCALE, Floats, learnable
from training.classifier.rows import Row

from taskrouter.profile import DOMAINS
from taskrouter.profiling.text import words
from taskrouter.profiling.weights import FEWEST

FIELDS: Final = Path(__file__).with_name("fields.toml")
LEAST_ROWS: Final = 3
STRENGTH: Final = 0.5
"""Inverse of the ridge."""


class Domains(NamedTuple):
    """A fitted model of the field."""

    grams: list[str]
    rows: Floats
    """Weights, by word and field."""
    bias: Floats


def fit_domains(rows: Sequence[Row]) -> Domains:
    """Fit to the rows that are labelled with a field, and to the listed words, each a text of its own."""
    rows = [row for row in rows if row.domain in DOMAINS]
    texts = [words(row.step().view).unique for row in rows]
    listed = [(word, field) for field, listing in listings().items() for word in listing.split()]
    grams = vocabulary(texts, rows, [word for word, _ in listed])
    place = {field: number for number, field in enumerate(DOMAINS)}
    labels = [place[field or ""] for field in [*(row.domain for row in rows), *(field for _, field in listed)]]
    features = domain_matrix([*texts, *(frozenset([word]) for word, _ in listed)], grams)
    model = LogisticRegression(C=STRENGTH, max_iter=300).fit(features, labels)
    return Domains(grams, (model.coef_.T * VOICE_SCALE).astype(np.float32), model.intercept_.astype(np.float32))


def listings() -> dict[str, str]:
    """Return the words that belong to each field."""
    return tomllib.loads(FIELDS.read_text(encoding="utf-8"))


def vocabulary(texts: Sequence[frozenset[str]], rows: Sequence[Row], listed: Sequence[str]) -> list[str]:
    """Return the words that enough texts have, and the listed ones."""
    seen = Counter(word for text in texts for word in text)
    often = [word for word, n in seen.items() if n >= LEAST_ROWS]
    return sorted({*learnable(often, rows), *listed})


def domain_matrix(texts: Sequence[frozenset[str]], grams: Sequence[str]) -> sp.csr_matrix:
    """Return texts by words; each text has the same length however much it says."""
    place = {gram: number for number, gram in enumerate(grams)}
    known = [sorted(place[word] for word in text if word in place) for text in texts]
    values = [VOICE_SCALE / np.sqrt(max(len(row), FEWEST)) for row in known for _ in row]
    starts = np.cumsum([0, *map(len, known)])
    indices = np.array([place for row in known for place in row], np.int32)
    return sp.csr_matrix((np.array(values, np.float32), indices, starts), (len(texts), len(grams)))
