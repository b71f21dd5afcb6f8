"""`taskrouter check`: whether a configuration is right, and what may surprise in it."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import jsonschema
import pytest


def test_a_good_file_is_summed_up_in_a_line(command, good: Path) -> None:
    ran = command("check", "-c", "good.toml")
    assert (ran.code, ran.err) == (0, "")
    first, *notes = ran.out.splitlines()
    assert first == "good.toml: good. 3 models, incumbent 'large', policy 'safe', 1 rules."
    assert len(notes) == 3
    assert all(note.startswith("  note: 'house' ") for note in notes)


def test_what_may_surprise_is_noted(command, good: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    notes = json.loads(command("check", "-c", "good.toml", "--json").out)["notes"]
    assert [text for text in notes if "HOUSE_KEY, which is not set" in text]
    monkeypatch.setenv("HOUSE_KEY", "sk-something")
    ran = command("check", "-c", "good.toml", "--json")
    document = json.loads(ran.out)
    assert [note.split(":")[0] for note in document["notes"]] == [
        "'house' has no known price",
        "'house' has no known context window",
    ]
    assert "sk-something" not in ran.out


def test_json_says_what_the_router_made_of_it(command, good: Path) -> None:
    document = json.loads(command("check", "-c", "good.toml", "--json").out)
    assert document["ok"] is True
    assert document["models"] == ["small", "large", "house"]
    assert (document["incumbent"], document["policy"], document["source"]) == ("large", "safe", "good.toml")


@pytest.mark.parametrize("options", [(), ("--json",)])
@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b'[router]\nincumbant = "a"\n', "unknown key 'router.incumbant'; did you mean 'incumbent'?"),
        (b"x = [", "not valid TOML: Invalid value (at end of document)"),
        (b"\xff\xfe", "cannot be read: it is not UTF-8 text"),
        (b"", "no model to route to: give at least one in `models` (or [[models]])"),
        (
            b'[[models]]\nid = "openai/gpt-4o"\n[router]\nincumbent = "x"\n',
            "incumbent: unknown model 'x'; the pool has",
        ),
        (
            b'[[models]]\nid = "openai/gpt-4o"\n[[rules]]\nname = "r"\navoid = ["y"]\n',
            "rules[0] ('r').avoid: unknown model 'y'; the pool has openai/gpt-4o",
        ),
        (b'policy = "chepest"\n[[models]]\nid = "openai/gpt-4o"\n', "policy: unknown name 'chepest'; known: balanced"),
        (b'[[models]]\nid = "house/own"\n', "models[0].model: 'house/own' is not in the catalogue"),
    ],
)
def test_a_wrong_file_is_one_line_that_names_file_and_key(
    command, folder: Path, content: bytes, message: str, options: tuple[str, ...]
) -> None:
    (folder / "wrong.toml").write_bytes(content)
    ran = command("check", "-c", "wrong.toml", *options)
    assert (ran.code, ran.out) == (2, "")
    assert ran.err.startswith(f"taskrouter: wrong.toml: {message}")
    assert ran.err.count("\n") == 1


def test_a_file_that_is_not_there_is_one_line(command) -> None:
    message = "taskrouter: nowhere.toml: cannot be read: No such file or directory\n"
    assert command("check", "-c", "nowhere.toml") == (2, "", message)


def test_the_schema_is_a_json_schema_that_takes_the_file(command, good: Path) -> None:
    ran = command("check", "--schema")
    schema = json.loads(ran.out)
    assert (ran.code, ran.err) == (0, "")
    jsonschema.Draft202012Validator.check_schema(schema)
    assert schema["$schema"] == jsonschema.Draft202012Validator.META_SCHEMA["$id"]
    jsonschema.validate(tomllib.loads(good.read_text(encoding="utf-8")), schema)
    with pytest.raises(jsonschema.ValidationError, match="modles"):
        jsonschema.validate({"modles": []}, schema)
