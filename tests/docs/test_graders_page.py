"""The page of the graders says what the code says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from pydantic.fields import FieldInfo
from tests.docs.pages import ROOT, code, rows

from taskrouter.grading.kinds import KINDS

PAGE = ROOT / "docs/graders.md"


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_shown_with_its_keys_and_defaults(kind: str) -> None:
    shown = {code(row[0])[0]: row[1].strip("`") for row in rows(PAGE, f"### `{kind}`") if code(row[0])}
    fields = {field.alias or name: field for name, field in KINDS[kind].model_fields.items() if name != "kind"}
    assert shown == {name: default(field) for name, field in fields.items()}


def default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    value = field.default
    if value is None:
        return "–"
    if isinstance(value, bool):
        return str(value).lower()
    return f'"{value}"' if isinstance(value, str) else f"{value:g}"


def test_every_reason_for_a_skip_is_explained() -> None:
    package = Path(ROOT / "packages/core/src/taskrouter/grading")
    source = "".join(path.read_text(encoding="utf-8") for path in package.glob("*.py"))
    reasons = set(re.findall(r'reason="(\w+)"', source)) | set(re.findall(r'"(judge_\w+)"', source))
    assert {code(row[0])[0] for row in rows(PAGE, "## Skips") if code(row[0])} == reasons
