"""Secrets in every place where one can be, and the hunt for them in every byte that leaves."""

from __future__ import annotations

import base64
import json
import logging
import threading
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from tests.core.observability.collector import Collector

from taskrouter import Attempt, Decision, Outcome, Router, Step, StepContext, TaskRouterError, hookimpl
from taskrouter import errors as e

ASKED = (
    *("system", "user", "name", "history", "tool_description", "parameter_description"),
    *("call_arguments", "tool_result"),
)
"""What a step says."""
ANSWERED = ("answer", "reasoning", "answer_arguments")
"""What comes back."""
SHOWN = ("broken_arguments",)
"""What is no answer, unless it was streamed: then a reader has it already."""
CONTENT = (*ASKED, *ANSWERED)
CONTEXT = ("session", "run", "tag")
NEVER = (
    *("key", "environment", "header", "password", "query", "parameter", "payload", "schema", "picture"),
    *("response_header", "error_body", "error_text", "error_args", "error_attribute", "cause"),
)
"""What nobody may see, whatever is switched on."""
NAMES = (*CONTENT, *SHOWN, *CONTEXT, *NEVER)
STEMS = {name: f"zqx{number:02}q" for number, name in enumerate(NAMES)}
"""The beginning of each secret: it is found where only a part has leaked too."""
SECRET = {name: f"{stem}{name.replace('_', '')}zqx" for name, stem in STEMS.items()}

PICTURE = base64.b64encode(SECRET["picture"].encode()).decode()
SCHEMA = {
    "type": "object",
    "properties": {"city": {"type": "string", "description": SECRET["parameter_description"]}},
    "required": ["city"],
}


def step(**fields: Any) -> Step:
    """A step with a secret in everything."""
    call = {"name": "look_up", "arguments": json.dumps({"city": SECRET["call_arguments"]})}
    return Step(
        **{
            "messages": [
                {"role": "system", "content": f"You are {SECRET['system']}. Write a Python function."},
                {"role": "user", "content": f"{SECRET['user']}: sum up {SECRET['user']}", "name": SECRET["name"]},
                {
                    "role": "assistant",
                    "content": SECRET["history"],
                    "tool_calls": [{"id": "call_1", "type": "function", "function": call}],
                },
                {"role": "tool", "tool_call_id": "call_1", "content": f"found: {SECRET['tool_result']}"},
                {
                    "role": "user",
                    "content": [
                        {"type": "text", "text": SECRET["user"]},
                        {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PICTURE}"}},
                    ],
                },
            ],
            "tools": [
                {
                    "type": "function",
                    "function": {"name": "look_up", "description": SECRET["tool_description"], "parameters": SCHEMA},
                }
            ],
            "payload": {"metadata": {"note": SECRET["payload"]}, "temperature": 0.5},
            "context": StepContext(
                agent="writer",
                node="draft",
                run_id=SECRET["run"],
                session_id=SECRET["session"],
                tenant="acme",
                tags=frozenset({SECRET["tag"]}),
            ),
            **fields,
        }
    )  # fmt: skip


class ProviderError(Exception):
    """A client's error that quotes whatever it can."""

    def __init__(self, status_code: int | None = 400) -> None:
        super().__init__(f"invalid request: {SECRET['error_text']}", SECRET["error_args"])
        self.status_code = status_code
        self.body = {"message": SECRET["error_attribute"]}


def raise_error(status_code: int | None = 400) -> Any:
    """Raise a client's error, which was caused by another one."""
    raise ProviderError(status_code) from ValueError(SECRET["cause"])


MESSAGES: dict[str, dict[str, Any]] = {
    "good": {"content": SECRET["answer"], "reasoning_content": SECRET["reasoning"]},
    "calling": {
        "content": SECRET["answer"],
        "reasoning_content": SECRET["reasoning"],
        "tool_calls": [
            {
                "id": "call_2",
                "type": "function",
                "index": 0,
                "function": {"name": "look_up", "arguments": json.dumps({"city": SECRET["answer_arguments"]})},
            }
        ],
    },
    "invalid": {
        "content": "",
        "tool_calls": [
            {
                "id": "call_2",
                "type": "function",
                "index": 0,
                "function": {"name": "look_up", "arguments": "{" + SECRET["broken_arguments"]},
            }
        ],
    },
    "other": {"content": f"not {SECRET['answer']}, nor {SECRET['reasoning']}"},
    "empty": {"content": ""},
}
STATUSES = {"refusing": 400, "denied": 401, "missing": 404, "limited": 429, "failing": 500, "busy": 503}
MODELS = (*MESSAGES, *STATUSES, "nonsense", "breaking", "hanging")
"""What each model of the provider does."""


def completion(model: str, delta: str = "message") -> dict[str, Any]:
    """An answer, or with `delta` its only chunk."""
    message = MESSAGES[model]
    finish = "tool_calls" if message.get("tool_calls") else "stop"
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion" if delta == "message" else "chat.completion.chunk",
        "created": 1,
        "model": model,
        "choices": [{"index": 0, delta: {"role": "assistant", **message}, "finish_reason": finish}],
        "usage": {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15},
    }


class Provider:
    """An OpenAI-compatible server whose every word is a secret."""

    def __init__(self) -> None:
        self.received: list[str] = []
        self.reached, self.release = threading.Event(), threading.Event()
        self.port = 0

    def respond(self, handler: BaseHTTPRequestHandler, body: dict[str, Any]) -> None:
        model, streams = body["model"], bool(body.get("stream"))
        if model == "hanging":
            self.reached.set()
            self.release.wait(30)
            model = "good"
        if model in STATUSES:
            fault = {"error": {"message": SECRET["error_body"], "type": SECRET["error_body"], "code": "odd"}}
            self._send(handler, json.dumps(fault), status=STATUSES[model])
        elif model == "nonsense":
            self._send(handler, f"<html>{SECRET['error_body']}</html>", kind="text/html")
        elif model == "breaking":
            first = json.dumps({**completion("good", "delta"), "choices": [{"index": 0, "delta": MESSAGES["good"]}]})
            broken = json.dumps({"error": {"message": SECRET["error_body"], "code": "odd"}})
            text = f"data: {first}\n\ndata: {broken}\n\n" if streams else first[: len(first) // 2]
            self._send(handler, text, kind="text/event-stream" if streams else "application/json")
        elif streams:
            chunk = json.dumps(completion(model, "delta"))
            self._send(handler, f"data: {chunk}\n\ndata: [DONE]\n\n", kind="text/event-stream")
        else:
            self._send(handler, json.dumps(completion(model)))

    def _send(
        self, handler: BaseHTTPRequestHandler, text: str, *, status: int = 200, kind: str = "application/json"
    ) -> None:
        data = text.encode()
        handler.send_response(status)
        handler.send_header("Content-Type", kind)
        handler.send_header("X-Request-Id", SECRET["response_header"])
        handler.send_header("Content-Length", str(len(data)))
        handler.end_headers()
        handler.wfile.write(data)


@contextmanager
def providing() -> Iterator[Provider]:
    """Run the provider."""
    provider = Provider()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            text = self.rfile.read(int(self.headers["Content-Length"])).decode()
            provider.received.append(f"{self.path}\n{self.headers}\n{text}")
            provider.respond(self, json.loads(text))

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    provider.port = server.server_port
    try:
        yield provider
    finally:
        provider.release.set()
        server.shutdown()
        server.server_close()
        thread.join()


def pool(port: int, *models: str) -> list[dict[str, Any]]:
    """Models of the provider, with secrets in how they are reached."""
    return [
        {
            "id": model,
            "backend": "openai",
            "base_url": f"http://me:{SECRET['password']}@127.0.0.1:{port}/v1?sig={SECRET['query']}",
            "api_key": "env:CANARY_KEY",
            "params": {"user": SECRET["parameter"], "extra_headers": {"X-Secret": SECRET["header"]}},
            "input_usd_per_million": 1.0,
            "output_usd_per_million": 4.0,
            "context_tokens": 100_000,
            "capabilities": {"tools": True, "json_schema": True, "vision": True},
        }
        for model in models
    ]


class Hunt(logging.Handler):
    """Runs a router with every exporter there is, and keeps all that leaves it.

    It is the root logger's handler, and a plugin that looks at every event.
    """

    def __init__(self, collector: Collector, folder: Path, mode: str) -> None:
        super().__init__(logging.DEBUG)
        self.mode = mode
        self.url = f"sqlite:///{folder}/state.db"
        self._folder, self._collector = folder, collector
        self._seen: dict[str, list[str]] = {"logs": [], "prints": [], "errors": [], "reports": []}
        self._tracers = TracerProvider(shutdown_on_exit=False)
        self._tracers.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(f"{collector.url}/v1/traces")))
        reader = PeriodicExportingMetricReader(OTLPMetricExporter(f"{collector.url}/v1/metrics"), 3_600_000)
        self._meters = MeterProvider([reader], shutdown_on_exit=False)
        self._loggers = LoggerProvider(shutdown_on_exit=False)
        self._loggers.add_log_record_processor(BatchLogRecordProcessor(OTLPLogExporter(f"{collector.url}/v1/logs")))

    def router(self, models: list[dict[str, Any]], *, plugins: tuple[object, ...] = (), **config: Any) -> Router:
        """A router under observation."""
        execution = {"retries": 0, "backoff_base_s": 0.001, **config.pop("execution", {})}
        router = Router(
            models,
            config.pop("incumbent", models[0]["id"]),
            plugins=[self, *plugins],
            config={
                "execution": execution,
                "health": {"enabled": False},
                "telemetry": {"content": self.mode},
                "state": {"url": self.url, "refresh_s": 0.05},
                **config,
            },
            tracer_provider=self._tracers,
            meter_provider=self._meters,
            logger_provider=self._loggers,
        )
        self.see(router, *router.models.values(), router.policy, router.execution)
        return router

    # --- looking --------------------------------------------------------------------------------------------------

    def emit(self, record: logging.LogRecord) -> None:
        if record.name.split(".")[0] in ("taskrouter", "opentelemetry"):
            facts = {name: value for name, value in vars(record).items() if name not in ("exc_info", "args")}
            whole = "".join(traceback.format_exception(record.exc_info[1])) if record.exc_info else ""
            self._seen["logs"].append(f"{record.getMessage()} {record.args!r} {facts!r} {whole}")

    def see(self, *values: object) -> None:
        """Print what a user, a debugger or a test report would print."""
        self._seen["prints"] += [text for value in values for text in (repr(value), str(value), f"{value}")]

    def see_error(self, error: BaseException) -> None:
        """Look at an error of ours, at what it groups and what it carries; its cause is the provider's own."""
        assert isinstance(error, TaskRouterError), repr(error)
        self._seen["errors"] += [repr(error), str(error), repr(error.args)]
        self._seen["errors"] += traceback.format_exception_only(error)
        self._seen["errors"] += [repr(value) for name, value in vars(error).items() if not name.startswith("__")]
        for inner in getattr(error, "exceptions", ()):
            self.see_error(inner)
        if isinstance(error, e.StreamBroken):
            self._seen["errors"].append(repr(error.partial))

    def report(self, *texts: str) -> None:
        """Look at what a command has printed or a page shows."""
        self._seen["reports"] += texts

    @hookimpl
    def taskrouter_decided(self, decision: Decision) -> None:
        self.see(decision, decision.profile, decision.plan, *decision.ranking, *decision.rejected)
        self.see(decision.explain(), json.dumps(decision.to_dict()))

    @hookimpl
    def taskrouter_attempted(self, attempt: Attempt) -> None:
        self.see(attempt)

    @hookimpl
    def taskrouter_completed(self, outcome: Outcome[Any]) -> None:
        self.see(outcome, outcome.view, outcome.view.tool_calls, outcome.usage, outcome.proposals)
        self.see(json.dumps(outcome.to_dict()))

    # --- finding --------------------------------------------------------------------------------------------------

    def haul(self) -> dict[str, bytes]:
        """All that has left, by the way that it took."""
        self._tracers.force_flush()
        self._meters.force_flush()
        self._loggers.force_flush()
        sent = {
            name: b"\n".join(body for path, _, body in self._collector.requests if path == f"/v1/{signal}")
            for name, signal in {"traces": "traces", "metrics": "metrics", "events": "logs"}.items()
        }
        ledger = b"\n".join(path.read_bytes() for path in sorted(self._folder.iterdir()) if path.is_file())
        return {**sent, "ledger": ledger, **{name: "\n".join(s).encode() for name, s in self._seen.items()}}

    def found(self) -> set[tuple[str, str]]:
        """Every secret that is anywhere, with the way that it took: raw, in other cases, or as base64."""
        return {
            (place, name)
            for place, data in self.haul().items()
            for name, stem in STEMS.items()
            if stem.encode() in data.lower() or (name == "picture" and PICTURE[:12].encode() in data)
        }

    def allowed(self) -> set[tuple[str, str]]:
        """What may be somewhere: content where it was asked for, and what the context is there to say."""
        places = {"SPAN_ONLY": ["traces"], "EVENT_ONLY": ["events"], "SPAN_AND_EVENT": ["traces", "events"]}
        content = {(place, name) for place in places.get(self.mode, []) for name in (*CONTENT, *SHOWN)}
        context = {("traces", "session"), ("events", "session"), ("prints", "session"), ("prints", "tag")}
        return content | context | {(place, "run") for place in ("traces", "logs", "prints")}

    def leaks(self) -> set[tuple[str, str]]:
        """What is where it may not be."""
        return self.found() - self.allowed()

    def end(self) -> None:
        """Stop the exporters."""
        self._tracers.shutdown()
        self._meters.shutdown()
        self._loggers.shutdown()
