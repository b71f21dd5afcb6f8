"""`taskrouter models`: what the catalogue knows, or what is known of the configured pool."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from taskrouter.catalog import Catalog, ModelCard
from taskrouter.cli.output import JsonOption, emit_json, err, out, usd
from taskrouter.config import RouterConfig
from taskrouter.errors import ConfigurationError
from taskrouter.pool import build_pool

UNKNOWN = "[dim]unknown[/dim]"
ANSWERS = {True: "[green]yes[/green]", False: "[red]no[/red]", None: UNKNOWN}

COLUMNS = ("model", "provider", "tier", "in $/M", "cached", "out $/M", "window", "tools", "vision", "schema", "cited")
"""`cited`: on how many task types figures about the model are published."""
NUMBERS = frozenset({"in $/M", "cached", "out $/M", "window", "cited"})
WIDE_ONLY = frozenset({"provider", "tier", "cached"})
WIDE = 120
"""Characters of width from which all columns fit beside a long model string."""


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("models")(models)


def models(
    pattern: Annotated[
        str | None, typer.Argument(help="Part of a model string, or a pattern with * and ?; default: all.")
    ] = None,
    config: Annotated[Path | None, typer.Option("--config", "-c", help="Show the pool of this configuration.")] = None,
    limit: Annotated[int, typer.Option(min=0, help="How many to show; 0: all.")] = 40,
    json: JsonOption = False,
) -> None:
    """Show models with their prices, windows and capabilities. What is not known is shown as unknown."""
    catalog = Catalog.bundled()
    cards: Sequence[ModelCard] = _known(catalog, pattern) if config is None else _pool(config, catalog, pattern)
    shown = cards[: limit or None]
    if json:
        emit_json(_document(shown, len(cards), catalog))
        return
    out.print(_table(shown))
    more = f"{len(shown)} of " if len(shown) < len(cards) else ""
    hint = "; --limit 0 shows all" if more else ""
    count = f"{more}{len(cards)} model{'' if len(cards) == 1 else 's'}{hint}"
    err.print(
        f"{count}. Facts from {' and '.join(catalog.sources)}, {catalog.as_of}.",
        style="dim",
        markup=False,
        soft_wrap=True,
    )


def _known(catalog: Catalog, pattern: str | None) -> list[ModelCard]:
    """Resolve the strings that match, or the pattern itself where it is another way to write a known model."""
    strings = list(catalog)
    if pattern is not None:
        strings = sorted((s for s in strings if _matches(s, pattern)), key=len) or [pattern]
    cards = [card for string in strings if (card := catalog.resolve(string))]
    if not cards and pattern is not None:
        near = " or ".join(repr(name) for name in catalog.suggest(pattern))
        raise ConfigurationError(
            f"no known model matches {pattern!r}{f'; did you mean {near}?' if near else '; try a part of its name'}"
        )
    return cards


def _pool(config: Path, catalog: Catalog, pattern: str | None) -> list[ModelCard]:
    pool = build_pool(RouterConfig.load(config).models, catalog)
    cards: list[ModelCard] = [
        card for card in pool if pattern is None or _matches(card.id, pattern) or _matches(card.model, pattern)
    ]
    if not cards:
        raise ConfigurationError(
            f"{config}: no model of the pool matches {pattern!r}; it has {', '.join(repr(card.id) for card in pool)}"
        )
    return cards


def _matches(string: str, pattern: str) -> bool:
    text, wanted = string.lower(), pattern.lower()
    return fnmatchcase(text, wanted) if "*" in wanted or "?" in wanted else wanted in text


def _table(cards: Sequence[ModelCard]) -> Table:
    """Lay the cards out; narrow terminals get the columns that matter most."""
    columns = [column for column in COLUMNS if out.width >= WIDE or column not in WIDE_ONLY]
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(
            column,
            overflow="fold",
            no_wrap=column != "model",
            justify="right" if column in NUMBERS else "left",
        )
    for card in cards:
        cells = _cells(card)
        table.add_row(*(cells[column] for column in columns))
    return table


def _cells(card: ModelCard) -> dict[str, str]:
    can = card.capabilities
    return {
        "model": card.model if card.id == card.model else f"{card.id} ({card.model})",
        "provider": card.provider or UNKNOWN,
        "tier": card.tier or UNKNOWN,
        "in $/M": _price(card.input_usd_per_million),
        "cached": _price(card.cached_input_usd_per_million),
        "out $/M": _price(card.output_usd_per_million),
        "window": f"{card.context_tokens:,}" if card.context_tokens else UNKNOWN,
        "tools": ANSWERS[can.tools],
        "vision": ANSWERS[can.vision],
        "schema": ANSWERS[can.json_schema],
        "cited": str(len(card.quality)),
    }


def _price(usd_per_million: float | None) -> str:
    return UNKNOWN if usd_per_million is None else usd(usd_per_million)


def _document(cards: Sequence[ModelCard], total: int, catalog: Catalog) -> dict[str, Any]:
    fields = set(ModelCard.model_fields)
    return {
        "models": [card.model_dump(mode="json", include=fields) for card in cards],
        "shown": len(cards),
        "total": total,
        "sources": list(catalog.sources),
        "as_of": catalog.as_of,
    }
