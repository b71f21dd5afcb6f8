"""Content is captured only where somebody has asked for it, in the conventions' form, cut to size and redacted."""

from __future__ import annotations

import json
import logging
import os
import re
import subprocess
import sys
import textwrap
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.exporter.otlp.proto.common._log_encoder import encode_logs
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.sdk.trace import TracerProvider, sampling
from tests.core.observability.capturing import CONTENT, PARAMETERS, STEP, VARIABLE, Events, content_of, router, telling
from tests.core.observability.collector import collecting
from tests.core.observability.recorder import HELLO, Recorder, attributes, card, completion

from taskrouter import AllAttemptsFailedError, ConfigurationError, Router, Step, StepContext
from taskrouter.observability import names as n
from taskrouter.observability.redaction import Redaction
from taskrouter.observability.transcript import Room, request

# --- whether and where ------------------------------------------------------------------------------------------------


def test_by_default_nothing_is_captured(recorder: Recorder, events: Events, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    router(recorder, None, events=events).run(STEP, telling)
    assert [content_of(span) for span in recorder.spans] == [{}, {}]
    assert events.kept == ()


@pytest.mark.parametrize(
    ("said", "on_span", "in_event"),
    [
        ("NO_CONTENT", False, False),
        ("span_only", True, False),
        ("Event_Only", False, True),
        (" SPAN_AND_EVENT ", True, True),
        ("true", False, True),
        ("False", False, False),
        ("", False, False),
    ],
)
def test_the_conventions_variable_says_where_content_goes(
    recorder: Recorder, events: Events, monkeypatch: pytest.MonkeyPatch, said: str, on_span: bool, in_event: bool
) -> None:
    monkeypatch.setenv(VARIABLE, said)
    router(recorder, None, events=events).run(STEP, telling)
    assert (set(content_of(recorder.one("chat openai/first"))) == set(CONTENT)) is on_span
    assert content_of(recorder.one("route chat")) == {}
    assert len(events.kept) == in_event


@pytest.mark.parametrize(("configured", "captured"), [("span_only", True), ("NO_CONTENT", False)])
def test_the_configuration_comes_before_the_variable(
    recorder: Recorder, monkeypatch: pytest.MonkeyPatch, configured: str, captured: bool
) -> None:
    monkeypatch.setenv(VARIABLE, "NO_CONTENT" if captured else "SPAN_ONLY")
    router(recorder, configured).run(STEP, telling)
    assert bool(content_of(recorder.one("chat openai/first"))) is captured


def test_an_unknown_value_of_the_variable_captures_nothing_and_is_told_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv(VARIABLE, "EVERYTHING")
    recorder = Recorder()
    with router(recorder, None) as asked:
        for _ in range(3):
            asked.run(STEP, telling)
    assert content_of(recorder.spans[0]) == {}
    (warning,) = [r.getMessage() for r in caplog.records if r.name == "taskrouter.observability"]
    assert VARIABLE in warning
    assert "NO_CONTENT, SPAN_ONLY, EVENT_ONLY, SPAN_AND_EVENT, true" in warning
    recorder.shutdown()


def test_an_unknown_value_in_the_configuration_is_an_error_that_names_the_key(recorder: Recorder) -> None:
    with pytest.raises(ConfigurationError, match=r"telemetry\.content"):
        router(recorder, "everything")


def test_a_step_that_a_rule_calls_private_is_not_captured_whatever_is_switched_on(
    recorder: Recorder, events: Events
) -> None:
    rules = [
        {"name": "medical", "when": {"agent": "nurse"}, "sensitivity": "confidential"},
        {"name": "open", "when": {"agent": "press"}, "sensitivity": "Public"},
    ]
    asked = router(recorder, "SPAN_AND_EVENT", events=events, rules=rules)
    for agent in ("nurse", "press"):
        context = StepContext(agent=agent)
        asked.run(Step(messages=[{"role": "user", "content": agent}], context=context, task_type="chat"), telling)
    chats = [span for span in recorder.spans if span.name == "chat openai/first"]
    assert [bool(content_of(span)) for span in chats] == [False, True]
    (event,) = events.kept
    assert "press" in str(event.log_record.attributes)


# --- the form ---------------------------------------------------------------------------------------------------------


def test_request_and_answer_have_the_conventions_form(recorder: Recorder) -> None:
    router(recorder).run(STEP, telling)
    assert content_of(recorder.one("chat openai/first")) == {
        "gen_ai.system_instructions": [
            {"type": "text", "content": "Be brief."},
            {"type": "text", "content": "Be kind."},
        ],
        "gen_ai.input.messages": [
            {"role": "user", "parts": [{"type": "text", "content": "Weather in Paris?"}], "name": "ada"},
            {
                "role": "assistant",
                "parts": [
                    {"type": "text", "content": "I look it up."},
                    {"type": "tool_call", "id": "c1", "name": "weather", "arguments": {"city": "Paris"}},
                ],
            },
            {"role": "tool", "parts": [{"type": "tool_call_response", "id": "c1", "response": "rainy"}]},
            {"role": "system", "parts": [{"type": "text", "content": "Answer now."}]},
        ],
        "gen_ai.tool.definitions": [
            {"type": "function", "name": "weather", "description": "Looks it up.", "parameters": PARAMETERS},
            {"type": "function", "name": "nothing"},
        ],
        "gen_ai.output.messages": [
            {
                "role": "assistant",
                "parts": [
                    {"type": "reasoning", "content": "Hm."},
                    {"type": "text", "content": "It rains."},
                    {"type": "tool_call", "id": "c2", "name": "nothing", "arguments": {}},
                ],
                "finish_reason": "tool_call",
            }
        ],
    }


def test_the_event_says_what_the_span_says_in_structured_form_and_belongs_to_it(
    recorder: Recorder, events: Events
) -> None:
    router(recorder, "SPAN_AND_EVENT", events=events).run(STEP, telling)
    span, said = recorder.one("chat openai/first"), events.one()
    assert span.context is not None
    record = events.kept[0].log_record
    assert (record.trace_id, record.span_id) == (span.context.trace_id, span.context.span_id)
    plain = {name: value for name, value in attributes(span).items() if name not in CONTENT}
    sent = {name: tuple(v) if isinstance(v, list | tuple) else v for name, v in said.items() if name not in CONTENT}
    assert sent == plain
    for name, value in content_of(span).items():
        assert json.loads(json.dumps(said[name], default=dict)) == value


def test_a_failed_call_has_what_was_asked_and_its_fallback_the_answer_too(recorder: Recorder, events: Events) -> None:
    def call(model: str) -> Any:
        if model == "first":
            raise ConnectionError("It rains.")
        return telling(model)

    router(recorder, "SPAN_AND_EVENT", events=events).run(STEP, call)
    failed, answered = (content_of(recorder.one(f"chat openai/{model}")) for model in ("first", "second"))
    assert n.OUTPUT_MESSAGES not in failed
    assert failed[n.INPUT_MESSAGES] == answered[n.INPUT_MESSAGES]
    assert answered[n.OUTPUT_MESSAGES]
    one, two = (dict(event.log_record.attributes or {}) for event in events.kept)
    assert (one["error.type"], n.OUTPUT_MESSAGES in one) == ("connection", False)
    assert ("error.type" in two, n.OUTPUT_MESSAGES in two) == (False, True)


def test_a_streamed_answer_is_put_together(recorder: Recorder, events: Events) -> None:
    list(router(recorder, "SPAN_AND_EVENT", events=events).run_stream(STEP, lambda model: iter(HELLO)))
    (message,) = content_of(recorder.one("chat openai/first"))[n.OUTPUT_MESSAGES]
    assert message["parts"] == [{"type": "text", "content": "hello"}]
    assert events.one()["gen_ai.request.stream"] is True


def test_what_was_asked_is_told_as_it_was_when_it_was_asked(recorder: Recorder) -> None:
    messages = [{"role": "user", "content": "first"}]

    def call(model: str) -> Any:
        messages.append({"role": "assistant", "content": "later"})
        return telling(model)

    router(recorder).run(Step(messages=messages, task_type="chat"), call)
    (message,) = content_of(recorder.one("chat openai/first"))[n.INPUT_MESSAGES]
    assert message["parts"] == [{"type": "text", "content": "first"}]


def test_events_do_not_depend_on_the_traces_sampling(events: Events) -> None:
    tracers = TracerProvider(sampler=sampling.ALWAYS_OFF, shutdown_on_exit=False)
    config = {"telemetry": {"content": "EVENT_ONLY"}}
    Router([card("first")], config=config, tracer_provider=tracers, logger_provider=events.provider).run(STEP, telling)
    assert n.OUTPUT_MESSAGES in events.one()


def test_events_are_sent_where_nobody_traces(events: Events) -> None:
    config = {"telemetry": {"content": "EVENT_ONLY"}}
    Router([card("first")], config=config, logger_provider=events.provider).run(STEP, telling)
    assert n.OUTPUT_MESSAGES in events.one()


def test_telemetry_that_is_off_has_no_content_either(recorder: Recorder, events: Events) -> None:
    router(recorder, "SPAN_AND_EVENT", events=events, telemetry={"enabled": False}).run(STEP, telling)
    assert recorder.spans == ()
    assert events.kept == ()


def test_the_processs_own_provider_gets_the_events_also_when_it_comes_later() -> None:
    script = """
        import sys
        from taskrouter import Router, Step
        from taskrouter.observability import configure

        router = Router([{"id": "a", "base_url": "http://127.0.0.1:9"}])
        step = Step(messages=[{"role": "user", "content": "hello"}])
        router.run(step, lambda model: "nobody takes it")
        with configure(sys.argv[1], "tests", logs=True):
            router.run(step, lambda model: "hi there")
    """
    with collecting() as collector:
        done = subprocess.run(
            [sys.executable, "-W", "error", "-c", textwrap.dedent(script), collector.url],
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, VARIABLE: "EVENT_ONLY"},
        )
        assert done.stderr == ""
        (sent,) = [body for path, _, body in collector.requests if path == "/v1/logs"]
        spans = b"".join(body for path, _, body in collector.requests if path == "/v1/traces")
    (record,) = ExportLogsServiceRequest.FromString(sent).resource_logs[0].scope_logs[0].log_records
    assert record.event_name == "gen_ai.client.inference.operation.details"
    assert b"hi there" in sent
    assert b"hi there" not in spans
    assert record.span_id in spans


PICTURE = "data:image/png;base64,aGVsbG8="
MEDIA = [
    (
        {"type": "image_url", "image_url": {"url": PICTURE}},
        {"type": "image", "mime_type": "image/png", "size_bytes": 5},
    ),
    ({"type": "input_image", "image_url": PICTURE}, {"type": "image", "mime_type": "image/png", "size_bytes": 5}),
    ({"type": "image", "source_type": "base64", "data": "aGVsbG8="}, {"type": "image", "size_bytes": 5}),
    ({"type": "image", "source": {"type": "base64", "data": "aGVsbG8="}}, {"type": "image", "size_bytes": 5}),
    ({"type": "image_url", "image_url": {"url": "https://a.example/aGVsbG8=?sig=aGVsbG8="}}, {"type": "image"}),
    ({"type": "input_audio", "input_audio": {"data": "aGVsbG8=", "format": "wav"}}, {"type": "audio", "size_bytes": 5}),
    ({"type": "file", "file": {"file_data": "aGVsbG8="}}, {"type": "file", "size_bytes": 5}),
    ({"type": "image_url"}, {"type": "image"}),
    ({"type": "strange", "aGVsbG8=": "aGVsbG8="}, None),
]


@pytest.mark.parametrize(("part", "told"), MEDIA)
def test_of_what_is_no_text_only_kind_and_size_are_told(
    recorder: Recorder, part: dict[str, Any], told: dict[str, Any] | None
) -> None:
    pool = [card("first", capabilities={"vision": True})]
    step = Step(messages=[{"role": "user", "content": ["Look:", part]}], task_type="chat")
    router(recorder, pool=pool).run(step, telling)
    (message,) = content_of(recorder.one("chat openai/first"))[n.INPUT_MESSAGES]
    assert message["parts"][0] == {"type": "text", "content": "Look:"}
    assert message["parts"][1] == ({"type": "strange"} if told is None else {**told, "omitted": True})
    assert "aGVsbG8" not in str(attributes(recorder.one("chat openai/first")))


# --- size -------------------------------------------------------------------------------------------------------------


def test_a_long_part_is_cut_and_says_by_how_much(recorder: Recorder) -> None:
    long = "x" * 1234
    step = Step(
        messages=[
            {"role": "user", "content": long},
            {"role": "assistant", "content": None, "tool_calls": [
                {"id": "c", "type": "function", "function": {"name": "f", "arguments": json.dumps({"a": long})}}
            ]},
            {"role": "tool", "tool_call_id": "c", "content": long},
        ],
        task_type="chat",
    )  # fmt: skip
    router(recorder, telemetry={"content_max_chars": 200}).run(step, lambda model: completion(long))
    said = content_of(recorder.one("chat openai/first"))
    user, assistant, tool = said[n.INPUT_MESSAGES]
    cut = f"{'x' * 200}… [truncated: 1034 more characters]"
    assert user["parts"][0]["content"] == tool["parts"][0]["response"] == cut
    assert said[n.OUTPUT_MESSAGES][0]["parts"][0]["content"] == cut
    assert re.fullmatch(r'\{"a": "x+… \[truncated: 1043 more characters\]', assistant["parts"][0]["arguments"])


def test_of_a_long_conversation_the_newest_messages_are_kept(recorder: Recorder) -> None:
    messages = [{"role": "user", "content": f"{number:04} {'x' * 95}"} for number in range(500)]
    router(recorder, telemetry={"content_max_chars": 100}).run(Step(messages=messages, task_type="chat"), telling)
    span = recorder.one("chat openai/first")
    assert len(str(attributes(span)[n.INPUT_MESSAGES])) < 2_000
    told = content_of(span)[n.INPUT_MESSAGES]
    assert told[0] == {
        "role": "taskrouter",
        "parts": [{"type": "truncated", "omitted_messages": 500 - len(told) + 1}],
    }
    assert told[-1]["parts"][0]["content"].startswith("0499 ")


def test_many_parts_many_tools_and_many_calls_are_cut_too(recorder: Recorder) -> None:
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    step = Step(
        messages=[{"role": "user", "content": ["y" * 90] * 500}, {"role": "assistant", "tool_calls": [call] * 500}],
        tools=[{"type": "function", "function": {"name": f"f{i}", "description": "z" * 90}} for i in range(500)],
        task_type="chat",
    )

    def calling(model: str) -> Any:
        calls = [{"id": f"c{i}", "function": {"name": "f1", "arguments": "{}"}} for i in range(500)]
        return completion(choices=[{"message": {"content": "", "tool_calls": calls}, "finish_reason": "tool_calls"}])

    router(recorder, telemetry={"content_max_chars": 100}).run(step, calling)
    said = content_of(recorder.one("chat openai/first"))
    assert all(len(json.dumps(value)) < 3_000 for value in said.values())
    assert said[n.OUTPUT_MESSAGES][0]["parts"][-1]["type"] == "truncated"
    assert said[n.TOOL_DEFINITIONS][-1]["type"] == "truncated"
    assert said[n.INPUT_MESSAGES][-1]["parts"][-1]["type"] == "truncated"


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(exclude_categories=())),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@given(arguments=json_values, text=st.text(st.characters(exclude_categories=()), max_size=400))
def test_whatever_is_said_can_be_written_as_json_and_sent(arguments: Any, text: str) -> None:
    function = {"name": "f", "arguments": json.dumps(arguments)}
    step = Step(
        messages=[
            {"role": "user", "content": text},
            {
                "role": "assistant",
                "content": None,
                "tool_calls": [{"id": text, "type": "function", "function": function}],
            },
            {"role": "tool", "tool_call_id": text, "content": text},
        ],
        tools=[{"type": "function", "function": {"name": "f", "parameters": {"type": "object", "default": arguments}}}],
    )
    said = request(step, lambda: Room(Redaction({}), 100))
    for value in said.values():
        written = json.dumps(value, ensure_ascii=False, allow_nan=False)
        assert len(written.encode()) < 60_000
    events = Events()
    events.provider.get_logger("tests").emit(attributes=said, event_name="tests")
    assert encode_logs(events.kept).SerializeToString()


def test_values_that_are_nested_without_end_are_cut() -> None:
    value: Any = "core"
    for _ in range(500):
        value = [value]
    assert "(nested too deeply)" in json.dumps(Redaction({}).value(value))


def test_content_that_cannot_be_written_costs_the_content_and_never_the_answer(
    caplog: pytest.LogCaptureFixture,
) -> None:
    recorder = Recorder()
    step = Step(messages=[{"role": "user", "content": "hello"}], task_type="chat")
    step.messages[0]["content"] = 7  # type: ignore[index] # an agent may change its list at any time
    assert router(recorder).run(step, telling).text == "It rains."
    assert recorder.open == {}
    assert any("telemetry failed" in r.getMessage() for r in caplog.records)
    recorder.shutdown()


def test_a_step_that_nothing_answers_tells_what_was_asked_of_all(recorder: Recorder, caplog: Any) -> None:
    def fail(model: str) -> Any:
        raise ConnectionError

    caplog.set_level(logging.CRITICAL, "taskrouter.routing")
    with pytest.raises(AllAttemptsFailedError):
        router(recorder).run(STEP, fail)
    chats = [span for span in recorder.spans if span.name.startswith("chat")]
    assert [n.INPUT_MESSAGES in content_of(span) for span in chats] == [True, True]
