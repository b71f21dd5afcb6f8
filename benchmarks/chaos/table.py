"""The matrix as people read it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from benchmarks.chaos.expected import BACKENDS, MODES
from benchmarks.chaos.judging import Verdict
from benchmarks.chaos.matrix import DRIVERS

from taskrouter.simulator.config import FAULTS

_WIDTH = 13
LEGEND = (
    "Each cell: who answered (1st, 2nd), or how it ended; calls made; milliseconds that the failures added, with the\n"
    "waiting that the fault causes. broken: StreamBroken with what had arrived, and no other model was asked. A cell\n"
    "with ! is wrong."
)


def matrix(verdicts: Iterable[Verdict]) -> str:
    """Return one table for each backend: rows are faults, columns are ways to ask."""
    found = {
        (v.cell.backend, v.cell.fault, v.cell.driver, v.cell.mode): v
        for v in verdicts
        if v.cell.situation == "first_fails"
    }
    columns = [(driver, mode) for driver in DRIVERS for mode in MODES]
    lines: list[str] = []
    for backend in BACKENDS:
        lines += ["", f"{backend:<19}" + "".join(f"{f'{driver} {mode}':>{_WIDTH + 4}}" for driver, mode in columns)]
        for fault in FAULTS:
            cells = (_cell(found.get((backend, fault, *column))) for column in columns)
            lines.append(f"{fault:<19}" + "".join(f"{cell:>{_WIDTH + 4}}" for cell in cells))
    return "\n".join(lines)


def others(verdicts: Iterable[Verdict]) -> str:
    """Return a line for each of the other situations."""
    counted: Counter[str] = Counter()
    wrong: Counter[str] = Counter()
    ended: dict[str, Counter[str]] = {}
    for verdict in verdicts:
        name = verdict.cell.situation
        if name != "first_fails":
            counted[name] += 1
            wrong[name] += bool(verdict.problems)
            ended.setdefault(name, Counter())[verdict.said.rpartition(" ")[0]] += 1
    lines = [
        f"{name:<19}{count:>5} cells, {wrong[name]} wrong: "
        + ", ".join(f"{said} {times}" for said, times in ended[name].most_common())
        for name, count in counted.items()
    ]
    return "\n".join(lines)


def problems(verdicts: Sequence[Verdict]) -> str:
    """Return what is wrong, cell by cell."""
    return "\n".join(f"WRONG {v.cell}\n" + "\n".join(f"  {p}" for p in v.problems) for v in verdicts if v.problems)


def _cell(verdict: Verdict | None) -> str:
    if verdict is None:
        return "-"
    mark = "!" if verdict.problems else ""
    return f"{mark}{verdict.said} +{verdict.added_ms:.0f}"
