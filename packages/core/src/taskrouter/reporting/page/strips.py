"""Two small pictures along time: the days' spend beside the incumbent's, and when breakers were open."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape
from itertools import pairwise
from typing import Final

from taskrouter.reporting.amounts import Day
from taskrouter.reporting.counts import Breaker
from taskrouter.reporting.page.formats import moment, seconds, shortened, usd

WIDTH: Final = 440.0
LEFT, TOP, BASE, HEIGHT = 8.0, 22.0, 150.0, 176.0
DAYS: Final = 62
ENDPOINTS: Final = 12
NAME: Final = 17
ROW, NAMED = 26.0, 150.0


def days(given: Sequence[Day]) -> str:
    """Return bars of what was spent, each within what the incumbent would have cost; nothing for a single day."""
    shown = given[-DAYS:]
    highest = max((max(day.spend_usd, day.baseline_usd) for day in shown), default=0.0)
    if len(shown) < 2 or not highest:
        return ""
    width = (WIDTH - 2 * LEFT) / len(shown)
    every = max(1, -(-len(shown) * 50 // int(WIDTH)))

    def bar(day: Day, i: int) -> str:
        x, inner = LEFT + i * width, max(1.0, width * 0.72)
        spent, would = ((BASE - TOP) * amount / highest for amount in (day.spend_usd, day.baseline_usd))
        label = (
            f'<text class="soft" x="{x + inner / 2:.1f}" y="{BASE + 18:g}" text-anchor="middle">{day.date[5:]}</text>'
            if i % every == 0
            else ""
        )
        return (
            f'<rect class="spent" x="{x:.1f}" y="{BASE - spent:.1f}" width="{inner:.1f}" height="{spent:.1f}"/>'
            f'<rect class="would" x="{x:.1f}" y="{BASE - would:.1f}" width="{inner:.1f}" height="{would:.1f}"/>{label}'
        )

    said = "; ".join(f"{day.date}: {usd(day.spend_usd)} of {usd(day.baseline_usd)}" for day in shown)
    return (
        f'<svg viewBox="0 0 {WIDTH:g} {HEIGHT:g}" role="img" aria-labelledby="days-title days-desc">'
        f'<title id="days-title">Spend by day</title><desc id="days-desc">{escape(said)}</desc>'
        f'<path class="axis" d="M{LEFT:g} {BASE:g}H{WIDTH - LEFT:g}"/>'
        f'<text class="soft" x="{LEFT:g}" y="14">highest: {usd(highest)}</text>'
        f"{''.join(bar(day, i) for i, day in enumerate(shown))}</svg>"
    )


def breakers(given: Sequence[Breaker], since_s: float, until_s: float) -> str:
    """Return a strip for each endpoint, with the times during which its breaker let nothing through."""
    shown = given[:ENDPOINTS]
    if not shown or until_s <= since_s:
        return ""
    height = ROW * len(shown) + 24
    said = "; ".join(f"{shortened(b.endpoint)}: {b.now} at the end, out for {seconds(b.out_s)}" for b in shown)
    rows = "".join(_strip(breaker, i, since_s, until_s) for i, breaker in enumerate(shown))
    return (
        f'<svg viewBox="0 0 {WIDTH:g} {height:g}" role="img" aria-labelledby="breakers-title breakers-desc">'
        '<title id="breakers-title">When breakers were open</title>'
        f'<desc id="breakers-desc">{escape(said)}</desc>{rows}'
        f'<text class="soft" x="{NAMED:g}" y="{height - 6:g}">{moment(since_s)}</text>'
        f'<text class="soft" x="{WIDTH - 4:g}" y="{height - 6:g}" text-anchor="end">{moment(until_s)}</text></svg>'
    )


def _strip(breaker: Breaker, number: int, since_s: float, until_s: float) -> str:
    y = number * ROW + 4
    long = WIDTH - NAMED - 4

    def x(at_s: float) -> float:
        return NAMED + long * min(1.0, max(0.0, (at_s - since_s) / (until_s - since_s)))

    out = "".join(
        f'<rect class="out" x="{x(start):.1f}" y="{y:g}" width="{max(2.0, x(end) - x(start)):.1f}" height="14"/>'
        for start, end in _outages(breaker, since_s, until_s)
    )
    return (
        f'<text x="{NAMED - 8:g}" y="{y + 12:g}" text-anchor="end">{escape(shortened(breaker.endpoint, NAME))}</text>'
        f'<rect class="fine" x="{NAMED:g}" y="{y:g}" width="{long:g}" height="14"/>{out}'
    )


def _outages(breaker: Breaker, since_s: float, until_s: float) -> Iterator[tuple[float, float]]:
    """Yield from when to when it let nothing through; a breaker that closes first was open before."""
    states = [(shift.at_s, shift.state != "closed") for shift in breaker.shifts]
    if not states:
        yield since_s, until_s
        return
    states = [(since_s, not states[0][1]), *states, (until_s, False)]
    for (start, is_out), (end, _) in pairwise(states):
        if is_out:
            yield start, end
