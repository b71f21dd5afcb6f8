"""`taskrouter explain`: a decision of the past, and where its ledger is found."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.core.cli.routed import ask, kept, records, written

from taskrouter import Step
from taskrouter.state.opening import open_store


@pytest.fixture
def ledger(folder: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The address of a ledger of three steps, in the folder where commands run."""
    monkeypatch.delenv("TASKROUTER_STATE_URL", raising=False)
    return written(folder)


def test_a_decision_is_explained_with_what_came_of_it(command, ledger: str) -> None:
    first = records(ledger)[0]
    ran = command("explain", first.id)
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.startswith(f"decision  {first.id}  small  (cheaper_within_loss)\nwhy       ")
    for expected in (
        ", agent clerk, node extract\n",
        "outcome   ok by small in ",
        "   1. small  primary ok, taken, 1,000 tokens in and 100 out, $0.001100, ",
        "money     $0.001100 for 1 call; large would have cost $0.011000 for the same answer, 90 % saved\n",
        "label     none\n",
    ):
        assert expected in ran.out


def test_the_newest_decision_is_the_last_one(command, ledger: str) -> None:
    ran = command("explain", "last")
    assert ran.out.startswith(f"decision  {records(ledger)[-1].id}  small  ")
    assert "outcome   fallback by large in " in ran.out
    assert "   1. small  primary failed (rate_limited), " in ran.out


def test_eight_characters_of_an_id_are_enough(command, ledger: str) -> None:
    wanted = records(ledger)[1].id
    for given in (wanted[:12], wanted.removeprefix("dec_"), wanted[4:12].upper(), f" {wanted} "):
        assert command("explain", given).out.startswith(f"decision  {wanted}  ")


def test_json_is_the_record_with_its_price_and_labels(command, ledger: str) -> None:
    wanted = records(ledger)[0].id
    with kept(ledger) as router:
        router.feedback(wanted, score=0.25)
    document = json.loads(command("explain", wanted, "--json").out)
    assert document["id"] == wanted
    assert document["baseline_usd"] == pytest.approx(0.011)
    assert [label["score"] for label in document["labels"]] == [0.25]
    assert document["explained"]["ranking"][0]["plan"]["models"] == ["small"]
    assert "label     0.25 by user at " in command("explain", wanted).out


def test_an_unknown_id_says_how_much_there_is(command, ledger: str) -> None:
    ran = command("explain", "dec_0123456789abcdef")
    assert (ran.code, ran.out) == (1, "")
    assert ran.err.startswith(
        "taskrouter: sqlite:///taskrouter.db: no decision begins with dec_0123456789abcdef among its 3 decisions since "
    )
    assert ran.err.count("\n") == 1


def test_an_id_that_is_not_unique_is_not_guessed(command, ledger: str) -> None:
    text = records(ledger)[0].model_dump_json()
    first = records(ledger)[0].id
    twin = f"{first[:12]}{'0' * 8}"
    store = open_store(ledger)
    store.append("decisions", [text.replace(first, twin)])
    store.close()
    ran = command("explain", first[:12])
    assert ran.code == 1
    assert ran.err == f"taskrouter: 2 decisions begin with {first[:12]}: {', '.join(sorted([first, twin]))}\n"
    assert command("explain", twin).code == 0


@pytest.mark.parametrize("given", ["dec_abc", "latest", "dec_0123456789abcdef0", "../../etc", ""])
def test_what_is_no_id_is_a_mistake_in_usage(command, ledger: str, given: str) -> None:
    ran = command("explain", given)
    assert (ran.code, ran.out) == (2, "")
    assert ran.err.startswith(f"taskrouter: {given!r} is no id of a decision: ")


def test_an_empty_ledger_says_so(command, folder: Path) -> None:
    open_store(f"sqlite:///{folder}/empty.db").close()
    for given in ("last", "0123456789abcdef"):
        ran = command("explain", given, "--state", "sqlite:///empty.db")
        assert (ran.code, ran.err) == (1, "taskrouter: sqlite:///empty.db: there is no decision in it yet\n")


def test_rows_that_cannot_be_read_are_no_reason_to_stop(command, ledger: str) -> None:
    store = open_store(ledger)
    store.append("decisions", ["{", '{"v": 1, "id": "dec_0123456789abcdef", "at_s": NaN}', "\x00" * 100, "[]"])
    store.close()
    assert command("explain", "last").out.startswith(f"decision  {records(ledger)[-1].id}")
    assert command("explain", "dec_0123456789abcdef").code == 1


def test_the_newest_step_goes_before_the_trials_beside_it(command, ledger: str) -> None:
    step = records(ledger)[-1]
    trial = step.model_copy(update={"id": "dec_0123456789abcdef", "policy": "trial"})
    store = open_store(ledger)
    store.append("decisions", [trial.model_dump_json()])
    store.close()
    assert command("explain", "last").out.startswith(f"decision  {step.id}")
    assert " of a trial, which answers nobody" in command("explain", trial.id).out


def configured(folder: Path, name: str, state: str) -> str:
    path = folder / name
    path.write_text(f'[router]\nincumbent = "a"\n[[models]]\nid = "a"\n[state]\n{state}\n', encoding="utf-8")
    return str(path)


def test_the_ledger_is_found_by_what_is_named_then_by_what_is_around(
    command, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TASKROUTER_STATE_URL", raising=False)

    def made(name: str) -> str:
        (folder / name).mkdir()
        written(folder / name)
        return f"sqlite:///{folder}/{name}/taskrouter.db"

    def read(*arguments: str) -> str:
        ran = command("explain", "last", *arguments, "--json")
        assert ran.code == 0, ran.err
        return str(json.loads(ran.out)["id"])

    urls = {name: made(name) for name in ("state", "config", "folder", "variable", "here")}
    ids = {name: records(url)[-1].id for name, url in urls.items()}
    (folder / "here" / "taskrouter.db").rename(folder / "taskrouter.db")
    assert read() == ids["here"]
    monkeypatch.setenv("TASKROUTER_STATE_URL", urls["variable"])
    assert read() == ids["variable"]
    configured(folder, "taskrouter.toml", 'url = "memory:"')
    assert read() == ids["variable"]
    configured(folder, "taskrouter.toml", f'url = "{urls["folder"]}"')
    assert read() == ids["folder"]
    other = configured(folder, "other.toml", f'url = "{urls["config"]}"')
    assert read("--config", other) == ids["config"]
    assert read("--config", other, "--state", urls["state"]) == ids["state"]


def test_the_namespace_is_the_configurations_unless_it_is_named(command, folder: Path) -> None:
    url = f"sqlite:///{folder}/shared.db"
    with kept(url, state={"url": url, "namespace": "blue"}) as router:
        blue = ask(router)
    config = configured(folder, "blue.toml", f'url = "{url}"\nnamespace = "blue"')
    for named in (("--config", config), ("--state", url, "--namespace", "blue"), ("--config", config, "--state", url)):
        assert command("explain", "last", *named).out.startswith(f"decision  {blue}")
    ran = command("explain", "last", "--config", config, "--namespace", "green")
    assert (ran.code, ran.err) == (1, f"taskrouter: {url}, namespace green: there is no decision in it yet\n")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            (),
            'no ledger is kept here: keep one with [state] url = "sqlite:///taskrouter.db" in taskrouter.toml, '
            "or set TASKROUTER_STATE_URL=sqlite:///taskrouter.db for the application and this command, "
            "or name one that is there: --state",
        ),
        (("--state", "sqlite:///nowhere.db"), "there is no state file nowhere.db"),
        (("--state", "env:NOWHERE"), "the store's address is 'env:NOWHERE', but NOWHERE is not set"),
        (
            ("--config", "plain.toml"),
            'plain.toml: it keeps its state in memory; keep one with [state] url = "sqlite:///taskrouter.db", '
            "in this file",
        ),
    ],
)
def test_without_a_ledger_one_line_says_what_to_do(
    command, folder: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], message: str
) -> None:
    monkeypatch.delenv("TASKROUTER_STATE_URL", raising=False)
    (folder / "plain.toml").write_text('[[models]]\nid = "a"\n', encoding="utf-8")
    assert command("explain", "last", *arguments) == (2, "", f"taskrouter: {message}\n")
    assert not (folder / "nowhere.db").exists()


def test_an_address_with_a_password_is_not_shown(command, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TASKROUTER_STATE_URL", "redis://:hunter2@127.0.0.1:1/0")
    for arguments in ((), ("--state", "redis://:hunter2@127.0.0.1:1/0")):
        ran = command("explain", "last", *arguments)
        assert ran.code == 1
        assert ran.err.count("\n") == 1
        assert "hunter2" not in ran.out + ran.err


def test_nothing_of_prompts_answers_and_errors_is_shown(command, folder: Path) -> None:
    url = f"sqlite:///{folder}/taskrouter.db"
    secret = "kanarienvogel-7731"

    def call(model: str) -> dict[str, object]:
        if model == "small":
            raise ConnectionError(f"refused {secret}")
        return {"choices": [{"message": {"content": secret}, "finish_reason": "stop"}]}

    with kept(url) as router:
        messages = [{"role": "user", "content": f"Translate {secret}"}]
        router.run(Step(messages=messages, task_type="extraction", payload={"user": secret}), call)
    shown = [command(*arguments) for arguments in (("explain", "last"), ("explain", "last", "--json"), ("top",))]
    assert [ran.code for ran in shown] == [0, 0, 0]
    assert "fallback by large" in shown[0].out
    assert secret not in "".join(ran.out + ran.err for ran in shown)
