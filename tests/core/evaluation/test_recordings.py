"""Reading recordings: what is taken, what is refused, and where the error is said to be."""

import json
from typing import Any

import pytest

from taskrouter.errors import ConfigurationError
from taskrouter.evaluation.recordings import read_recordings


def test_plain_and_gzipped_files_are_read_one_after_the_other(judged_file, learned_file):
    recording = read_recordings([judged_file, learned_file])
    assert [prompt.id for prompt in recording.prompts] == [
        "1",
        "2",
        "3",
        "4",
        "5",
        "6",
        "7",
        "8",
        "a",
        "b",
        "c",
        "d",
        "e",
    ]
    assert recording.models == ("big", "mid", "tiny")
    assert recording.dropped == ()
    first = recording.prompts[0]
    assert first.task == "code"
    assert first.step.messages == [{"role": "user", "content": "write a parser for dates"}]
    assert first.outcomes["mid"].score == 1.0
    assert first.outcomes["mid"].cost_usd == 0.002
    assert first.outcomes["mid"].answer is None


def test_fields_we_do_not_know_are_ignored_and_blank_lines_skipped(make_line, write_recording):
    row = make_line("1", "code", "x", 1, 1, 1, difficulty="high")
    row["outcomes"]["big"]["judge"] = "exact match"
    assert len(read_recordings([write_recording([row, "", "  "])]).prompts) == 1


def test_tools_become_part_of_the_step(make_line, write_recording):
    tool = {"type": "function", "function": {"name": "lookup", "parameters": {"type": "object", "properties": {}}}}
    prompt = read_recordings([write_recording([make_line("1", "code", "x", 1, 1, 1, tools=[tool])])]).prompts[0]
    assert prompt.step.tools == [tool]


def test_a_task_may_be_missing_and_a_number_may_be_an_id(make_line, write_recording):
    row = make_line(7, None, "x", 1, 1, 1)
    del row["task"]
    prompt = read_recordings([write_recording([row])]).prompts[0]
    assert (prompt.id, prompt.task) == ("7", None)


def test_models_that_not_every_prompt_has_are_dropped_by_name(make_line, write_recording):
    rows = [make_line("1", "code", "x", 1, 1, 1), make_line("2", "code", "y", 1, 1, 1)]
    del rows[1]["outcomes"]["mid"]
    recording = read_recordings([write_recording(rows)])
    assert recording.models == ("big", "tiny")
    assert recording.dropped == ("mid",)


def test_prompts_without_a_model_in_common_are_refused(make_line, write_recording):
    rows = [make_line("1", "code", "x", 1, 1, 1), make_line("2", "code", "y", 1, 1, 1)]
    rows[0]["outcomes"] = {"big": rows[0]["outcomes"]["big"]}
    rows[1]["outcomes"] = {"tiny": rows[1]["outcomes"]["tiny"]}
    with pytest.raises(ConfigurationError, match="no model has an outcome for all 2 prompts"):
        read_recordings([write_recording(rows)])


def test_an_id_may_come_back_in_another_file_but_not_in_the_same(make_line, write_recording):
    row = make_line("1", "code", "x", 1, 1, 1)
    one, other = write_recording([row], "one.jsonl"), write_recording([row], "other.jsonl")
    assert len(read_recordings([one, other]).prompts) == 2
    twice = write_recording([row, row], "twice.jsonl")
    with pytest.raises(ConfigurationError, match=r"twice\.jsonl:2: the id '1' stands on line 1 too"):
        read_recordings([twice])


def damaged(**changes: Any) -> str:
    row = {
        "id": "2",
        "task": "code",
        "messages": [{"role": "user", "content": "SECRET"}],
        "outcomes": {"big": {"score": 1.0, "cost_usd": 0.1}},
    }
    row.update(changes)
    return json.dumps(row)


@pytest.mark.parametrize(
    ("second_line", "complaint"),
    [
        ('{"id": "2", "messages"', "not a JSON document"),
        ('["a list"]', "the line"),
        (damaged(outcomes={"big": {"score": 1.5, "cost_usd": 0.1}}), "'outcomes.big.score'.*less than or equal to 1"),
        (
            damaged(outcomes={"big": {"score": -0.1, "cost_usd": 0.1}}),
            "'outcomes.big.score'.*greater than or equal to 0",
        ),
        (damaged(outcomes={"big": {"score": "1", "cost_usd": 0.1}}), "'outcomes.big.score'.*valid number"),
        (damaged(outcomes={"big": {"score": 1, "cost_usd": float("nan")}}), "'outcomes.big.cost_usd'|not a JSON"),
        (
            damaged(outcomes={"big": {"score": 1, "cost_usd": -1}}),
            "'outcomes.big.cost_usd'.*greater than or equal to 0",
        ),
        (damaged(outcomes={"big": {"score": 1}}), "'outcomes.big.cost_usd' is missing"),
        (damaged(outcomes={}), "'outcomes'"),
        (json.dumps({"id": "2", "messages": [{"role": "user", "content": "SECRET"}]}), "'outcomes' is missing"),
        (damaged(messages=[]), "'messages'"),
        (damaged(messages=[{"role": "wizard", "content": "SECRET"}]), "role 'wizard'"),
        (damaged(tools=[{"name": "lookup"}]), r"tools\[0\]"),
    ],
)
def test_a_malformed_line_is_named_by_file_and_number_and_never_quoted(
    make_line, write_recording, second_line, complaint
):
    path = write_recording([make_line("1", "code", "x", 1, 1, 1), second_line])
    with pytest.raises(ConfigurationError, match=rf"recording\.jsonl:2: .*({complaint})") as caught:
        read_recordings([path])
    assert "SECRET" not in str(caught.value)


def test_an_empty_file_is_refused_by_name(judged_file, write_recording):
    with pytest.raises(ConfigurationError, match=r"empty\.jsonl: holds no prompts"):
        read_recordings([judged_file, write_recording([], "empty.jsonl")])


def test_no_file_at_all_is_refused():
    with pytest.raises(ConfigurationError, match="no recording was given"):
        read_recordings([])


def test_a_missing_file_and_a_damaged_archive_are_named(tmp_path, learned_file):
    with pytest.raises(ConfigurationError, match=r"nowhere\.jsonl: cannot be read: No such file"):
        read_recordings([tmp_path / "nowhere.jsonl"])
    cut = tmp_path / "cut.jsonl.gz"
    cut.write_bytes(learned_file.read_bytes()[:-12])
    with pytest.raises(ConfigurationError, match=r"cut\.jsonl\.gz: cannot be read"):
        read_recordings([cut])
    cut.write_bytes(learned_file.read_bytes()[:20] + b"\x00" * 40)
    with pytest.raises(ConfigurationError, match=r"cut\.jsonl\.gz: cannot be read"):
        read_recordings([cut])


def test_a_split_is_a_partition_that_its_seed_repeats(judged_file):
    recording = read_recordings([judged_file])
    one, rest = recording.split(0.75, seed=3)
    assert (len(one.prompts), len(rest.prompts)) == (6, 2)
    assert {p.id for p in one.prompts} | {p.id for p in rest.prompts} == set("12345678")
    assert recording.split(0.75, seed=3) == (one, rest)
    with pytest.raises(ConfigurationError, match="leaves one part empty"):
        recording.split(0.01, seed=0)
