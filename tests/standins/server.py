"""The vendors' endpoints on one loopback port, with faults on demand and every request kept."""

from __future__ import annotations

import logging
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from tests.standins import anthropic_messages, brain, files, openai_chat, openai_responses
from tests.standins.checks import Refused
from tests.standins.reply import Memory, Reply
from tests.standins.transport import Gate, Streamed
from uvicorn import Config, Server

Fault = Literal["error", "unavailable", "limited", "cut", "empty", "broken", "stops", "silent", "misshapen"]
"""What goes wrong, at every request:

| fault         | streamed                                                       | whole                            |
|---------------|----------------------------------------------------------------|----------------------------------|
| `error`       | status 500                                                     | status 500                       |
| `unavailable` | status 503                                                     | status 503                       |
| `limited`     | status 429, which asks for a moment of patience                | status 429                       |
| `cut`         | the connection ends before the first word                      | it ends in the middle            |
| `empty`       | status 200, and the end at once                                | status 200, and an empty body    |
| `broken`      | the connection ends in the middle                              | it ends in the middle            |
| `stops`       | the end comes properly, but in the middle: nobody says why     | half of a document, properly sent|
| `silent`      | all as it should be, but nothing is said                       | an answer that says nothing      |
| `misshapen`   | arguments and objects that fit no schema                       | the same                         |
"""
Endpoint = Callable[[Mapping[str, Any], Memory, brain.Brain], Reply]

_STATUSES: Mapping[Fault, tuple[int, str]] = {
    "error": (500, "the server had an error"),
    "unavailable": (503, "the server is overloaded"),
    "limited": (429, "too many requests"),
}
_BRAINS: Mapping[Fault | None, brain.Brain] = {"silent": brain.silence, "misshapen": brain.misunderstanding}
RETRY_AFTER_S = "0.01"
"""What `limited` asks for."""

_ENDPOINTS: Mapping[str, Endpoint] = {
    "/v1/chat/completions": openai_chat.respond,
    "/v1/responses": openai_responses.respond,
    "/v1/messages": anthropic_messages.respond,
    "/v1/messages/count_tokens": anthropic_messages.count,
}


@dataclass(frozen=True, slots=True)
class Received:
    """A request as it came in."""

    path: str
    body: Mapping[str, Any]
    status: int
    error: str = ""
    """Why it was refused."""

    @property
    def model(self) -> str:
        return str(self.body["model"])


class Vendors:
    """The running stand-ins; see `serve`."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"
        """What Anthropic's client takes as `base_url`."""
        self.openai_url = f"{self.url}/v1"
        """What OpenAI's client takes as `base_url`."""
        self.memory = Memory()
        self._faults: dict[str, Fault] = {}
        self._gates: dict[str, Gate] = {}
        self._received: list[Received] = []
        self._lock = threading.Lock()

    @property
    def received(self) -> list[Received]:
        """The requests so far, in order of arrival."""
        with self._lock:
            return list(self._received)

    def fail(self, model: str, fault: Fault) -> None:
        """Let every request to a model fail."""
        self._faults[model] = fault

    def heal(self, model: str) -> None:
        """Let a model answer again."""
        self._faults.pop(model, None)

    @contextmanager
    def holding(self, model: str, *, at_open: bool = False) -> Iterator[Gate]:
        """Hold a model's answers back until the gate is opened or the block ends.

        Args:
            model: whose.
            at_open: whether streams wait before their first event, and not halfway. Whole answers always do.
        """
        gate = self._gates[model] = Gate(at_open=at_open)
        try:
            yield gate
        finally:
            self._gates.pop(model, None)
            gate.open()

    def reset(self) -> None:
        """Heal all models, and forget all requests, prompts and signatures."""
        with self._lock:
            self._received.clear()
        self._faults.clear()
        self.memory = Memory()

    async def answer(self, request: Request) -> Response:
        """Answer a request to a vendor's endpoint."""
        body = await request.json()
        path, model = request.url.path, body["model"]
        fault, gate = self._faults.get(model), self._gates.get(model)
        refusal = ""
        try:
            response = self._response(path, body, fault, gate)
        except Refused as refused:
            refusal = str(refused)
            response = _error(400, refusal)
        with self._lock:
            self._received.append(Received(path, body, response.status_code, refusal))
        if gate is not None and not isinstance(response, Streamed):
            await gate.wait(request.receive)
        return response

    def _response(self, path: str, body: Mapping[str, Any], fault: Fault | None, gate: Gate | None) -> Response:
        if fault is not None and fault in _STATUSES:
            return _error(*_STATUSES[fault])
        reply = _ENDPOINTS[path](body, self.memory, _BRAINS.get(fault, brain.answer))
        if reply.document is None:
            return Streamed(_left(reply, fault), "text/event-stream", gate, breaks=fault in ("cut", "broken"))
        whole = JSONResponse(reply.document)
        if fault is None or fault in _BRAINS:
            return whole
        sent = b"" if fault == "empty" else bytes(whole.body[: len(whole.body) // 2])
        return Streamed([sent], whole.media_type, breaks=fault in ("cut", "broken"))


def _left(reply: Reply, fault: Fault | None) -> list[bytes]:
    """Return what a fault leaves of a stream's events."""
    kept = {"cut": reply.opening, "empty": 0, "broken": len(reply.events) // 2, "stops": len(reply.events) // 2}
    return [event.encode() for event in reply.events[: kept.get(str(fault))]]


def _error(status: int, message: str) -> Response:
    """Return an error in a shape that both vendors' clients read."""
    kind = {400: "invalid_request_error", 429: "rate_limit_error"}.get(status, "api_error")
    document = {"type": "error", "error": {"type": kind, "message": message, "code": None}}
    return JSONResponse(document, status, {"retry-after": RETRY_AFTER_S} if status == 429 else None)


async def _file(request: Request) -> Response:
    body, media_type = files.of(request.path_params["name"])
    return Response(body, media_type=media_type)


@contextmanager
def serve() -> Iterator[Vendors]:
    """Serve the stand-ins on a free loopback port until the block ends."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        vendors = Vendors(listener.getsockname()[1])
        routes = [Route(path, vendors.answer, methods=["POST"]) for path in _ENDPOINTS]
        routes.append(Route("/files/{name}", _file))
        server = _Server(Config(Starlette(routes=routes), lifespan="off", log_config=None, access_log=False, ws="none"))
        thread = threading.Thread(target=server.run, args=([listener],), name="vendors", daemon=True)
        thread.start()
        try:
            server.ready.wait()
            yield vendors
        finally:
            server.should_exit = True
            thread.join()


class _Server(Server):
    def __init__(self, config: Config) -> None:
        super().__init__(config)
        self.ready = threading.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.ready.set()


logging.getLogger("uvicorn.error").addFilter(  # a connection broken on purpose is no error
    lambda record: not record.getMessage().startswith("ASGI callable returned without completing")
)
