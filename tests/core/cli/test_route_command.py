"""`taskrouter route`: a decision for a prompt, in words and in JSON."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

PROMPT = "Write a Python function that reverses a string."


def test_it_explains_the_decision_and_says_where_the_pool_is_from(command, good: Path) -> None:
    ran = command("route", PROMPT, "--config", str(good))
    assert ran.code == 0
    assert ran.out.startswith("decision  dec_")
    for expected in ("  large  (incumbent)", "code_generation", "ranking", "small", "house", "cost unknown"):
        assert expected in ran.out
    assert ran.err == f"pool: {good}\n"
    assert "Python function" not in ran.out


def test_json_is_one_document_and_nothing_else(command, good: Path) -> None:
    ran = command("route", PROMPT, "--config", str(good), "--json")
    document = json.loads(ran.out)
    assert (ran.code, ran.err) == (0, "")
    assert document["model"] == "large"
    assert document["profile"]["task_type"] == "code_generation"
    assert document["ranking"][0]["model"] == "large"


def test_without_a_configuration_a_sample_pool_is_used(command) -> None:
    ran = command("route", PROMPT)
    assert ran.code == 0
    assert "pool: a sample pool (no taskrouter.toml here)" in ran.err


def test_the_configuration_of_the_folder_is_found(command, good: Path) -> None:
    good.rename("taskrouter.toml")
    assert "pool: taskrouter.toml" in command("route", PROMPT).err


def test_a_dash_reads_the_prompt_from_standard_input(command) -> None:
    piped = json.loads(command("route", "-", "--json", stdin="Übersetze das ins Französische: guten Tag".encode()).out)
    assert piped["profile"]["task_type"] == "translation"


def test_what_is_no_text_on_standard_input_is_refused(command) -> None:
    assert command("route", "-", stdin=b"\xff\xfe\x00") == (2, "", "taskrouter: standard input: it is not UTF-8 text\n")


def test_a_prompt_of_megabytes_is_one_clear_error(process) -> None:
    ran = process("route", "-", stdin=b"word " * 1_000_000)
    assert (ran.code, ran.out) == (1, "")
    assert ran.err.startswith("taskrouter: no model can take this step: 'small': the step has about 1,250,000 tokens")
    assert ran.err.count("\n") == 1


def test_a_system_prompt_may_stand_in_a_file(command, folder: Path) -> None:
    text = "You are a strict reviewer. Verify the claim."
    (folder / "system.txt").write_text(text, encoding="utf-8")
    direct = json.loads(command("route", "The sky is blue.", "--system", text, "--json").out)
    from_file = json.loads(command("route", "The sky is blue.", "--system", "@system.txt", "--json").out)
    assert from_file["profile"] == direct["profile"]
    assert direct["profile"] != json.loads(command("route", "The sky is blue.", "--json").out)["profile"]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("nowhere.txt", "--system: nowhere.txt: cannot be read: No such file or directory"),
        ("", "--system: .: cannot be read: Is a directory"),
        ("binary.txt", "--system: binary.txt: cannot be read: it is not UTF-8 text"),
    ],
)
def test_a_system_prompt_that_cannot_be_read_is_one_line(command, folder: Path, name: str, message: str) -> None:
    (folder / "binary.txt").write_bytes(b"\xff\xfe")
    assert command("route", "hi", "--system", f"@{name}") == (2, "", f"taskrouter: {message}\n")


def test_another_policy_may_be_tried(command, good: Path) -> None:
    good.write_text('policy = { name = "safe", quality_floor = 0.1 }\n' + good.read_text(encoding="utf-8"))
    chosen = json.loads(command("route", PROMPT, "-c", str(good), "--policy", "economy", "--json").out)
    assert (chosen["policy"], chosen["model"], chosen["reason"]) == ("economy", "small", "cheapest_above_floor")


def test_the_configured_limits_hold_for_the_other_policy_too(command, good: Path) -> None:
    good.write_text('policy = { name = "safe", quality_floor = 1.0 }\n' + good.read_text(encoding="utf-8"))
    chosen = json.loads(command("route", PROMPT, "-c", str(good), "--policy", "economy", "--json").out)
    assert chosen["model"] == "large"


def test_configured_weights_may_be_named(command, good: Path) -> None:
    good.write_text("policy = { cost = 1 }\n" + good.read_text(encoding="utf-8"))
    for arguments in ((), ("--policy", "weighted")):
        chosen = json.loads(command("route", PROMPT, "-c", str(good), *arguments, "--json").out)
        assert (chosen["policy"], chosen["model"]) == ("weighted", "small")


def test_task_agent_and_node_may_be_declared(command, good: Path) -> None:
    ran = command(
        "route", "hi", "-c", str(good), "--task", "planning", "--agent", "boss", "--node", "planner", "--json"
    )
    document = json.loads(ran.out)
    assert document["profile"]["task_type"] == "planning"
    assert document["profile"]["evidence"] == "declared"
    assert (document["rule"], document["model"]) == ("planner", "small")
    assert document["context"]["agent"] == "boss"


@pytest.mark.parametrize(
    ("arguments", "start"),
    [
        (("--task", "plannin"), "taskrouter: unknown task type 'plannin': did you mean 'planning'?"),
        (("--policy", "cheapest"), "taskrouter: good.toml: policy: unknown name 'cheapest'; known: balanced"),
        (("--policy", "weighted"), "taskrouter: policy: name = 'weighted' and a table `weights` go together"),
    ],
)
def test_a_wrong_argument_is_one_line_and_exit_code_2(
    command, good: Path, arguments: tuple[str, ...], start: str
) -> None:
    ran = command("route", "hi", "-c", "good.toml", *arguments)
    assert (ran.code, ran.out) == (2, "")
    assert ran.err.startswith(start)
    assert ran.err.count("\n") == 1
