"""Where and how the simulator is served, and what it says when it cannot be."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import threading
from typing import Any

import httpx
import pytest
import typer
from typer.testing import CliRunner

from taskrouter.cli import output, simulate
from taskrouter.errors import ConfigurationError, MissingExtraError
from taskrouter.simulator import load, serve

CONFIG: dict[str, Any] = {"speed": 0, "models": [{"id": "m", "input_usd_per_million": 1, "output_usd_per_million": 2}]}


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.0.1", "::", "example.com", ""])  # noqa: S104 - refused
def test_only_loopback_addresses_are_served(host):
    with pytest.raises(ConfigurationError, match="not a loopback address"), serve(CONFIG, host=host):
        pass


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "127.0.0.2"])
def test_loopback_addresses_are_served(host):
    with serve(CONFIG, host=host) as server:
        assert httpx.get(f"http://{host}:{server.port}/health").json()["status"] == "ok"


def test_a_taken_port_is_one_clear_error():
    with (
        serve(CONFIG) as first,
        pytest.raises(ConfigurationError, match=rf"port {first.port} .* address already in use"),
        serve(CONFIG, port=first.port),
    ):
        pass


def test_a_port_out_of_range_is_refused():
    with pytest.raises(ConfigurationError, match="port 70000 is out of range"), serve(CONFIG, port=70_000):
        pass


def test_two_servers_run_side_by_side_and_keep_their_own_records(body):
    other = {**CONFIG, "models": [{**CONFIG["models"][0], "id": "n"}]}
    with serve(CONFIG) as first, serve(other) as second:
        assert httpx.post(f"{first.base_url}/chat/completions", json=body()).status_code == 200
        assert httpx.post(f"{second.base_url}/chat/completions", json=body()).status_code == 404
        assert [len(server.requests) for server in (first, second)] == [1, 1]


def test_a_server_stops_cleanly_and_can_be_started_again():
    before = threading.active_count()
    with serve(CONFIG) as server:
        port = server.port
    assert threading.active_count() == before
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", port)) != 0
    with serve(CONFIG, port=port) as again:
        assert httpx.get(f"{again.url}/health").status_code == 200


def test_a_server_stops_although_a_request_hangs():
    model = {**CONFIG["models"][0], "script": ["timeout"]}
    answered = []
    with serve({**CONFIG, "models": [model]}) as server:
        body = {"model": "m", "messages": [{"role": "user", "content": "x"}]}

        def ask() -> None:
            answered.append(httpx.post(f"{server.base_url}/chat/completions", json=body, timeout=30).status_code)

        waiting = threading.Thread(target=ask)
        waiting.start()
        assert server.wait_for(lambda records: bool(records) and records[0].fault == "timeout")
    waiting.join(5)
    assert answered == [503]


def test_an_error_in_the_block_stops_the_server():
    with pytest.raises(RuntimeError, match="mine"), serve(CONFIG) as server:
        raise RuntimeError("mine")
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{server.url}/health")


def test_a_missing_extra_says_which_one_to_install(monkeypatch):
    monkeypatch.delitem(sys.modules, "taskrouter.simulator.hosting", raising=False)
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    with pytest.raises(MissingExtraError, match=r"taskrouter\[simulate\]"), serve(CONFIG):
        pass


def test_importing_the_simulator_needs_no_extra():
    code = "import taskrouter.simulator, sys; print({'starlette', 'uvicorn'} & set(sys.modules))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "set()"


def test_the_bundled_models_differ_in_price_speed_and_ability():
    models = load().models
    assert len(models) >= 3
    assert len({model.input_usd_per_million for model in models}) == len(models)
    assert {model.tools for model in models} == {True, False}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("models = []", "models"),
        ("sed = 1", "unknown key 'sed'; did you mean 'seed'"),
        (
            "[[models]]\nid='a'\ninput_usd_per_million=1\noutput_usd_per_million=1\n[models.faults]\ntimeouts=1",
            "timeout",
        ),
        (
            "[[models]]\nid='a'\ninput_usd_per_million=1\noutput_usd_per_million=1\n"
            "[models.faults]\ntimeout=0.6\nserver_error=0.6",
            "add up to 1.2",
        ),
        ("[[models]]\nid='a'\ninput_usd_per_million=1\noutput_usd_per_million=1\nscript=['ok','flood']", "script"),
        (2 * "[[models]]\nid='a'\ninput_usd_per_million=1\noutput_usd_per_million=1\n", "given twice: 'a'"),
        ("speed = ", "not valid TOML"),
    ],
)
def test_a_wrong_configuration_is_named_with_its_file_and_key(tmp_path, text, message):
    path = tmp_path / "sim.toml"
    path.write_text(text)
    with pytest.raises(ConfigurationError, match=r"sim\.toml") as caught:
        load(path)
    assert message in str(caught.value)


@pytest.fixture
def app() -> typer.Typer:
    app = typer.Typer()
    simulate.register(app)
    app.callback()(lambda: None)
    return app


@pytest.fixture
def interrupted(monkeypatch):
    """Press Ctrl-C as soon as the command waits."""

    def pressed() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(simulate, "_wait", pressed)


def test_the_command_says_how_to_use_the_server_and_that_it_is_simulated(app, interrupted):
    result = CliRunner().invoke(app, ["simulate", "--port", "0"], env={"COLUMNS": "120"})
    assert result.exit_code == 0
    assert "All answers are simulated" in result.output
    assert "export OPENAI_BASE_URL=http://127.0.0.1:" in result.output
    assert "sim-small" in result.output


@pytest.fixture
def outage(tmp_path):
    """Return the path of a chaos script with phases of every kind."""
    path = tmp_path / "outage.toml"
    path.write_text(
        "[[phases]]\nname = 'down [all]'\nafter_requests = 5\nrequests = 10\nfaults = ['overloaded', 'ok']\n"
        "[[phases]]\nmodels = ['sim-small']\nrequests = 1\nfaults = ['stall']\n"
        "[[phases]]\nafter_requests = 9\nrates = { rate_limit = 0.25, stall = 0.5 }\n"
        "[[phases]]\nafter_s = 2.5\nfor_s = 10\nfaults = ['stall']\n"
        "[[phases]]\nafter_s = 60\nfaults = ['timeout']\n"
        "[[phases]]\nfaults = ['ok']\n"
    )
    return path


def test_the_command_shows_the_phases_of_an_outage(app, interrupted, outage, monkeypatch):
    monkeypatch.setattr(output.out, "_width", 120)
    result = CliRunner().invoke(app, ["simulate", "--port", "0", "--chaos", str(outage)])
    assert result.exit_code == 0
    shown = [line.split("  ") for line in result.output.split("\nphase   ")[1].split("\n\n")[0].splitlines()[1:]]
    assert [[cell.strip() for cell in line if cell.strip()] for line in shown] == [
        ["down [all]", "every model", "requests 6 to 15", "overloaded, ok"],
        ["phase 2", "sim-small", "request 1", "stall"],
        ["phase 3", "every model", "from request 10 on", "rate_limit 0.25, stall 0.5"],
        ["phase 4", "every model", "2.5 s to 12.5 s", "stall"],
        ["phase 5", "every model", "from 60 s on", "timeout"],
        ["phase 6", "every model", "always", "ok"],
    ]
    assert "where they overlap, the first one rules" in result.output


def test_the_command_lists_the_phases_in_json(app, interrupted, outage):
    result = CliRunner().invoke(app, ["simulate", "--port", "0", "--json", "--chaos", str(outage)])
    first, second, *_ = json.loads(result.output)["phases"]
    assert first == {"name": "down [all]", "after_requests": 5, "requests": 10, "faults": ["overloaded", "ok"]}
    assert second == {"name": "phase 2", "models": ["sim-small"], "requests": 1, "faults": ["stall"]}


def test_without_an_outage_the_command_speaks_of_none(app, interrupted):
    told = json.loads(CliRunner().invoke(app, ["simulate", "--port", "0", "--json"]).output)
    assert told["phases"] == []
    assert "outage" not in CliRunner().invoke(app, ["simulate", "--port", "0"]).output


def test_the_command_names_what_is_wrong_with_an_outage(app, tmp_path):
    path = tmp_path / "outage.toml"
    path.write_text("[[phases]]\nmodels = ['gpt-4o']\nfaults = ['ok']\n")
    result = CliRunner().invoke(app, ["simulate", "--port", "0", "--chaos", str(path)])
    assert isinstance(result.exception, ConfigurationError)
    assert "no simulated model 'gpt-4o'; there are: sim-small" in str(result.exception)


def test_the_command_refuses_other_hosts(app):
    result = CliRunner().invoke(app, ["simulate", "--host", "0.0.0.0"])  # noqa: S104 - refused
    assert isinstance(result.exception, ConfigurationError)


def test_the_command_prints_one_line_of_json_serves_and_ends_with_ctrl_c(tmp_path):
    config = tmp_path / "sim.toml"
    config.write_text("speed = 0\n[[models]]\nid = 'm'\ninput_usd_per_million = 1\noutput_usd_per_million = 2\n")
    script = (
        "import typer; from taskrouter.cli import simulate; app = typer.Typer(); simulate.register(app); "
        "app.callback()(lambda: None); app()"
    )
    command = [sys.executable, "-c", script, "simulate", str(config), "--port", "0", "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        said = json.loads(process.stdout.readline())
        listed = httpx.get(f"{said['base_url']}/models").json()
        process.send_signal(signal.SIGINT)
        assert process.wait(10) == 0
        assert process.stderr.read() == ""
    assert said["models"] == [model["id"] for model in listed["data"]] == ["m"]
    assert said["simulated"] is True
