"""The project's Markdown, as tests read it: blocks of code, tables, links."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
NOT_OURS = {".venv", "node_modules"}

_BLOCK = re.compile(r"^```(\w+)[^\n]*\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")


def pages() -> list[Path]:
    """Return every Markdown file of the repository."""
    return sorted(p for p in ROOT.rglob("*.md") if not any(part.startswith(".") for part in p.relative_to(ROOT).parts))


def name(path: Path) -> str:
    """Return a page's path within the repository."""
    return path.relative_to(ROOT).as_posix()


def prose(path: Path) -> str:
    """Return a page without its blocks of code."""
    return _BLOCK.sub("", path.read_text(encoding="utf-8"))


def blocks(path: Path, language: str) -> list[tuple[int, str]]:
    """Return the blocks of a language, each with the number of its first line."""
    text = path.read_text(encoding="utf-8")
    found = (m for m in _BLOCK.finditer(text) if m[1] == language)
    return [(text.count("\n", 0, m.start(2)) + 1, m[2]) for m in found]


def links(path: Path) -> Iterator[str]:
    """Yield the relative links of a page, without their fragments."""
    for target in _LINK.findall(prose(path)):
        if not target.startswith(("http:", "https:", "mailto:", "#")):
            yield target.split("#")[0]


def rows(path: Path, under: str = "") -> list[list[str]]:
    """Return the cells of all table rows of a page, or of those below one heading and above the next."""
    text = path.read_text(encoding="utf-8")
    if under:
        text = re.split(r"^#", text.split(f"\n{under}\n", 1)[1], maxsplit=1, flags=re.MULTILINE)[0]
    lines = (line.strip().strip("|") for line in text.splitlines() if line.startswith("|"))
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)] for line in lines]


def code(cell: str) -> list[str]:
    """Return what stands in backticks in a table's cell."""
    return re.findall(r"`([^`]+)`", cell)
