"""A picture of an evaluation: quality over cost."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

from taskrouter.errors import ConfigurationError, MissingExtraError
from taskrouter.evaluation.baselines import Level
from taskrouter.evaluation.report import PolicyScore, Report

SUFFIXES = (".png", ".svg")
POLICY, WORSE, SINGLE, HULL, BOUND = "#0072B2", "#D55E00", "#777777", "#222222", "#009E73"
"""From the palette of Okabe and Ito, which colour-blind readers can tell apart; shapes differ too."""
WIDTH_INCHES, HEIGHT_INCHES, DPI = 9.0, 6.0, 150
LABEL_POINTS = 8
CURVE_POINTS = 100
RINGS = 20
"""How far from its point a label may go, in lines of text."""
POINT_PIXELS, LINE_PIXELS, GAP_PIXELS = 6.0, 2.0, 9.0


class _Mark(NamedTuple):
    """A point that wants a label."""

    cost_usd: float
    score: float
    label: str
    colour: str


class _Box(NamedTuple):
    left: float
    bottom: float
    right: float
    top: float

    def within(self, other: _Box) -> bool:
        return (
            self.left >= other.left
            and self.right <= other.right
            and self.bottom >= other.bottom
            and self.top <= other.top
        )

    def meets(self, other: _Box) -> bool:
        return (
            self.left < other.right and other.left < self.right and self.bottom < other.top and other.bottom < self.top
        )


def check_plot(path: Path) -> None:
    """Find out before the work whether a plot can be written there.

    Raises:
        ConfigurationError: the suffix is none we write, or the folder does not exist.
        MissingExtraError: matplotlib is not installed.
    """
    if path.suffix.lower() not in SUFFIXES:
        raise ConfigurationError(f"--plot {path}: the name must end in {' or '.join(SUFFIXES)}")
    if not path.parent.is_dir():
        raise ConfigurationError(f"--plot {path}: there is no folder {str(path.parent)!r}")
    _figure()


def plot(report: Report, path: Path) -> None:
    """Draw the models alone, their hull, the bounds and the policies with their intervals into a PNG or SVG file."""
    figure = _figure()
    axes = figure.add_subplot()
    every = [*report.singles, *report.policies, report.oracle, report.random]
    axes.set_xscale("log" if all(level.cost_usd > 0 for level in every) else "symlog", **_scale(every))
    _draw_singles(axes, report)
    _draw_bounds(axes, report)
    for policy in report.policies:
        _draw_policy(axes, policy, report)
    axes.set_xlabel("mean cost per prompt, US dollars (logarithmic)")
    axes.set_ylabel("mean score")
    axes.set_title(
        f"{report.prompts:,} prompts; bars: 95 % intervals of the difference to {report.incumbent.model}",
        fontsize=LABEL_POINTS + 1,
    )
    axes.grid(visible=True, which="major", alpha=0.25, linewidth=0.6)
    axes.margins(x=0.12, y=0.08)
    figure.legend(loc="outside lower center", ncols=3, fontsize=LABEL_POINTS, frameon=False)
    _place_labels(figure, axes, report)
    try:
        figure.savefig(path, dpi=DPI)
    except OSError as error:
        raise ConfigurationError(f"--plot {path}: cannot be written: {error.strerror}") from error


def _figure() -> Any:
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: PLC0415 - heavy, and only needed here
        from matplotlib.figure import Figure  # noqa: PLC0415 - heavy, and only needed here
    except ImportError as error:
        raise MissingExtraError("matplotlib", extra="report", wanted_for="--plot") from error
    figure = Figure(figsize=(WIDTH_INCHES, HEIGHT_INCHES), dpi=DPI, layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def _scale(levels: Sequence[Level]) -> dict[str, float]:
    """A free model has no place on a logarithmic axis: near zero the axis is linear then."""
    paid = [level.cost_usd for level in levels if level.cost_usd > 0]
    return {} if len(paid) == len(levels) else {"linthresh": min(paid, default=1.0)}


def _draw_singles(axes: Any, report: Report) -> None:
    axes.plot(*_columns(report.singles), "o", color=SINGLE, markersize=5, label="one model alone")
    axes.plot(*_columns(_coin_curve(report)), "--", color=HULL, linewidth=1, label="hull: a coin between two models")
    axes.plot(*_columns([report.incumbent]), "s", color=HULL, markersize=7, label="incumbent", fillstyle="none")


def _coin_curve(report: Report) -> list[Level]:
    """The hull as a line of points: a coin between two models is straight in cost, and so a curve on a log axis."""
    return [
        Level(
            cost_usd=one.cost_usd + (other.cost_usd - one.cost_usd) * i / CURVE_POINTS,
            score=one.score + (other.score - one.score) * i / CURVE_POINTS,
        )
        for one, other in pairwise(report.hull)
        for i in range(CURVE_POINTS + 1)
    ]


def _draw_bounds(axes: Any, report: Report) -> None:
    axes.plot(*_columns([report.oracle]), "*", color=BOUND, markersize=11, label="oracle: the best model per prompt")
    axes.plot(*_columns([report.random]), "x", color=BOUND, markersize=7, label="random model")


def _draw_policy(axes: Any, policy: PolicyScore, report: Report) -> None:
    cheap, dear, low, high = _bars(policy, report)
    first_of_kind = next(p for p in report.policies if p.worse == policy.worse) is policy
    kind = "policy, significantly worse" if policy.worse else "policy"
    axes.errorbar(
        policy.cost_usd,
        policy.score,
        xerr=[[max(0.0, policy.cost_usd - cheap)], [max(0.0, dear - policy.cost_usd)]],
        yerr=[[max(0.0, policy.score - low)], [max(0.0, high - policy.score)]],
        fmt="v" if policy.worse else "D",
        color=WORSE if policy.worse else POLICY,
        markersize=6,
        elinewidth=1,
        capsize=2,
        label=kind if first_of_kind else None,
    )


def _bars(policy: PolicyScore, report: Report) -> tuple[float, float, float, float]:
    """The intervals against the incumbent, moved to where the incumbent stands: cost from, to, score from, to."""
    base = report.incumbent
    low, high = (base.score + bound / 100 for bound in policy.delta_ci)
    if policy.saving_ci is None:
        return policy.cost_usd, policy.cost_usd, low, high
    cheap, dear = (base.cost_usd * (1 - bound) for bound in reversed(policy.saving_ci))
    return cheap, dear, low, high


def _marks(report: Report) -> list[_Mark]:
    """Return what is labelled, policies first: they get the best places. Equal policies share a label."""
    names: dict[tuple[float, float, bool], list[str]] = defaultdict(list)
    for policy in report.policies:
        names[policy.cost_usd, policy.score, policy.worse].append(policy.name)
    marks = [
        _Mark(cost, score, ", ".join(same), WORSE if worse else POLICY) for (cost, score, worse), same in names.items()
    ]
    marks.append(_Mark(report.oracle.cost_usd, report.oracle.score, "oracle", BOUND))
    marks.append(_Mark(report.random.cost_usd, report.random.score, "random", BOUND))
    return marks + [_Mark(single.cost_usd, single.score, single.model, "#444444") for single in report.singles]


def _place_labels(figure: Any, axes: Any, report: Report) -> None:
    """Write each label at the nearest free place, with a thin line to its point where that is not beside it."""
    figure.canvas.draw()
    marks = _marks(report)
    frame = _Box(*axes.get_window_extent().extents)
    taken = _obstacles(axes, marks, report)
    points_per_pixel = 72 / figure.dpi
    for mark in marks:
        x, y = axes.transData.transform((mark.cost_usd, mark.score))
        text = _write(axes, mark, (0.0, 0.0))
        size = text.get_window_extent()
        places = [p for p in _places(x, y, size.width, size.height) if p.within(frame)] or [_Box(x, y, x, y)]
        box = next((place for place in places if not any(place.meets(other) for other in taken)), places[0])
        taken.append(box)
        text.set_position(((box.left - x) * points_per_pixel, (box.bottom - y) * points_per_pixel))
        if box.bottom > y + size.height or box.top < y - size.height:
            end = min(max(x, box.left), box.right), box.bottom if box.bottom > y else box.top
            arrow = {"arrowstyle": "-", "color": mark.colour, "linewidth": 0.4}
            offset = ((end[0] - x) * points_per_pixel, (end[1] - y) * points_per_pixel)
            axes.annotate("", (mark.cost_usd, mark.score), offset, textcoords="offset points", arrowprops=arrow)


def _write(axes: Any, mark: _Mark, offset: tuple[float, float]) -> Any:
    return axes.annotate(
        mark.label,
        (mark.cost_usd, mark.score),
        offset,
        textcoords="offset points",
        fontsize=LABEL_POINTS,
        color=mark.colour,
    )


def _obstacles(axes: Any, marks: Sequence[_Mark], report: Report) -> list[_Box]:
    """Return what labels keep clear of: points, bars and the hull."""
    found = []

    def block(cost_from: float, score_from: float, cost_to: float, score_to: float, radius: float) -> None:
        left, bottom = axes.transData.transform((cost_from, score_from))
        right, top = axes.transData.transform((cost_to, score_to))
        found.append(_Box(left - radius, bottom - radius, right + radius, top + radius))

    for mark in marks:
        block(mark.cost_usd, mark.score, mark.cost_usd, mark.score, POINT_PIXELS)
    for point in _coin_curve(report):
        block(point.cost_usd, point.score, point.cost_usd, point.score, LINE_PIXELS)
    for policy in report.policies:
        cheap, dear, low, high = _bars(policy, report)
        block(cheap, policy.score, dear, policy.score, LINE_PIXELS)
        block(policy.cost_usd, low, policy.cost_usd, high, LINE_PIXELS)
    return found


def _places(x: float, y: float, width: float, height: float) -> Iterator[_Box]:
    """Yield places for a label around a point, near ones first."""
    for ring in range(RINGS):
        away = ring * height
        beside = GAP_PIXELS + away / 2
        for bottom in (y - height / 2 + away, y - height / 2 - away):
            for left in (x + beside, x - beside - width):
                yield _Box(left, bottom, left + width, bottom + height)
        for bottom in (y + GAP_PIXELS + away, y - GAP_PIXELS - away - height):
            yield _Box(x - width / 2, bottom, x + width / 2, bottom + height)


def _columns(levels: Sequence[Level]) -> tuple[list[float], list[float]]:
    return [level.cost_usd for level in levels], [level.score for level in levels]
