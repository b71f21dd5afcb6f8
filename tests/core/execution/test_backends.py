"""Both HTTP backends against the simulator, over real HTTP; replay against a file."""

from __future__ import annotations

import asyncio
import gc
import gzip
import json
import logging
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai._models import construct_type  # what the SDK builds its chunks with
from openai.types.chat import ChatCompletionChunk

from taskrouter import AllAttemptsFailedError, ConfigurationError, Router, Step
from taskrouter import errors as e
from taskrouter.execution.backends.chunks import text_chunk_view
from taskrouter.execution.views import chat_completion_view
from taskrouter.simulator import RunningServer

STEP = Step(messages=[{"role": "user", "content": "What is 17 + 25?"}])
WEATHER = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "Weather of a city",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}
FAST = {"execution": {"backoff_base_s": 0.001, "backoff_max_s": 0.002}}


@pytest.fixture(params=["openai", "litellm"])
def models(pool: list[dict[str, Any]], request: pytest.FixtureRequest) -> list[dict[str, Any]]:
    return [{**model, "backend": request.param} for model in pool]


def router(models: list[dict[str, Any]], **config: Any) -> Router:
    return Router(models, incumbent="first", config={**FAST, **config})


def texts(chunks: list[Any]) -> str:
    return "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)


def test_a_step_is_answered_and_priced(models: list[dict[str, Any]]) -> None:
    with router(models) as r:
        outcome = r.complete(STEP)
    assert "42" in outcome.text
    assert outcome.usage.input_tokens > 0
    assert outcome.cost_usd == pytest.approx((outcome.usage.input_tokens + 4 * outcome.usage.output_tokens) / 1e6)
    assert outcome.attempts[0].served_model == "first"


def test_request_parameters_come_from_the_card_and_from_the_step(
    models: list[dict[str, Any]], server: RunningServer
) -> None:
    models = [{**model, "params": {"temperature": 0.5, "max_tokens": 500}} for model in models]
    with router(models) as r:
        outcome = r.complete(
            Step(messages=[{"role": "user", "content": "Tell me a long story."}], payload={"max_tokens": 3})
        )
    assert outcome.view.finish_reason == "length"


def test_tools_and_schemas_reach_the_model(models: list[dict[str, Any]]) -> None:
    schema = {"type": "object", "properties": {"total": {"type": "integer"}}, "required": ["total"]}
    with router(models) as r:
        asked = r.complete(Step(messages=[{"role": "user", "content": "Weather in Oslo?"}], tools=[WEATHER]))
        built = r.complete(Step(messages=STEP.messages, response_schema=schema))
    assert [call.name for call in asked.view.tool_calls] == ["weather"]
    assert isinstance(json.loads(built.text)["total"], int)


@pytest.mark.parametrize("fault", ["server_error", "rate_limit", "overloaded", "bad_gateway", "drop_connection"])
def test_a_dead_first_model_costs_two_requests_and_no_answer(
    models: list[dict[str, Any]], server: RunningServer, fault: Any
) -> None:
    server.script("first", *[fault] * 10)
    with router(models) as r:
        outcome = r.complete(STEP)
    assert outcome.status == "fallback"
    assert "42" in outcome.text
    assert [record.model for record in server.requests] == ["first", "first", "second"][-len(server.requests) :]
    assert len(server.requests) == len(outcome.attempts)


@pytest.mark.parametrize("fault", ["empty_answer", "malformed_json", "cut_stream"])
def test_a_useless_answer_falls_back(models: list[dict[str, Any]], server: RunningServer, fault: Any) -> None:
    server.script("first", *[fault] * 10)
    with router(models) as r:
        assert "42" in r.complete(STEP).text


def test_an_invalid_tool_call_falls_back(models: list[dict[str, Any]], server: RunningServer) -> None:
    for _ in range(12):
        server.script("first", "invalid_tool_call")
    step = Step(messages=[{"role": "user", "content": "Weather in Oslo?"}], tools=[WEATHER])
    with router(models) as r:
        outcomes = [r.complete(step) for _ in range(12)]  # the fault comes in several ways, one a wrong shape
    assert {(outcome.status, outcome.model) for outcome in outcomes} == {("fallback", "second")}
    assert all(json.loads(outcome.view.tool_calls[0].arguments)["city"] for outcome in outcomes)


def test_a_structured_answer_cut_at_the_length_limit_falls_back(models: list[dict[str, Any]]) -> None:
    schema = {"type": "object", "properties": {"total": {"type": "integer"}}, "required": ["total"]}
    first, second = models
    with router([{**first, "params": {"max_tokens": 2}}, second]) as r:
        outcome = r.complete(Step(messages=STEP.messages, response_schema=schema))
    assert [attempt.error_type for attempt in outcome.attempts] == ["bad_answer", None]
    assert isinstance(json.loads(outcome.text)["total"], int)


async def test_the_same_async(models: list[dict[str, Any]], server: RunningServer) -> None:
    server.script("first", "server_error", "server_error")
    async with router(models) as r:
        outcome = await r.acomplete(STEP)
    assert (outcome.status, outcome.model) == ("fallback", "second")
    assert "42" in outcome.text


@pytest.mark.parametrize("fault", ["ok", "cut_after_role", "empty_answer", "overloaded"])
def test_a_stream_arrives_whole_with_its_usage(models: list[dict[str, Any]], server: RunningServer, fault: Any) -> None:
    server.script("first", *[fault] * 4)
    with router(models) as r:
        stream = r.stream(STEP)
        assert "42" in texts(list(stream))
    assert stream.outcome is not None
    assert stream.outcome.status == ("ok" if fault == "ok" else "fallback")
    assert stream.outcome.usage.output_tokens > 0
    assert not stream.outcome.attempts[-1].usage.estimated  # type: ignore[union-attr]


async def test_an_async_stream_arrives_whole(models: list[dict[str, Any]], server: RunningServer) -> None:
    server.script("first", "cut_after_role", "cut_after_role")
    async with router(models) as r:
        stream = r.astream(STEP)
        assert "42" in texts([c async for c in stream])
    assert stream.outcome is not None
    assert stream.outcome.status == "fallback"


def test_a_stream_cut_after_text_raises_with_the_text(models: list[dict[str, Any]], server: RunningServer) -> None:
    server.script("first", "cut_stream")
    with router(models) as r, pytest.raises(e.StreamBroken) as caught:
        list(r.stream(Step(messages=[{"role": "user", "content": "Tell me a long story about a river."}])))
    assert caught.value.partial.text
    assert [record.model for record in server.requests] == ["first"]


def test_closing_a_stream_early_closes_the_connection(models: list[dict[str, Any]], server: RunningServer) -> None:
    server.script("first", "ok")
    with router(models) as r, r.stream(STEP) as stream:
        next(stream)
    assert len(server.requests) == 1


def test_two_event_loops_and_eight_threads_share_one_router(
    models: list[dict[str, Any]], server: RunningServer, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING), router(models) as r:
        answers = [asyncio.run(r.acomplete(STEP)).text for _ in range(2)]
        # LiteLLM's own cache of clients loses those that several threads make at once for the first time.
        answers.append(r.complete(STEP).text)
        with ThreadPoolExecutor(8) as threads:
            answers += threads.map(lambda _: r.complete(STEP).text, range(8))
    assert all("42" in text for text in answers)
    assert len(server.requests) == 11
    assert [record.getMessage() for record in caplog.records] == []


def test_eight_event_loops_at_once_share_one_router(
    pool: list[dict[str, Any]], server: RunningServer, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING), router(pool) as r, ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda _: asyncio.run(r.acomplete(STEP)).text, range(8)))
    assert all("42" in text for text in answers)
    assert len(server.requests) == 8
    assert [record.getMessage() for record in caplog.records] == []


def test_a_cancelled_call_leaves_no_stray_request(
    models: list[dict[str, Any]], server: RunningServer, caplog: pytest.LogCaptureFixture
) -> None:
    server.script("first", "timeout")

    async def give_up(r: Router) -> None:
        task = asyncio.create_task(r.acomplete(STEP))
        await asyncio.to_thread(server.wait_for, lambda requests: len(requests) == 1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await r.aclose()

    with caplog.at_level(logging.WARNING):
        asyncio.run(give_up(router(models)))
    assert server.wait_for(lambda requests: requests[0].closed_early)
    assert len(server.requests) == 1
    assert [record.getMessage() for record in caplog.records] == []


def test_when_every_model_is_down_the_error_names_them(models: list[dict[str, Any]], server: RunningServer) -> None:
    for name in ("first", "second"):
        server.script(name, "server_error", "server_error")
    with router(models) as r, pytest.raises(AllAttemptsFailedError) as caught:
        r.complete(STEP)
    assert [a.model for a in caught.value.attempts] == ["first", "first", "second", "second"]
    assert "'first', 'second'" in str(caught.value)


def test_a_key_that_is_not_set_is_named(models: list[dict[str, Any]]) -> None:
    models = [{**model, "api_key": "env:TASKROUTER_TEST_KEY_THAT_IS_NOT_SET"} for model in models]
    with router(models) as r, pytest.raises(ConfigurationError, match="TASKROUTER_TEST_KEY_THAT_IS_NOT_SET is not set"):
        r.complete(STEP)


def test_a_call_that_ran_out_of_time_costs_its_input(models: list[dict[str, Any]], server: RunningServer) -> None:
    server.script("first", "timeout")
    with router(models, execution={"timeout_s": 0.5}) as r:
        timed_out = r.complete(STEP).attempts[0]
    assert timed_out.error_type == "timeout"
    assert timed_out.cost_usd is not None
    assert timed_out.cost_usd > 0


def test_closing_leaves_no_connection(pool: list[dict[str, Any]], server: RunningServer) -> None:
    server.script("first", "server_error", "server_error")
    with router(pool) as r:
        assert r.complete(STEP).model == "second"
        assert server.open_connections > 0
    assert server.wait_for_connections(0)


def test_a_router_that_is_dropped_leaves_no_connection(pool: list[dict[str, Any]], server: RunningServer) -> None:
    assert "42" in router(pool).complete(STEP).text
    gc.collect()
    assert server.wait_for_connections(0)


def test_a_closed_router_can_be_used_again(pool: list[dict[str, Any]]) -> None:
    r = router(pool)
    for _ in range(2):
        with r:
            assert "42" in r.complete(STEP).text


def test_models_at_the_same_address_share_their_connections(pool: list[dict[str, Any]], server: RunningServer) -> None:
    server.script("first", "empty_answer")
    with router(pool) as r:
        assert r.complete(STEP).model == "second"
    assert len({record.connection for record in server.requests}) == 1


def test_every_model_has_a_key_of_its_own(pool: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TASKROUTER_TEST_KEY", "secret")
    with Keys.answering() as (url, seen):
        first, second = ({**model, "base_url": url} for model in pool)
        with router([{**first, "api_key": "env:TASKROUTER_TEST_KEY"}, second]) as r:
            for model in ("first", "second"):
                r.complete(STEP, decision=r.route(STEP, use=[model]))
    assert seen == ["Bearer secret", "Bearer none"]


def test_one_connection_serves_whatever_time_is_left(models: list[dict[str, Any]], server: RunningServer) -> None:
    with router(models) as r, r.budget(deadline_s=60):
        answers = [r.complete(STEP).text for _ in range(3)]
    assert all("42" in text for text in answers)
    assert len({record.connection for record in server.requests}) == 1


async def test_one_connection_serves_whatever_time_is_left_async(
    models: list[dict[str, Any]], server: RunningServer
) -> None:
    async with router(models) as r:
        with r.budget(deadline_s=60):
            answers = [(await r.acomplete(STEP)).text for _ in range(3)]
    assert all("42" in text for text in answers)
    assert len({record.connection for record in server.requests}) == 1


TEXTS = st.none() | st.text(max_size=5)
DELTAS = st.fixed_dictionaries(
    {},
    optional={
        "content": TEXTS | st.just([{"type": "text", "text": "part"}]),
        "reasoning_content": TEXTS,
        "refusal": TEXTS,
        "role": st.just("assistant"),
        "tool_calls": st.none() | st.just([{"index": 0, "id": "c", "type": "function", "function": {"name": "f"}}]),
    },
)
CHUNKS = st.fixed_dictionaries(
    {"id": st.text(max_size=3), "model": st.text(max_size=3), "created": st.just(1)},
    optional={"usage": st.none() | st.just({"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3})},
)


@given(CHUNKS, st.lists(DELTAS, max_size=2), st.sampled_from([None, "stop", "length"]))
def test_the_short_way_to_read_a_chunk_reads_what_the_long_one_does(
    chunk: dict[str, Any], deltas: list[dict[str, Any]], finish_reason: str | None
) -> None:
    choices = [{"index": 0, "delta": delta, "finish_reason": finish_reason} for delta in deltas]
    native = construct_type(type_=ChatCompletionChunk, value={**chunk, "choices": choices})
    assert text_chunk_view(native) in (None, chat_completion_view(native))
    words = {**chunk, "choices": [{"index": 0, "delta": {"content": "words"}, "finish_reason": finish_reason}]}
    plain = construct_type(type_=ChatCompletionChunk, value={**words, "usage": None})
    assert text_chunk_view(plain) == chat_completion_view(plain)


@given(DELTAS, st.sampled_from([None, "stop", "length"]))
def test_the_short_way_reads_litellms_chunks_too(delta: dict[str, Any], finish_reason: str | None) -> None:
    types: Any = import_module("litellm.types.utils")
    choice = types.StreamingChoices(index=0, delta=types.Delta(**delta), finish_reason=finish_reason)
    native = types.ModelResponseStream(id="x", model="m", choices=[choice])
    assert text_chunk_view(native) in (None, chat_completion_view(native))
    choice = types.StreamingChoices(index=0, delta=types.Delta(content="words"), finish_reason=finish_reason)
    plain = types.ModelResponseStream(id="x", model="m", choices=[choice])
    assert text_chunk_view(plain) == chat_completion_view(plain)


class Canned(BaseHTTPRequestHandler):
    """Gives every caller the same answer."""

    content_type: str
    body: str

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(200)
        self.send_header("content-type", self.content_type)
        self.end_headers()
        self.wfile.write(self.body.encode())

    def log_message(self, *_: object) -> None:
        """Say nothing."""


class Keys(BaseHTTPRequestHandler):
    """Answers every caller and notes its key."""

    seen: list[str]

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        self.seen.append(self.headers["authorization"])
        message = {"role": "assistant", "content": "42"}
        body = json.dumps({"choices": [{"index": 0, "message": message, "finish_reason": "stop"}]}).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    @classmethod
    @contextmanager
    def answering(cls) -> Iterator[tuple[str, list[str]]]:
        seen: list[str] = []
        with serving(type("Handler", (cls,), {"seen": seen})) as url:
            yield url, seen


@contextmanager
def serving(handler: type[BaseHTTPRequestHandler]) -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


@contextmanager
def answering(content_type: str, body: str) -> Iterator[str]:
    with serving(type("Handler", (Canned,), {"content_type": content_type, "body": body})) as url:
        yield url


async def test_a_page_that_is_no_completion_is_no_answer(pool: list[dict[str, Any]]) -> None:
    with answering("text/html", "<html>Please log in</html>") as url:
        r = router([{**pool[0], "base_url": url, "backend": "openai"}, pool[1]])
        async with r:
            for outcome in (r.complete(STEP), await r.acomplete(STEP)):
                assert [a.error_type for a in outcome.attempts] == ["bad_answer", None]
                assert outcome.model == "second"


async def test_litellms_streams_of_another_protocol_end_well() -> None:
    events: list[dict[str, Any]] = [
        {"type": "message_start", "message": {"id": "m", "role": "assistant", "usage": {"input_tokens": 5}}},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "42"}},
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 2}},
        {"type": "message_stop"},
    ]
    body = "".join(f"event: {event['type']}\ndata: {json.dumps(event)}\n\n" for event in events)
    with answering("text/event-stream", body) as url:
        card = {"id": "first", "model": "anthropic/claude-haiku-4-5", "base_url": url, "backend": "litellm"}
        async with router([card]) as r:
            stream = r.stream(STEP)
            assert texts(list(stream)) == "42"
            astream = r.astream(STEP)
            assert texts([chunk async for chunk in astream]) == "42"
    for outcome in (stream.outcome, astream.outcome):
        assert outcome is not None
        assert (outcome.usage.input_tokens, outcome.usage.output_tokens) == (5, 2)


async def test_a_router_that_is_dropped_leaves_litellms_clients_to_others(pool: list[dict[str, Any]]) -> None:
    kept, dropped = (router([{**card, "backend": "litellm"} for card in pool]) for _ in range(2))
    for one in (kept, dropped):
        assert (await one.acomplete(STEP)).text
    cache = import_module("litellm").in_memory_llm_clients_cache.cache_dict
    ours = [key for key in cache if str(key).endswith(f"-{id(asyncio.get_running_loop())}")]
    assert ours
    del one, dropped
    gc.collect()
    for _ in range(100):  # what is closed with a router is closed in a task
        await asyncio.sleep(0)
    assert [key for key in ours if key in cache] == ours
    assert (await kept.acomplete(STEP)).text


def test_replay_answers_from_a_recording(tmp_path: Path) -> None:
    recording = tmp_path / "r.jsonl.gz"
    row = {"messages": STEP.messages, "outcomes": {"m": {"score": 1, "answer": "42", "input_tokens": 9}}}
    recording.write_bytes(gzip.compress(json.dumps(row).encode()))
    model = {"id": "m", "backend": "replay", "params": {"recording": str(recording)}, "context_tokens": 1000}
    with Router([model]) as r:
        outcome = r.complete(STEP)
        assert (outcome.text, outcome.usage.input_tokens, outcome.cost_usd) == ("42", 9, None)
        with pytest.raises(AllAttemptsFailedError, match="no recorded answer"):
            r.complete(Step(messages=[{"role": "user", "content": "something else"}]))


def test_a_broken_recording_is_named_with_its_line(tmp_path: Path) -> None:
    recording = tmp_path / "r.jsonl"
    recording.write_text('{"messages": [], "outcomes": {}}\n{"messages": []}\n')
    model = {"id": "m", "backend": "replay", "params": {"recording": str(recording)}, "context_tokens": 1000}
    with Router([model]) as r, pytest.raises(ConfigurationError, match=r"r\.jsonl:2"):
        r.complete(STEP)
