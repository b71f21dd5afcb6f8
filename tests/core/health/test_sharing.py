"""What processes tell each other, and what they make of it."""

from __future__ import annotations

import json
from collections.abc import Mapping

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule
from tests.core.health.pools import DOWN, EPOCH_S, FAULTS, admitted, answer, fail, health_of

from taskrouter import errors as e
from taskrouter.health import Health, Notice
from taskrouter.health.sharing import LINGER_S
from taskrouter.state.store import Entry

POOL = [{"id": "a", "quota_group": "key"}, {"id": "b", "quota_group": "key"}, {"id": "c"}]
MAX_OPEN_S, DOWN_S = 60.0, 90.0


class Shared:
    """A store, and the processes that meet in it. All clocks agree."""

    def __init__(self, processes: int = 2, *, reads_first: bool = False) -> None:
        self.reads_first = reads_first
        self.now_s = 1000.0
        self.entries: dict[str, Entry] = {}
        self.processes = [
            health_of(POOL, failures=2, min_calls=50, open_s=10.0, max_open_s=MAX_OPEN_S, down_s=DOWN_S)
            for _ in range(processes)
        ]

    def sync(self, *which: int, rounds: int = 1) -> None:
        for _ in range(rounds):
            for process in which or range(len(self.processes)):
                for exchange in (self.read, self.write) if self.reads_first else (self.write, self.read):
                    exchange(process)

    def write(self, process: int) -> None:
        for key, notice in self.processes[process].changes(self.now_s, EPOCH_S + self.now_s).items():
            if notice is None:
                self.entries.pop(key, None)
            else:
                self.entries[key] = Entry(value=notice.value, expires_at_s=notice.expires_at_s)

    def read(self, process: int) -> None:
        epoch_s = EPOCH_S + self.now_s
        self.entries = {key: entry for key, entry in self.entries.items() if (entry.expires_at_s or 0.0) > epoch_s}
        self.processes[process].adopt(dict(self.entries), self.now_s, epoch_s)

    def views(self) -> list[Mapping[str, tuple[str, float]]]:
        """Return what each process thinks of the models."""
        return [
            {model: (why.code, round(why.until_s, 2)) for model, why in health.sidelined(self.now_s).items()}
            for health in self.processes
        ]

    def beliefs(self) -> list[list[tuple[bool, bool, float, float]]]:
        return [[_belief(health, guard, self.now_s) for guard in _guards(health)] for health in self.processes]


def _guards(health: Health):
    return [*(place.guard for place in health._places.values()), *health._groups.values()]


def _belief(health: Health, guard, now_s: float) -> tuple[bool, bool, float, float]:
    breaker = guard.breaker
    gate_s = guard.gate_until_s if guard.gate_until_s > now_s else 0.0
    return breaker.is_open, breaker.down, round(breaker.until_s, 2) if breaker.is_open else 0.0, round(gate_s, 2)


@pytest.mark.parametrize(
    "error", [e.Unauthenticated("a"), e.RateLimited("a", retry_after_s=7.0), e.ModelNotFound("a")], ids=lambda x: x.kind
)
def test_what_one_process_finds_out_the_others_know(error):
    shared = Shared(3)
    fail(shared.processes[0], error, shared.now_s)
    shared.sync()
    one, two, three = shared.views()
    assert one
    assert one == two == three


def test_nothing_is_told_when_nothing_has_changed():
    shared = Shared()
    assert shared.processes[0].changes(shared.now_s, EPOCH_S) == {}
    fail(shared.processes[0], e.ServerFailed("a"), shared.now_s, times=2)
    assert len(shared.processes[0].changes(shared.now_s, EPOCH_S)) == 1
    assert shared.processes[0].changes(shared.now_s, EPOCH_S) == {}


def test_an_entry_outlives_the_opening_so_that_a_good_probe_can_be_told_of():
    shared = Shared()
    fail(shared.processes[0], e.ServerFailed("a"), shared.now_s, times=2)
    (notice,) = shared.processes[0].changes(shared.now_s, EPOCH_S + shared.now_s).values()
    assert notice is not None
    assert notice.expires_at_s == pytest.approx(EPOCH_S + shared.now_s + 10.0 + LINGER_S)


def test_a_good_probe_of_one_process_closes_the_breaker_of_all():
    shared = Shared(3)
    fail(shared.processes[0], e.ServerFailed("a"), shared.now_s, times=2)
    shared.sync()
    shared.now_s += 10.0
    admitted(shared.processes[1], shared.now_s)
    answer(shared.processes[1], shared.now_s)
    shared.sync(rounds=2)
    assert shared.entries == {}
    assert [admitted(health, shared.now_s).probe for health in shared.processes] == [False] * 3


def test_an_entry_that_has_expired_closes_nothing():
    shared = Shared()
    fail(shared.processes[0], e.ServerFailed("a"), shared.now_s, times=2)
    shared.sync()
    shared.now_s += 10.0 + LINGER_S
    shared.sync()
    assert shared.entries == {}
    assert [admitted(health, shared.now_s).probe for health in shared.processes] == [True, True]


def test_a_failed_probe_is_newer_news_than_the_entry_it_finds():
    shared = Shared()
    fail(shared.processes[0], e.ServerFailed("a"), shared.now_s, times=2)
    shared.sync()
    shared.now_s += 10.0
    admitted(shared.processes[1], shared.now_s)
    fail(shared.processes[1], e.ServerFailed("a"), shared.now_s)
    shared.read(1)
    assert shared.views()[1] == {"a": ("breaker_open", shared.now_s + 20.0)}
    shared.sync(rounds=2)
    assert shared.views()[0] == shared.views()[1]


def test_a_closing_is_newer_news_than_the_opening_before_it():
    shared = Shared()
    fail(shared.processes[0], e.ServerFailed("a"), shared.now_s, times=2)
    shared.sync()
    shared.now_s += 10.0
    admitted(shared.processes[0], shared.now_s)
    answer(shared.processes[0], shared.now_s)
    shared.read(0)  # the entry is still there
    assert shared.views()[0] == {}
    shared.sync(rounds=2)
    assert shared.beliefs()[0] == shared.beliefs()[1]
    assert shared.entries == {}


def test_what_did_not_arrive_in_the_store_is_told_again():
    shared = Shared()
    fail(shared.processes[0], e.ServerFailed("a"), shared.now_s, times=2)
    fail(shared.processes[0], e.RateLimited("a", retry_after_s=30.0), shared.now_s)
    assert len(shared.processes[0].changes(shared.now_s, EPOCH_S + shared.now_s)) == 2  # and lost
    shared.sync(rounds=2)
    assert len(shared.entries) == 2
    assert shared.beliefs()[1] == shared.beliefs()[0]


def test_a_new_process_begins_with_a_probe_where_others_wait_for_one():
    shared = Shared()
    fail(shared.processes[0], e.ServerFailed("a"), shared.now_s, times=2)
    shared.sync(0)
    shared.now_s += 15.0
    shared.read(1)
    assert shared.views()[1] == {}
    assert admitted(shared.processes[1], shared.now_s).probe


def test_people_read_that_another_process_saw_it_once_however_often_it_was_told():
    shared = Shared(3)
    fail(shared.processes[0], e.Unauthenticated("a"), shared.now_s)
    shared.sync(0, 1)
    shared.entries.clear()
    shared.processes[1].changes(shared.now_s, EPOCH_S)
    shared.sync(rounds=2)
    for health in shared.processes[1:]:
        for why in health.sidelined(shared.now_s).values():
            assert why.detail.count("another process") <= 1


def test_an_opening_that_another_process_tells_of_is_no_longer_than_ours_may_be():
    far = Notice(value=json.dumps({"v": 1, "at_s": EPOCH_S, "until_s": EPOCH_S + 1e9}), expires_at_s=None)
    health = health_of(POOL, max_open_s=MAX_OPEN_S)
    for after_s in range(0, 60, 5):
        health.adopt({"breaker/endpoint/a": far, "gate/endpoint/b": far}, 50.0 + after_s, EPOCH_S + after_s)
    assert {why.until_s for why in health.sidelined(109.0).values()} == {110.0}
    health.adopt({"breaker/endpoint/a": far, "gate/endpoint/b": far}, 110.0, EPOCH_S + 60.0)
    assert health.sidelined(110.0) == {}


def test_what_another_process_has_learned_since_is_not_lost_when_an_older_opening_is_removed():
    shared = Shared(3)
    a, b, c = shared.processes
    fail(a, e.ServerFailed("a"), shared.now_s, times=2)
    shared.sync()
    shared.now_s += 10.0
    admitted(c, shared.now_s)
    answer(c, shared.now_s)
    admitted(b, shared.now_s)
    shared.now_s += 0.3
    fail(b, e.ServerFailed("a"), shared.now_s)
    shared.write(2)
    shared.now_s += 0.5
    shared.read(0)
    assert shared.views()[0] == {}
    shared.sync(1, 0)
    assert shared.views()[0] == shared.views()[1] == {"a": ("breaker_open", 1030.3)}


def test_a_closing_wins_over_an_older_opening_whose_writer_never_sees_it_in_the_store():
    shared = Shared(2, reads_first=True)
    a, b = shared.processes
    fail(a, e.ServerFailed("a"), shared.now_s, times=2)
    shared.sync()
    shared.now_s += 10.0
    admitted(b, shared.now_s)
    fail(a, e.ServerFailed("a"), shared.now_s)
    shared.now_s += 0.5
    answer(b, shared.now_s)
    shared.sync(rounds=3)
    assert shared.views() == [{}, {}]


def test_what_happens_here_is_newer_than_what_was_heard_from_a_clock_that_is_fast():
    until_s = EPOCH_S + 1000.0 + 50.0
    told = json.dumps({"v": 1, "at_s": until_s - 20.0, "until_s": until_s})
    shared = Shared()
    shared.entries = {"breaker/endpoint/a": Entry(value=told, expires_at_s=until_s + LINGER_S)}
    shared.read(0)
    assert shared.views()[0] == {"a": ("breaker_open", 1020.0)}
    shared.now_s += 20.0
    admitted(shared.processes[0], shared.now_s)
    answer(shared.processes[0], shared.now_s)
    shared.read(0)
    assert shared.views()[0] == {}
    shared.write(0)
    assert shared.entries == {}


def test_news_from_the_far_future_is_not_believed():
    told = json.dumps({"v": 1, "at_s": EPOCH_S + 3600.0, "until_s": EPOCH_S + 3610.0})
    health = health_of(POOL)
    health.adopt({"breaker/endpoint/a": Entry(value=told), "gate/endpoint/b": Entry(value=told)}, 0.0, EPOCH_S)
    assert health.sidelined(0.0) == {}


def test_a_pause_that_another_process_tells_of_ends_for_newcomers_when_ours_would():
    told = json.dumps({"v": 1, "at_s": EPOCH_S, "until_s": EPOCH_S + 1e9})
    health = health_of(POOL, max_open_s=MAX_OPEN_S)
    health.adopt({"gate/endpoint/b": Entry(value=told)}, 100.0, EPOCH_S + MAX_OPEN_S + 1.0)
    assert health.sidelined(100.0) == {}


class SharingMachine(RuleBasedStateMachine):
    """Three processes that find out different things, and hear of each other at least every half minute."""

    reads_first = False

    def __init__(self) -> None:
        super().__init__()
        self.shared = Shared(3, reads_first=self.reads_first)
        self.synced_s = self.shared.now_s

    @precondition(lambda self: self.shared.now_s < 1000.0 + LINGER_S - 30.0)  # entries last for the whole story
    @rule(seconds=st.sampled_from([0.0, 0.5, 5.0, 10.0, 20.0]))
    def wait(self, seconds: float) -> None:
        self.shared.now_s += seconds
        if self.shared.now_s - self.synced_s > 30.0:
            self.everybody_syncs()

    @rule(process=st.integers(0, 2), model=st.sampled_from("abc"), error=st.sampled_from([None, *FAULTS, *DOWN]))
    def call(self, process: int, model: str, error: e.ModelCallError | None) -> None:
        health, now_s = self.shared.processes[process], self.shared.now_s
        admission = health.admit(model, now_s) or health.least_bad([model], now_s)
        assert admission is not None
        if error is None:
            health.succeeded(model, now_s, latency_s=0.0)
        else:
            health.failed(model, error, now_s, latency_s=0.0, probe=admission.probe)

    @rule(process=st.integers(0, 2), pause_s=st.sampled_from([1.0, 30.0, 1e9]))
    def pause(self, process: int, pause_s: float) -> None:
        error = e.RateLimited("a", retry_after_s=pause_s)
        self.shared.processes[process].failed("a", error, self.shared.now_s, latency_s=0.0)

    @rule(process=st.integers(0, 2))
    def write(self, process: int) -> None:
        self.shared.write(process)

    @rule(process=st.integers(0, 2))
    def read(self, process: int) -> None:
        self.shared.read(process)

    @rule()
    def everybody_syncs(self) -> None:
        self.shared.sync(rounds=8)
        self.synced_s = self.shared.now_s
        one, two, three = self.shared.beliefs()
        assert one == two == three

    def teardown(self) -> None:
        self.everybody_syncs()
        self.shared.now_s += max(MAX_OPEN_S, DOWN_S) + LINGER_S
        assert self.shared.views() == [{}, {}, {}]


class ReadingFirstMachine(SharingMachine):
    """The same when everybody reads before writing."""

    reads_first = True


SharingMachine.TestCase.settings = settings(max_examples=150, stateful_step_count=50, deadline=None)
ReadingFirstMachine.TestCase.settings = settings(max_examples=150, stateful_step_count=50, deadline=None)
TestSharing = SharingMachine.TestCase
TestSharingReadingFirst = ReadingFirstMachine.TestCase

NUMBERS = st.one_of(
    st.none(),
    st.floats(),
    st.floats(EPOCH_S - 1e4, EPOCH_S + 1e4),
    st.integers(),
    st.booleans(),
    st.text(max_size=3),
)
OBJECTS = st.fixed_dictionaries(
    {},
    optional={
        "v": st.sampled_from([1, 2, "1", None]),
        "at_s": NUMBERS,
        "until_s": NUMBERS,
        "down": st.sampled_from([True, False, "no", None]),
        "why": st.one_of(st.text(max_size=400), st.none()),
        "more": st.none(),
    },
)
VALUES = st.one_of(
    st.text(st.characters(), max_size=50),
    OBJECTS.map(json.dumps),
    st.recursive(
        st.none() | st.floats() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)
    ).map(json.dumps),
    st.just("[" * 100_000),
)
KEYS = st.sampled_from(["breaker/endpoint/a", "breaker/group/key", "gate/endpoint/a", "gate/group/key", "else", ""])
ENTRIES = st.dictionaries(
    KEYS, st.builds(Entry, value=VALUES, expires_at_s=st.none() | st.floats() | st.just(EPOCH_S + 1e9))
)


@settings(max_examples=300)
@given(st.lists(ENTRIES, min_size=1, max_size=4))
def test_entries_that_make_no_sense_neither_raise_nor_keep_anything_closed_for_ever(readings):
    health, now_s = health_of(POOL, max_open_s=MAX_OPEN_S, down_s=DOWN_S), 10.0
    for entries in readings:
        health.adopt(entries, now_s, EPOCH_S)
        health.changes(now_s, EPOCH_S)
    for why in health.sidelined(now_s).values():
        assert why.until_s <= now_s + max(MAX_OPEN_S, DOWN_S)
    for after_s in (30.0, 60.0, 90.0, 120.0, 150.0):
        health.adopt(readings[-1], now_s + after_s, EPOCH_S + after_s)
    assert "rate_limited" not in {why.code for why in health.sidelined(now_s + 200.0).values()}
