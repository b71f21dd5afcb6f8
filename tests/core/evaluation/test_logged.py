"""Reading a ledger for replay: labels joined, and what cannot be used counted."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import pytest
from tests.core.evaluation.ledgers import file_of, logged, record

from taskrouter import ConfigurationError
from taskrouter.evaluation.logged import IN_WORDS, read_log
from taskrouter.state.opening import open_store


def scores(folder: Path, *documents: Any) -> list[float | None]:
    return [one.score for one in read_log(file_of(folder, *documents)).decisions]


def test_a_store_gives_decisions_with_what_was_said_of_them(tmp_path: Path) -> None:
    log = read_log(logged(tmp_path, steps=20, labelled=0.5))
    known = [one for one in log.decisions if one.score is not None]
    assert len(log.decisions) == 20
    assert 0 < len(known) == log.labels < 20
    assert {one.score for one in known} <= {0.0, 1.0}
    assert log.skipped == {}


def test_a_file_has_labels_in_its_records_or_beside_them(tmp_path: Path) -> None:
    inside = record(1, labels=[{"score": 0.25}])
    beside = {"decision_id": record(2)["id"], "score": 0.75, "source": "user"}
    assert scores(tmp_path, beside, inside, record(2), record(3)) == [0.25, 0.75, None]


def test_a_zipped_file_is_read_too(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl.gz"
    path.write_bytes(gzip.compress(Path(file_of(tmp_path, record(1))).read_bytes()))
    assert len(read_log(str(path)).decisions) == 1


def test_several_labels_of_a_decision_are_one_weighted_mean(tmp_path: Path) -> None:
    labels = [{"score": 1.0, "source": "user"}, {"score": 0.0, "source": "node_error"}]
    log = read_log(file_of(tmp_path, record(1, labels=labels), record(2, labels=[{"score": 1}, {"score": 0.75}])))
    assert [one.score for one in log.decisions] == [1.0 / 1.25, 0.875]
    assert (log.labels, log.contradictory) == (4, 1)


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        (record(2, v=2), "other_version"),
        ({key: value for key, value in record(2).items() if key != "v"}, "other_version"),
        (record(2, propensity=None), "no_propensity"),
        ({key: value for key, value in record(2).items() if key != "propensity"}, "no_propensity"),
        (record(2, propensity=0.0), "unreadable"),
        (record(2, outcome={"model": "large", "cost_usd": -1}), "unreadable"),
        (record(2, id="7"), "unreadable"),
        ([1, 2], "unreadable"),
        (record(1), "repeated"),
        (record(2, labels=[{"score": 1.5}]), "label_out_of_range"),
        (record(2, labels=[{"score": float("nan")}]), "label_out_of_range"),
        (record(2, labels=[{"score": "good"}]), "label_out_of_range"),
        (record(2, labels=[{}]), "label_out_of_range"),
        (record(2, labels=["good"]), "label_unreadable"),
        (record(2, labels=[{"score": 1, "source": 7}]), "label_unreadable"),
        (record(2, labels=[{"score": 1, "share": 0}]), "label_without_weight"),
        ({"decision_id": "dec_ffffffffffffffff", "score": 1}, "label_of_unknown_decision"),
        ({"decision_id": 7, "score": 1}, "label_unreadable"),
    ],
    ids=str,
)
def test_what_cannot_be_used_is_counted_by_reason(tmp_path: Path, document: Any, reason: str) -> None:
    log = read_log(file_of(tmp_path, record(1, labels=[{"score": 1.0}]), document))
    assert log.skipped == {reason: 1}
    assert log.decisions[0].score in (1.0, None)


def test_every_reason_is_said_in_words() -> None:
    assert all(IN_WORDS.values())


@pytest.mark.parametrize(
    ("documents", "said"),
    [
        ([record(1, propensity=None), record(2, propensity=None)], "skipped: 2 records without a propensity"),
        ([record(1, v=7)], "skipped: 1 records of another schema version than 1"),
        ([], r"is `\[state\] decisions` above 0"),
    ],
    ids=str,
)
def test_a_ledger_of_which_nothing_can_be_used_is_an_error(tmp_path: Path, documents: list[Any], said: str) -> None:
    with pytest.raises(ConfigurationError, match=f"holds no decision that can be replayed.*{said}"):
        read_log(file_of(tmp_path, *documents))


def test_a_line_that_is_no_json_is_named_and_not_quoted(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    path.write_text('{"v": 1}\nsecret nonsense\n', encoding="utf-8")
    with pytest.raises(ConfigurationError) as refused:
        read_log(str(path))
    assert str(refused.value) == f"{path}:2: not a JSON document"


def test_a_store_that_is_not_there_is_not_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    missing = tmp_path / "missing.db"
    monkeypatch.setenv("LEDGER", f"sqlite:///{missing}")
    for source in (f"sqlite:///{missing}", "env:LEDGER"):
        with pytest.raises(ConfigurationError, match="there is no state file"):
            read_log(source)
    assert not missing.exists()
    with pytest.raises(ConfigurationError, match=r"nothing\.jsonl: cannot be read"):
        read_log(str(tmp_path / "nothing.jsonl"))
    with pytest.raises(ConfigurationError, match="ends with it"):
        read_log("memory:")


def test_damaged_records_of_a_store_are_counted_and_a_label_that_was_written_twice_counts_once(tmp_path: Path) -> None:
    url = logged(tmp_path, steps=5)
    store = open_store(url)
    (first, *_) = store.read("feedback")
    store.append("feedback", [first.text, "nonsense"])
    store.append("decisions", ["nonsense", "[]"])
    store.close()
    log = read_log(url)
    assert (len(log.decisions), log.labels) == (5, 5)
    assert log.skipped == {"unreadable": 2, "label_unreadable": 1}
