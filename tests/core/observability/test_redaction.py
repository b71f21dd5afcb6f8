"""Redactors take private things out of captured content, before anything of it leaves."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from tests.core.observability.capturing import CONTENT, STEP, VARIABLE, Events, Redactors, content_of, router, telling
from tests.core.observability.recorder import Recorder, completion

from taskrouter import PluginError, Step
from taskrouter.observability import names as n

MAIL = re.compile(r"[\w.+-]+@[\w-]+\.[\w.]+")
SECRET = "ada@example.com"


def texts(value: Any) -> Iterator[str]:
    """Every text within a value."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield key
            yield from texts(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from texts(inner)


def mail(text: str) -> str:
    return MAIL.sub("[e-mail]", text)


def private_step() -> Step:
    escaped = '{"to": "ada\\u0040example.com", "ada@example.com": ["\\nada@example.com"], "phone": 4915112345678}'
    return Step(
        messages=[
            {"role": "system", "content": f"Write to {SECRET}."},
            {"role": "user", "content": [{"type": "text", "text": SECRET}, SECRET], "name": SECRET},
            {
                "role": "assistant",
                "content": None,
                "tool_calls": [{"id": SECRET, "type": "function", "function": {"name": "send", "arguments": escaped}}],
            },
            {"role": "tool", "tool_call_id": SECRET, "content": [{"type": "text", "text": SECRET}]},
        ],
        tools=[
            {
                "type": "function",
                "function": {
                    "name": "send",
                    "description": SECRET,
                    "parameters": {"type": "object", "properties": {"to": {"type": "string", "enum": [SECRET]}}},
                },
            }
        ],
        task_type="chat",
    )


def private_answer(model: str) -> Any:
    calls = [{"id": "c", "function": {"name": "send", "arguments": f'{{"to": "{SECRET}"}}'}}]
    message = {"content": SECRET, "reasoning_content": SECRET, "tool_calls": calls}
    return completion(choices=[{"message": message, "finish_reason": "tool_calls"}])


def test_redactors_are_applied_to_every_text_however_it_is_escaped(recorder: Recorder, events: Events) -> None:
    plugin = Redactors(mail=mail, phone=lambda text: text.replace("4915112345678", "[phone]"))
    router(recorder, "SPAN_AND_EVENT", events=events, plugins=[plugin]).run(private_step(), private_answer)
    said = content_of(recorder.one("chat openai/first"))
    found = [text for value in said.values() for text in texts(value)]
    assert [text for text in found if "example.com" in text or "49151" in text] == []
    assert said[n.INPUT_MESSAGES][1]["parts"][0]["arguments"] == {
        "to": "[e-mail]",
        "[e-mail]": ["\n[e-mail]"],
        "phone": "[phone]",
    }
    assert "example.com" not in str(events.one())


def test_a_secret_that_the_cut_would_divide_is_redacted_before(recorder: Recorder) -> None:
    step = Step(messages=[{"role": "user", "content": "x" * 95 + " " + SECRET}], task_type="chat")
    asked = router(recorder, plugins=[Redactors(mail=mail)], telemetry={"content_max_chars": 100})
    asked.run(step, telling)
    assert "ada" not in str(content_of(recorder.one("chat openai/first"))[n.INPUT_MESSAGES])


@pytest.mark.parametrize("broken", [lambda text: text[10_000], lambda text: None])
def test_a_redactor_that_fails_keeps_the_content_back_and_is_told_of_once(
    broken: Any, events: Events, caplog: pytest.LogCaptureFixture
) -> None:
    recorder = Recorder()
    asked = router(recorder, "SPAN_AND_EVENT", events=events, plugins=[Redactors(mail=mail, broken=broken)])
    for _ in range(2):
        assert asked.run(private_step(), private_answer).text == SECRET
    assert [content_of(span) for span in recorder.spans] == [{}] * 4
    assert [set(CONTENT) & set(event.log_record.attributes or {}) for event in events.kept] == [set(), set()]
    (warning,) = [r.getMessage() for r in caplog.records if r.name == "taskrouter.observability"]
    assert "'broken'" in warning
    assert "example.com" not in warning
    recorder.shutdown()


def test_redactors_cost_nothing_while_content_is_off(recorder: Recorder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    seen: list[str] = []

    def spy(text: str) -> str:
        seen.append(text)
        return text

    router(recorder, None, plugins=[Redactors(spy=spy)]).run(STEP, telling)
    assert seen == []


def test_a_redactor_that_cannot_be_called_stops_the_router_from_being_built(recorder: Recorder) -> None:
    with pytest.raises(PluginError, match="the redactor 'mail' is 'nothing'"):
        router(recorder, plugins=[Redactors(mail="nothing")])
