"""The first screen: what was spent, what was saved, and whether anything is broken."""

from __future__ import annotations

from html import escape

from taskrouter.reporting.counts import Steps
from taskrouter.reporting.figures import Report
from taskrouter.reporting.page.findings import findings
from taskrouter.reporting.page.formats import counted, percent, shortened, usd


def glance(report: Report) -> str:
    """Return the three cards."""
    return f'<div class="cards">{_spent(report)}{_saved(report)}{_well(report)}</div>'


def _card(title: str, big: str, lines: list[str], tone: str = "") -> str:
    said = "".join(f"<p>{line}</p>" for line in lines if line)
    return f'<div class="card"><h2>{escape(title)}</h2><p class="big {tone}">{big}</p>{said}</div>'


def _spent(report: Report) -> str:
    money, steps = report.money, report.steps
    extra_usd = sum(line.spend_usd for line in money.lines if line.kind != "answers")
    priced = money.unpriced_calls < sum(line.calls for line in money.lines) or not money.unpriced_calls
    unpriced = f"plus {counted(money.unpriced_calls, 'call')} of unknown price" if money.unpriced_calls else ""
    mean = f", {usd(money.spend_usd / steps.total)} each" if steps.total and priced else ""
    lines = [
        f"for {counted(steps.total, 'step')}{mean}",
        f"{usd(extra_usd)} of it for calls beside the answers: checks, failures, trials" if extra_usd else "",
        unpriced,
    ]
    return _card("Spent", usd(money.spend_usd) if priced else "not known", lines)


def _saved(report: Report) -> str:
    money = report.money
    incumbent = escape(" and ".join(shortened(name, 40) for name in money.incumbents[:2]) or "the incumbent")
    saved, saving = money.saved_usd, money.saving
    if saved is None:
        why = "No step has both a known cost and a known price of the incumbent."
        why = why if report.steps.answered else "No step was answered, so there is nothing to compare."
        return _card("Saved, net", "not known", [f"against <bdi>{incumbent}</bdi>", why])
    if saving is None:
        free = f"<bdi>{incumbent}</bdi> would have cost nothing"
        return _card("More spent than saved, net" if saved.value < 0 else "Saved, net", usd(abs(saved.value)), [free])
    sure = (
        f"95 % interval: {percent(saving.low)} to {percent(saving.high)} ({usd(saved.low)} to {usd(saved.high)})"
        if saving.low is not None
        else "too few runs for an interval"
    )
    title = "Saved, net" if saved.value >= 0 else "More spent than saved, net"
    lines = [
        f"{usd(abs(saved.value))} against <bdi>{incumbent}</bdi> for the same answers, every extra call charged",
        sure,
        _quality(report),
        f"{counted(money.left_out_steps, 'step')} of unknown price left out" if money.left_out_steps else "",
    ]
    unsure = saving.low is None or saving.low <= 0.0
    tone = "bad" if saved.value < 0 else "" if unsure else "good"
    return _card(title, percent(abs(saving.value)), lines, tone)


def _quality(report: Report) -> str:
    """What the saving has done to quality, where labels say so: it is no saving if answers are worse."""
    places = {point.standing: point for point in report.frontier if point.measured and point.score is not None}
    if "routed" not in places:
        return "what it did to quality is not known: too few labels"
    routed, incumbent = places["routed"].score, places["incumbent"].score if "incumbent" in places else None
    beside = "" if incumbent is None else f"; the incumbent {percent(incumbent.mean)} on the steps it was given"
    return "" if routed is None else f"labelled quality as routed {percent(routed.mean)}{beside}"


def _well(report: Report) -> str:
    found = findings(report)
    if not found:
        return _card("Is anything broken?", "No", [f"{_how(report.steps)}, and every breaker is closed."], "good")
    rows = "".join(f'<li class="{one.weight}"><a href="#{one.where}">{escape(one.text)}</a></li>' for one in found)
    bad = any(one.weight == "bad" for one in found)
    big, tone = ("Yes", "bad") if bad else ("Look at this", "warn")
    return f'<div class="card"><h2>Is anything broken?</h2><p class="big {tone}">{big}</p><ul>{rows}</ul></div>'


def _how(steps: Steps) -> str:
    """How the steps went where none has failed."""
    if not steps.answered:
        return "No step failed"
    return "Every step that its caller did not give up was answered" if steps.cancelled else "Every step was answered"
