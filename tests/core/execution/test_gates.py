"""What a whole answer must pass, played on the engine without a network."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.core.execution.scripts import END, Play, call, engine, text

from taskrouter import (
    AllAttemptsFailedError,
    ConfigurationError,
    ModelCallError,
    PluginError,
    ResponseView,
    Router,
    Step,
    hookimpl,
)
from taskrouter.config import ExecutionConfig, GatesConfig
from taskrouter.errors import BadAnswer, EmptyAnswer, Refused
from taskrouter.execution.gates import Gate
from taskrouter.ports import Validator

ASK = [{"role": "user", "content": "rain?"}]
CITY = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
    "required": ["city"],
    "additionalProperties": False,
}


def tool_step(parameters: Any) -> Step:
    return Step(messages=ASK, tools=[{"type": "function", "function": {"name": "weather", "parameters": parameters}}])


def schema_step(schema: Any) -> Step:
    return Step(messages=ASK, response_schema=schema)


def detail(view: ResponseView, step: Step) -> str:
    """What is wrong with the answer; empty if nothing is."""
    error = Gate().fault(view, step, "m")
    assert error is None or isinstance(error, BadAnswer)
    return str(error).removeprefix("model 'm' ") if error else ""


@pytest.mark.parametrize(
    ("arguments", "place"),
    [
        ("{}", "required"),
        ("", "required"),
        ('{"city": 3}', "properties/city/type"),
        ('{"city": "Oslo", "days": "two"}', "properties/days/type"),
        ('{"city": "Oslo", "secret": 1}', "additionalProperties"),
    ],
)
def test_arguments_that_break_their_schema_are_a_failed_attempt(arguments: str, place: str) -> None:
    step = tool_step(CITY)
    play = Play(engine(step=step).answer(), [call("weather", arguments), call("weather", '{"city": "Oslo"}')])
    assert play.outcome is not None
    assert [a.error_type for a in play.outcome.attempts] == ["bad_answer", None]
    assert (
        detail(call("weather", arguments), step) == f"called 'weather' with arguments that break its schema at {place}"
    )


@pytest.mark.parametrize(
    "answer", ["Rain.", '{"city": 3}', '{"city": "Os', "[]", '```json\n{"city": "Oslo"}\n```', "[" * 100_000]
)
def test_structured_output_that_breaks_its_schema_is_a_failed_attempt(answer: str) -> None:
    play = Play(engine(step=schema_step(CITY)).answer(), [text(answer), text('{"city": "Oslo"}')])
    assert play.outcome is not None
    assert [a.error_type for a in play.outcome.attempts] == ["bad_answer", None]
    assert play.outcome.attempts[0].cost_usd


def test_an_answer_is_never_quoted() -> None:
    for view, step in (
        (text('{"city": "my secret", "my secret": 1}'), schema_step(CITY)),
        (text("my secret"), schema_step(CITY)),
        (call("weather", '{"my secret": "my secret"}'), tool_step(CITY)),
    ):
        assert detail(view, step)
        assert "my secret" not in detail(view, step)


def test_a_tool_call_on_the_way_to_a_structured_answer_is_no_answer_yet() -> None:
    tools = tool_step(CITY).tools
    step = Step(messages=ASK, tools=tools, response_schema={"type": "object", "required": ["total"]})
    assert detail(call("weather", '{"city": "Oslo"}'), step) == ""
    assert detail(text("{}"), step).endswith("breaks the response schema at required")


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "object", "properties": {"city": {"type": "any"}}},
        {"type": "object", "properties": {"city": {"pattern": "("}}},
        {"type": "object", "properties": {"city": {"enum": "Bergen"}}},
        {"type": "object", "properties": {"city": {"$ref": "#/$defs/Nowhere"}}},
        {"type": "object", "properties": {"city": {"$ref": "https://example.com/city.json"}}},
        {"type": "object", "$schema": "http://example.com/no-such-dialect"},
        {"type": "object", "properties": {"city": {"default": object()}}},
        {"$ref": "#"},
        {},
        None,
    ],
    ids=[
        "type",
        "pattern",
        "enum",
        "dead reference",
        "far reference",
        "dialect",
        "no JSON",
        "endless",
        "empty",
        "none",
    ],
)
def test_a_schema_that_cannot_be_used_fails_no_answer(schema: Any) -> None:
    assert detail(call("weather", '{"city": "Oslo"}'), tool_step(schema)) == ""
    assert detail(text('{"city": "Oslo"}'), schema_step(schema)) == ""


@pytest.mark.parametrize("freeze", [MappingProxyType, dict])
def test_a_schema_may_be_any_mapping(freeze: Any) -> None:
    schema = freeze({**CITY, "properties": freeze(CITY["properties"]), "required": ("city",)})
    assert detail(text('{"city": "Oslo"}'), schema_step(schema)) == ""
    assert detail(text("{}"), schema_step(schema)).endswith("at required")


def test_a_stream_is_not_checked_for_it_has_reached_its_reader() -> None:
    play = Play(engine(step=schema_step(CITY)).stream(), [ResponseView(), text("Rain.", finish_reason="stop"), END])
    assert play.emitted == ["Rain."]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@given(JSON, st.dictionaries(st.sampled_from(["type", "properties", "required", "items", "enum", "$ref"]), JSON))
def test_no_schema_and_no_answer_break_the_check(answer: Any, schema: dict[str, Any]) -> None:
    assert isinstance(detail(text(json.dumps(answer)), schema_step(schema)), str)


# --- what is configured ---------------------------------------------------------------------------------------------

REFUSALS = [
    ResponseView(refused=True),
    ResponseView(text="I will not.", refused=True),
    *(ResponseView(finish_reason=reason) for reason in ("content_filter", "refusal", "SAFETY")),
    text("As far as", finish_reason="content_filter"),
]


def verdict(view: ResponseView, validators: dict[str, Validator] | None = None, **config: Any) -> ModelCallError | None:
    return Gate(GatesConfig(**config), validators).fault(view, Step(messages=ASK), "m", unlimited=True)


@pytest.mark.parametrize("view", REFUSALS)
def test_a_refusal_is_a_failure_or_an_answer_as_configured(view: ResponseView) -> None:
    assert isinstance(verdict(view), Refused)
    assert verdict(view, refused="accept") is None


def test_nothing_at_all_is_an_empty_answer_whatever_is_configured() -> None:
    for view in (ResponseView(), ResponseView(reasoning="hm"), ResponseView(finish_reason="length")):
        assert isinstance(verdict(view, refused="accept", truncated="accept"), EmptyAnswer)


@pytest.mark.parametrize("reason", ["length", "max_tokens", "MAX_TOKENS"])
@pytest.mark.parametrize(
    ("truncated", "unlimited", "fails"),
    [("fail", False, True), ("accept", True, False), ("auto", True, True), ("auto", False, False)],
)
def test_a_text_that_was_cut_off_fails_as_configured(reason: str, truncated: Any, unlimited: bool, fails: bool) -> None:
    gate = Gate(GatesConfig(truncated=truncated))
    error = gate.fault(text("half an ans", finish_reason=reason), Step(messages=ASK), "m", unlimited=unlimited)
    assert isinstance(error, BadAnswer) is fails
    assert gate.fault(text("whole", finish_reason="stop"), Step(messages=ASK), "m", unlimited=unlimited) is None


CUT = {"choices": [{"message": {"content": "half"}, "finish_reason": "length"}]}


@pytest.mark.parametrize(("asked", "card"), [({"max_tokens": 9}, {}), ({}, {"params": {"max_tokens": 9}})])
def test_a_limit_that_somebody_has_set_is_meant(asked: dict[str, int], card: dict[str, Any]) -> None:
    class Cut:
        def complete(self, *_: object) -> Any:
            return CUT

        def view(self, native: Any) -> ResponseView:
            return text("half", finish_reason="length")

        def close(self) -> None:
            pass

    class Plugin:
        @hookimpl
        def taskrouter_backends(self) -> dict[str, Any]:
            return {"cut": Cut}

    def outcome_of(payload: dict[str, int], **fields: Any) -> str:
        with Router(
            [{"id": "first", "backend": "cut", "context_tokens": 8000, **fields}], plugins=[Plugin()]
        ) as router:
            return router.complete(Step(messages=ASK, payload=payload)).text

    assert outcome_of(asked, **card) == "half"
    with pytest.raises(AllAttemptsFailedError, match="length limit"):
        outcome_of({})


def test_what_a_callers_own_client_cuts_off_is_taken_as_meant() -> None:
    assert Router(["openai/gpt-4o-mini"]).run(Step(messages=ASK), lambda model: CUT).text == "half"


# --- validators -----------------------------------------------------------------------------------------------------


def polite(step: Step, view: ResponseView) -> bool:
    return "please" in view.text


def careless(step: Step, view: ResponseView) -> bool:
    raise ValueError(f"no idea what {view.text} is")


def test_an_answer_that_does_not_pass_a_validator_is_a_failed_attempt_that_was_paid_for() -> None:
    play = Play(engine(gate=Gate(None, {"polite": polite})).answer(), [text("no"), text("yes, please")])
    assert play.outcome is not None
    assert [(a.model, a.error_type) for a in play.outcome.attempts] == [("first", "bad_answer"), ("second", None)]
    assert play.outcome.attempts[0].cost_usd


def test_the_validator_that_an_answer_did_not_pass_is_named() -> None:
    assert str(verdict(text("no"), {"polite": polite})) == "model 'm' did not pass the validator 'polite'"


def test_a_validator_that_raises_counts_as_configured_and_is_logged_without_the_answer(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.WARNING):
        failed = verdict(text("my secret"), {"careless": careless})
        assert isinstance(failed, BadAnswer)
        assert isinstance(failed.__cause__, ValueError)
        assert verdict(text("my secret"), {"careless": careless}, validator_error="accept") is None
        with pytest.raises(ConfigurationError, match="'careless' raised ValueError") as caught:
            verdict(text("my secret"), {"careless": careless}, validator_error="raise")
        assert isinstance(caught.value.__cause__, ValueError)
    assert len(caplog.records) == 3
    assert "test_gates.py" in caplog.text
    assert "my secret" not in caplog.text + str(failed) + str(caught.value)


@pytest.mark.parametrize("streamed", [False, True])
def test_an_answer_whose_validator_is_to_be_heard_of_is_booked_as_paid_for(streamed: bool) -> None:
    booked: list[Any] = []

    class Watch:
        @hookimpl
        def taskrouter_attempted(self, attempt: Any) -> None:
            booked.append((attempt.status, attempt.usage.output_tokens))

    config = {"gates": {"validator_error": "raise"}, "execution": {"buffer_streams": True}}
    router = Router(["openai/gpt-4o-mini"], config=config, plugins=[Watch()], validators={"careless": careless})
    answer: dict[bool, Callable[[], object]] = {
        True: lambda: list(router.run_stream(Step(messages=ASK), lambda model: iter(["four", "teen"]))),
        False: lambda: router.run(Step(messages=ASK), lambda model: "fourteen"),
    }
    with pytest.raises(ConfigurationError, match="careless"):
        answer[streamed]()
    assert booked == [("ok", 2)]


def saying(words: str) -> Callable[[str], str]:
    return lambda model: words


def test_validators_come_from_the_caller_and_from_plugins() -> None:
    class Plugin:
        @hookimpl
        def taskrouter_validators(self) -> dict[str, Validator]:
            return {"short": lambda step, view: len(view.text) < 20}

    router = Router(["openai/gpt-4o-mini"], plugins=[Plugin()], validators={"polite": polite})
    assert router.run(Step(messages=ASK), lambda model: "yes, please").text == "yes, please"
    for wrong, name in (("no", "polite"), ("please, " * 9, "short")):
        with pytest.raises(AllAttemptsFailedError, match=f"did not pass the validator '{name}'"):
            router.run(Step(messages=ASK), saying(wrong))
    with pytest.raises(PluginError, match="short"):
        Router(["openai/gpt-4o-mini"], plugins=[Plugin()], validators={"short": polite})


async def late(step: Step, view: ResponseView) -> bool:
    return False


class Late:
    async def __call__(self, step: Step, view: ResponseView) -> bool:
        return False


def test_what_can_be_no_validator_is_said_when_the_router_is_built() -> None:
    with pytest.raises(ConfigurationError, match=r"'late' is an asynchronous function; it must be a plain function"):
        Router(["openai/gpt-4o-mini"], validators={"late": late})  # type: ignore[dict-item]
    with pytest.raises(ConfigurationError, match=r"'late' is an asynchronous function"):
        Router(["openai/gpt-4o-mini"], validators={"late": Late()})  # type: ignore[dict-item]
    with pytest.raises(ConfigurationError, match=r"'late' is the class Late; it must be a plain function"):
        Router(["openai/gpt-4o-mini"], validators={"late": Late})  # type: ignore[dict-item]
    with pytest.raises(ConfigurationError, match=r"5 is a int; a validator's name is text"):
        Router(["openai/gpt-4o-mini"], validators={5: polite})  # type: ignore[dict-item]


@pytest.mark.parametrize("config", ["fail", "accept", "raise"])
def test_a_verdict_that_nobody_would_wait_for_passes_no_answer(config: Any) -> None:
    def hidden(*asked: Any) -> Any:
        return late(*asked)

    with pytest.raises(ConfigurationError, match=r"'late' returned a coroutine; it must be a plain function"):
        verdict(ResponseView(text="yes"), {"late": hidden}, validator_error=config)


class Unsure:
    def __bool__(self) -> bool:
        raise ValueError("the truth value of an array is ambiguous")


def test_a_verdict_that_is_neither_true_nor_false_is_a_validator_that_raises() -> None:
    unsure: Any = lambda step, view: Unsure()  # noqa: E731
    failed = verdict(ResponseView(text="yes"), {"unsure": unsure})
    assert "the validator 'unsure' raised ValueError" in str(failed)
    assert verdict(ResponseView(text="yes"), {"unsure": unsure}, validator_error="accept") is None


def test_a_validator_that_forgets_its_verdict_is_told_so() -> None:
    forgetful: Any = lambda step, view: None  # noqa: E731
    failed = verdict(ResponseView(text="yes"), {"forgetful": forgetful})
    assert "which returned None: it must return true or false" in str(failed)


# --- streams that are held back -------------------------------------------------------------------------------------


def buffered(script: list[object], step: Step | None = None, **gates: Any) -> Play:
    settings = ExecutionConfig(buffer_streams=True, retries=0)
    gate = Gate(GatesConfig(**gates))
    return Play(engine(settings=settings, gate=gate, step=step, unlimited=True).stream(), script)


STOP = text("lo", finish_reason="stop")
OPEN = ResponseView()


@pytest.mark.parametrize(
    "failed",
    [
        [text("half"), ConnectionError()],
        [text("half"), TimeoutError()],
        [text("half", finish_reason="length"), END],
        [text("half", finish_reason="content_filter"), END],
        [ResponseView(reasoning="hm", finish_reason="stop"), END],
        [call("unknown"), END],
    ],
    ids=["breaks", "stalls", "is cut off", "is filtered", "is empty", "calls what was not offered"],
)
def test_a_stream_that_is_held_back_falls_back_to_the_end(failed: list[object]) -> None:
    play = buffered([OPEN, *failed, OPEN, text("hel"), STOP, END], tool_step({}))
    assert play.emitted == ["hel", "lo"]
    assert play.outcome is not None
    assert [a.status for a in play.outcome.attempts] == ["failed", "ok"]
    assert play.outcome.attempts[0].cost_usd, "what had arrived was paid for"


def test_a_stream_that_is_held_back_is_handed_on_after_its_end() -> None:
    play = buffered([OPEN, text("hel"), STOP, END])
    kinds = [type(command).__name__ for command in play.commands]
    assert kinds == ["OpenStream", "Read", "Read", "Read", "Emit", "Emit"]


REFUSED = [OPEN, ResponseView(refused=True), ResponseView(finish_reason="stop"), END]


@pytest.mark.parametrize("buffer", [False, True])
def test_a_streamed_refusal_counts_as_a_whole_one_does(buffer: bool) -> None:
    settings = ExecutionConfig(buffer_streams=buffer)
    accepted = Play(engine(settings=settings, gate=Gate(GatesConfig(refused="accept"))).stream(), REFUSED)
    assert accepted.outcome is not None
    assert (accepted.called, len(accepted.emitted)) == (["first"], 2)
    assert accepted.outcome.view.refused
    failed = Play(engine(settings=settings).stream(), [*REFUSED, OPEN, STOP, END])
    assert failed.outcome is not None
    assert failed.outcome.attempts[0].error_type == "refused"
    assert failed.emitted == ["lo"]
