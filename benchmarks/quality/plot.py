"""Cost against quality for each recording: the models alone with their hull, the peers, our policies with intervals."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

from benchmarks.quality.ours import BLIND

from taskrouter.learning import Option, hull

OURS = {"safe": "s", "balanced": "D", "economy": "v", "learned": "o", BLIND: "^"}
OUR_COLOUR, PEER_COLOUR, SINGLE_COLOUR = "#0072B2", "#D55E00", "#888888"
"""From the palette of Okabe and Ito, which colour-blind readers can tell apart; shapes differ too."""
PEERS = {
    "task-table": ("P", "task-table, tuned"),
    "knn-text": ("X", "knn-text, tuned"),
    "logistic-text": ("d", "logistic-text, tuned"),
    "cluster": ("p", "cluster, tuned"),
    "matrix, half": ("h", "matrix, tuned"),
    "litellm": ("<", "litellm, tuned"),
    "litellm v2": (">", "litellm v2, tuned"),
}
"""As a user gets it; its shape; and the same when tuned, drawn hollow."""
SMALL = 8


def draw(data: dict[str, Any], folder: Path) -> None:
    """Write `quality-NAME.svg` for each recording of the experiment `splits`."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, one in data.items():
        _draw(name, one, folder / f"quality-{name.replace('_', '-')}.svg")


def _draw(name: str, one: dict[str, Any], path: Path) -> None:
    from matplotlib import rc_context
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure
    from matplotlib.ticker import FuncFormatter

    figures = one["figures"]
    incumbents = list(dict.fromkeys(one["incumbents"]))
    base_score, base_usd = one["singles"][max(incumbents, key=one["incumbents"].count)]
    figure = Figure(figsize=(8, 5.2), layout="constrained")
    FigureCanvasSVG(figure)
    axes = figure.add_subplot()
    shown = {m: (usd / base_usd, 100 * (score - base_score)) for m, (score, usd) in one["singles"].items()}
    axes.plot(*zip(*shown.values(), strict=True), "o", color=SINGLE_COLOUR, markersize=4, label="one model alone")
    _hull(axes, shown)
    for policy, marker in OURS.items():
        _point(axes, figures[policy], policy, marker, OUR_COLOUR, filled=True)
    for peer, (marker, tuned) in PEERS.items():
        _point(axes, figures[peer], peer, marker, PEER_COLOUR, filled=True)
        _point(axes, figures[tuned], None, marker, PEER_COLOUR, filled=False)
    axes.axhline(0, color="#222222", linewidth=0.6)
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter(FuncFormatter(lambda share, _: f"{100 * share:g} %"))
    axes.set_xlabel("cost, as a share of the incumbent's (logarithmic)")
    axes.set_ylabel("quality against the incumbent, points")
    lowest = min(f["delta_ci"][0] for f in figures.values())
    highest = max([f["delta_ci"][1] for f in figures.values()] + [points for _, points in shown.values()])
    axes.set_ylim(lowest - 1, highest + 1)
    axes.set_title(
        f"{name}: means over random splits, bars: 95 %; hollow: tuned to lose 1 point", fontsize=9, loc="left"
    )
    axes.grid(visible=True, alpha=0.25, linewidth=0.6)
    figure.legend(loc="outside right upper", fontsize=SMALL, frameon=False)
    with rc_context({"svg.hashsalt": "quality"}):  # the same figures give the same file
        figure.savefig(path, metadata={"Date": None})


def _hull(axes: Any, shown: dict[str, tuple[float, float]]) -> None:
    options = {model: Option(points, share) for model, (share, points) in shown.items()}
    line = [options[model] for model in hull(options)]
    steps = [i / 50 for i in range(51)]
    shares, points = [], []
    for low, high in pairwise(line):  # a coin is straight in cost, and so a curve on this axis
        shares += [low.cost_usd + t * (high.cost_usd - low.cost_usd) for t in steps]
        points += [low.score + t * (high.score - low.score) for t in steps]
    axes.plot(shares, points, "--", color="#222222", linewidth=0.9, label="hull: a coin between two models")


def _point(axes: Any, figure: dict[str, Any], label: str | None, marker: str, colour: str, *, filled: bool) -> None:
    share, points = 1 - figure["saving"], figure["delta_points"]
    cheap, dear = (1 - bound for bound in reversed(figure["saving_ci"]))
    low, high = figure["delta_ci"]
    axes.errorbar(
        share,
        points,
        xerr=[[max(0.0, share - cheap)], [max(0.0, dear - share)]],
        yerr=[[max(0.0, points - low)], [max(0.0, high - points)]],
        fmt=marker,
        color=colour,
        markerfacecolor=colour if filled else "none",
        markersize=6,
        elinewidth=0.8,
        alpha=1.0 if colour == OUR_COLOUR else 0.7,
        label=label,
    )
