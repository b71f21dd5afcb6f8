"""The simulated provider without its transport: a request goes in, a reply or an API error comes out."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterable
from dataclasses import dataclass
from random import Random
from typing import Any

from taskrouter.errors import ConfigurationError
from taskrouter.simulator import rules
from taskrouter.simulator.answering import Answer, answer
from taskrouter.simulator.apierror import ApiError
from taskrouter.simulator.chaos import Chaos, ChaosScript
from taskrouter.simulator.config import Durations, Event, Fault, SimulatedModel, SimulatorConfig
from taskrouter.simulator.faults import FaultSource, Met
from taskrouter.simulator.httpfaults import http_fault, not_found
from taskrouter.simulator.journal import Journal, RequestRecord
from taskrouter.simulator.request import ChatRequest, parse
from taskrouter.simulator.spoiling import spoilt
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
    durations: Durations
    """How long the fault takes."""
    prompt_tokens: int
    cached_tokens: int


class Simulation:
    """The models, what they remember, and what they received."""

    def __init__(self, config: SimulatorConfig) -> None:
        self.config = config
        self.journal = Journal()
        self._faults = {model.id: FaultSource(model, config.seed) for model in config.models}
        self._chaos: Chaos | None = None
        self._prefixes = PrefixMemory(config.min_cached_tokens)

    @property
    def chaos_script(self) -> ChaosScript | None:
        """The chaos script at work, or None."""
        return self._chaos.script if self._chaos else None

    def chaos(self, script: ChaosScript | None) -> None:
        """Begin a chaos script, in place of the one before; None ends it."""
        self._chaos = Chaos(script, self.config.seed) if script else None

    def reset(self) -> None:
        """Forget all requests and cached prefixes, and start every fault sequence and the chaos script again."""
        self.journal.clear()
        self._prefixes.clear()
        for source in self._faults.values():
            source.reset()
        if self._chaos:
            self._chaos.reset()

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
            raise not_found(request.model)
        rules.check(request, model)
        met = self._meet(model)
        self.journal.update(record, prompt_tokens=prompt_tokens(request), fault=met.fault, phase=met.phase)
        if error := http_fault(met.fault, model, met.durations, stream=bool(request.stream)):
            raise error
        return self._reply(record, request, model, met)

    def _meet(self, model: SimulatedModel) -> Met:
        """Return what the next request to a model meets: by the chaos script, else by the model's own faults."""
        ruled = self._chaos.next(model) if self._chaos else None
        return ruled or self._faults[model.id].next()

    def _reply(self, record: RequestRecord, request: ChatRequest, model: SimulatedModel, met: Met) -> Reply:
        cached = self._prefixes.cached_tokens(request)
        salt = f"{self.config.seed}:{model.id}:{record.index}"
        given = answer(request, model, seed=self.config.seed, index=record.index)
        if met.fault is not None:
            given = spoilt(given, request, met.fault, Random(salt))
        self.journal.update(record, cached_tokens=cached)
        digest = hashlib.sha256(salt.encode()).hexdigest()
        return Reply(
            id=f"chatcmpl-sim{digest[:24]}",
            created=int(time.time()),
            model=model,
            request=request,
            answer=given,
            fault=met.fault,
            durations=met.durations,
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
            prompt_digest=_digest(document),
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


def _digest(document: dict[str, Any]) -> str | None:
    """Return what is the same for the same messages, tools and answer format."""
    asked = [document.get(key) for key in ("messages", "tools", "response_format")]
    try:
        return hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()[:16]
    except RecursionError:  # nested more deeply than any request that will be answered
        return None
