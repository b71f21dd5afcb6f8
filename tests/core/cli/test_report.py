"""`taskrouter report`: the page, JSON and CSV from the ledger that is kept here."""

from __future__ import annotations

import csv
import json
import time
from pathlib import Path

import pytest
from tests.core.sharing_workers import ask, breaker, shared_router

URL = "sqlite:///taskrouter.db"


@pytest.fixture
def kept(folder: Path) -> Path:
    """A folder with the ledger of four steps."""
    with shared_router(f"sqlite:///{folder}/taskrouter.db") as router:
        for failing in ("", "", "first", ""):
            ask(router, failing=failing, agent="clerk", tenant="acme" if failing else "globex")
    return folder


def test_the_page_is_written_and_the_answer_is_said(command, kept: Path) -> None:
    ran = command("report")
    assert ran.code == 0
    assert ran.out.splitlines()[0].startswith("4 steps, $")
    assert "against first, net of every extra call: 0.0 % (too few runs for an interval)" in ran.out
    assert "0 unanswered, 0 refused, 1 by a fallback; breakers open: none" in ran.out
    assert ran.err.strip() == "written: report.html"
    assert (kept / "report.html").read_text(encoding="utf-8").startswith("<!doctype html>")


def test_a_breaker_that_is_open_is_said(command, kept: Path) -> None:
    with shared_router(URL) as router:
        for _ in range(2):
            ask(router, failing="first")
        assert breaker(router) == "open"
    ran = command("report", "--json")
    (opened,) = json.loads(ran.out)["breakers"]
    assert (opened["endpoint"], opened["now"], opened["opened"]) == ("first", "open", 1)
    assert "breakers open: first" in command("report").out


def test_a_breaker_is_not_open_until_a_day_to_come(command, kept: Path) -> None:
    with shared_router(URL) as router:
        for _ in range(2):
            ask(router, failing="first")
    (opened,) = json.loads(command("report", "--json", "--until", "9999-12-31T23:59:59-12:00").out)["breakers"]
    assert opened["out_s"] < 3600


def test_a_time_before_all_calendars_is_the_beginning(command, kept: Path) -> None:
    ran = command("report", "--since", "0001-01-01T00:00:00+14:00")
    assert (ran.code, ran.err.strip()) == (0, "written: report.html")
    assert ran.out.startswith("4 steps")


def test_json_is_the_report_and_writes_no_page(command, kept: Path) -> None:
    ran = command("report", "--json", "--state", URL)
    document = json.loads(ran.out)
    assert (ran.code, ran.err) == (0, "")
    assert (document["steps"]["total"], document["steps"]["fallback"]) == (4, 1)
    assert not (kept / "report.html").exists()


def test_json_csv_and_page_go_together(command, kept: Path) -> None:
    ran = command("report", "--json", "--csv", "tables", "--out", "page.html")
    assert json.loads(ran.out)["steps"]["total"] == 4
    assert (kept / "page.html").exists()
    assert ran.err.split() == ["written:", "tables", "written:", "page.html"]
    with (kept / "tables" / "tenant.csv").open(encoding="utf-8") as file:
        assert {row["tenant"]: row["steps"] for row in csv.DictReader(file)} == {"acme": "1", "globex": "3"}


def test_a_csv_file_has_every_step(command, kept: Path) -> None:
    assert command("report", "--csv", "steps.csv").code == 0
    with (kept / "steps.csv").open(encoding="utf-8") as file:
        assert [row["status"] for row in csv.DictReader(file)] == ["ok", "ok", "fallback", "ok"]


def test_it_is_narrowed_to_a_tenant_an_agent_and_a_time(command, kept: Path) -> None:
    def steps(*options: str) -> int:
        return int(json.loads(command("report", "--json", *options).out)["steps"]["total"])

    assert steps("--tenant", "acme") == 1
    assert steps("--agent", "nobody") == 0
    assert steps("--since", "1h") == steps("--since", "all") == steps("--since", "2020-01-01") == 4
    assert steps("--since", "all", "--until", "1h") == 0
    tomorrow = time.strftime("%Y-%m-%dT%H:%M:%S+00:00", time.gmtime(time.time() + 86_400))
    assert steps("--until", tomorrow) == 4


def test_an_empty_time_is_no_error_and_says_what_to_do(command, kept: Path) -> None:
    ran = command("report", "--since", "all", "--until", "2020-01-01")
    assert ran.code == 0
    assert "no steps in this time: try --since all" in ran.out
    assert "No steps in this time" in (kept / "report.html").read_text(encoding="utf-8")
    ran = command("report", "--agent", "nobody", "--tenant", "acme")
    assert "no steps of tenant 'acme' and agent 'nobody' in this time" in ran.out


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--since", "yesterday"], "--since 'yesterday': it must be a time such as 30m, 12h, 7d"),
        (["--since", "99999999999999d"], "--since '99999999999999d': it must be a time"),
        (["--until", "0001-01-01T00:00:00+14:00"], "--until"),
        (["--since", "1h", "--until", "2h"], "--since '1h' is not before --until '2h'"),
        (["--state", "sqlite:///none.db"], "there is no state file none.db"),
        (["--state", "memory:"], "memory: is the state of a process"),
        (["--out", "none/report.html"], "--out none/report.html: cannot be written"),
        (["--csv", "none/steps.csv"], "--csv none/steps.csv: cannot be written"),
    ],
)
def test_what_is_wrong_is_said_in_a_line(command, kept: Path, options: list[str], said: str) -> None:
    ran = command("report", *options)
    assert ran.code == 2
    assert ran.err.startswith("taskrouter: ")
    assert said in ran.err
    assert len(ran.err.splitlines()) == 1


def test_without_a_ledger_it_says_how_to_keep_one(command, folder: Path) -> None:
    ran = command("report")
    assert ran.code == 2
    assert '[state] url = "sqlite:///taskrouter.db"' in ran.err
