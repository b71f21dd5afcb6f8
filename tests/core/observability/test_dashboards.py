"""The dashboard and the alert rules ask for what a scrape of our metrics returns."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families
from tests.core.observability.promql import grouping, selections
from tests.core.observability.recorder import Recorder
from tests.core.observability.scenarios import play
from tests.docs.pages import ROOT

from taskrouter.observability.conventions import NEWEST, SWITCH
from taskrouter.observability.metric_table import METRICS
from taskrouter.observability.prometheus import ScrapePage

FOLDER = ROOT / "docs" / "dashboards"
BOARD: Mapping[str, Any] = json.loads((FOLDER / "grafana.json").read_text(encoding="utf-8"))
RULES = [
    rule
    for group in yaml.safe_load((FOLDER / "alerts.yaml").read_text(encoding="utf-8"))["groups"]
    for rule in group["rules"]
]
PANELS = [panel for panel in BOARD["panels"] if panel["type"] != "row"]
VARIABLES = {variable["name"]: variable for variable in BOARD["templating"]["list"]}
LABEL_VALUES = re.compile(r"label_values\((?P<metric>\w+), (?P<label>\w+)\)")

Scrape = Mapping[str, frozenset[str]]
"""The labels of every sample, by the sample's name."""


@pytest.fixture(scope="module")
def scrape(tmp_path_factory: pytest.TempPathFactory) -> Scrape:
    """What Prometheus gets of steps of every kind, under either version of the conventions."""
    seen: dict[str, frozenset[str]] = {}
    for switch in ("", NEWEST):
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv(SWITCH, switch)
            seen |= _scraped(tmp_path_factory.mktemp("scraped"))
    return seen


def _scraped(directory: Path) -> dict[str, frozenset[str]]:
    page = ScrapePage(0)
    recorder = Recorder(page.reader)
    play(recorder, directory)
    with urlopen(page.url, timeout=30) as response:  # noqa: S310 - our own page on loopback
        families = text_string_to_metric_families(response.read().decode())
    page.close()
    seen: dict[str, frozenset[str]] = {}
    for sample in (sample for family in families for sample in family.samples):
        seen[sample.name] = seen.get(sample.name, frozenset()) | frozenset(sample.labels)
    recorder.shutdown()
    return seen


def _queries() -> Iterator[tuple[str, str]]:
    """Every query with the title of its panel or the name of its rule."""
    for panel in PANELS:
        for target in panel["targets"]:
            yield f"{panel['title']} {target['refId']}", _plain(target["expr"])
    for rule in RULES:
        yield rule["alert"], rule["expr"]


def _plain(expression: str) -> str:
    """Put in what Grafana puts in for its variables."""
    expression = re.sub(r"\$__(rate_interval|range|interval)", "5m", expression)
    return re.sub(r"\$(\w+)", lambda found: VARIABLES[found[1]]["allValue"], expression)


QUERIES = list(_queries())


@pytest.mark.parametrize(("title", "query"), QUERIES, ids=[title for title, _ in QUERIES])
def test_a_query_asks_for_metrics_and_labels_that_are_there(scrape: Scrape, title: str, query: str) -> None:
    asked = selections(query)
    assert asked, title
    known: set[str] = set()
    for selection in asked:
        found = [name for name in scrape if selection.names.fullmatch(name)]
        assert found, f"{title}: no metric is named {selection.names.pattern}"
        missing = {name: selection.labels - scrape[name] for name in found if selection.labels - scrape[name]}
        assert missing == {}, title
        known |= frozenset[str].union(*(scrape[name] for name in found))
    assert grouping(query) <= known, title


def test_a_query_for_something_else_would_be_noticed(scrape: Scrape) -> None:
    (wrong,) = selections('rate({__name__=~"taskrouter_(cost|costs)_total", tenant="acme"}[5m])')
    assert wrong.labels == {"tenant"}
    assert [name for name in scrape if wrong.names.fullmatch(name)] == []
    assert grouping("sum by (le, a) (x) / on (b) group_left (c) sum without (d) (y)") == {"a", "b", "c", "d"}


def test_the_variables_have_values(scrape: Scrape) -> None:
    asked = [LABEL_VALUES.fullmatch(v["query"]["query"]) for v in VARIABLES.values() if v["type"] == "query"]
    assert len(asked) == 3
    assert all(found is not None and found["label"] in scrape[found["metric"]] for found in asked)


def test_every_metric_is_shown_or_alerted_on(scrape: Scrape) -> None:
    patterns = [selection.names for _, query in QUERIES for selection in selections(query)]
    seen = {name for name in scrape if any(pattern.fullmatch(name) for pattern in patterns)}
    # Cached tokens are a part of the input, and sizes of single calls are for looking into, not for a dashboard.
    unseen = {row.name for row in METRICS if not any(_of(name, row.name) for name in seen)}
    assert unseen == {
        "gen_ai.client.inference.usage.cache_read.input_tokens",
        "gen_ai.client.inference.operation.input_tokens",
        "gen_ai.client.inference.operation.output_tokens",
    }


def _of(sample: str, metric: str) -> bool:
    return re.fullmatch(metric.replace(".", "_") + r"(_seconds|_USD)?(_total|_bucket|_count|_sum)", sample) is not None


# --- the files ------------------------------------------------------------------------------------------------------


def test_every_panel_says_what_it_shows_and_in_what() -> None:
    lacking = [
        panel["title"] for panel in PANELS if not panel["description"] or not panel["fieldConfig"]["defaults"]["unit"]
    ]
    assert (len(PANELS) >= 20, lacking) == (True, [])


def test_panels_have_names_and_numbers_of_their_own_and_do_not_overlap() -> None:
    ids = [panel["id"] for panel in BOARD["panels"]]
    titles = [panel["title"] for panel in BOARD["panels"]]
    assert (len(set(ids)), len(set(titles))) == (len(ids), len(titles))
    cells = [
        (x, y)
        for place in (panel["gridPos"] for panel in BOARD["panels"])
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    ]
    assert len(set(cells)) == len(cells)
    assert max(x for x, _ in cells) < 24


def test_the_dashboard_belongs_to_no_site() -> None:
    assert (BOARD["id"], BOARD["uid"]) == (None, None)
    sources = [panel["datasource"] for panel in PANELS] + [t["datasource"] for p in PANELS for t in p["targets"]]
    sources += [v["datasource"] for v in VARIABLES.values() if v["type"] == "query"]
    assert {source["uid"] for source in sources} == {"${datasource}"}


def test_every_rule_says_what_is_wrong_and_what_to_do() -> None:
    names = [rule["alert"] for rule in RULES]
    assert len(set(names)) == len(names)
    for rule in RULES:
        assert re.fullmatch(r"\d+[mh]", rule["for"]), rule["alert"]
        assert rule["labels"]["severity"] in ("critical", "warning"), rule["alert"]
        assert set(rule["annotations"]) == {"summary", "description", "action"}, rule["alert"]
        used = set(re.findall(r"\$labels\.(\w+)", json.dumps(rule["annotations"])))
        assert used <= grouping(rule["expr"]), rule["alert"]
