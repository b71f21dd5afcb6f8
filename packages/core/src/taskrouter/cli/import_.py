"""`taskrouter import`: recordings from result files that others have published."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from taskrouter.cli.output import JsonOption, emit_json, err, out
from taskrouter.evaluation.imports import SOURCES, Imported, import_results


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(name="import")(_import)


def _import(
    source: Annotated[str, typer.Argument(metavar="SOURCE", help=f"What FOLDER is a clone of: {', '.join(SOURCES)}.")],
    folder: Annotated[
        Path, typer.Argument(metavar="FOLDER", help="The clone; for bfcl the folder of one date in BFCL-Result.")
    ],
    output: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Where to write; by default SOURCE.jsonl.gz.")
    ] = None,
    models: Annotated[
        str | None, typer.Option(metavar="NAMES", help="Models to take, such as 'gpt-4o*,claude-3-haiku*'.")
    ] = None,
    questions: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="For bfcl: a clone of ShishirPatil/gorilla.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Turn the result files of a public repository into a recording, for `taskrouter evaluate`.

    Nothing is downloaded and no model is called: clone the repository first.
    """
    wanted = [name.strip() for name in (models or "").split(",") if name.strip()]
    with err.status("") as status:
        imported = import_results(
            source, folder, models=wanted, questions=questions, tell=lambda what: status.update(f"{what} ...")
        )
    path = output or Path(f"{source}.jsonl.gz")
    imported.write(path)
    _say(imported, path)
    if as_json:
        emit_json(
            {
                "source": source,
                "repository": SOURCES[source],
                "output": str(path),
                "prompts": len(imported.rows),
                "tasks": len({row.task for row in imported.rows}),
                "models": list(imported.models),
                "prices": dict(imported.prices),
                "skipped": dict(imported.skipped),
                "skipped_models": dict(imported.skipped_models),
                "notes": list(imported.notes),
            }
        )
    else:
        out.print(str(path), markup=False, highlight=False, soft_wrap=True)


def _say(imported: Imported, path: Path) -> None:
    tasks = len({row.task for row in imported.rows})
    _line(f"{path}: {len(imported.rows):,} prompts, {tasks} tasks, {len(imported.models)} models")
    for model in imported.models:
        _line(f"  {model}: {imported.prices.get(model, 'costs as the files give them')}")
    for note in imported.notes:
        _line(f"note: {note}")
    for reason, count in imported.skipped.items():
        _line(f"left out: {count:,} {reason}")
    for model, reason in imported.skipped_models.items():
        _line(f"left out: {model}: {reason}")


def _line(text: str) -> None:
    err.print(text, markup=False, highlight=False, soft_wrap=True)
