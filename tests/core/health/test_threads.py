"""Many threads ask and tell at once."""

from __future__ import annotations

import random
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from threading import Barrier
from typing import Any

from tests.core.health.pools import ALIVE, DOWN, EPOCH_S, FAULTS, answer, health_of, opened

from taskrouter import errors as e

THREADS = 8


def test_of_many_threads_one_gets_the_probe():
    for _ in range(50):
        health, barrier = opened(), Barrier(THREADS)

        def ask(health=health, barrier=barrier):
            barrier.wait()
            return health.admit("a", 10.0)

        with ThreadPoolExecutor(THREADS) as threads:
            asked = [threads.submit(ask) for _ in range(THREADS)]
        assert [admission.probe for done in asked if (admission := done.result())] == [True]


def test_threads_that_hammer_leave_it_whole():
    pool: list[dict[str, Any]] = [
        {"id": "a", "quota_group": "key"},
        {"id": "b", "deployments": [{"name": "x"}, {"name": "y", "quota_group": "key"}]},
    ]
    health = health_of(pool, balance="least_latency", failures=3, open_s=0.05, max_open_s=0.2, down_s=0.2, window_s=1.0)
    clock, barrier = count(1), Barrier(THREADS)
    errors = [*FAULTS, *ALIVE, *DOWN, e.LocalFailure("a"), e.RateLimited("a", retry_after_s=0.01)]

    def hammer(seed: int) -> int:
        rng = random.Random(seed)
        barrier.wait()
        for _ in range(2000):
            now_s = next(clock) / 1000.0
            model = rng.choice("ab")
            health.sidelined(now_s)
            admission = health.admit(model, now_s) or health.least_bad([model], now_s)
            assert admission is not None
            endpoint, end_s, luck = admission.endpoint.id, next(clock) / 1000.0, rng.random()
            if luck < 0.6:
                health.succeeded(endpoint, end_s, latency_s=end_s - now_s)
            elif luck < 0.9:
                health.failed(endpoint, rng.choice(errors), end_s, latency_s=end_s - now_s, probe=admission.probe)
            else:
                health.released(endpoint, end_s, probe=admission.probe)
            if luck < 0.02:
                news = health.changes(end_s, EPOCH_S + end_s)
                health.adopt({key: told for key, told in news.items() if told}, end_s, EPOCH_S + end_s)
                health.states(end_s)
        return seed

    with ThreadPoolExecutor(THREADS) as threads:
        assert sorted(threads.map(hammer, range(THREADS))) == list(range(THREADS))
    end_s = next(clock) / 1000.0 + 100.0
    assert [state.in_flight for state in health.states(end_s)] == [0, 0, 0]
    assert health.sidelined(end_s) == {}
    for endpoint in ("a", "b@x", "b@y"):
        answer(health, end_s, endpoint=endpoint)
    assert {state.breaker for state in health.states(end_s)} == {"closed"}
