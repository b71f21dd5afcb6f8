"""The plot of quality over cost, as a small picture that is part of the page."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from html import escape
from itertools import pairwise
from typing import Final, NamedTuple

from taskrouter.reporting.judged import Point
from taskrouter.reporting.page.formats import percent, shortened, usd

WIDTH, HEIGHT = 440.0, 330.0
LEFT, RIGHT, TOP, BOTTOM = 52.0, 14.0, 14.0, 46.0
CURVE: Final = 24
"""Points between two corners of the hull: a mixture of two models is straight in cost, and a curve on this axis."""
LETTER, LINE = 7.2, 15.0
NAME: Final = 24
TICK: Final = 66.0
"""Room that the number below an axis wants."""
RADIUS: Final = 5.5
WIDE: Final = 8.0
"""Costs that differ more than this many times are put on a logarithmic axis."""


class _Box(NamedTuple):
    left: float
    top: float
    right: float
    bottom: float

    def meets(self, other: _Box) -> bool:
        return (
            self.left < other.right and other.left < self.right and self.top < other.bottom and other.top < self.bottom
        )


class _Scale:
    """From cost and quality to a place in the picture."""

    def __init__(self, points: Sequence[Point]) -> None:
        costs = [point.cost_usd or 0.0 for point in points]
        self.log = min(costs) > 0 and max(costs) > WIDE * min(costs)
        low, high = (math.log10(min(costs)), math.log10(max(costs))) if self.log else (0.0, max(costs) or 1.0)
        room = 0.12 * (high - low) or 0.5
        self.low, self.high = (low - room, high + room) if self.log else (0.0, high * 1.12)
        bounds = [bound for point in points for bound in _bounds(point)]
        step = next(s for s in (0.02, 0.05, 0.1, 0.2) if max(bounds) - min(bounds) <= 6 * s or s == 0.2)
        self.bottom = max(0.0, math.floor(min(bounds) / step - 0.05) * step)
        self.top = min(1.0, math.ceil(max(bounds) / step + 0.05) * step)
        self.step = step

    def x(self, cost_usd: float) -> float:
        value = math.log10(cost_usd) if self.log else cost_usd
        return LEFT + (value - self.low) / (self.high - self.low) * (WIDTH - LEFT - RIGHT)

    def y(self, quality: float) -> float:
        share = (quality - self.bottom) / ((self.top - self.bottom) or 1.0)
        return HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM)

    def costs(self) -> list[float]:
        if not self.log:
            step = _round(self.high / 4)
            return [i * step for i in range(int(self.high / step) + 1)]
        every = [d * 10.0**e for e in range(math.floor(self.low), math.ceil(self.high) + 1) for d in (1, 2, 5)]
        shown = [cost for cost in every if self.low <= math.log10(cost) <= self.high]
        while any(self.x(after) - self.x(before) < TICK for before, after in pairwise(shown)):
            shown = shown[::2]
        return shown

    def qualities(self) -> list[float]:
        return [self.bottom + i * self.step for i in range(round((self.top - self.bottom) / self.step) + 1)]


def frontier(points: Sequence[Point], hull: Sequence[str]) -> str:
    """Return the picture as markup, or nothing where no point has both cost and quality."""
    drawn = [point for point in points if point.cost_usd is not None and point.quality is not None]
    if not drawn:
        return ""
    scale = _Scale(drawn)
    corners = [point for name in hull for point in drawn if point.name == name and point.standing != "routed"]
    curve = _curve(scale, corners)
    said = "; ".join(
        f"{shortened(p.name)}: {percent(p.quality)} for {usd(p.cost_usd)} a step{'' if p.measured else ', expected'}"
        for p in drawn
    )
    return (
        f'<svg viewBox="0 0 {WIDTH:g} {HEIGHT:g}" role="img" aria-labelledby="frontier-title frontier-desc">'
        '<title id="frontier-title">Quality over cost</title>'
        f'<desc id="frontier-desc">{escape(said)}</desc>'
        f"{''.join(_axes(scale))}{_hull(curve)}"
        f"{''.join(_mark(scale, point) for point in drawn)}{''.join(_labels(scale, drawn, curve))}</svg>"
    )


def _bounds(point: Point) -> tuple[float, ...]:
    quality = point.quality or 0.0
    return (point.score.low, quality, point.score.high) if point.measured and point.score is not None else (quality,)


def _round(value: float) -> float:
    power = 10.0 ** math.floor(math.log10(value)) if value > 0 else 1.0
    return next(d * power for d in (1, 2, 5, 10) if d * power >= value * 0.999)


def _axes(scale: _Scale) -> Iterator[str]:
    base = HEIGHT - BOTTOM
    for quality in scale.qualities():
        y = scale.y(quality)
        yield f'<path class="axis" d="M{LEFT:g} {y:.1f}H{WIDTH - RIGHT:g}"/>'
        yield f'<text class="soft" x="{LEFT - 8:g}" y="{y + 4:.1f}" text-anchor="end">{100 * quality:.0f} %</text>'
    for cost_usd in scale.costs():
        x = scale.x(cost_usd)
        yield f'<path class="axis" d="M{x:.1f} {base:g}v5"/>'
        yield f'<text class="soft" x="{x:.1f}" y="{base + 18:g}" text-anchor="middle">{_tick(cost_usd)}</text>'
    kind = " (logarithmic)" if scale.log else ""
    place = f'x="{WIDTH - RIGHT:g}" y="{HEIGHT - 8:g}" text-anchor="end"'
    yield f'<text class="soft" {place}>US dollars per step{kind}</text>'


def _tick(cost_usd: float) -> str:
    return f"${cost_usd:.6f}".rstrip("0").rstrip(".") if cost_usd < 1 else f"${cost_usd:,.2f}".removesuffix(".00")


def _curve(scale: _Scale, corners: Sequence[Point]) -> list[tuple[float, float]]:
    places = []
    for one, other in pairwise(corners):
        for i in range(CURVE + 1):
            part = i / CURVE
            cost = (one.cost_usd or 0.0) * (1 - part) + (other.cost_usd or 0.0) * part
            quality = (one.quality or 0.0) * (1 - part) + (other.quality or 0.0) * part
            places.append((scale.x(cost), scale.y(quality)))
    return places


def _hull(places: Sequence[tuple[float, float]]) -> str:
    return f'<path class="hull" d="M{"L".join(f"{x:.1f} {y:.1f}" for x, y in places)}"/>' if places else ""


def _mark(scale: _Scale, point: Point) -> str:
    x, y = _place(scale, point)
    hollow = "" if point.measured else " hollow"
    interval = ""
    if point.measured and point.score is not None:
        low, high = scale.y(point.score.low), scale.y(point.score.high)
        interval = f'<path class="of-{point.standing}" d="M{x:.1f} {low:.1f}V{high:.1f}"/>'
    r = RADIUS
    shapes = {
        "model": f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{r:g}"',
        "incumbent": f'<rect x="{x - r:.1f}" y="{y - r:.1f}" width="{2 * r:g}" height="{2 * r:g}"',
        "routed": f'<path d="M{x:.1f} {y - r - 3:.1f}l{r + 3:g} {r + 3:g}l-{r + 3:g} {r + 3:g}l-{r + 3:g} -{r + 3:g}z"',
    }
    return f'{interval}{shapes[point.standing]} class="of-{point.standing}{hollow}"/>'


def _place(scale: _Scale, point: Point) -> tuple[float, float]:
    return scale.x(point.cost_usd or 0.0), scale.y(point.quality or 0.0)


def _labels(scale: _Scale, points: Sequence[Point], curve: Sequence[tuple[float, float]]) -> Iterator[str]:
    """Write each name at the nearest place where nothing stands."""
    taken = [_Box(x - 8, y - 8, x + 8, y + 8) for x, y in (_place(scale, point) for point in points)]
    taken += [_Box(x - 2, y - 2, x + 2, y + 2) for x, y in curve]
    for point in points:
        if point.measured and point.score is not None:
            x = scale.x(point.cost_usd or 0.0)
            taken.append(_Box(x - 2, scale.y(point.score.high), x + 2, scale.y(point.score.low)))
    for point in sorted(points, key=lambda point: point.standing == "model"):
        text = shortened(point.name, NAME)
        x, y = _place(scale, point)
        width = LETTER * len(text)
        places = [box for box in _around(x, y, width) if box.left >= LEFT and box.right <= WIDTH - 2 and box.top >= 2]
        free = [box for box in places if not any(box.meets(other) for other in taken)]
        box = next(iter(free or places), _Box(max(LEFT, x - width / 2), y - 2 * LINE, 0.0, y - LINE))
        taken.append(box)
        yield f'<text class="name" x="{box.left:.1f}" y="{box.bottom - 3.5:.1f}">{escape(text)}</text>'


def _around(x: float, y: float, width: float) -> Iterator[_Box]:
    for away in (0.0, LINE, -LINE, 2 * LINE, -2 * LINE, 3 * LINE, -3 * LINE):
        top = y - LINE / 2 + away
        yield _Box(x + 12, top, x + 12 + width, top + LINE)
        yield _Box(x - 12 - width, top, x - 12, top + LINE)
        if away:
            yield _Box(x - width / 2, top, x + width / 2, top + LINE)
