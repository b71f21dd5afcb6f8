"""What a test can tell from the records: who asked, when, how it ended, and whether the connection did."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import openai
import pytest
from tests.simulator.conftest import ASK

from taskrouter.simulator import journal
from taskrouter.simulator.journal import Journal


def test_a_record_says_when_the_request_came_and_ended(start, client_of):
    server = start(script=["slow_start", "rate_limit"], faults={"slow_start_s": 0.05})
    client = client_of(server)
    before = time.time()
    client.chat.completions.create(model="m", messages=ASK)
    with pytest.raises(openai.RateLimitError):
        client.chat.completions.create(model="m", messages=ASK)
    first, second = server.requests
    assert before <= first.at
    assert first.at + 0.05 <= first.ended_at <= second.at <= second.ended_at <= time.time()


def test_a_request_that_hangs_has_not_ended(start, client_of):
    server = start(script=["timeout"])
    with client_of(server, timeout=0.3) as client:
        waiting = threading.Thread(target=give_up, args=(client,))
        waiting.start()
        assert server.wait_for(lambda records: bool(records) and records[0].fault == "timeout")
        assert server.requests[0].ended_at is None
        waiting.join()
    assert server.wait_for(lambda records: records[0].closed_early and records[0].ended_at is not None)


def give_up(client):
    with pytest.raises(openai.APITimeoutError):
        client.chat.completions.create(model="m", messages=ASK)


@pytest.mark.parametrize("fault", ["ok", "server_error", "bad_gateway", "html_answer"])
def test_the_client_finds_the_records_id_in_every_response(sim, http, body, fault):
    sim.script("m", fault)
    response = http.post("/v1/chat/completions", json=body())
    assert response.headers["x-request-id"] == sim.requests[0].request_id


def test_a_retry_and_a_fallback_are_known_by_the_digest_of_their_prompt(sim, http, body, tool):
    asked = [
        body(),
        body(model="plain", temperature=0.1, stream=True),
        body(messages=[{"role": "user", "content": "What is 6 * 8?"}]),
        body(tools=[tool()]),
    ]
    for number, fields in enumerate(asked):
        http.post("/v1/chat/completions", json=fields, headers={"authorization": f"Bearer {number}"})
    first, elsewhere, *others = (record.prompt_digest for record in sim.requests)
    assert first == elsewhere
    assert len({first, *others}) == 3


def test_what_is_no_json_has_no_digest(sim, http):
    http.post("/v1/chat/completions", content=b"{")
    assert sim.requests[0].prompt_digest is None


def test_records_tell_connections_apart_and_see_them_end(start, body):
    server = start()
    with httpx.Client(base_url=server.base_url) as one, httpx.Client(base_url=server.base_url) as other:
        for client in (one, one, other):
            client.post("/chat/completions", json=body())
        first, again, second = server.requests
        assert first.connection == again.connection != second.connection
        assert not any(record.connection_closed for record in server.requests)
        assert server.open_connections == 2
        other.close()
        assert server.wait_for(lambda records: [r.connection_closed for r in records] == [False, False, True])
        assert httpx.get(f"{server.url}/sim/connections").json() == {"open": 2}  # `one`, and this one
    assert server.wait_for_connections(0)
    assert all(record.connection_closed for record in server.requests)


def test_a_connection_that_a_client_forgets_is_found(start, body):
    server = start()
    forgotten = httpx.Client(base_url=server.base_url)
    forgotten.post("/chat/completions", json=body())
    assert not server.wait_for_connections(0, timeout_s=0.05)
    assert server.open_connections == 1
    forgotten.close()
    assert server.wait_for_connections(0)


@pytest.mark.parametrize("fault", ["drop_connection", "cut_stream", "cut_after_role"])
def test_a_connection_that_the_server_breaks_is_closed_but_not_early(start, body, fault):
    server = start(script=[fault])
    with pytest.raises(httpx.RemoteProtocolError):
        httpx.post(f"{server.base_url}/chat/completions", json=body())
    assert server.wait_for(lambda records: records[0].connection_closed)
    assert (server.requests[0].done, server.requests[0].closed_early) == (True, False)


def test_a_stream_that_is_left_closes_its_connection(start, client_of):
    server = start(script=["stall"])
    client = client_of(server)
    with client.chat.completions.create(model="m", messages=ASK, stream=True) as stream:
        next(iter(stream))
    assert server.wait_for(lambda records: records[0].closed_early and records[0].connection_closed)
    assert server.wait_for_connections(0)


def test_reset_forgets_requests_and_not_connections(start, body):
    server = start()
    with httpx.Client(base_url=server.base_url) as client:
        client.post("/chat/completions", json=body())
        server.reset()
        assert (server.requests, server.open_connections) == ([], 1)
        client.post("/chat/completions", json=body())
        assert [(record.index, record.connection_closed) for record in server.requests] == [(0, False)]


def test_many_requests_at_once_are_all_recorded_and_leave_no_connection(start, body):
    server = start(faults={"overloaded": 0.2, "drop_connection": 0.1})

    def asks(number: int) -> None:
        with httpx.Client(base_url=server.base_url) as client:
            for _ in range(20):
                try:
                    client.post("/chat/completions", json=body(stream=number % 2 == 0))
                except httpx.RemoteProtocolError:
                    continue

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(asks, range(16)))
        assert server.wait_for(lambda records: len(records) == 320 and all(record.done for record in records))
    assert server.wait_for_connections(0)
    assert sorted(record.index for record in server.requests) == list(range(320))
    assert all(record.connection_closed for record in server.requests)
    assert {record.fault for record in server.requests} == {None, "overloaded", "drop_connection"}


def test_records_are_copies_made_anew_only_for_what_changed():
    kept = Journal()
    kept.connected(1)
    first, second = kept.open(1), kept.open(1)
    before = kept.snapshot()
    kept.update(first, status=200)
    after = kept.snapshot()
    assert (before[0].status, after[0].status) == (None, 200)
    assert after[1] is before[1] is not second


def test_only_the_newest_records_are_kept(monkeypatch):
    monkeypatch.setattr(journal, "RECORDS_KEPT", 3)
    kept = Journal()
    kept.connected(1)
    for _ in range(5):
        kept.open(1)
        kept.snapshot()
    assert [record.index for record in kept.snapshot()] == [2, 3, 4]


def test_waiting_ends_at_its_time_although_records_keep_changing():
    kept = Journal()
    kept.connected(1)
    record = kept.open(1)
    stop = threading.Event()

    def change() -> None:
        while not stop.is_set():
            kept.update(record, completion_tokens=record.completion_tokens + 1)

    changing = threading.Thread(target=change)
    changing.start()
    try:
        assert not kept.wait_for(lambda records: False, 0.05)
        assert kept.wait_for(lambda records: records[0].completion_tokens > 0, 5)
    finally:
        stop.set()
        changing.join()
