"""The HTTP surface: OpenAI's endpoints and the simulator's own, as an ASGI application."""

from __future__ import annotations

import asyncio
import json
from types import TracebackType
from typing import Any, Self

from starlette.applications import Starlette
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from taskrouter.simulator import wire
from taskrouter.simulator.apierror import ApiError
from taskrouter.simulator.journal import RequestRecord
from taskrouter.simulator.simulation import Reply, Simulation

MARK = "x-taskrouter-simulated"
"""Header of every response."""
_HTML = "<html><head><title>502 Bad Gateway</title></head><body><h1>502 Bad Gateway</h1><p>simulated</p></body></html>"


def build(simulation: Simulation, closing: asyncio.Event) -> ASGIApp:
    """Return the application. Setting `closing` ends the requests that hang."""
    own = _Own(simulation)
    routes = [
        Route("/v1/chat/completions", _Chat(simulation, closing), methods=["POST"]),
        Route("/v1/models", own.models, methods=["GET"]),
        Route("/health", own.health, methods=["GET"]),
        Route("/sim/requests", own.requests, methods=["GET"]),
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
                MutableHeaders(scope=message)[MARK] = "true"
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

    async def reset(self, _request: Request) -> Response:
        self._simulation.reset()
        return JSONResponse({"status": "reset"})


class _Line:
    """The connection to one client: waits, and notices when the client hangs up or the server closes."""

    def __init__(self, receive: Receive, closing: asyncio.Event) -> None:
        self._receive = receive
        self._closing = closing
        self._watchers: set[asyncio.Task[Any]] = set()
        self.hung_up = False

    async def __aenter__(self) -> Self:
        self._watchers = {asyncio.create_task(self._listen()), asyncio.create_task(self._closing.wait())}
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for watcher in self._watchers:
            watcher.cancel()
        await asyncio.gather(*self._watchers, return_exceptions=True)

    async def wait(self, seconds: float) -> bool:
        """Wait, and tell whether the client is still there."""
        if seconds > 0:
            await asyncio.wait(self._watchers, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        else:
            await asyncio.sleep(0)
        return not any(watcher.done() for watcher in self._watchers)

    async def _listen(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self.hung_up = True


class _Chat:
    """`POST /v1/chat/completions`."""

    def __init__(self, simulation: Simulation, closing: asyncio.Event) -> None:
        self._simulation = simulation
        self._journal = simulation.journal
        self._closing = closing

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        try:
            body = await request.body()
        except ClientDisconnect:
            return
        record = self._journal.open()
        async with _Line(receive, self._closing) as line:
            try:
                reply = self._simulation.receive(record, body, request.headers.get("authorization"))
                await _Exchange(self._simulation, reply, record, line, send).run()
            except ApiError as error:
                self._journal.update(record, status=error.status, done=True)
                response = JSONResponse(error.document(), status_code=error.status, headers=error.headers)
                await response(scope, receive, send)
            finally:
                self._journal.update(record, closed_early=line.hung_up and not record.done, done=True)


class _Exchange:
    """One reply on its way to the client, at the model's pace and with its fault."""

    def __init__(self, simulation: Simulation, reply: Reply, record: RequestRecord, line: _Line, send: Send) -> None:
        self._journal = simulation.journal
        self._speed = simulation.config.speed
        self._reply = reply
        self._record = record
        self._line = line
        self._send = send

    async def run(self) -> None:
        """Send the reply, or what its fault leaves of it."""
        fault = self._reply.fault
        if fault == "bad_gateway":
            await self._respond(502, _HTML.encode(), content_type="text/html")
        elif fault == "timeout":
            if await self._line.wait(self._reply.model.faults.hang_s):
                raise ApiError("The request timed out: simulated.", status=504, kind="server_error")
        elif await self._line.wait(self._reply.model.first_token_s * self._speed):
            await (self._stream() if self._reply.request.stream else self._whole())
        if self._record.status is None and not self._line.hung_up:
            raise ApiError("The simulator is stopping.", status=503, kind="server_error")

    async def _whole(self) -> None:
        fault, tokens = self._reply.fault, self._reply.answer.tokens
        if not await self._line.wait(self._seconds(tokens)):
            return
        data = json.dumps(wire.completion(self._reply)).encode()
        self._journal.update(self._record, completion_tokens=tokens)
        if fault in {"cut_stream", "cut_after_role", "drop_connection"}:
            await self._respond(200, data, sent=len(data) // 2)
        elif fault == "malformed_json":
            await self._respond(200, data[: len(data) // 2])
        else:
            self._journal.update(self._record, finish_reason=self._reply.answer.finish_reason)
            await self._respond(200, data)

    async def _stream(self) -> None:
        reply, fault = self._reply, self._reply.fault
        await self._start(200, {"content-type": "text/event-stream; charset=utf-8", "cache-control": "no-cache"})
        await self._write(wire.opening(reply).data)
        content = [] if fault == "cut_after_role" else list(wire.body(reply))
        broken = fault in {"cut_stream", "drop_connection", "malformed_json"}
        for chunk in content[: (len(content) + 1) // 2] if broken else content:
            if not await self._line.wait(self._seconds(chunk.tokens)):
                return
            self._journal.update(self._record, completion_tokens=self._record.completion_tokens + chunk.tokens)
            await self._write(chunk.data)
        if fault == "drop_connection":
            self._journal.update(self._record, done=True)
        elif fault == "malformed_json":
            await self._end(wire.opening(reply).data[:40] + b"\n\n" + wire.DONE)
        elif broken or fault == "cut_after_role":
            await self._end(b"")
        else:
            fields = {"finish_reason": reply.answer.finish_reason, "completion_tokens": reply.answer.tokens}
            self._journal.update(self._record, **fields)
            await self._end(b"".join(chunk.data for chunk in wire.closing(reply)))

    def _seconds(self, tokens: int) -> float:
        return tokens / self._reply.model.output_tokens_per_s * self._speed

    async def _respond(
        self, status: int, data: bytes, *, content_type: str = "application/json", sent: int | None = None
    ) -> None:
        """Send a whole body, or its first `sent` bytes: then the connection breaks."""
        await self._start(status, {"content-type": content_type, "content-length": str(len(data))})
        if sent is None:
            await self._end(data)
        else:
            self._journal.update(self._record, done=True)
            await self._write(data[:sent])

    async def _start(self, status: int, headers: dict[str, str]) -> None:
        self._journal.update(self._record, status=status)
        named = {**headers, "x-request-id": self._reply.id}
        raw = [(name.encode(), value.encode()) for name, value in named.items()]
        await self._send({"type": "http.response.start", "status": status, "headers": raw})

    async def _write(self, data: bytes) -> None:
        await self._send({"type": "http.response.body", "body": data, "more_body": True})

    async def _end(self, data: bytes) -> None:
        # Noted before it is sent, so that a client that has read the end also finds it in the record.
        self._journal.update(self._record, done=True)
        await self._send({"type": "http.response.body", "body": data, "more_body": False})
