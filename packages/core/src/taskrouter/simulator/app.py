"""The HTTP surface: OpenAI's endpoints and the simulator's own, as an ASGI application."""

from __future__ import annotations

import json
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from taskrouter.simulator import wire
from taskrouter.simulator.apierror import ApiError
from taskrouter.simulator.config import Fault
from taskrouter.simulator.httpfaults import server_error
from taskrouter.simulator.journal import RequestRecord
from taskrouter.simulator.line import Line
from taskrouter.simulator.simulation import Reply, Simulation

LINE = "line"
"""Key of the client's connection in the state of a request."""
MARK = (b"x-taskrouter-simulated", b"true")
"""Header of every response."""


def build(simulation: Simulation) -> ASGIApp:
    """Return the application."""
    own = _Own(simulation)
    routes = [
        Route("/v1/chat/completions", _Chat(simulation), methods=["POST"]),
        Route("/v1/models", own.models, methods=["GET"]),
        Route("/health", own.health, methods=["GET"]),
        Route("/sim/requests", own.requests, methods=["GET"]),
        Route("/sim/connections", own.connections, methods=["GET"]),
        Route("/sim/reset", own.reset, methods=["POST"]),
    ]
    return _Marked(Starlette(routes=routes, exception_handlers={HTTPException: _http_error}))


class _Marked:
    """Says on every response that it is simulated."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def marked(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], MARK]
            await send(message)

        await self._app(scope, receive, marked)


async def _http_error(request: Request, error: Exception) -> Response:
    """Answer an unknown address or a wrong method in the API's shape."""
    status = error.status_code if isinstance(error, HTTPException) else 500
    problem = ApiError(f"Invalid URL ({request.method} {request.url.path})", status=status)
    return JSONResponse(problem.document(), status_code=status)


class _Own:
    """The endpoints that tell about the models and about what was received."""

    def __init__(self, simulation: Simulation) -> None:
        self._simulation = simulation

    async def models(self, _request: Request) -> Response:
        data = [
            {
                "id": model.id,
                "object": "model",
                "created": 0,
                "owned_by": "taskrouter-simulator",
                "simulated": model.model_dump(mode="json", exclude={"id", "script", "faults"}),
            }
            for model in self._simulation.config.models
        ]
        return JSONResponse({"object": "list", "data": data})

    async def health(self, _request: Request) -> Response:
        return JSONResponse({"status": "ok", "simulated": True})

    async def requests(self, _request: Request) -> Response:
        records = self._simulation.journal.snapshot()
        return JSONResponse({"requests": [record.to_dict() for record in records]})

    async def connections(self, _request: Request) -> Response:
        return JSONResponse({"open": self._simulation.journal.open_connections})

    async def reset(self, _request: Request) -> Response:
        self._simulation.reset()
        return JSONResponse({"status": "reset"})


class _Chat:
    """`POST /v1/chat/completions`."""

    def __init__(self, simulation: Simulation) -> None:
        self._simulation = simulation
        self._journal = simulation.journal

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        try:
            body = await request.body()
        except ClientDisconnect:
            return
        line: Line = scope["state"][LINE]
        record = self._journal.open(line.number)
        try:
            reply = self._simulation.receive(record, body, request.headers.get("authorization"))
            await _Exchange(self._simulation, reply, record, line, send).run()
        except ApiError as error:
            self._journal.update(record, status=error.status, done=True)
            headers = {**error.headers, "x-request-id": record.request_id}
            await JSONResponse(error.document(), status_code=error.status, headers=headers)(scope, receive, send)
        finally:
            self._journal.update(record, closed_early=line.hung_up and not record.done, done=True)


class _Exchange:
    """One reply on its way to the client, at the model's pace and with its fault."""

    def __init__(self, simulation: Simulation, reply: Reply, record: RequestRecord, line: Line, send: Send) -> None:
        self._journal = simulation.journal
        self._speed = simulation.config.speed
        self._reply = reply
        self._record = record
        self._line = line
        self._send = send

    async def run(self) -> None:
        """Send the reply, or what its fault leaves of it."""
        fault = self._reply.fault
        if fault in _PAGES:
            status, title = _PAGES[fault]
            await self._respond(status, _page(title), content_type="text/html")
        elif fault == "timeout":
            if await self._hang():
                raise ApiError("The request timed out: simulated.", status=504, kind="server_error")
        elif await self._line.wait(self._seconds_before_the_first_token()):
            await (self._stream() if self._reply.request.stream else self._whole())
        if self._record.status is None and not self._line.hung_up:
            raise ApiError("The simulator is stopping.", status=503, kind="server_error")

    async def _whole(self) -> None:
        fault, tokens = self._reply.fault, self._reply.answer.tokens
        if not await self._line.wait(self._seconds(tokens)):
            return
        data = json.dumps(wire.completion(self._reply)).encode()
        fields: dict[str, Any] = {"completion_tokens": tokens}
        if fault in {"cut_stream", "cut_after_role", "drop_connection"}:
            await self._respond(200, data, sent=len(data) // 2, **fields)
        elif fault == "stall":
            await self._respond(200, data, sent=len(data) // 2, hang=True, **fields)
        elif fault == "stall_after_role":
            await self._respond(200, data, sent=0, hang=True, **fields)
        elif fault == "malformed_json":
            await self._respond(200, data[: len(data) // 2], **fields)
        else:
            await self._respond(200, data, finish_reason=self._reply.answer.finish_reason, **fields)

    async def _stream(self) -> None:
        reply, fault = self._reply, self._reply.fault
        await self._start(200, {"content-type": "text/event-stream; charset=utf-8", "cache-control": "no-cache"})
        if fault == "empty_stream":
            await self._end(wire.DONE)
            return
        await self._write(wire.opening(reply).data)
        for chunk in self._part_sent(list(wire.body(reply))):
            if not await self._line.wait(self._seconds(chunk.tokens)):
                return
            self._journal.update(self._record, completion_tokens=self._record.completion_tokens + chunk.tokens)
            await self._write(chunk.data)
        if fault == "drop_connection":
            self._journal.update(self._record, done=True)
        elif fault in {"stall", "stall_after_role"}:
            await self._hang()
        elif fault in {"cut_stream", "cut_after_role"}:
            await self._end(b"")
        elif fault in {"error_event", "error_after_role"}:
            await self._end(wire.error(server_error().document()))
        elif fault == "malformed_json":
            await self._end(wire.opening(reply).data[:40] + b"\n\n" + wire.DONE)
        else:
            fields = {"finish_reason": reply.answer.finish_reason, "completion_tokens": reply.answer.tokens}
            await self._end(b"".join(chunk.data for chunk in wire.closing(reply)), **fields)

    def _part_sent(self, content: list[wire.Chunk]) -> list[wire.Chunk]:
        """Return as much of the content as the fault leaves."""
        if self._reply.fault in _NOTHING_BUT_THE_ROLE:
            return []
        return content[: (len(content) + 1) // 2] if self._reply.fault in _HALF else content

    def _seconds(self, tokens: int) -> float:
        return tokens / self._reply.model.output_tokens_per_s * self._speed

    def _seconds_before_the_first_token(self) -> float:
        late_s = self._reply.durations.slow_start_s if self._reply.fault == "slow_start" else 0.0
        return self._reply.model.first_token_s * self._speed + late_s

    async def _hang(self) -> bool:
        """Send nothing for a long time, and tell whether there is still somebody to send to."""
        return await self._line.wait(self._reply.durations.hang_s)

    async def _respond(
        self,
        status: int,
        data: bytes,
        *,
        content_type: str = "application/json",
        sent: int | None = None,
        hang: bool = False,
        **fields: Any,
    ) -> None:
        """Send a whole body, or its first `sent` bytes: then the connection breaks, at once or after a long time.

        Further fields go into the record.
        """
        await self._start(status, {"content-type": content_type, "content-length": str(len(data))})
        if sent is None:
            await self._end(data, **fields)
            return
        self._journal.update(self._record, done=not hang, **fields)
        await self._write(data[:sent])
        if hang:
            await self._hang()

    async def _start(self, status: int, headers: dict[str, str]) -> None:
        self._journal.update(self._record, status=status)
        named = {**headers, "x-request-id": self._record.request_id}
        raw = [(name.encode(), value.encode()) for name, value in named.items()]
        await self._send({"type": "http.response.start", "status": status, "headers": raw})

    async def _write(self, data: bytes) -> None:
        await self._send({"type": "http.response.body", "body": data, "more_body": True})

    async def _end(self, data: bytes, **fields: Any) -> None:
        # Noted before it is sent, so that a client that has read the end also finds it in the record.
        self._journal.update(self._record, done=True, **fields)
        await self._send({"type": "http.response.body", "body": data, "more_body": False})


_PAGES: dict[Fault | None, tuple[int, str]] = {"bad_gateway": (502, "502 Bad Gateway"), "html_answer": (200, "Sign in")}
_NOTHING_BUT_THE_ROLE: frozenset[Fault | None] = frozenset({"cut_after_role", "stall_after_role", "error_after_role"})
_HALF: frozenset[Fault | None] = frozenset({"cut_stream", "drop_connection", "malformed_json", "stall", "error_event"})


def _page(title: str) -> bytes:
    return f"<html><head><title>{title}</title></head><body><h1>{title}</h1><p>simulated</p></body></html>".encode()
