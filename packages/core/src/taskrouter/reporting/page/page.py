"""The page: one HTML file without scripts that loads nothing, for whoever pays and whoever is on call."""

from __future__ import annotations

from html import escape
from typing import Final

from taskrouter import __version__
from taskrouter.reporting.figures import Report
from taskrouter.reporting.page import sections
from taskrouter.reporting.page.formats import counted, moment, name
from taskrouter.reporting.page.glance import glance
from taskrouter.reporting.page.style import STYLE

POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
"""What a browser may load for the page: its own styles. Whatever a name might smuggle in loads and runs nothing."""


def page(report: Report) -> str:
    """Return the page of a report."""
    body = _empty(report) if report.empty else _full(report)
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        '<meta name="color-scheme" content="light dark"><meta name="referrer" content="no-referrer">'
        f"<title>TaskRouter report</title><style>{STYLE}</style></head><body>"
        f'<a class="skip" href="#main">To the figures</a>{body}</body></html>'
    )


def _full(report: Report) -> str:
    parts = {
        "money": ("Money", sections.money(report)),
        "frontier": ("Quality and cost", sections.quality(report)),
        "work": ("Where it goes", sections.work(report)),
        "speed": ("Speed", sections.speed(report)),
        "failures": ("Failures", sections.failures(report)),
        "labels": ("Labels", sections.labels(report)),
        "decisions": ("Decisions to look at", sections.decisions(report)),
        "about": ("About these figures", sections.about(report)),
    }
    links = "".join(f'<li><a href="#{id_}">{escape(title)}</a></li>' for id_, (title, _) in parts.items())
    body = "".join(
        f'<section aria-labelledby="{id_}"><h2 id="{id_}">{escape(title)}</h2>{text}</section>'
        for id_, (title, text) in parts.items()
    )
    return (
        f'<header>{_heading(report)}</header><main id="main" tabindex="-1">{glance(report)}'
        f'<nav aria-label="Parts of the report"><ul>{links}</ul></nav>{body}</main>'
        f'<footer><p class="small">Made by TaskRouter {escape(__version__)}. Times are UTC.</p></footer>'
    )


def _heading(report: Report) -> str:
    first, last = report.since_s or report.first_s or report.until_s, report.until_s
    narrowed = [("tenant", report.tenant), ("agent", report.agent)]
    only = "".join(f", only {kind} {name(value)}" for kind, value in narrowed if value is not None)
    return (
        "<h1>TaskRouter report</h1>"
        '<p class="note">What routing model calls has cost and saved, and how it went: '
        f"{moment(first)} to {moment(last)} UTC{only}</p>"
    )


def _empty(report: Report) -> str:
    unreadable = sum(report.unreadable.values())
    said = f"{counted(unreadable, 'row')} of the ledger could not be read."
    lost = f'<p class="warn">{said}</p>' if unreadable else ""
    return (
        f'<header>{_heading(report)}</header><main id="main" tabindex="-1"><h2>No steps in this time</h2>{lost}'
        "<p>The ledger was read, and nothing in it falls into this window. To see more:</p><ul>"
        "<li>ask for a longer time: <code>taskrouter report --since all</code>;</li>"
        "<li>check that your application keeps its ledger where this command looks: both need the same "
        '<code>[state] url</code>, such as <code>url = "sqlite:///taskrouter.db"</code>, and the same namespace;</li>'
        "<li>check that <code>[state] decisions</code> is not 0, which keeps no ledger;</li>"
        "<li>route a step, wait a second until it is written, and ask again.</li></ul></main>"
    )
