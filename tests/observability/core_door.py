"""The core's own two doors in the shape of a framework's: through its backends, and through the caller's client."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import aclosing
from typing import Any, NamedTuple

import openai
from tests.adapters.door import OPENAI, Door, Kind, Lack, Lacks, Reply, Request, System, Turn, User, Wire

from taskrouter import Router, Step
from taskrouter.execution import chat_completion_view

OTHER = Wire("steady", "gpt-4o-mini", "/v1/chat/completions", "openai")
STREAMED: dict[str, Any] = {"stream": True, "stream_options": {"include_usage": True}}


class Held(NamedTuple):
    """A router, and what its models are called through."""

    router: Router
    candidates: dict[str, Any]


class Core:
    """`complete`, `acomplete`, `stream`, `astream`: the router calls the models itself."""

    name = "core"
    wires = (OPENAI, OTHER)
    lacks: frozenset[Lack] = frozenset({"account", "thinking", "dump"})
    nameless: Sequence[tuple[Wire, Kind]] = ()
    lingering: Sequence[Wire] = ()
    shaping = (OPENAI, OTHER)
    loggers = ("taskrouter",)

    def candidate(self, wire: Wire, url: str, *, key: str = "any", thinks: bool = False) -> Any:
        del wire, key, thinks
        return {"base_url": f"{url}/v1", "backend": "openai"}

    def routed(self, candidates: Any = (), /, **arguments: Any) -> Held:
        return Held(arguments["router"], dict(candidates))

    def messages(self, turns: Sequence[Turn]) -> list[Any]:
        return [_native(turn) for turn in turns]

    def ask(self, routed: Any, request: Request) -> Reply:
        return Reply(text=routed.router.complete(_step(request)).text)

    async def aask(self, routed: Any, request: Request) -> Reply:
        return Reply(text=(await routed.router.acomplete(_step(request))).text)

    def stream(self, routed: Any, request: Request) -> Iterator[str | Reply]:
        said = ""
        with routed.router.stream(_step(request)) as chunks:
            for chunk in chunks:
                said += (text := chat_completion_view(chunk).text)
                yield text
        yield Reply(text=said)

    async def astream(self, routed: Any, request: Request) -> AsyncIterator[str | Reply]:
        said = ""
        async with routed.router.astream(_step(request)) as chunks:
            async for chunk in chunks:
                said += (text := chat_completion_view(chunk).text)
                yield text
        yield Reply(text=said)

    def dump(self, routed: Any) -> str:
        raise Lacks("dump")


class Own(Core):
    """`run`, `arun`, `run_stream`, `arun_stream`: through the OpenAI SDK, as an application holds it."""

    name = "run"

    def ask(self, routed: Any, request: Request) -> Reply:
        def call(model: str) -> Any:
            with openai.OpenAI(**_client(routed, model)) as client:
                return client.chat.completions.create(**_asked(model, request))

        return Reply(text=routed.router.run(_step(request), call).text)

    async def aask(self, routed: Any, request: Request) -> Reply:
        async def call(model: str) -> Any:
            async with openai.AsyncOpenAI(**_client(routed, model)) as client:
                return await client.chat.completions.create(**_asked(model, request))

        return Reply(text=(await routed.router.arun(_step(request), call)).text)

    def stream(self, routed: Any, request: Request) -> Iterator[str | Reply]:
        def opened(model: str) -> Iterator[Any]:
            with openai.OpenAI(**_client(routed, model)) as client:
                yield from client.chat.completions.create(**_asked(model, request), **STREAMED)

        said = ""
        with routed.router.run_stream(_step(request), opened) as chunks:
            for chunk in chunks:
                said += (text := chat_completion_view(chunk).text)
                yield text
        yield Reply(text=said)

    async def astream(self, routed: Any, request: Request) -> AsyncIterator[str | Reply]:
        async def opened(model: str) -> AsyncIterator[Any]:
            async with openai.AsyncOpenAI(**_client(routed, model)) as client:
                native: Any = await client.chat.completions.create(**_asked(model, request), **STREAMED)
                async for chunk in native:
                    yield chunk

        said = ""
        async with aclosing(routed.router.arun_stream(_step(request), opened)) as chunks:
            async for chunk in chunks:
                said += (text := chat_completion_view(chunk).text)
                yield text
        yield Reply(text=said)


CORE: Door = Core()
OWN: Door = Own()


def _step(request: Request) -> Step:
    return Step(messages=request.messages)


def _native(turn: Turn) -> dict[str, Any]:
    match turn:
        case System(text):
            return {"role": "system", "content": text}
        case User(text):
            return {"role": "user", "content": text}
        case _:
            raise AssertionError(turn)


def _client(routed: Held, model: str) -> dict[str, Any]:
    facts = routed.candidates[model]
    return {"base_url": facts["base_url"], "api_key": "any", "max_retries": 0}


def _asked(model: str, request: Request) -> dict[str, Any]:
    return {"model": NAMES[model], "messages": request.messages}


NAMES = {OPENAI.id: OPENAI.model, OTHER.id: OTHER.model, "spare": OPENAI.model}
