"""What processes may spend while the store is away, so that together they keep the limit."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from taskrouter.state.memory import MemoryStore
from taskrouter.state.shares import Shares
from taskrouter.state.store import Claim, Report, Total

LIMIT = 1000


def share(shares: Shares, owner: str, spent: int, account: str = "x") -> bool:
    return shares.claim(owner, [Claim(account=account, spent=spent, limit=LIMIT)]).granted


def seen(own: int, others: int, owners: int, limit: int | None = LIMIT) -> Shares:
    """Shares of an owner whose last claim was answered so."""
    shares = Shares()
    total = Total(account="x", spent=others, owners=owners)
    shares.note("me", [Claim(account="x", spent=own, limit=limit)], Report(granted=True, others=(total,)))
    return shares


def test_a_process_may_spend_its_share_of_what_was_left() -> None:
    shares = seen(own=100, others=300, owners=2)  # 600 are left for three
    assert not share(shares, "me", 301)
    assert share(shares, "me", 300)
    assert share(shares, "me", 300), "again, which changes nothing"
    assert not share(shares, "me", 301), "the share does not grow by being used"


def test_giving_back_is_granted_where_nothing_is_left() -> None:
    shares = seen(own=500, others=900, owners=1)
    assert not share(shares, "me", 501)
    assert share(shares, "me", 400)
    assert share(shares, "me", 500), "what the store had granted"
    assert not share(shares, "me", 501)


def test_a_refusal_by_the_store_tells_what_is_left() -> None:
    shares = Shares()
    total = Total(account="x", spent=950, owners=4)
    shares.note("me", [Claim(account="x", spent=100, limit=LIMIT)], Report(granted=False, others=(total,)))
    assert share(shares, "me", 10)
    assert not share(shares, "me", 11)


def test_an_account_that_was_never_seen_is_divided_by_the_processes_that_were() -> None:
    shares = seen(own=0, others=0, owners=3)
    assert not share(shares, "me", 251, account="new")
    assert share(shares, "me", 250, account="new")
    assert share(Shares(), "me", LIMIT, account="new"), "who has never seen anybody is alone"


def test_claims_are_granted_all_or_none() -> None:
    shares = seen(own=0, others=1000, owners=1)
    report = shares.claim("me", [Claim(account="free", spent=5, limit=LIMIT), Claim(account="x", spent=1, limit=LIMIT)])
    assert not report.granted
    assert report.others == (Total(account="free"), Total(account="x", spent=1000, owners=1))
    store = MemoryStore()
    shares.report(store, everything=True)
    assert store.claim("nobody", [Claim(account="free", spent=0)]).others == (Total(account="free"),)


def test_without_a_limit_everything_is_granted() -> None:
    shares = seen(own=0, others=0, owners=9, limit=None)
    assert shares.claim("me", [Claim(account="x", spent=10**12)]).granted


def test_only_what_is_new_is_reported_unless_everything_is_asked_for() -> None:
    shares, store = seen(own=5, others=0, owners=0), MemoryStore()
    assert shares.report(store, everything=False) == 0
    shares.claim("me", [Claim(account="y", spent=1)])
    assert shares.report(store, everything=False) == 1
    assert shares.report(store, everything=False) == 0
    assert shares.report(store, everything=True) == 2


amounts = st.integers(0, 400)


@given(
    before=st.lists(amounts, min_size=1, max_size=5),
    wishes=st.lists(st.tuples(st.integers(0, 4), st.integers(0, 1200)), max_size=40),
)
def test_together_the_processes_keep_the_limit_whatever_they_wish(
    before: list[int], wishes: list[tuple[int, int]]
) -> None:
    store = MemoryStore()
    owners = [f"owner {number}" for number in range(len(before))]
    shares = {owner: Shares() for owner in owners}
    amount = dict.fromkeys(owners, 0)
    for _ in range(2):  # the second time, everybody sees everybody
        for owner, wish in zip(owners, before, strict=True):
            claims = [Claim(account="x", spent=max(wish, amount[owner]), limit=LIMIT)]
            report = store.claim(owner, claims)
            shares[owner].note(owner, claims, report)
            if report.granted:
                amount[owner] = claims[0].spent
    for owner in owners:  # nobody has claimed more since he was seen
        claims = [Claim(account="x", spent=amount[owner], limit=LIMIT)]
        shares[owner].note(owner, claims, store.claim(owner, claims))

    for number, wish in wishes:
        owner = owners[number % len(owners)]
        if share(shares[owner], owner, wish):
            amount[owner] = wish
        assert sum(amount.values()) <= LIMIT

    for owner in owners:
        shares[owner].report(store, everything=True)
    (total,) = store.claim("nobody", [Claim(account="x", spent=0)]).others
    assert total == Total(account="x", spent=sum(amount.values()), owners=len(owners))


@given(
    before=st.lists(amounts, min_size=2, max_size=5),
    back=st.permutations(range(5)),
    wishes=st.lists(st.tuples(st.integers(0, 4), st.integers(0, 1200)), max_size=60),
    each=st.integers(1, 10),
)
def test_whoever_comes_back_first_leaves_the_others_what_they_use(
    before: list[int], back: list[int], wishes: list[tuple[int, int]], each: int
) -> None:
    owners = [f"owner {number}" for number in range(len(before))]
    shares = {owner: Shares() for owner in owners}
    store = MemoryStore()
    amount = dict.fromkeys(owners, 0)
    for owner, wish in zip(owners, before, strict=True):
        if store.claim(owner, [Claim(account="x", spent=wish, limit=LIMIT)]).granted:
            amount[owner] = wish
    for owner in owners:
        claims = [Claim(account="x", spent=amount[owner], limit=LIMIT)]
        shares[owner].note(owner, claims, store.claim(owner, claims))

    empty, waiting = MemoryStore(), [owners[number] for number in back if number < len(owners)]
    for owner in owners:
        shares[owner].announce(empty)
    for number, (chosen, wish) in enumerate(wishes):
        if number % each == 0 and waiting:
            shares[waiting[0]].report(empty, everything=True)
            waiting.pop(0)
        owner = owners[chosen % len(owners)]
        if owner in waiting:
            granted = share(shares[owner], owner, wish)
        else:
            granted = empty.claim(owner, [Claim(account="x", spent=wish, limit=LIMIT)]).granted
        if granted:
            amount[owner] = wish
        assert sum(amount.values()) <= LIMIT


def test_a_store_that_knows_of_fewer_owners_than_before_has_lost_its_memory() -> None:
    shares = seen(own=5, others=10, owners=2)
    claims = [Claim(account="x", spent=6, limit=LIMIT)]
    assert shares.forgotten("me", claims, Report(granted=True, others=(Total(account="x", spent=10, owners=1),)))
    assert not shares.forgotten("me", claims, Report(granted=True, others=(Total(account="x", spent=9, owners=2),)))
    assert not shares.forgotten("somebody", claims, Report(granted=True, others=(Total(account="x"),)))
