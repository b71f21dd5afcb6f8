"""`taskrouter view`: Phoenix is found, started safely, told of a trace, and ended. A stand-in plays Phoenix."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, TypeAlias

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from tests.core.cli.conftest import Command

from taskrouter.cli.phoenix import SAFE, _end
from taskrouter.observability.otlp_file import write_otlp_json

STAND_IN = Path(__file__).with_name("stand_in_phoenix.py")
NOT_HERE = """
import importlib.metadata
def distribution(name):
    raise importlib.metadata.PackageNotFoundError(name)
importlib.metadata.distribution = distribution
"""
Viewing: TypeAlias = Callable[..., AbstractContextManager[subprocess.Popen[str]]]


@pytest.fixture
def phoenix(folder: Path) -> Path:
    """The stand-in, as an executable named `phoenix` in a folder of its own."""
    program = folder / "bin" / "phoenix"
    program.parent.mkdir()
    program.write_text(f"#!{sys.executable}\n{STAND_IN.read_text(encoding='utf-8')}", encoding="utf-8")
    program.chmod(0o755)
    (folder / "data").mkdir()
    return program


@pytest.fixture
def viewing(folder: Path, phoenix: Path) -> Viewing:
    """Run `taskrouter view` on any free port, until the block ends."""

    @contextmanager
    def view(*arguments: str, **environment: str) -> Iterator[subprocess.Popen[str]]:
        program = f"{NOT_HERE}\nimport sys\nsys.argv[0] = 'taskrouter'\nfrom taskrouter.cli.app import main\nmain()"
        path = f"{phoenix.parent}:{os.environ['PATH']}"
        with subprocess.Popen(
            [sys.executable, "-c", program, "view", "--port", "0", "--data", "data", *arguments],
            cwd=folder,
            env={**os.environ, "PATH": path, **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            try:
                yield process
            finally:
                process.terminate()

    return view


def told(process: subprocess.Popen[str]) -> dict[str, Any]:
    """What the command prints with `--json` once the viewer serves."""
    assert process.stdout is not None
    document: dict[str, Any] = json.loads(process.stdout.readline())
    return document


def started(folder: Path) -> Mapping[str, Any]:
    found: dict[str, Any] = json.loads((folder / "data/started").read_text(encoding="utf-8"))
    return found


def recorded(path: Path) -> list[str]:
    """Write a trace file of two spans; return their ids."""
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    tracer = provider.get_tracer("tests")
    with tracer.start_as_current_span("agent"), tracer.start_as_current_span("route chat", attributes={"steps": 1}):
        pass
    spans = exporter.get_finished_spans()
    write_otlp_json(spans, path)
    provider.shutdown()
    return [f"{span.context.span_id:016x}" for span in spans if span.context]


def test_the_address_and_how_to_send_traces_are_printed(viewing: Viewing) -> None:
    with viewing() as process:
        assert process.stdout is not None
        assert process.stderr is not None
        lines = [process.stdout.readline().rstrip() for _ in range(5)]
        address = lines[0].removeprefix("Phoenix at ")
        assert address.startswith("http://127.0.0.1:")
        assert f"  taskrouter.observability.configure('{address}')" in lines
        assert f"  export OTEL_EXPORTER_OTLP_ENDPOINT={address}" in lines
        assert "over gRPC, on a random port of all addresses" in process.stderr.readline()


def test_it_is_started_on_loopback_with_the_safe_settings(viewing: Viewing, folder: Path) -> None:
    with viewing("--json", PHOENIX_TELEMETRY_ENABLED="true", PHOENIX_HOST="::", PHOENIX_LOG_SQL="1") as process:
        address = told(process)["url"]
        environment = started(folder)["environment"]
        assert {name: environment[name] for name in SAFE} == dict(SAFE)
        assert address == f"http://127.0.0.1:{environment['PHOENIX_PORT']}"
        assert environment["PHOENIX_LOG_SQL"] == "1"
        assert started(folder)["arguments"] == ["serve"]


def test_keys_of_the_shell_do_not_reach_it(viewing: Viewing, folder: Path) -> None:
    with viewing("--json", OPENAI_API_KEY="canary", GITHUB_TOKEN="canary", DB_PASSWORD="canary") as process:
        told(process)
        assert "canary" not in json.dumps(started(folder))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_the_viewer_too(viewing: Viewing, folder: Path, number: signal.Signals) -> None:
    with viewing("--json") as process:
        viewer = told(process)["pid"]
        process.send_signal(number)
        _, remarks = process.communicate(timeout=30)
        assert process.returncode == 0, remarks
        assert (folder / "data/ended").read_text(encoding="utf-8") == "SIGTERM"
        with pytest.raises(ProcessLookupError):
            os.kill(viewer, 0)


def test_a_trace_file_is_sent_to_it(viewing: Viewing, folder: Path) -> None:
    ids = recorded(folder / "trace.json")
    with viewing("trace.json", "--json") as process:
        assert told(process)["trace"] == "trace.json"
        request = ExportTraceServiceRequest.FromString((folder / "data/trace").read_bytes())
        spans = [span for r in request.resource_spans for scope in r.scope_spans for span in scope.spans]
        assert [span.span_id.hex() for span in spans] == ids
        route = next(span for span in spans if span.name == "route chat")
        assert route.attributes[0].value.int_value == 1


def test_a_collectors_file_of_one_request_a_line_is_read_too(viewing: Viewing, folder: Path) -> None:
    recorded(folder / "trace.json")
    line = json.dumps(json.loads((folder / "trace.json").read_text(encoding="utf-8")))
    (folder / "lines.json").write_text(f"{line}\n{line}\n", encoding="utf-8")
    with viewing("lines.json", "--json") as process:
        assert told(process)["trace"] == "lines.json"
        assert (folder / "data/trace").stat().st_size > 0


@pytest.mark.parametrize("named", ["--python", "TASKROUTER_PHOENIX_PYTHON"])
def test_a_python_of_another_environment_is_taken(viewing: Viewing, folder: Path, phoenix: Path, named: str) -> None:
    other = phoenix.rename(folder / "python")
    arguments = ("--python", str(other)) if named == "--python" else ()
    with viewing("--json", *arguments, **({} if arguments else {named: str(other)})) as process:
        told(process)
        assert started(folder)["arguments"] == ["-m", "phoenix.server.main", "serve"]


def test_what_to_install_is_said_in_one_line(process: Command) -> None:
    ran = process("view", code=NOT_HERE, PATH="/nowhere")
    assert (ran.code, ran.out) == (2, "")
    assert ran.err.count("\n") == 1
    assert "uv tool install arize-phoenix" in ran.err
    assert "TASKROUTER_PHOENIX_PYTHON" in ran.err


def test_a_viewer_that_does_not_start_is_quoted(viewing: Viewing) -> None:
    with viewing(PHOENIX_STAND_IN="fails") as process:
        out, remarks = process.communicate(timeout=30)
        assert (process.returncode, out) == (1, "")
        assert remarks.endswith("Phoenix ended with code 1 before it served: the database is locked\n")


def test_a_viewer_that_leaves_is_told(viewing: Viewing, folder: Path) -> None:
    recorded(folder / "trace.json")
    with viewing("trace.json", PHOENIX_STAND_IN="leaves") as process:
        _, remarks = process.communicate(timeout=30)
        assert process.returncode == 1
        assert "the viewer" in remarks
        assert "Traceback" not in remarks


def test_a_port_that_is_taken_is_an_error_of_usage(process: Command) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        ran = process("view", "--port", port, "--python", sys.executable)
    assert (ran.code, ran.out) == (2, "")
    assert f"--port: {port} cannot be used" in ran.err
    assert "send traces to it" in ran.err


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "cannot be read: No such file or directory"),
        ("{", "is no OTLP-JSON file of spans"),
        ('["a secret"]', "has no spans in it"),
        (
            '{"resourceSpans": [{"scopeSpans": [{"spans": [{"traceId": "a secret"}]}]}]}',
            "is no OTLP-JSON file of spans",
        ),
        ('{"resourceSpans": "a secret"}', "is no OTLP-JSON file of spans"),
        ("{}", "has no spans in it"),
    ],
)
def test_a_file_that_is_no_trace_is_refused_before_anything_starts(
    command: Command, folder: Path, content: str | None, message: str
) -> None:
    if content is not None:
        (folder / "trace.json").write_text(content, encoding="utf-8")
    ran = command("view", "trace.json", "--python", sys.executable)
    assert (ran.code, ran.out) == (2, "")
    assert message in ran.err
    assert "secret" not in ran.err


def test_a_program_of_this_folder_is_not_looked_for_elsewhere(command: Command, folder: Path) -> None:
    (folder / "three").write_text("#!/bin/sh\nexit 3\n", encoding="utf-8")
    (folder / "three").chmod(0o755)
    ran = command("view", "--port", "0", "--python", "three")
    assert (ran.code, ran.err.strip()) == (1, "taskrouter: Phoenix ended with code 3 before it served: it said nothing")


def test_what_cannot_be_run_is_an_error_of_usage(command: Command, folder: Path) -> None:
    (folder / "python").write_bytes(b"\x7fELF and no more")
    (folder / "python").chmod(0o755)
    ran = command("view", "--port", "0", "--python", "python")
    assert (ran.code, ran.err.strip()) == (2, f"taskrouter: {folder / 'python'} cannot be run: Exec format error")


class Awaited(subprocess.Popen[bytes]):
    """A process whose end somebody waits for who presses Ctrl-C meanwhile."""

    def wait(self, timeout: float | None = None) -> int:
        if timeout is not None:
            raise KeyboardInterrupt
        return super().wait()


def test_whoever_presses_ctrl_c_again_leaves_no_viewer_behind() -> None:
    deaf = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(60)"
    with Awaited([sys.executable, "-c", deaf], stdout=subprocess.PIPE) as viewer:
        assert viewer.stdout is not None
        assert viewer.stdout.readline() == b"up\n"
        _end(viewer)
        assert viewer.returncode == -signal.SIGKILL


def test_a_python_that_is_none_is_an_error_of_usage(command: Command) -> None:
    ran = command("view", "--python", "nowhere/python")
    assert (ran.code, ran.err) == (2, "taskrouter: --python: nowhere/python is no Python that can be run\n")
