"""Turns result files that others have published into recordings: `import_results`.

Nothing of those repositories is part of this project; they are read from clones on the user's disk.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from taskrouter.errors import ConfigurationError
from taskrouter.evaluation.imports.bfcl import read_bfcl
from taskrouter.evaluation.imports.common import Collector, Imported, Row, Tell
from taskrouter.evaluation.imports.llmrouter import read_llmrouter
from taskrouter.evaluation.imports.mmlu_pro import read_mmlu_pro
from taskrouter.evaluation.imports.routellm import read_routellm
from taskrouter.evaluation.imports.zeroeval import read_zeroeval

__all__ = ["SOURCES", "Imported", "Row", "import_results"]

BFCL: Final = "bfcl"
_READERS: dict[str, Callable[[Path, Collector], None]] = {
    "zeroeval": read_zeroeval,
    "mmlu-pro": read_mmlu_pro,
    "llmrouter": read_llmrouter,
    "routellm": read_routellm,
}
SOURCES: Final = {
    BFCL: "HuanzhiMao/BFCL-Result",
    "zeroeval": "WildEval/ZeroEval",
    "mmlu-pro": "TIGER-AI-Lab/MMLU-Pro",
    "llmrouter": "ulab-uiuc/LLMRouter",
    "routellm": "lm-sys/RouteLLM",
}
"""Name of a source -> the GitHub repository whose clone it reads."""


def import_results(
    source: str,
    folder: Path,
    *,
    models: Sequence[str] = (),
    questions: Path | None = None,
    tell: Tell | None = None,
) -> Imported:
    """Read the result files of one repository.

    Args:
        source: one of `SOURCES`.
        folder: a clone of it; for `bfcl` the folder of one date in it.
        models: patterns of the models to take (`gpt-4o*`). None: all that were asked nearly everything.
        questions: for `bfcl`, a clone of ShishirPatil/gorilla.
        tell: is told what is being read.

    Raises:
        ConfigurationError: the source is unknown, the folder is not laid out as its owners lay it out, a file is
            damaged, or no prompt is left that all models were asked.
    """
    if source not in SOURCES:
        raise ConfigurationError(f"unknown source {source!r}; known: {', '.join(SOURCES)}")
    if questions is not None and source != BFCL:
        raise ConfigurationError(f"--questions is for {BFCL!r} only: the files of {source!r} hold their questions")
    if not folder.is_dir():
        raise ConfigurationError(f"{folder}: no such folder; name a clone of {SOURCES[source]}")
    collector = Collector(models=models, tell=tell)
    if source == BFCL:
        read_bfcl(folder, collector, questions=questions)
    else:
        _READERS[source](folder, collector)
    return collector.finish(folder)
