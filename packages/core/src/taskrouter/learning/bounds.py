"""Upper bounds on a mean that hold at every number of observations, small ones too.

The normal approximation does not: where harm is rare, a bound that promises 90 % may be broken twice as often.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

STEPS: Final = 44
"""Halvings of an interval of length 1: twelve digits."""
MOST: Final = 200_000
"""Steps that nobody records."""
CALM: Final = (0.0, 0.15, 0.3, 0.45, 0.6, 0.75, 0.9, 0.97)
"""How much smaller than the bound the mean may be, as bets of `betting_bound` assume it."""


def at_most(harmed: int, n: int, rate: float) -> float:
    """Return the probability that a binomial count of `n` trials is at most `harmed`."""
    if harmed >= n or rate <= 0.0:
        return 1.0
    if rate >= 1.0:
        return 0.0
    log_term, log_odds = n * math.log1p(-rate), math.log(rate) - math.log1p(-rate)
    terms = [math.exp(log_term)]
    for k in range(harmed):
        log_term += math.log((n - k) / (k + 1)) + log_odds
        terms.append(math.exp(log_term))
    return min(1.0, math.fsum(terms))


def binomial_bound(harmed: int, n: int, confidence: float) -> float:
    """Return the exact upper bound on a share (Clopper and Pearson, Biometrika 1934).

    Args:
        harmed: how many of the observations count.
        n: observations; of none, nothing is known and the bound is 1.
        confidence: with which the bound holds, between 0 and 1.
    """
    if harmed >= n:
        return 1.0
    low, high = harmed / n, 1.0
    for _ in range(STEPS):
        middle = (low + high) / 2
        if at_most(harmed, n, middle) > 1.0 - confidence:
            low = middle
        else:
            high = middle
    return high


def betting_bound(values: Sequence[float], confidence: float) -> float:
    """Return an upper bound on the mean of values from 0 to 1, whatever their distribution.

    A gambler who bets that the mean is below `m` at fair odds cannot expect to win if it is not: capital that has grown
    `1 / (1 - confidence)`-fold speaks against `m` (Waudby-Smith and Ramdas, "Estimating means of bounded random
    variables by betting", JRSS B 2024). The stake is spread over constant bets, so the order of the values is without
    meaning. Where values are fractions it is far tighter than a bound that knows their sum alone.

    Args:
        values: independent observations.
        confidence: with which the bound holds, between 0 and 1.
    """
    counted: dict[float, int] = {}
    for value in values:
        counted[value] = counted.get(value, 0) + 1
    if not counted:
        return 1.0
    needed = -math.log(1.0 - confidence)
    low, high = sum(values) / len(values), 1.0
    for _ in range(STEPS):
        middle = (low + high) / 2
        if middle >= 1.0 or _log_capital(counted, middle) >= needed:
            high = middle
        else:
            low = middle
    return high


def _log_capital(counted: dict[float, int], mean: float) -> float:
    """Logarithm of the capital that bets against `mean` have won; it grows with `mean`, so that bisection finds it."""
    logs = [
        sum(count * _log(calm + (1.0 - calm) * (1.0 - value) / (1.0 - mean)) for value, count in counted.items())
        for calm in CALM
    ]
    most = max(logs)
    if most == -math.inf:
        return most
    return most + math.log(sum(math.exp(log - most) for log in logs) / len(logs))


def _log(value: float) -> float:
    return math.log(value) if value > 0.0 else -math.inf


def tolerated(n: int, max_loss: float, confidence: float) -> int:
    """Return how many of `n` steps may be harmed for the bound to stay within `max_loss`; -1: not even none."""
    low, high = -1, n  # the first is tolerated, the other is not
    while high - low > 1:
        middle = (low + high) // 2
        if at_most(middle, n, max_loss) <= 1.0 - confidence:
            low = middle
        else:
            high = middle
    return low


def needed_n(max_loss: float, confidence: float, *, rate: float = 0.0, betting: bool = False) -> int | None:
    """Return how many steps it takes to certify that loss if that share of them is harmed; None: no number would do.

    Without harm the binomial bound needs the least `n` with `(1 - max_loss) ** n <= 1 - confidence`. The betting bound
    pays for being valid with fractions too: it needs half as many again.
    """
    if not rate < max_loss < 1.0:
        return None

    def certifies(n: int) -> bool:
        harmed = math.ceil(rate * n)
        if betting:
            counted = {1.0: harmed, 0.0: n - harmed} if harmed else {0.0: n}
            return _log_capital(counted, max_loss) >= -math.log(1.0 - confidence)
        return at_most(harmed, n, max_loss) <= 1.0 - confidence

    low, high = 0, 1
    while not certifies(high):
        low, high = high, 2 * high
        if high > MOST:
            return None
    while high - low > 1:
        middle = (low + high) // 2
        if certifies(middle):
            high = middle
        else:
            low = middle
    return high
