"""The vectors of the examples, made once and kept in a file."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import tempfile
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from taskrouter.embeddings.encoders import Encoder

if TYPE_CHECKING:
    from numpy.typing import NDArray

logger = logging.getLogger("taskrouter.embeddings")


def vectors_of(encoder: Encoder, texts: Sequence[str], cache: Path | None) -> NDArray[np.float32]:
    """Return the unit vectors of texts, one a row, from the file if it has just these of just this encoder."""
    if cache is None:
        return unit(encoder.encode(texts))
    key = hashlib.sha256(json.dumps([encoder.name, *texts]).encode()).hexdigest()
    known = _read(cache, key)
    if known is None:
        known = unit(encoder.encode(texts))
        _write(cache, key, known)
    return known


def unit(vectors: Any) -> NDArray[np.float32]:
    """Return vectors scaled to length 1, so that products are cosines.

    Raises:
        ValueError: they are no table of finite numbers.
    """
    rows = np.asarray(vectors, dtype=np.float32)
    if rows.ndim != 2 or not rows.size or not np.isfinite(rows).all():
        raise ValueError("an embedding model gave no table of finite numbers")
    scaled: NDArray[np.float32] = rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)
    return scaled


def _read(path: Path, key: str) -> NDArray[np.float32] | None:
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as kept:
            return unit(kept["vectors"]) if str(kept["key"]) == key else None
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None


def _write(path: Path, key: str, vectors: NDArray[np.float32]) -> None:
    """Replace the file as a whole: another process may be reading it."""
    try:
        handle, made = tempfile.mkstemp(dir=path.parent, prefix=path.name, suffix=".part")
        with os.fdopen(handle, "wb") as file:
            np.savez(file, key=np.array(key), vectors=vectors)
        Path(made).replace(path)
    except OSError as error:
        logger.warning("the vectors of the examples could not be kept in %s: %s", path, error.strerror)
