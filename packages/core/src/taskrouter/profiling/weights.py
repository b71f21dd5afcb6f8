"""The file of the n-gram classifier's weights: how it is laid out, and how it becomes three tables.

    magic     8 bytes   b"TRNGRAM1"
    length    4 bytes   length of the header in bytes, little-endian
    header    JSON      task types, bias and what the rules count for each, sharpness; and of each table the number of
                        `words`, `pairs` and `triples`, the bytes of `grams`, how many are `telling` (the first of
                        each kind), from which weight on they are (`least`), and the `scale`
    then for each of the four tables (system prompt, user's text, shape, field) in turn:
    grams     UTF-8     one a line: the words; the first words of all pairs, then the second; and so on for triples
    rows      1 byte    per gram and task type (or field): weight / scale + 128

A row becomes one integer with a lane of 32 bits for each task type, so that the weights of a text for all task types
are added up by one sum of integers. One more lane, the highest, holds the number of the n-gram: rows alone can be
told apart and named.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from struct import Struct
from sys import intern
from typing import Any, Final, NamedTuple

from taskrouter.errors import ConfigurationError
from taskrouter.profile import DOMAINS, TASK_TYPES
from taskrouter.profiling.grams import Gram

MAGIC: Final = b"TRNGRAM1"
LANE_BYTES: Final = 4
ZERO: Final = 128
"""What a weight of nothing is stored as."""
FEWEST: Final = 4.0
"""N-grams that a text counts as having at least: two words must not shout."""
LEAD: Final = 2
"""What an n-gram of the lead counts, while one of the rest counts 1."""

FILE: Final = Path(__file__).with_name("data") / "classifier.bin"
SHA256: Final = "b2095b95c81d5a435c75a3d31801442b0221104888f58395a550c64d9ba43784"
"""Of the file that belongs to this version."""


class Table(NamedTuple):
    """Weights of the n-grams of one voice."""

    rows: dict[Gram, int]
    """n-gram -> its weights, packed, with its number in the highest lane: no two rows are equal."""
    grams: Sequence[Gram]
    """All n-grams by their number, the telling ones last: they alone speak so clearly that they are worth showing."""
    first: int
    """Number of the first telling one; there is no number 0."""
    mark: int
    """The least row that a telling one can have."""
    least: int
    """The weight from which they do, packed."""
    scale: float
    """What one unit of a packed weight is worth."""

    @property
    def telling(self) -> frozenset[Gram]:
        """n-grams that are worth showing."""
        return frozenset(self.grams[self.first :])


class Weights(NamedTuple):
    """All that was learnt."""

    system: Table
    user: Table
    shape: Table
    """Of what is seen without reading."""
    domain: Table
    """Of words for the fields."""
    bias: tuple[float, ...]
    domain_bias: tuple[float, ...]
    rules: tuple[dict[str, float], dict[str, float]]
    """How much the rules count for each task type: what they hear of the identity, and in the user's text."""
    sharpness: tuple[float, float]
    """What logits are multiplied by to make the probabilities hold on sources never seen: of the identity alone, and of
    the whole step."""


@cache
def current() -> Weights:
    """Return the weights of the package, read once per process.

    Raises:
        ConfigurationError: the file is missing or damaged.
    """
    return load()


def load(file: Path = FILE) -> Weights:
    """Read the weights that come with the package.

    Raises:
        ConfigurationError: the file is missing or damaged.
    """
    try:
        content = file.read_bytes()
    except OSError as error:
        raise ConfigurationError(f"{file}: cannot be read: {error.strerror}. {_REMEDY}") from error
    if hashlib.sha256(content).hexdigest() != SHA256:
        raise ConfigurationError(f"{file}: not the weights of this version: the SHA-256 differs. {_REMEDY}")
    return unpack(content)


def unpack(content: bytes) -> Weights:
    """Read weights from the content of a file.

    Raises:
        ConfigurationError: it is no such file, or made for other task types or fields.
    """
    if content[: len(MAGIC)] != MAGIC:
        raise ConfigurationError(f"the classifier's weights do not begin with {MAGIC!r}. {_REMEDY}")
    start = len(MAGIC) + 4
    end = start + int.from_bytes(content[len(MAGIC) : start], "little")
    header = json.loads(content[start:end])
    if (header.get("task_types"), header.get("domains")) != ([*TASK_TYPES], [*DOMAINS]):
        raise ConfigurationError(f"the classifier's weights are for other task types or fields. {_REMEDY}")
    tables = []
    for table in header["tables"]:
        rows_at = end + table["grams"]
        # One string for one word, in whichever table and pair: less memory, and most of it was just read when a second
        # table is asked, which after a model call is what a decision waits for.
        lines = list(map(intern, content[end:rows_at].decode().split("\n")))
        end = rows_at + (table["words"] + table["pairs"] + table["triples"]) * table["width"]
        tables.append(_table(lines, content[rows_at:end], table))
    system, user, shape, domain = tables
    return Weights(
        system,
        user,
        shape,
        domain,
        tuple(header["bias"]),
        tuple(header["domain_bias"]),
        (header["rules"]["identity"], header["rules"]["user"]),
        (header["sharpness"]["identity"], header["sharpness"]["whole"]),
    )


def _table(lines: list[str], rows: bytes, header: Mapping[str, Any]) -> Table:
    spread = bytearray(len(rows) * LANE_BYTES)
    spread[::LANE_BYTES] = rows
    lanes = Struct(f"{header['width'] * LANE_BYTES}s").iter_unpack(spread)
    grams: list[Gram] = []
    shown: list[bool] = []
    start = 0
    for size, kind in enumerate(("words", "pairs", "triples"), start=1):
        count = header[kind]
        columns = [lines[start + place * count : start + (place + 1) * count] for place in range(size)]
        start += size * count
        found: list[Gram] = columns[0] if size == 1 else list(zip(*columns, strict=True))  # type: ignore[assignment]
        grams += found
        telling = header["telling"][size - 1]
        shown += [True] * telling + [False] * (count - telling)
    order = sorted(range(len(grams)), key=shown.__getitem__)
    numbers = dict(zip(order, range(1, len(order) + 1), strict=True))
    top = 8 * LANE_BYTES * header["width"]
    packed = [int.from_bytes(row, "little") | numbers[place] << top for place, (row,) in enumerate(lanes)]
    first = len(grams) - sum(shown) + 1
    named = ("", *[grams[place] for place in order])
    by_gram = dict(zip(grams, packed, strict=True))
    return Table(by_gram, named, first, first << top, header["least"], header["scale"])


_REMEDY: Final = "Install the package anew, or set [profiling] classifier to 'rules'"
