"""Faults of time and of streams: what comes late, stops, or ends with an error."""

from __future__ import annotations

import logging
import time

import httpx
import openai
import pytest
from tests.simulator.conftest import ASK

from taskrouter.simulator import serve

IMPATIENT_S = 0.2


def streamed(client, **fields):
    return client.chat.completions.create(model="m", messages=ASK, stream=True, **fields)


def text(chunks):
    return "".join(chunk.choices[0].delta.content or "" for chunk in chunks)


@pytest.mark.parametrize("stream", [False, True])
def test_a_slow_start_is_followed_by_the_whole_answer(start, client_of, stream):
    server = start(script=["slow_start"], faults={"slow_start_s": 0.1})
    client = client_of(server)
    began = time.perf_counter()
    answer = client.chat.completions.create(model="m", messages=ASK, stream=stream)
    reason = [chunk.choices[0].finish_reason for chunk in answer][-1] if stream else answer.choices[0].finish_reason
    assert time.perf_counter() - began >= 0.1
    assert reason == server.requests[0].finish_reason == "stop"


@pytest.mark.parametrize("stream", [False, True])
def test_a_client_that_does_not_wait_for_a_slow_start_gets_nothing(start, client_of, stream):
    server = start(script=["slow_start"])
    with pytest.raises(openai.APITimeoutError):
        client_of(server, timeout=IMPATIENT_S).chat.completions.create(model="m", messages=ASK, stream=stream)
    assert server.wait_for(lambda records: records[0].closed_early)
    assert (server.requests[0].status, server.requests[0].completion_tokens) == (None, 0)


@pytest.mark.parametrize(("fault", "least"), [("stall", 3), ("stall_after_role", 1)])
def test_a_stalled_stream_stays_open_until_the_client_gives_up(start, client_of, fault, least):
    server = start(script=[fault])
    client = client_of(server, timeout=IMPATIENT_S)
    received = []
    with pytest.raises((httpx.ReadTimeout, openai.APITimeoutError)):
        received.extend(streamed(client))
    assert len(received) >= least if fault == "stall" else len(received) == least
    assert all(chunk.choices[0].finish_reason is None for chunk in received)
    assert server.wait_for(lambda records: records[0].closed_early and records[0].connection_closed)
    assert server.requests[0].status == 200


@pytest.mark.parametrize("fault", ["stall", "stall_after_role"])
@pytest.mark.parametrize("stream", [False, True])
def test_a_stall_breaks_the_connection_after_its_time(start, client_of, fault, stream, caplog):
    server = start(script=[fault], faults={"hang_s": 0.05})
    client = client_of(server)
    with caplog.at_level(logging.DEBUG), pytest.raises((httpx.RemoteProtocolError, openai.APIConnectionError)):
        list(client.chat.completions.create(model="m", messages=ASK, stream=stream))
    assert server.wait_for(lambda records: records[0].done and records[0].connection_closed)
    assert not server.requests[0].closed_early
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


@pytest.mark.parametrize("fault", ["stall", "stall_after_role"])
def test_a_stalled_plain_answer_hangs_behind_its_headers(start, client_of, fault):
    server = start(script=[fault])
    with pytest.raises(openai.APITimeoutError):
        client_of(server, timeout=IMPATIENT_S).chat.completions.create(model="m", messages=ASK)
    assert server.wait_for(lambda records: records[0].closed_early)
    assert server.requests[0].status == 200


@pytest.mark.parametrize(("fault", "half"), [("stall", True), ("stall_after_role", False)])
def test_how_much_of_a_plain_answer_comes_before_it_stalls(start, body, fault, half):
    server = start(script=[fault])
    came: list[bytes] = []
    with httpx.stream("POST", f"{server.base_url}/chat/completions", json=body(), timeout=IMPATIENT_S) as response:
        with pytest.raises(httpx.ReadTimeout):
            came.extend(response.iter_raw())
        assert response.status_code == 200
    assert len(b"".join(came)) == (int(response.headers["content-length"]) // 2 if half else 0)


def test_a_server_stops_although_a_stream_stalls(start, client_of):
    model = {"id": "m", "input_usd_per_million": 1, "output_usd_per_million": 2, "script": ["stall"]}
    with serve({"speed": 0, "models": [model]}) as server:
        stream = iter(streamed(client_of(server)))
        next(stream)
        assert server.wait_for(lambda records: records[0].completion_tokens > 0)
    with pytest.raises((httpx.HTTPError, openai.APIConnectionError)):
        list(stream)


@pytest.mark.parametrize(("fault", "some_text"), [("error_event", True), ("error_after_role", False)])
def test_an_error_in_a_stream_raises_after_what_came_before(faulty, sim, fault, some_text):
    received = []
    with pytest.raises(openai.APIError, match="The server had an error") as caught:
        received.extend(faulty(fault, stream=True))
    assert not isinstance(caught.value, openai.APIStatusError)
    assert bool(text(received)) is some_text
    assert len(received) >= 1
    assert (sim.requests[0].status, sim.requests[0].finish_reason) == (200, None)


@pytest.mark.parametrize("fault", ["error_event", "error_after_role"])
def test_a_stream_with_an_error_ends_without_the_end_mark(sim, http, body, fault):
    sim.script("m", fault)
    events = http.post("/v1/chat/completions", json=body(stream=True)).text.strip().split("\n\n")
    assert events[-1].startswith('data: {"error":{"message":')
    assert "data: [DONE]" not in events


@pytest.mark.parametrize("fault", ["error_event", "error_after_role"])
def test_without_a_stream_the_same_is_an_error_of_the_server(faulty, fault):
    with pytest.raises(openai.InternalServerError) as caught:
        faulty(fault)
    assert caught.value.status_code == 500


def test_an_empty_stream_is_the_end_mark_alone(faulty, sim, http, body):
    assert list(faulty("empty_stream", stream=True)) == []
    sim.script("m", "empty_stream")
    response = http.post("/v1/chat/completions", json=body(stream=True))
    assert (response.status_code, response.text) == (200, "data: [DONE]\n\n")
    assert response.headers["content-type"].startswith("text/event-stream")
    assert [record.finish_reason for record in sim.requests] == [None, None]


def test_without_a_stream_the_same_is_an_empty_answer(faulty):
    answer = faulty("empty_stream")
    assert (answer.choices[0].message.content, answer.usage.completion_tokens) == ("", 0)


def test_a_login_page_instead_of_an_answer_is_a_success_for_the_sdk(faulty):
    page = faulty("html_answer")
    assert isinstance(page, str)
    assert "<h1>Sign in</h1>" in page


def test_a_login_page_instead_of_a_stream_holds_no_chunk(faulty, sim, http, body):
    assert list(faulty("html_answer", stream=True)) == []
    sim.script("m", "html_answer")
    response = http.post("/v1/chat/completions", json=body(stream=True))
    assert (response.status_code, response.headers["content-type"]) == (200, "text/html")
