"""What was found as files: JSON for programs, Markdown for people, and the tables within the documentation."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path

from benchmarks.quality.section import Section


def write_json(sections: Sequence[Section], path: Path) -> None:
    """Everything: figures, and which targets are met."""
    document = {s.name: {"title": s.title, "targets": s.checks, "data": s.data} for s in sections}
    path.write_text(json.dumps(document, indent=1, default=float) + "\n", encoding="utf-8")


def write_markdown(sections: Sequence[Section], path: Path) -> None:
    """All tables, with what is to be known of them."""
    texts = ["\n\n".join([f"## {s.title}", *s.notes, *(table.markdown() for table in s.tables)]) for s in sections]
    path.write_text("\n\n".join(texts) + "\n", encoding="utf-8")


def update(sections: Sequence[Section], path: Path) -> list[str]:
    """Replace the tables in a document that stand between `<!-- quality:NAME -->` and `<!-- /quality:NAME -->`.

    Return the experiments that the document has no place for.
    """
    text, missing = path.read_text(encoding="utf-8"), []
    for section in sections:
        start, end = f"<!-- quality:{section.name} -->", f"<!-- /quality:{section.name} -->"
        place = re.compile(f"{re.escape(start)}.*?{re.escape(end)}", re.DOTALL)
        tables = [table.without("target").markdown() for table in section.summary or section.tables]
        found = "\n\n".join([start, *section.notes, *tables, end])
        text, replaced = place.subn(lambda _, found=found: found, text)  # type: ignore[misc] # bound in the loop
        if not replaced:
            missing.append(section.name)
    path.write_text(text, encoding="utf-8")
    return missing
