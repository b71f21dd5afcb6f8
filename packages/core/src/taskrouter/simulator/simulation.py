"""The simulated provider without its transport: a request goes in, a reply or an API error comes out."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterable
from dataclasses import dataclass, replace
from random import Random
from typing import Any

from taskrouter.errors import ConfigurationError
from taskrouter.simulator import filling, rules
from taskrouter.simulator.answering import Answer, Call, answer
from taskrouter.simulator.apierror import ApiError
from taskrouter.simulator.config import Event, Fault, SimulatedModel, SimulatorConfig
from taskrouter.simulator.faults import FaultSource
from taskrouter.simulator.journal import Journal, RequestRecord
from taskrouter.simulator.request import ChatRequest, parse
from taskrouter.simulator.tokens import PrefixMemory, prompt_tokens


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """An answer on its way, with the fault that it meets on the wire."""

    id: str
    created: int
    """Seconds since the epoch."""
    model: SimulatedModel
    request: ChatRequest
    answer: Answer
    fault: Fault | None
    prompt_tokens: int
    cached_tokens: int


class Simulation:
    """The models, what they remember, and what they received."""

    def __init__(self, config: SimulatorConfig) -> None:
        self.config = config
        self.journal = Journal()
        self._faults = {model.id: FaultSource(model, config.seed) for model in config.models}
        self._prefixes = PrefixMemory(config.min_cached_tokens)

    def reset(self) -> None:
        """Forget all requests and cached prefixes, and start every fault sequence again."""
        self.journal.clear()
        self._prefixes.clear()
        for source in self._faults.values():
            source.reset()

    def script(self, model: str, events: Iterable[Event]) -> None:
        """Add to what the next requests to a model meet.

        Raises:
            ConfigurationError: there is no such model, or an event is neither `ok` nor a fault.
        """
        if model not in self._faults:
            raise ConfigurationError(f"no simulated model {model!r}; there are: {', '.join(self._faults)}")
        self._faults[model].script(events)

    def receive(self, record: RequestRecord, body: bytes, authorization: str | None) -> Reply:
        """Validate a request, draw its fault and prepare the reply; note it all in the record.

        Raises:
            ApiError: the request is refused, or meets a fault that is an HTTP error.
        """
        if self.config.require_key and not (authorization or "").lower().startswith("bearer "):
            raise ApiError(
                "You didn't provide an API key. You need to provide your API key in an Authorization header using "
                "Bearer auth (i.e. Authorization: Bearer YOUR_KEY).",
                status=401,
            )
        document = _decoded(body)
        self._note_shape(record, document)
        request = parse(document)
        model = self.config.model(request.model)
        if model is None:
            raise ApiError(
                f"The model '{request.model}' does not exist or you do not have access to it.",
                status=404,
                code="model_not_found",
            )
        rules.check(request, model)
        self.journal.update(record, prompt_tokens=prompt_tokens(request))
        fault = self._faults[model.id].next()
        self.journal.update(record, fault=fault)
        if error := _http_fault(fault, model):
            raise error
        return self._reply(record, request, model, fault)

    def _reply(self, record: RequestRecord, request: ChatRequest, model: SimulatedModel, fault: Fault | None) -> Reply:
        cached = self._prefixes.cached_tokens(request)
        given = answer(request, model, seed=self.config.seed, index=record.index)
        if fault == "empty_answer":
            given = Answer(text="")
        elif fault == "invalid_tool_call":
            given = _broken_call(given, request, Random(f"{self.config.seed}:{model.id}:{record.index}"))
        self.journal.update(record, cached_tokens=cached)
        digest = hashlib.sha256(f"{self.config.seed}:{model.id}:{record.index}".encode()).hexdigest()
        return Reply(
            id=f"chatcmpl-sim{digest[:24]}",
            created=int(time.time()),
            model=model,
            request=request,
            answer=given,
            fault=fault,
            prompt_tokens=record.prompt_tokens,
            cached_tokens=cached,
        )

    def _note_shape(self, record: RequestRecord, document: Any) -> None:
        if not isinstance(document, dict):
            return
        model, messages, tools = (document.get(key) for key in ("model", "messages", "tools"))
        self.journal.update(
            record,
            model=model if isinstance(model, str) else None,
            stream=document.get("stream") is True,
            messages=len(messages) if isinstance(messages, list) else 0,
            tools=len(tools) if isinstance(tools, list) else 0,
            body=document if self.config.record_content else None,
        )


def _decoded(body: bytes) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        raise ApiError(
            "We could not parse the JSON body of your request. (HINT: This likely means you aren't using your HTTP "
            "library correctly. The API expects a JSON payload, but what was sent was not valid JSON.)"
        ) from None


def _http_fault(fault: Fault | None, model: SimulatedModel) -> ApiError | None:
    """Return the fault as an API error where it is one."""
    if fault == "rate_limit":
        wait_s = model.faults.retry_after_s
        return ApiError(
            f"Rate limit reached for {model.id}: simulated. Please try again in {wait_s:g}s.",
            status=429,
            kind="requests",
            code="rate_limit_exceeded",
            headers={"retry-after": f"{wait_s:g}"},
        )
    if fault == "server_error":
        return ApiError(
            "The server had an error while processing your request: simulated.", status=500, kind="server_error"
        )
    if fault == "overloaded":
        return ApiError(
            "The engine is currently overloaded, please try again later: simulated.",
            status=503,
            kind="server_error",
            code="overloaded",
        )
    return None


def _broken_call(given: Answer, request: ChatRequest, random: Random) -> Answer:
    """Return a tool call that cannot be run, in one of three ways. Without tools the answer stays."""
    if not request.tools or request.tool_choice == "none":
        return given
    function = request.tools[0].function
    call = (
        given.calls[0]
        if given.calls
        else Call(id=f"call_{random.getrandbits(96):024x}", name=function.name, arguments="")
    )
    arguments = call.arguments or json.dumps(filling.fill(function.parameters or {"type": "object"}, ""))
    way = random.choice(("truncated", "unknown_tool", "wrong_shape"))
    if way == "truncated":
        # One brace less than needed: no prefix of an object is JSON.
        call = replace(call, arguments=arguments[: max(1, len(arguments) // 2)])
    elif way == "unknown_tool":
        call = replace(call, name=f"{call.name[:50]}_v2", arguments=arguments)
    else:
        call = replace(call, arguments=json.dumps([arguments]))
    return Answer(calls=(call,), finish_reason="tool_calls")
