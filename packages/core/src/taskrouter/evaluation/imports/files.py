"""Reads the files of other people's repositories; errors name file and line and never quote what stands there."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from taskrouter.errors import ConfigurationError

LFS_MARK = b"version https://git-lfs"
MAX_FIELD_CHARS = 10_000_000
"""A cell of a CSV file may hold a long answer; the standard library stops at 131,072 characters."""


def read_bytes(path: Path) -> bytes:
    """Read a file.

    Raises:
        ConfigurationError: it cannot be read, or holds only the pointer that Git LFS leaves in its place.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ConfigurationError(f"{path}: cannot be read: {error.strerror or error}") from error
    if data.startswith(LFS_MARK):
        raise ConfigurationError(f"{path}: only a Git LFS pointer; fetch the file itself with `git lfs pull`")
    return data


def parse_json(data: bytes, where: str) -> Any:
    """Parse a JSON document.

    Raises:
        ConfigurationError: it is none; `where` is what the message calls it.
    """
    try:
        return json.loads(data)
    except RecursionError:
        raise ConfigurationError(f"{where}: not JSON: it is nested too deeply") from None
    except ValueError as error:
        raise ConfigurationError(f"{where}: not JSON: {_reason(error)}") from None


def json_lines(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield the documents of a file with one JSON object per line, each with its number from 0 among them.

    A file that holds one JSON list instead is read as if each item stood on a line: repositories use either.

    Raises:
        ConfigurationError: a line is no JSON object.
    """
    data = read_bytes(path)
    if data.lstrip()[:1] == b"[":
        items = parse_json(data, str(path))
        places = [f"{path}: item {number}" for number in range(len(items))]
    else:
        lines = [(number, line) for number, line in enumerate(data.split(b"\n"), start=1) if line.strip()]
        places = [f"{path}:{number}" for number, _ in lines]
        items = (parse_json(line, place) for (_, line), place in zip(lines, places, strict=True))
    for number, (item, place) in enumerate(zip(items, places, strict=True)):
        if not isinstance(item, dict):
            raise ConfigurationError(f"{place}: a {type(item).__name__} where a JSON object belongs")
        yield number, item


def csv_rows(path: Path) -> Iterator[dict[str, str]]:
    """Yield the rows of a CSV file with a heading.

    Raises:
        ConfigurationError: it is not UTF-8, or no CSV.
    """
    csv.field_size_limit(MAX_FIELD_CHARS)
    try:
        text = read_bytes(path).decode("utf-8-sig")
        for row in csv.DictReader(io.StringIO(text, newline="")):
            yield {key: value or "" for key, value in row.items() if key is not None}
    except UnicodeDecodeError:
        raise ConfigurationError(f"{path}: not UTF-8 text") from None
    except csv.Error as error:
        raise ConfigurationError(f"{path}: not CSV: {error}") from None


def _reason(error: ValueError) -> str:
    if isinstance(error, json.JSONDecodeError):
        return f"{error.msg} (line {error.lineno}, column {error.colno})"
    return "it is not UTF-8 text"
