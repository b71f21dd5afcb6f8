"""What all commands share: where results and errors go, and the options that every command has."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Annotated, Any

import typer
from rich.console import Console

JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON document instead of text.")]
"""The `--json` option, the same in every command."""

out = Console()
"""Results. Rich follows the terminal's width, and drops colours when the output is not a terminal."""
err = Console(stderr=True)
"""Progress and errors, so that results can be piped."""


def emit_json(document: Mapping[str, Any]) -> None:
    """Print a JSON document to standard output, unwrapped and uncoloured."""
    typer.echo(json.dumps(document, indent=2, ensure_ascii=False))


def usd(amount: float | None) -> str:
    """Money for people: about three significant digits, and `unknown` where it is not known."""
    if amount is None:
        return "unknown"
    if amount == 0 or amount >= 0.01:
        return f"${amount:,.2f}" if amount >= 1 or amount == 0 else f"${amount:.4f}"
    return f"${amount:.6f}" if amount >= 0.000001 else f"${amount:.1e}"
