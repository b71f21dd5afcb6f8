"""What an experiment found: tables for people, data for programs, and which targets are met."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from benchmarks.quality.intervals import Figure


class Target(NamedTuple):
    """At least these figures."""

    delta_points: float | None = None
    saving: float | None = None

    def __str__(self) -> str:
        delta = "any" if self.delta_points is None else f"{self.delta_points:+z.1f}"
        return delta if self.saving is None else f"{delta} / {100 * self.saving:z.0f}"

    def met(self, delta_points: float, saving: float) -> bool:
        """Whether both are reached."""
        enough = self.saving is None or saving >= self.saving
        return enough and (self.delta_points is None or delta_points >= self.delta_points)


@dataclass(frozen=True, kw_only=True)
class Table:
    """Rows of text under headings; the first column names the rows."""

    title: str
    headings: Sequence[str]
    rows: Sequence[Sequence[str]]

    def plain(self) -> str:
        """Aligned, for a terminal."""
        lines = [list(self.headings), *map(list, self.rows)]
        widths = [max(len(line[i]) for line in lines) for i in range(len(self.headings))]
        text = [
            "  ".join(
                cell.ljust(w) if i == 0 else cell.rjust(w) for i, (cell, w) in enumerate(zip(line, widths, strict=True))
            )
            for line in lines
        ]
        return "\n".join([self.title, text[0], "-" * len(text[0]), *text[1:]])

    def without(self, heading: str) -> Table:
        """The same without a column, if there is one of that name."""
        kept = [i for i, name in enumerate(self.headings) if name != heading]
        rows = [[row[i] for i in kept] for row in self.rows]
        return Table(title=self.title, headings=[self.headings[i] for i in kept], rows=rows)

    def markdown(self) -> str:
        """For the documentation."""
        lines = [self.headings, ["---", *["---:"] * (len(self.headings) - 1)], *self.rows]
        return "\n".join([f"**{self.title}**", "", *(f"| {' | '.join(line).strip()} |" for line in lines)])


@dataclass(frozen=True, kw_only=True)
class Section:
    """One experiment."""

    name: str
    title: str
    tables: Sequence[Table]
    data: dict[str, Any]
    """JSON-ready."""
    notes: Sequence[str] = ()
    summary: Sequence[Table] = ()
    """What the documentation shows in place of all tables, where that would be too much."""
    checks: dict[str, bool] = field(default_factory=dict)
    """Each target in words, and whether it is met."""


def cells(figure: Figure) -> tuple[str, str]:
    """The two columns of a figure: difference and saving, each with its interval; x: significantly worse."""
    low, high = figure.delta_ci
    cheap, dear = figure.saving_ci
    mark = " x" if figure.worse else ""
    return (
        f"{figure.delta_points:+z.1f} [{low:+z.1f}, {high:+z.1f}]{mark}",
        f"{100 * figure.saving:z.0f} [{100 * cheap:z.0f}, {100 * dear:z.0f}]",
    )


def target_cell(target: Target | None, delta_points: float, saving: float) -> str:
    """The target beside a figure, and whether it is met."""
    if target is None:
        return ""
    return f"{target} {'met' if target.met(delta_points, saving) else 'MISSED'}"


def policy_table(title: str, found: dict[str, Figure], targets: dict[str, Target]) -> Table:
    """The usual table: one row for each policy."""
    rows = [
        [
            name,
            *cells(figure),
            f"{figure.worst_delta:+z.1f}",
            f"{figure.calls:.2f}",
            target_cell(targets.get(name), figure.delta_points, figure.saving),
        ]
        for name, figure in found.items()
    ]
    headings = ("policy", "delta, points", "saving, %", "worst split", "calls", "target")
    return Table(title=title, headings=headings, rows=rows)


def checks_of(where: str, found: dict[str, Figure], targets: dict[str, Target]) -> dict[str, bool]:
    """Which targets of a table are met; a policy that was not tried misses its target."""
    return {
        f"{where}: {name} {target}": name in found and target.met(found[name].delta_points, found[name].saving)
        for name, target in targets.items()
    }
