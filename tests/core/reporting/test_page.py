"""The page: one file that loads nothing, whatever names it is given."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from itertools import pairwise
from typing import Any

import pytest
from tests.core.reporting.ledgers import KINDS
from tests.core.reporting.written import POOL, START_S, answered, call, label, record, reported, trial

from taskrouter.reporting import Report, html_page

HOSTILE = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "' onmouseover='alert(1)",
    "</title></style><svg onload=alert(1)>",
    "\u202eright to left\u2066",
    "long " * 2000,
    "&amp;&lt;",
)
VOID = {"meta", "link", "br", "wbr", "hr", "img", "path", "rect", "circle"}


class Read(HTMLParser):
    """What is in a page: its elements, its texts, and that every element is closed."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.open: list[str] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag, (tag, self.open)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]

    @property
    def text(self) -> str:
        return "".join(self.texts)


def test_the_page_loads_and_runs_nothing(week: Report) -> None:
    page = html_page(week)
    read = Read(page)
    assert not read.open
    (policy,) = [meta["content"] for meta in read.all("meta") if meta.get("http-equiv") == "Content-Security-Policy"]
    assert policy is not None
    assert policy.startswith("default-src 'none'; style-src 'unsafe-inline'")
    assert not {"script", "img", "link", "iframe", "object", "form", "base"} & {tag for tag, _ in read.elements}
    for _, attributes in read.elements:
        assert not [name for name in attributes if name.startswith("on") or name in {"src", "srcset", "action"}]
        assert (attributes.get("href") or "#").startswith("#")
    assert not re.search(r"https?://|url\(|@import", page)


def test_nothing_of_a_prompt_or_an_answer_is_in_it(week: Report) -> None:
    shown = html_page(week) + json.dumps(week.to_dict())
    for kind in KINDS:
        assert kind.text not in shown
    for secret in ("sales 2025", "headcount", "Done."):
        assert secret not in shown


def test_every_link_leads_somewhere(week: Report) -> None:
    read = Read(html_page(week))
    ids = [attributes["id"] for _, attributes in read.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    named = [attributes[key] or "" for _, attributes in read.elements for key in attributes if key == "aria-labelledby"]
    links = [(link["href"] or "").removeprefix("#") for link in read.all("a")]
    assert {one for names in named for one in names.split()} | set(links) <= set(ids)


def test_headings_and_tables_can_be_found_by_ear(week: Report) -> None:
    read = Read(html_page(week))
    levels = [int(tag[1]) for tag, _ in read.elements if re.fullmatch(r"h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))
    assert all(head.get("scope") in {"col", "row"} for head in read.all("th"))
    assert len(read.all("table")) == len(read.all("caption"))
    regions = [element for element in read.all("div") if element.get("role") == "region"]
    assert len(regions) == len(read.all("table"))
    assert all(region.get("tabindex") == "0" and region.get("aria-labelledby") for region in regions)
    pictures = read.all("svg")
    assert len(pictures) == 3
    assert all(picture.get("role") == "img" for picture in pictures)
    assert len(read.all("title")) == 1 + len(pictures) == 1 + len(read.all("desc"))


def test_the_first_screen_answers_what_was_spent_saved_and_broken(week: Report) -> None:
    text = Read(html_page(week)).text
    glance = text[: text.index("About these figures")]
    assert week.money.saving is not None
    for said in (
        f"${week.money.spend_usd:,.2f}",
        f"{100 * week.money.saving.value:.1f} %",
        "every extra call charged",
        "95 % interval",
        "llama-70b cannot be called: breaker open (last change 2026-05-2",
        f"{week.steps.exhausted} step",
        "came from another model than was asked for",
    ):
        assert said in glance, said


def test_a_free_incumbent_is_known_and_dearer_answers_are_more_spent() -> None:
    large = {"id": "large", "model": "house/large", "input_usd_per_million": 0, "output_usd_per_million": 0}
    pool = {**POOL, "models": {**POOL["models"], "large": large}}  # type: ignore[dict-item]
    text = Read(html_page(reported(answered(1), pools={"v1": pool}))).text
    assert "More spent than saved, net$0.00100large would have cost nothing" in text.replace("\n", "")


def test_a_spend_of_which_nothing_is_known_is_no_zero() -> None:
    text = Read(html_page(reported(record(1, call("small", cost_usd=None, taken=True))))).text.replace("\n", "")
    assert "Spentnot known" in text
    assert "each" not in text.partition("Spent")[2].partition("Saved, net")[0]


@pytest.mark.parametrize(
    ("steps", "said"),
    [
        ([answered(1), record(2, call("small", status="cancelled"), status="cancelled")], "Every step that its caller"),
        ([record(2, call("small", status="cancelled"), status="cancelled")], "No step failed, and"),
        ([trial(1, call("small", taken=True))], "No step failed, and"),
    ],
)
def test_no_step_is_said_to_be_answered_that_was_not(steps: list[dict[str, Any]], said: str) -> None:
    text = Read(html_page(reported(*steps))).text
    assert said in text
    assert "Every step was answered" not in text


def test_nothing_broken_is_said_too() -> None:
    text = Read(html_page(reported(*(answered(n) for n in range(30))))).text
    assert "Every step was answered, and every breaker is closed." in text


def test_a_model_that_often_fails_is_said_though_every_step_was_answered() -> None:
    failed = call("medium", status="failed", error_type="server_error", cost_usd=0.0)
    rescued = [record(n, failed, call("small", taken=True)) for n in range(3)]
    well = [answered(n, "medium") for n in range(3, 30)]
    glance = Read(html_page(reported(*rescued, *well))).text.partition("About these figures")[0]
    assert "10 % or more of the calls to medium failed" in glance
    assert "Every step was answered" not in glance
    fewer = Read(html_page(reported(*rescued[:2], *well))).text
    assert "Every step was answered, and every breaker is closed." in fewer


def named(name: str) -> Report:
    """A report in which everything that can be named from outside is called so."""
    names: dict[str, Any] = dict.fromkeys(("agent", "node", "tenant", "identity", "policy", "reason"), name)
    step = record(1, call("small", served=name, taken=True), call("small", status="failed", error_type=name), **names)
    events = [
        {"kind": "breaker", "at_s": START_S + 1, "endpoint": name, "state": "open", "why": name},
        {"kind": "refused", "at_s": START_S + 1, "error_type": name, "agent": name},
    ]
    loss = {"mean": 0.0, "low": -0.1, "high": 0.1, "source": name}
    return reported({**step, "loss": loss}, labels=[label(1)], events=events)


def structure(page: str) -> list[tuple[str, list[str]]]:
    """The elements of a page with the names of their attributes; a long name may break anywhere."""
    read = Read(page)
    assert not read.open
    return [(tag, sorted(attributes)) for tag, attributes in read.elements if tag != "wbr"]


@pytest.mark.parametrize("name", HOSTILE, ids=range(len(HOSTILE)))
def test_whatever_a_name_is_it_stays_text(name: str) -> None:
    page = html_page(named(name))
    assert structure(page) == structure(html_page(named("plain")))
    assert len(page) < 200_000


def test_signs_that_turn_a_text_around_or_cannot_be_seen_are_shown_as_such() -> None:
    page = html_page(named("\u202eevil\x1b[2J\u200b"))
    assert "<bdi>\ufffdevil\ufffd[2J\ufffd</bdi>" in page
    assert not {"\u202e", "\x1b", "\u200b"} & set(page)


def test_a_task_type_turns_no_text_around() -> None:
    step = answered(1, profile={"task_type": "\u202eedoc\x00"}, loss={"mean": 0.0, "low": -0.1, "high": 0.1})
    assert not {"\u202e", "\x00"} & set(html_page(reported(step)))


def test_unknown_is_a_word_and_never_zero() -> None:
    text = Read(html_page(reported(record(1, call("small", cost_usd=None, taken=True))))).text
    assert "plus 1 call of unknown price" in text
    assert "not known" in text
    assert "1 call of unknown price" in text


def test_an_empty_ledger_says_what_to_do() -> None:
    page = html_page(reported("nonsense"))
    read = Read(page)
    assert not read.open
    assert "No steps in this time" in read.text
    assert "taskrouter report --since all" in read.text
    assert "1 row of the ledger could not be read" in read.text
