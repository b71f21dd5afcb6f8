"""What all stores agree on: which claims are well formed, and when a limit is kept."""

from __future__ import annotations

from collections.abc import Sequence

from taskrouter.state.store import Claim

LARGEST = 2**53 - 1
"""The largest amount: beyond it, numbers in Redis' scripts are not exact. In nano-dollars it is 9 million dollars."""


def storable(*texts: str) -> None:
    """Refuse what no store could write, before it is kept for later.

    Raises:
        UnicodeEncodeError: a text has half of a surrogate pair in it.
    """
    for text in texts:
        text.encode()


def checked(owner: str, claims: Sequence[Claim]) -> Sequence[Claim]:
    """Return claims that every store can take.

    Raises:
        ValueError: an amount is negative or above `LARGEST`, an account is claimed twice in one step, or a name
            cannot be written.
    """
    storable(owner, *(claim.account for claim in claims))
    for claim in claims:
        if claim.spent < 0 or claim.held < 0:
            raise ValueError(
                f"account {claim.account!r}: spent {claim.spent} and held {claim.held} must not be negative"
            )
        if claim.spent + claim.held > LARGEST:
            raise ValueError(f"account {claim.account!r}: spent and held together must not exceed {LARGEST}")
    if len({claim.account for claim in claims}) < len(claims):
        raise ValueError("an account may be claimed only once in one step")
    return claims


def fits(claim: Claim, *, before: int, others: int) -> bool:
    """Return whether a claim may be written.

    Args:
        claim: what the owner wants to have used.
        before: spent plus held as the owner has written them last.
        others: spent plus held of all other owners.
    """
    amount = claim.spent + claim.held
    return claim.limit is None or amount <= before or amount + others <= claim.limit
