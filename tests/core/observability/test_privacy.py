"""A canary in everything private: it may appear nowhere in what we write."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from tests.core.observability.recorder import Recorder, chunk, completion
from tests.core.observability.test_harmless import BROKEN

from taskrouter import Router, Step, TaskRouterError, hookimpl
from taskrouter import errors as e
from taskrouter.execution import chat_completion_view

CANARY = "kanarienvogel-7731"
TOOL = {
    "type": "function",
    "function": {
        "name": "look_up",
        "description": f"Looks up {CANARY}.",
        "parameters": {"type": "object", "properties": {"key": {"type": "string", "description": CANARY}}},
    },
}


def tool_call(name: str = "look_up", arguments: str = f'{{"key": "{CANARY}"}}') -> dict[str, Any]:
    return {"id": "call_1", "type": "function", "function": {"name": name, "arguments": arguments}}


STEP = Step(
    messages=[
        {"role": "system", "content": f"Your password is {CANARY}. Write a Python function."},
        {"role": "user", "content": f"{CANARY} {CANARY}: translate and summarize {CANARY}"},
        {"role": "assistant", "content": None, "tool_calls": [tool_call()]},
        {"role": "tool", "tool_call_id": "call_1", "content": f"result: {CANARY}"},
        {"role": "user", "content": [{"type": "text", "text": CANARY}]},
    ],
    tools=[TOOL],
    response_schema={"type": "object", "properties": {"secret": {"type": "string", "const": CANARY}}},
    payload={"user": CANARY},
)


class Provider(Exception):  # noqa: N818 - it plays a provider's error, which quotes what it was sent
    def __init__(self, status_code: int = 400) -> None:
        super().__init__(f"invalid request: {CANARY} with key {CANARY}")
        self.status_code = status_code
        self.body = {"message": CANARY}


def answer(model: str) -> Any:
    message = {"content": CANARY, "reasoning_content": CANARY, "tool_calls": [tool_call()]}
    return completion(choices=[{"message": message, "finish_reason": "stop"}])


def refuse(model: str) -> Any:
    raise Provider


def broken_arguments(model: str) -> Any:
    message = {"content": "", "tool_calls": [tool_call(arguments=CANARY)]}
    return completion(choices=[{"message": message, "finish_reason": "stop"}])


def unknown_tool(model: str) -> Any:
    return completion(choices=[{"message": {"content": "", "tool_calls": [tool_call(CANARY)]}}])


def local_failure(model: str) -> Any:
    raise TypeError(CANARY)


def connection(model: str) -> Any:
    raise ConnectionError(CANARY)


def breaking(model: str) -> Iterator[Any]:
    yield chunk(CANARY)
    raise Provider(500)


class Witness:
    """Collects the reprs and texts of all values that a user, a plugin or a log could print."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def see(self, *values: object) -> None:
        self.texts.extend(text for value in values for text in (repr(value), str(value)))

    def see_error(self, error: BaseException) -> None:
        """Its own words and those of the errors it groups: what it was caused by is the provider's and is theirs."""
        self.see(error)
        for inner in getattr(error, "exceptions", ()):
            self.see_error(inner)
        if isinstance(error, e.StreamBroken):
            self.see(error.partial)
        if isinstance(error, e.AllAttemptsFailedError):
            self.see(error.attempts)

    @hookimpl
    def taskrouter_decided(self, decision: Any) -> None:
        self.see(decision, decision.explain(), decision.to_dict(), decision.profile)

    @hookimpl
    def taskrouter_attempted(self, attempt: Any) -> None:
        self.see(attempt)

    @hookimpl
    def taskrouter_completed(self, outcome: Any) -> None:
        self.see(outcome, outcome.to_dict(), outcome.view)


def written(recorder: Recorder, caplog: pytest.LogCaptureFixture) -> str:
    """All that left the process through telemetry, or was logged by us."""
    spans = [span.to_json() for span in recorder.spans]
    assert spans, "there is something to look at"
    ours = [logging.Formatter().format(r) for r in caplog.records if r.name.startswith("taskrouter")]
    return "\n".join([*spans, recorder.metrics_text(), *ours])


def watched(recorder: Recorder, witness: Witness, pool: list[dict[str, Any]] | None = None) -> Router:
    router = Router(
        pool or recorder.pool(),
        "first",
        config={"execution": {"backoff_base_s": 0.001}},
        plugins=[witness],
        tracer_provider=recorder.tracers,
        meter_provider=recorder.meters,
    )
    witness.see(router)
    return router


@pytest.mark.parametrize("call", [answer, refuse, broken_arguments, unknown_tool, local_failure, connection])
def test_a_call_leaves_nothing_private(
    recorder: Recorder, caplog: pytest.LogCaptureFixture, call: Callable[[str], Any]
) -> None:
    witness = Witness()
    caplog.set_level(logging.DEBUG)
    router = watched(recorder, witness)
    witness.see(STEP, STEP.context)
    try:
        router.run(STEP, call)
    except TaskRouterError as error:
        witness.see_error(error)
    assert CANARY not in written(recorder, caplog)
    assert [text for text in witness.texts if CANARY in text] == []


@pytest.mark.parametrize("source", [breaking, refuse, lambda model: iter([chunk(CANARY), chunk("", "stop")])])
def test_a_stream_leaves_nothing_private(
    recorder: Recorder, caplog: pytest.LogCaptureFixture, source: Callable[[str], Iterator[Any]]
) -> None:
    witness = Witness()
    caplog.set_level(logging.DEBUG)
    stream = watched(recorder, witness).run_stream(STEP, source)
    try:
        list(stream)
    except TaskRouterError as error:
        witness.see_error(error)
    witness.see(stream, stream.outcome)
    assert CANARY not in written(recorder, caplog)
    assert [text for text in witness.texts if CANARY in text] == []


def test_a_key_stays_between_the_environment_and_the_provider(
    recorder: Recorder,
    pool: list[dict[str, Any]],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setenv("CANARY_KEY", CANARY)
    witness = Witness()
    with watched(recorder, witness, [{**card, "api_key": "env:CANARY_KEY"} for card in pool]) as router:
        witness.see(router.models, *router.models.values())
        outcome = router.complete(Step(messages=[{"role": "user", "content": "hello"}]))
        list(router.stream(Step(messages=[{"role": "user", "content": "hello"}])))
    witness.see(outcome)
    assert CANARY not in written(recorder, caplog)
    assert [text for text in witness.texts if CANARY in text] == []


def test_a_password_in_an_address_stays_out_of_the_span(recorder: Recorder, caplog: pytest.LogCaptureFixture) -> None:
    pool = [{**card, "base_url": f"https://me:{CANARY}@models.example.com/{CANARY}"} for card in recorder.pool()]
    watched(recorder, Witness(), pool).run(STEP, answer)
    assert CANARY not in written(recorder, caplog)


@pytest.mark.parametrize("part", BROKEN)
@pytest.mark.parametrize("call", [refuse, local_failure])
def test_a_broken_part_does_not_log_the_providers_words(
    part: str, call: Callable[[str], Any], caplog: pytest.LogCaptureFixture
) -> None:
    # Closed, so that what is recorded behind the calls is logged here too.
    with caplog.at_level(logging.DEBUG, "taskrouter"), BROKEN[part]() as asked, pytest.raises(e.ExecutionError):
        asked.run(STEP, call)
    logged = "\n".join(logging.Formatter().format(r) for r in caplog.records if r.name.startswith("taskrouter"))
    assert CANARY not in logged


@pytest.mark.parametrize("part", BROKEN)
def test_a_broken_part_does_not_log_the_words_of_a_broken_stream(part: str, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG, "taskrouter"), BROKEN[part]() as asked, pytest.raises(e.StreamBroken):
        list(asked.run_stream(STEP, breaking))
    logged = "\n".join(logging.Formatter().format(r) for r in caplog.records if r.name.startswith("taskrouter"))
    assert CANARY not in logged


def test_the_canary_would_be_found() -> None:
    assert CANARY in chat_completion_view(answer("first")).text
    assert CANARY in str(Provider())
