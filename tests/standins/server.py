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
from starlette.types import Receive, Scope, Send
from tests.standins import anthropic_messages, files, openai_chat, openai_responses
from tests.standins.checks import Refused
from tests.standins.reply import Memory, Reply
from uvicorn import Config, Server

Fault = Literal["error", "cut"]
"""`error`: always 500. `cut`: the connection ends after the role chunk, or in the middle of a whole answer."""
Endpoint = Callable[[Mapping[str, Any], Memory], Reply]

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

    def reset(self) -> None:
        """Heal all models, and forget all requests, prompts and signatures."""
        with self._lock:
            self._received.clear()
        self._faults.clear()
        self.memory = Memory()

    async def answer(self, request: Request) -> Response:
        """Answer a request to a vendor's endpoint."""
        body = await request.json()
        path, fault = request.url.path, self._faults.get(body["model"])
        refusal = ""
        try:
            response = _error(500, "the server had an error") if fault == "error" else self._response(path, body, fault)
        except Refused as refused:
            refusal = str(refused)
            response = _error(400, refusal)
        with self._lock:
            self._received.append(Received(path, body, response.status_code, refusal))
        return response

    def _response(self, path: str, body: Mapping[str, Any], fault: Fault | None) -> Response:
        reply = _ENDPOINTS[path](body, self.memory)
        if reply.document is not None:
            whole = JSONResponse(reply.document)
            return Broken([bytes(whole.body[: len(whole.body) // 2])], whole.media_type) if fault else whole
        events = [event.encode() for event in (reply.events[: reply.opening] if fault else reply.events)]
        return (Broken if fault else Streamed)(events, "text/event-stream")


class Streamed(Response):
    """Sends its parts one by one."""

    def __init__(self, parts: list[bytes], media_type: str | None) -> None:
        super().__init__(media_type=media_type)
        del self.headers["content-length"]
        self._parts = parts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        for part in self._parts:
            await send({"type": "http.response.body", "body": part, "more_body": True})
        await self.end(send)

    async def end(self, send: Send) -> None:
        """Say that the answer is complete."""
        await send({"type": "http.response.body", "body": b""})


class Broken(Streamed):
    """Ends before it is complete, upon which uvicorn closes the connection."""

    async def end(self, send: Send) -> None:
        """Say nothing."""


def _error(status: int, message: str) -> Response:
    """Return an error in a shape that both vendors' clients read."""
    kind = "invalid_request_error" if status == 400 else "api_error"
    return JSONResponse({"type": "error", "error": {"type": kind, "message": message, "code": None}}, status)


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
