"""Set-up in one line: what arrives at a collector, what the environment changes, what happens when nobody listens.

OpenTelemetry's providers are set once per process, so each case is a process of its own.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import pytest
from tests.core.observability.collector import collecting

from taskrouter import ConfigurationError
from taskrouter.observability.collector import Collector, shown

NOBODY = "http://127.0.0.1:9"
STEP = """
import json
import logging
from taskrouter import Router, Step
from taskrouter.observability import configure

def ask():
    model = {"id": "first", "model": "openai/first", "input_usd_per_million": 1.0, "output_usd_per_million": 4.0}
    answer = {
        "choices": [{"message": {"content": "hi"}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 5, "completion_tokens": 2},
    }
    with Router([model], incumbent="first") as router:
        outcome = router.run(Step(messages=[{"role": "user", "content": "hello"}], task_type="chat"), lambda _: answer)
        return outcome.status
"""
LOUD = "logging.basicConfig(level=logging.INFO, format='%(name)s|%(levelname)s|%(message)s')\n"


class Ran(NamedTuple):
    code: int
    out: str
    err: str

    def ours(self, level: str) -> list[str]:
        """The messages that we have logged, of one level."""
        head = f"taskrouter.observability|{level}|"
        return [line.removeprefix(head) for line in self.err.splitlines() if line.startswith(head)]


Program: TypeAlias = Callable[..., Ran]


@pytest.fixture
def program(tmp_path: Path) -> Program:
    """Run a program in a process of its own, without variables of the machine that tell the SDK anything."""

    def run(source: str, **environment: str) -> Ran:
        clean = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
        done = subprocess.run(
            [sys.executable, "-W", "error", "-c", STEP + LOUD + source],
            cwd=tmp_path,
            env={**clean, **environment},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        return Ran(done.returncode, done.stdout, done.stderr)

    return run


def test_one_line_sends_spans_and_metrics_to_the_collector(program: Program) -> None:
    with collecting() as collector:
        ran = program(f"with configure({collector.url!r}, 'shop', project='tests'): ask()")
        assert (ran.code, ran.ours("WARNING")) == (0, []), ran.err
        spans = collector.spans()
        assert {span.name for _, span in spans} == {"route chat", "chat openai/first"}
        resource = spans[0][0]
        assert (resource["service.name"], resource["openinference.project.name"]) == ("shop", "tests")
        assert {"taskrouter.decisions", "gen_ai.client.operation.duration"} <= collector.metrics()


def test_what_is_waiting_is_sent_when_the_process_ends(program: Program) -> None:
    with collecting() as collector:
        assert program(f"configure({collector.url!r}); ask()").code == 0
        assert len(collector.spans()) == 2


def test_flush_sends_at_once(program: Program) -> None:
    with collecting() as collector:
        ran = program(f"t = configure({collector.url!r}); ask(); t.flush(); import os; os._exit(0)")
        assert ran.code == 0
        assert len(collector.spans()) == 2


@pytest.mark.parametrize("end", ["", "/", "/v1/traces"])
def test_the_paths_are_added_to_the_base_address(program: Program, end: str) -> None:
    with collecting() as collector:
        program(f"with configure({collector.url + end!r}): ask()")
        assert collector.paths() == {"/v1/traces", "/v1/metrics"}


def test_the_environment_says_where_telemetry_goes(program: Program) -> None:
    with collecting() as collector, collecting() as traces:
        ran = program(
            "with configure(): ask()",
            OTEL_EXPORTER_OTLP_ENDPOINT=collector.url,
            OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=f"{traces.url}/mine",
            OTEL_SERVICE_NAME="from-the-environment",
            OTEL_RESOURCE_ATTRIBUTES="deployment.environment.name=staging",
            OTEL_EXPORTER_OTLP_HEADERS="authorization=Bearer%20secret",
        )
        assert ran.code == 0, ran.err
        assert (traces.paths(), collector.paths()) == ({"/mine"}, {"/v1/metrics"})
        resource = traces.spans("/mine")[0][0]
        assert resource["service.name"] == "from-the-environment"
        assert resource["deployment.environment.name"] == "staging"
        assert traces.requests[0][1]["authorization"] == "Bearer secret"


def test_arguments_rule_over_the_environment(program: Program) -> None:
    with collecting() as collector:
        program(
            f"with configure({collector.url!r}, 'argument'): ask()",
            OTEL_EXPORTER_OTLP_ENDPOINT=NOBODY,
            OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=NOBODY,
            OTEL_SERVICE_NAME="environment",
        )
        assert [resource["service.name"] for resource, _ in collector.spans()] == ["argument"] * 2


def test_a_disabled_sdk_sends_nothing_and_sets_no_provider(program: Program) -> None:
    with collecting() as collector:
        ran = program(
            f"t = configure({collector.url!r})\nask()\nt.shutdown()\n"
            "from opentelemetry import trace\nprint(t, t.active, type(trace.get_tracer_provider()).__name__)",
            OTEL_SDK_DISABLED="true",
        )
        assert (ran.out, collector.requests) == ("TelemetrySetup(off) False ProxyTracerProvider\n", [])


def test_the_samplers_variable_is_heeded(program: Program) -> None:
    with collecting() as collector:
        program(f"with configure({collector.url!r}): ask()", OTEL_TRACES_SAMPLER="always_off")
        assert collector.paths() == {"/v1/metrics"}


def test_a_signal_can_be_left_out(program: Program) -> None:
    with collecting() as collector:
        program(f"with configure({collector.url!r}): ask()", OTEL_METRICS_EXPORTER="none")
        assert collector.paths() == {"/v1/traces"}


def test_log_records_are_sent_on_request(program: Program) -> None:
    emit = (
        "from opentelemetry import _logs; _logs.get_logger('tests').emit(_logs.LogRecord(body='an event', timestamp=1))"
    )
    with collecting() as collector:
        ran = program(f"with configure({collector.url!r}, logs=True): {emit}")
        assert (ran.code, collector.logs()) == (0, ["an event"]), ran.err


def test_a_page_for_prometheus_is_served_on_loopback(program: Program) -> None:
    ran = program(
        "from urllib.request import urlopen\n"
        "with configure(prometheus_port=0) as t:\n"
        "    ask()\n"
        "    print(t.prometheus_url)\n"
        "    print(urlopen(t.prometheus_url).read().decode())",
        OTEL_TRACES_EXPORTER="none",
        OTEL_METRICS_EXPORTER="none",
    )
    assert ran.code == 0, ran.err
    assert ran.out.startswith("http://127.0.0.1:")
    assert "taskrouter_decisions" in ran.out


def test_an_unreachable_collector_is_one_message_and_costs_no_answer(program: Program) -> None:
    ran = program(
        f"t = configure({NOBODY!r})\nfor _ in range(3): print(ask()); t.flush(1)", OTEL_EXPORTER_OTLP_TIMEOUT="1"
    )
    assert (ran.code, ran.out) == (0, "ok\nok\nok\n"), ran.err
    (message,) = ran.ours("WARNING")
    assert "the collector at http://127.0.0.1:9/v1/traces cannot be reached" in message
    assert "taskrouter view" in message
    assert "OTEL_EXPORTER_OTLP_ENDPOINT" in message


def test_a_collector_that_stays_away_is_told_by_one_message_without_its_key(program: Program) -> None:
    ran = program(
        "with configure() as t:\n    for _ in range(3): ask(); t.flush(1.0)",
        OTEL_EXPORTER_OTLP_TRACES_ENDPOINT="http://127.0.0.1:9/v1/traces?key=secret",
        OTEL_EXPORTER_OTLP_TIMEOUT="1",
        OTEL_METRICS_EXPORTER="none",
    )
    assert len(ran.ours("WARNING")) == 1
    assert "otlp.proto.http" not in ran.err
    assert "secret" not in ran.err


def test_an_exporter_of_the_applications_own_still_says_what_it_has_to_say(program: Program) -> None:
    ran = program(
        "from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter\n"
        "own = OTLPSpanExporter('http://127.0.0.1:9/v1/traces', timeout=0.1)\n"
        "with configure('http://127.0.0.1:9') as t: ask(); own.export([])",
        OTEL_METRICS_EXPORTER="none",
    )
    assert "otlp.proto.http.trace_exporter" in ran.err


@pytest.mark.parametrize("status", [301, 308])
def test_what_is_sent_on_is_lost_and_said_to_be(program: Program, status: int) -> None:
    with collecting(traces=status) as collector:
        ran = program(f"with configure({collector.url!r}) as t: ask(); t.flush()", OTEL_METRICS_EXPORTER="none")
        (lost,) = ran.ours("WARNING")
        assert f"answers HTTP {status}; nothing takes OTLP there" in lost


def test_a_collector_that_comes_back_is_told_once(program: Program) -> None:
    with collecting(traces=[500, 500]) as collector:
        ran = program(
            f"with configure({collector.url!r}) as t:\n    for _ in range(4): ask(); t.flush()",
            OTEL_METRICS_EXPORTER="none",
        )
        (lost,), (back,) = ran.ours("WARNING"), ran.ours("INFO")
        assert lost.endswith("/v1/traces answers HTTP 500; see its log")
        assert back.endswith("/v1/traces takes telemetry again")
        assert len(collector.requests) == 4


def test_a_refused_key_is_said_to_be_one_and_is_not_shown(program: Program) -> None:
    with collecting(traces=401, metrics=401) as collector:
        ran = program(
            f"with configure({collector.url!r}): ask()", OTEL_EXPORTER_OTLP_HEADERS="authorization=Bearer%20secret"
        )
        (message,) = ran.ours("WARNING")
        assert "it wants a key: put it into OTEL_EXPORTER_OTLP_HEADERS" in message
        assert "secret" not in ran.err


def test_a_viewer_that_takes_no_metrics_is_no_failure(program: Program) -> None:
    with collecting(metrics=405) as viewer:
        ran = program(f"with configure({viewer.url!r}) as t:\n    ask(); t.flush(); ask(); t.flush()")
        assert ran.ours("WARNING") == []
        assert "ERROR" not in ran.err
        assert len([path for path, _, _ in viewer.requests if path == "/v1/metrics"]) == 1
        assert len(viewer.spans()) == 4


def test_the_same_call_again_returns_the_same_handle(program: Program) -> None:
    with collecting() as collector:
        ran = program(f"print(configure({collector.url!r}) is configure({collector.url!r}))")
        assert (ran.code, ran.out) == (0, "True\n")


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("configure('{url}'); configure('{url}', 'other')", "telemetry is already configured in this process"),
        ("configure('{url}').shutdown(); configure('{url}')", "telemetry was shut down"),
        (
            "from opentelemetry import trace; from opentelemetry.sdk.trace import TracerProvider\n"
            "trace.set_tracer_provider(TracerProvider()); configure('{url}')",
            "already set up in this process (a global TracerProvider)",
        ),
        ("configure('{url}', prometheus_port=70000)", "prometheus_port: cannot serve on 127.0.0.1:70000"),
    ],
)
def test_what_cannot_be_set_up_says_what_to_do(program: Program, source: str, message: str) -> None:
    with collecting() as collector:
        ran = program(source.format(url=collector.url))
    assert ran.code == 1
    assert "ConfigurationError: " in ran.err
    assert message in ran.err


def test_a_variable_that_the_sdk_refuses_is_said_to_be_one(program: Program) -> None:
    ran = program("configure(prometheus_port=0)", OTEL_BSP_MAX_QUEUE_SIZE="-1")
    assert ran.code == 1
    assert ran.err.splitlines()[-1].startswith(
        "taskrouter.errors.ConfigurationError: OpenTelemetry's SDK refuses one of its OTEL_... variables"
    )


@pytest.mark.parametrize(
    ("hidden", "call", "extra"),
    [
        ("opentelemetry.sdk", "configure()", "otel"),
        ("opentelemetry.exporter.otlp.proto.http", "configure()", "otel"),
        ("opentelemetry.exporter.prometheus", "configure(prometheus_port=0)", "prometheus"),
    ],
)
def test_a_missing_extra_is_named(program: Program, hidden: str, call: str, extra: str) -> None:
    ran = program(f"import sys; sys.modules[{hidden!r}] = None\n{call}")
    assert ran.err.splitlines()[-1].startswith("taskrouter.errors.MissingExtraError: ")
    assert ran.err.endswith(f"pip install 'taskrouter[{extra}]'\n")


@pytest.mark.parametrize(
    ("endpoint", "environment", "message"),
    [
        ("localhost:4318", {}, "endpoint: is no http"),
        ("http://", {}, "endpoint: is no http"),
        ("http://[", {}, "endpoint: is no http"),
        ("http://me:secret@host", {}, "endpoint: http://host: keys do not belong into an address"),
        ("http://host?key=secret", {}, "endpoint: http://host: give the base address alone"),
        (None, {"OTEL_EXPORTER_OTLP_ENDPOINT": "host"}, "OTEL_EXPORTER_OTLP_ENDPOINT: is no http"),
        (None, {"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, "OTEL_EXPORTER_OTLP_PROTOCOL: configure"),
        (None, {"OTEL_TRACES_EXPORTER": "console"}, "OTEL_TRACES_EXPORTER: configure"),
    ],
)
def test_an_address_is_checked_before_anything_is_sent(
    endpoint: str | None, environment: dict[str, str], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in os.environ if name.startswith("OTEL_")]:
        monkeypatch.delenv(name)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ConfigurationError) as caught:
        Collector.of(endpoint, ("traces",))
    assert str(caught.value).startswith(message)
    assert "secret" not in str(caught.value)


def test_what_is_secret_in_an_address_is_not_shown() -> None:
    assert shown("https://me:secret@host:1/path?key=secret#secret") == "https://host:1/path"


def test_the_handle_shows_addresses_and_no_headers(program: Program) -> None:
    with collecting() as collector:
        ran = program(
            f"t = configure({collector.url!r})\nprint(t)\nimport json\nprint(json.dumps(dict(t.endpoints)))",
            OTEL_EXPORTER_OTLP_HEADERS="authorization=secret",
        )
        shown_as, endpoints = ran.out.splitlines()
        expected: dict[str, Any] = {s: f"{collector.url}/v1/{s}" for s in ("traces", "metrics")}
        assert (shown_as, json.loads(endpoints)) == (f"TelemetrySetup({', '.join(expected.values())})", expected)
