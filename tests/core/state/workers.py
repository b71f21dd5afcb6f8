"""What other processes do in tests: functions that a fresh interpreter can import."""

from __future__ import annotations

import itertools

from taskrouter.state.opening import open_store
from taskrouter.state.store import Claim


def spend_all(url: str, owner: str, account: str, limit: int) -> int:
    """Spend from an account until nothing is left; return how much it was."""
    store = open_store(url)
    amount = 0
    store.claim(owner, [Claim(account=account, spent=0)])
    for step in itertools.cycle((7, 3, 1)):
        if store.claim(owner, [Claim(account=account, spent=amount + step, limit=limit)]).granted:
            amount += step
        elif step == 1:
            break
    store.close()
    return amount


def write_log(url: str, log: str, writer: str, count: int) -> int:
    """Append numbered records one by one."""
    store = open_store(url)
    for number in range(count):
        store.append(log, [f"{writer} {number}"])
    store.close()
    return count
