"""What holds for every store, whatever it is made of."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from taskrouter.state.rules import LARGEST
from taskrouter.state.store import Claim, Entry, StateStore, Total

Open = Callable[[], StateStore]
SAME_STORE = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
NAMES = st.text(st.characters(codec="utf-8"), max_size=20)
TEXTS = st.text(st.characters(codec="utf-8"), max_size=200)


def soon() -> float:
    return time.time() + 3600


def texts(store: StateStore, log: str) -> list[str]:
    return [record.text for record in store.read(log)]


# entries


def test_entries_are_read_as_they_were_put_and_spaces_are_apart(store: StateStore) -> None:
    expires_at_s = soon()
    store.put("health", {"a": Entry(value="open", expires_at_s=expires_at_s), "b": Entry(value="closed")})
    store.put("other", {"a": Entry(value="else")})
    assert store.entries("health") == {
        "a": Entry(value="open", expires_at_s=expires_at_s),
        "b": Entry(value="closed"),
    }
    assert store.entries("other") == {"a": Entry(value="else")}
    assert store.entries("nothing") == {}


def test_the_last_writer_of_an_entry_wins_and_none_removes(open_again: Open) -> None:
    one, other = open_again(), open_again()
    one.put("s", {"a": Entry(value="1"), "b": Entry(value="1"), "c": Entry(value="1", expires_at_s=soon())})
    other.put("s", {"a": Entry(value="2"), "b": None, "c": Entry(value="2"), "never-there": None})
    assert one.entries("s") == {"a": Entry(value="2"), "c": Entry(value="2")}


def test_an_expired_entry_is_not_read_and_may_be_put_again(store: StateStore) -> None:
    store.put("s", {"a": Entry(value="old", expires_at_s=time.time() - 10)})
    assert store.entries("s") == {}
    store.put("s", {"a": Entry(value="new", expires_at_s=soon()), "b": Entry(value="old", expires_at_s=1.0)})
    store.put("s", {})
    assert {name: entry.value for name, entry in store.entries("s").items()} == {"a": "new"}


@SAME_STORE
@given(space=NAMES, name=NAMES, value=TEXTS)
def test_any_text_may_be_a_name_or_a_value(store: StateStore, space: str, name: str, value: str) -> None:
    store.put(space, {name: Entry(value=value)})
    assert store.entries(space)[name] == Entry(value=value)


# accounts


def test_a_claim_within_the_limit_is_granted_and_others_see_it(store: StateStore) -> None:
    first = store.claim("a", [Claim(account="x", spent=30, held=10, limit=100)])
    assert first.granted
    assert first.others == (Total(account="x"),)
    second = store.claim("b", [Claim(account="x", spent=0, held=60, limit=100)])
    assert second.granted
    assert second.others == (Total(account="x", spent=30, held=10, owners=1),)
    again = store.claim("a", [Claim(account="x", spent=40, held=0, limit=100)])
    assert again.others == (Total(account="x", spent=0, held=60, owners=1),)


def test_a_claim_above_the_limit_changes_nothing_and_still_tells_what_the_others_have(store: StateStore) -> None:
    store.claim("a", [Claim(account="x", spent=90, limit=100)])
    refused = store.claim("b", [Claim(account="x", spent=0, held=11, limit=100)])
    assert not refused.granted
    assert refused.others == (Total(account="x", spent=90, owners=1),)
    assert store.claim("c", [Claim(account="x", spent=10, limit=100)]).granted


def test_claims_of_several_accounts_are_written_all_or_none(store: StateStore) -> None:
    store.claim("a", [Claim(account="full", spent=100)])
    both = [Claim(account="empty", spent=1, limit=100), Claim(account="full", spent=1, limit=100)]
    report = store.claim("b", both)
    assert not report.granted
    assert report.others == (Total(account="empty"), Total(account="full", spent=100, owners=1))
    seen = store.claim("c", [Claim(account="empty", spent=0), Claim(account="full", spent=0)])
    assert seen.others == (Total(account="empty"), Total(account="full", spent=100, owners=1))


def test_giving_back_is_granted_although_the_limit_is_broken(store: StateStore) -> None:
    store.claim("a", [Claim(account="x", spent=50, held=100)])
    store.claim("b", [Claim(account="x", spent=70)])
    assert store.claim("a", [Claim(account="x", spent=60, held=20, limit=100)]).granted
    assert not store.claim("a", [Claim(account="x", spent=60, held=21, limit=100)]).granted
    assert store.claim("a", [Claim(account="x", spent=80, held=0, limit=100)]).granted, "settling what was held"
    assert store.claim("b", [Claim(account="x", spent=70)]).others == (Total(account="x", spent=80, owners=1),)


def test_an_owner_with_nothing_counts_as_an_owner(store: StateStore) -> None:
    store.claim("a", [Claim(account="x", spent=0)])
    assert store.claim("b", [Claim(account="x", spent=0)]).others == (Total(account="x", owners=1),)


def test_a_claim_of_nothing_at_all_is_granted(store: StateStore) -> None:
    report = store.claim("a", [])
    assert report.granted
    assert report.others == ()


def test_an_account_is_forgotten_when_its_window_ends(store: StateStore) -> None:
    store.claim("a", [Claim(account="x", spent=100, limit=100, expires_at_s=time.time() + 0.05)])
    deadline_s = time.monotonic() + 20
    wanted = Claim(account="x", spent=100, limit=100, expires_at_s=soon())
    while not (report := store.claim("b", [wanted])).granted:
        assert time.monotonic() < deadline_s
    assert report.others == (Total(account="x"),)
    assert store.claim("a", [Claim(account="x", spent=0)]).others == (Total(account="x", spent=100, owners=1),)


def test_the_last_claim_says_when_an_account_ends(store: StateStore) -> None:
    ends_at_s = time.time() + 0.05
    store.claim("a", [Claim(account="moved", spent=1, expires_at_s=ends_at_s)])
    store.claim("a", [Claim(account="moved", spent=2, expires_at_s=soon())])
    store.claim("a", [Claim(account="kept", spent=1, expires_at_s=ends_at_s)])
    store.claim("a", [Claim(account="kept", spent=2)])
    store.claim("a", [Claim(account="ends", spent=1, expires_at_s=ends_at_s)])
    deadline_s = time.monotonic() + 20
    while store.claim("b", [Claim(account="ends", spent=0, expires_at_s=ends_at_s)]).others[0].owners:
        assert time.monotonic() < deadline_s
    for account in ("moved", "kept"):
        seen = store.claim("b", [Claim(account=account, spent=0, expires_at_s=soon())])
        assert seen.others == (Total(account=account, spent=2, owners=1),)


def test_large_amounts_stay_exact(store: StateStore) -> None:
    store.claim("a", [Claim(account="x", spent=LARGEST - 2, limit=LARGEST)])
    assert not store.claim("b", [Claim(account="x", spent=3, limit=LARGEST)]).granted
    report = store.claim("b", [Claim(account="x", spent=1, held=1, limit=LARGEST)])
    assert report.granted
    assert report.others == (Total(account="x", spent=LARGEST - 2, owners=1),)
    assert store.claim("c", [Claim(account="y", spent=5, limit=10**30)]).granted


@pytest.mark.parametrize(
    "claims",
    [
        [Claim(account="x", spent=-1)],
        [Claim(account="x", spent=0, held=-1)],
        [Claim(account="x", spent=LARGEST, held=1)],
        [Claim(account="x", spent=1), Claim(account="x", spent=2)],
    ],
    ids=["negative", "negative-held", "too-large", "twice"],
)
def test_a_claim_that_makes_no_sense_is_an_error_and_writes_nothing(store: StateStore, claims: list[Claim]) -> None:
    with pytest.raises(ValueError, match="account"):
        store.claim("a", claims)
    assert store.claim("b", [Claim(account="x", spent=0)]).others == (Total(account="x"),)


@SAME_STORE
@given(account=NAMES, owner=NAMES, other=NAMES)
def test_any_text_may_name_an_account_or_an_owner(store: StateStore, account: str, owner: str, other: str) -> None:
    store.claim(owner, [Claim(account=account, spent=3)])
    seen = store.claim(other, [Claim(account=account, spent=0 if other != owner else 3)]).others[0]
    assert (seen.spent >= 3) == (other != owner)
    store.claim(owner, [Claim(account=account, spent=0)])


accounts = map("account {}".format, itertools.count())
"""Names that no other example has used: examples share one store."""


class Owners(RuleBasedStateMachine):
    """Owners who claim in any order, against a plain sum."""

    store: StateStore

    def __init__(self) -> None:
        super().__init__()
        self.account = next(accounts)
        self.limit = 100
        self.parts: dict[str, tuple[int, int]] = {}

    owner = st.sampled_from(["a", "b", "c"])

    @rule(owner=owner, spent=st.integers(0, 120), held=st.integers(0, 120))
    def claim(self, owner: str, spent: int, held: int) -> None:
        others = [part for name, part in self.parts.items() if name != owner]
        used = sum(map(sum, others))
        fits = spent + held + used <= self.limit or spent + held <= sum(self.parts.get(owner, (0, 0)))
        report = self.store.claim(owner, [Claim(account=self.account, spent=spent, held=held, limit=self.limit)])
        assert report.granted == fits
        total = Total(
            account=self.account, spent=sum(o[0] for o in others), held=sum(o[1] for o in others), owners=len(others)
        )
        assert report.others == (total,)
        if fits:
            self.parts[owner] = (spent, held)

    @precondition(lambda self: self.parts)
    @rule(data=st.data())
    def claim_again(self, data: st.DataObject) -> None:
        owner = data.draw(st.sampled_from(sorted(self.parts)))
        spent, held = self.parts[owner]
        assert self.store.claim(owner, [Claim(account=self.account, spent=spent, held=held, limit=self.limit)]).granted

    @precondition(lambda self: self.parts)
    @rule(data=st.data())
    def give_back(self, data: st.DataObject) -> None:
        owner = data.draw(st.sampled_from(sorted(self.parts)))
        spent, held = self.parts[owner]
        settled = data.draw(st.integers(0, held))
        claim = Claim(account=self.account, spent=spent + settled, limit=self.limit)
        assert self.store.claim(owner, [claim]).granted
        self.parts[owner] = (spent + settled, 0)

    @invariant()
    def the_limit_holds(self) -> None:
        assert sum(map(sum, self.parts.values())) <= self.limit


def test_in_any_order_the_sum_keeps_the_limit_and_giving_back_works(store: StateStore) -> None:
    machine = type("OwnersOfThisStore", (Owners,), {"store": store})
    run_state_machine_as_test(machine, settings=settings(max_examples=25, stateful_step_count=20))
    assert store.claim("a", [Claim(account="afterwards", spent=0)]).granted


def test_threads_that_claim_at_once_keep_the_limit(open_again: Open) -> None:
    limit, owners = 1000, 8
    opened = [open_again() for _ in range(owners)]
    for number, one in enumerate(opened):
        one.claim(f"owner {number}", [Claim(account="x", spent=0)])

    def spend(number: int) -> int:
        amount = 0
        for step in itertools.cycle((7, 3, 1)):
            claim = Claim(account="x", spent=amount + step, limit=limit)
            if opened[number].claim(f"owner {number}", [claim]).granted:
                amount += step
            elif step == 1:
                return amount
        raise AssertionError

    with ThreadPoolExecutor(owners) as pool:
        amounts = list(pool.map(spend, range(owners)))
    assert sum(amounts) == limit
    seen = opened[0].claim("nobody", [Claim(account="x", spent=0)])
    assert seen.others == (Total(account="x", spent=limit, owners=owners),)


# logs


def test_records_are_read_in_their_order_and_logs_are_apart(open_again: Open) -> None:
    started_s = time.time()
    store = open_again()
    store.append("log", ["1", "2"])
    open_again().append("log", ["3"])
    store.append("other", ["x"])
    store.append("log", [])
    records = store.read("log")
    assert [record.text for record in records] == ["1", "2", "3"]
    assert [record.position for record in records] == sorted({record.position for record in records})
    assert all(started_s - 5 <= record.at_s <= time.time() + 5 for record in records)
    assert texts(store, "other") == ["x"]
    assert list(store.read("nothing")) == []


def test_a_reader_goes_on_behind_a_position(store: StateStore) -> None:
    store.append("log", [str(number) for number in range(25)])
    read: list[str] = []
    after = None
    while page := store.read("log", after=after, limit=10):
        assert len(page) <= 10
        read += [record.text for record in page]
        after = page[-1].position
    assert read == [str(number) for number in range(25)]
    store.append("log", ["later"])
    assert [record.text for record in store.read("log", after=after)] == ["later"]
    assert list(store.read("log", limit=0)) == []


def test_trimming_keeps_the_newest_and_positions_go_on(store: StateStore) -> None:
    store.append("log", ["1", "2", "3", "4"])
    store.append("other", ["x"])
    last = store.read("log")[-1].position
    store.trim("log", keep=10)
    assert len(store.read("log")) == 4
    store.trim("log", keep=2)
    assert texts(store, "log") == ["3", "4"]
    store.trim("log", keep=0)
    store.trim("nothing", keep=0)
    assert texts(store, "log") == []
    store.append("log", ["5"])
    assert [record.text for record in store.read("log", after=last)] == ["5"]
    assert texts(store, "other") == ["x"]


def test_trimming_by_age_stops_at_the_first_record_that_is_young_enough(store: StateStore) -> None:
    store.append("log", ["1", "2"])
    store.append("other", ["x"])
    old = store.read("log")[-1].at_s
    young = old
    while young <= old:
        store.append("log", ["3"])
        young = store.read("log")[-1].at_s
    kept = [record.text for record in store.read("log") if record.at_s >= old]
    store.trim("log", before_s=old)
    assert texts(store, "log") == kept
    assert "2" in kept
    store.trim("log", before_s=young)
    assert texts(store, "log") == ["3"]
    store.trim("log")
    assert texts(store, "log") == ["3"]
    store.trim("log", before_s=young + 0.001)
    store.trim("nothing", before_s=young + 0.001)
    assert texts(store, "log") == []
    assert texts(store, "other") == ["x"]


def test_trimming_by_number_and_age_at_once_does_both(store: StateStore) -> None:
    store.append("log", ["1", "2", "3"])
    store.trim("log", keep=2, before_s=0.0)
    assert texts(store, "log") == ["2", "3"]
    store.trim("log", keep=10, before_s=store.read("log")[-1].at_s + 0.001)
    assert texts(store, "log") == []


def test_trimming_very_many_records_is_done_in_parts_and_leaves_what_is_to_be_kept(store: StateStore) -> None:
    store.append("log", [str(number) for number in range(4500)])
    store.trim("log", keep=100)
    assert texts(store, "log") == [str(number) for number in range(4400, 4500)]
    store.append("log", [str(number) for number in range(4500)])
    store.trim("log", before_s=store.read("log", limit=10_000)[-1].at_s + 0.001)
    assert texts(store, "log") == []


@SAME_STORE
@given(log=NAMES, added=st.lists(TEXTS, max_size=5))
def test_any_text_may_be_a_record(store: StateStore, log: str, added: list[str]) -> None:
    before = texts(store, log)
    store.append(log, added)
    assert texts(store, log) == before + added
    store.trim(log, keep=0)


def test_threads_that_append_at_once_lose_nothing_and_keep_their_order(open_again: Open) -> None:
    opened = [open_again() for _ in range(4)]

    def write(number: int) -> None:
        for record in range(30):
            opened[number].append("log", [f"{number} {record}"])

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(write, range(4)))
    read = texts(opened[0], "log")
    assert len(read) == 120
    for number in range(4):
        assert [text for text in read if text.startswith(f"{number} ")] == [f"{number} {r}" for r in range(30)]


def test_a_large_batch_is_one_append(store: StateStore) -> None:
    added = [f"{number}: {'x' * 500}" for number in range(2345)]
    store.append("log", added)
    assert [record.text for record in store.read("log", limit=5000)] == added


@pytest.mark.parametrize("way", ["append", "put", "name", "claim", "owner"])
def test_a_text_that_cannot_be_written_is_an_error_and_nothing_is_written(store: StateStore, way: str) -> None:
    half = "\ud800"
    calls: dict[str, Callable[[], object]] = {
        "append": lambda: store.append("log", ["fine", half]),
        "put": lambda: store.put("s", {"a": Entry(value="fine"), "b": Entry(value=half)}),
        "name": lambda: store.put("s", {"a": Entry(value="fine"), half: None}),
        "claim": lambda: store.claim("a", [Claim(account="x", spent=1), Claim(account=half, spent=1)]),
        "owner": lambda: store.claim(half, [Claim(account="x", spent=1)]),
    }
    with pytest.raises(UnicodeEncodeError):
        calls[way]()
    assert texts(store, "log") == []
    assert store.entries("s") == {}
    assert store.claim("b", [Claim(account="x", spent=0)]).others == (Total(account="x"),)


# all of it


def test_a_store_says_what_it_is_and_closes_twice(store: StateStore) -> None:
    assert store.name in {"memory", "sqlite", "redis"}
    assert store.shared == (store.name != "memory")
    store.append("log", ["1"])
    store.close()
    store.close()


def test_a_shared_store_keeps_what_was_written_when_it_is_closed(open_again: Open) -> None:
    first = open_again()
    first.put("s", {"a": Entry(value="1")})
    first.claim("a", [Claim(account="x", spent=5)])
    first.append("log", ["1"])
    first.close()
    second = open_again()
    assert second.entries("s") == {"a": Entry(value="1")}
    assert second.claim("b", [Claim(account="x", spent=0)]).others == (Total(account="x", spent=5, owners=1),)
    assert texts(second, "log") == ["1"]
