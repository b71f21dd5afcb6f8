"""Files that are none, and runs that are broken off: one line on standard error, an exit code, no traceback."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

CONFIG = '[router]\nincumbent = "large"\n[[models]]\nid = "large"\nmodel = "openai/gpt-4o"\n'
NUMBER = '{"id":"1","messages":[{"role":"user","content":"hi"}],"outcomes":{"a":{"score":1,"cost_usd":1%s}}}'
ODD = {
    "missing": None,
    "a folder": "",
    "empty": b"",
    "one line that is no JSON": b"nonsense\n",
    "no text": b"\xff\xfe\x00",
    "damaged gzip": b"\x1f\x8bxxxx",
    "another shape": b'{"id": [], "messages": "x", "outcomes": [], "context": 5}\n',
    "a number beyond all bounds": NUMBER.replace("%s", "0" * 5000).encode(),
    "nested without end": b'{"id":"1","messages":' + b"[" * 100_000 + b"]" * 100_000 + b"}\n",
}
COMMANDS = {
    "tune": ("tune", "odd"),
    "evaluate": ("evaluate", "odd", "--split", "0.5"),
    "replay": ("replay", "odd", "--config", "good.toml"),
    "calibrate": ("calibrate", "--suite", "odd", "--config", "good.toml"),
    "import": ("import", "routellm", "odd"),
    "route": ("route", "hi", "--config", "odd"),
}


@pytest.mark.parametrize("content", ODD.values(), ids=ODD)
@pytest.mark.parametrize("arguments", COMMANDS.values(), ids=COMMANDS)
def test_a_file_that_is_none_of_ours_is_one_line_and_exit_code_2(
    command, folder: Path, arguments: tuple[str, ...], content: bytes | str | None
) -> None:
    (folder / "good.toml").write_text(CONFIG, encoding="utf-8")
    if isinstance(content, bytes):
        (folder / "odd").write_bytes(content)
    elif content is not None:
        (folder / "odd").mkdir()
    ran = command(*arguments)
    assert (ran.code, ran.out) == (2, "")
    assert ran.err.startswith("taskrouter: ")
    assert ran.err.count("\n") == 1
    assert "odd" in ran.err


@pytest.mark.parametrize("models", [",", "", " , "])
def test_candidates_that_name_no_model_are_refused(command, good: Path, models: str) -> None:
    ran = command("calibrate", "--suite", "cases.jsonl", "--config", str(good), "--models", models)
    assert (ran.code, ran.out) == (2, "")
    assert "it names no model" in ran.err


def test_models_that_some_prompts_lack_are_said_and_left_out(command, folder: Path) -> None:
    lines = []
    for number in range(10):
        outcomes = {"a": {"score": 1, "cost_usd": 0.1}, "b": {"score": 1, "cost_usd": 0.01}}
        if not number:
            del outcomes["b"]
        messages = [{"role": "user", "content": f"hi {number}"}]
        lines.append(json.dumps({"id": str(number), "messages": messages, "outcomes": outcomes}))
    (folder / "some.jsonl").write_text("\n".join(lines), encoding="utf-8")
    ran = command("evaluate", "some.jsonl", "--split", "0.5")
    assert ran.code == 0
    assert ran.err == "warning: left out, for want of outcomes on every prompt: b\n"


def test_ctrl_c_is_one_line_and_the_exit_code_of_shells(command, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken_off(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("taskrouter.cli.route.load_config", broken_off)
    assert command("route", "hi") == (130, "", "taskrouter: interrupted\n")
