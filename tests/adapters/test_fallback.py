"""What happens when a candidate fails: one request to it, and the other one's answer."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from tests.adapters.contract import PRICES, Bench, Pair, Way, chain
from tests.standins.brain import GREETING
from tests.standins.server import Fault

from taskrouter import AllAttemptsFailedError

KINDS: dict[Fault, str] = {"error": "server_error", "unavailable": "overloaded", "limited": "rate_limited"}


@pytest.mark.parametrize("fault", KINDS)
async def test_a_model_whose_vendor_says_no_gets_one_request(bench: Bench, way: Way, pair: Pair, fault: Fault) -> None:
    first, second = pair
    bench.vendors.fail(first.model, fault)
    reply = await bench.ask(bench.routed(pair), way)
    assert reply.text == GREETING
    assert bench.asked == [first.model, second.model]
    assert (bench.outcome.status, bench.outcome.model) == ("fallback", second.id)
    assert [attempt.error_type for attempt in bench.outcome.attempts] == [KINDS[fault], None]


@pytest.mark.parametrize("fault", ["cut", "empty", "silent"])
async def test_a_model_that_says_nothing_gets_one_request(bench: Bench, way: Way, pair: Pair, fault: Fault) -> None:
    first, second = pair
    bench.vendors.fail(first.model, fault)
    reply = await bench.ask(bench.routed(pair), way)
    assert reply.text == GREETING
    assert bench.asked == [first.model, second.model]
    assert (bench.outcome.status, bench.outcome.model) == ("fallback", second.id)


@pytest.mark.parametrize("fault", ["broken", "stops"])
async def test_a_torn_answer_is_none(bench: Bench, whole: Way, pair: Pair, fault: Fault) -> None:
    first, second = pair
    bench.vendors.fail(first.model, fault)
    assert (await bench.ask(bench.routed(pair), whole)).text == GREETING
    assert bench.asked == [first.model, second.model]


async def test_a_vendor_that_does_not_listen_is_left_at_once(bench: Bench, way: Way, pair: Pair) -> None:
    first, second = pair
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        nowhere = f"http://127.0.0.1:{listener.getsockname()[1]}"
        routed = bench.routed(pair, candidates={first.id: bench.door.candidate(first, nowhere)})
        assert (await bench.ask(routed, way)).text == GREETING
    assert bench.asked == [second.model]
    assert [attempt.error_type for attempt in bench.outcome.attempts] == ["connection", None]


async def test_a_vendor_that_hangs_up_is_connected_to_once(bench: Bench, way: Way, pair: Pair) -> None:
    first, second = pair
    with hanging_up() as (url, connections):
        routed = bench.routed(pair, candidates={first.id: bench.door.candidate(first, url)})
        assert (await bench.ask(routed, way)).text == GREETING
    assert len(connections) == 1
    assert bench.asked == [second.model]


async def test_the_router_retries_in_place_of_the_client(bench: Bench, way: Way, pair: Pair) -> None:
    first, second = pair
    bench.vendors.fail(first.model, "error")
    execution = {"retries": 2, "backoff_base_s": 0.001, "backoff_max_s": 0.001}
    await bench.ask(bench.routed(pair, execution=execution), way)
    assert bench.asked == [first.model] * 3 + [second.model]


async def test_where_all_fail_the_error_has_every_attempt(bench: Bench, way: Way, pair: Pair) -> None:
    for wire in pair:
        bench.vendors.fail(wire.model, "unavailable")
    with pytest.raises(Exception) as caught:  # noqa: PT011 - each framework's own
        await bench.ask(bench.routed(pair), way)
    failures = [error for error in chain(caught.value) if isinstance(error, AllAttemptsFailedError)]
    assert len(failures) == 1
    assert [attempt.model for attempt in failures[0].attempts] == [wire.id for wire in pair]
    assert [getattr(error, "status", None) for error in failures[0].exceptions] == [503, 503]
    assert all(error.__cause__ is not None for error in failures[0].exceptions)
    assert bench.asked == [wire.model for wire in pair]


async def test_what_a_failed_attempt_and_the_answer_used_is_charged(bench: Bench, way: Way, pair: Pair) -> None:
    bench.vendors.fail(pair[0].model, "silent")
    await bench.ask(bench.routed(pair), way)
    usage, attempts = bench.outcome.usage, bench.outcome.attempts
    assert usage.input_tokens > 0
    assert all(attempt.usage is not None for attempt in attempts)
    price = (
        PRICES["input_usd_per_million"] * usage.input_tokens + PRICES["output_usd_per_million"] * usage.output_tokens
    )
    assert bench.outcome.cost_usd == pytest.approx(price / 1e6)


@contextmanager
def hanging_up() -> Iterator[tuple[str, list[str]]]:
    """Take connections on loopback and close each when it has asked; the list says who came."""
    connections: list[str] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            while True:
                connection, peer = listener.accept()
                if done.is_set():
                    connection.close()
                    return
                connections.append(str(peer))
                connection.recv(1)
                connection.close()

        done = threading.Event()
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        host, port = listener.getsockname()
        try:
            yield f"http://{host}:{port}", connections
        finally:
            done.set()
            socket.create_connection((host, port)).close()
            thread.join()
