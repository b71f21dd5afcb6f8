"""From beliefs to shares: what is exploited, what is explored, and the mixture of both."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Callable, Mapping
from typing import Final, NamedTuple, TypeAlias

from taskrouter.decision import Z95, Loss
from taskrouter.learning.allocation import Allocation, Option, Work, allocate
from taskrouter.learning.beliefs import Belief
from taskrouter.learning.cases import Case
from taskrouter.learning.exploration import Price
from taskrouter.learning.policy import Branch

FEWEST: Final = 20.0
"""Labels that a plan needs to be exploited."""
CAUTION: Final = 0.5
"""Standard deviations that are taken off a gain before plans are chosen: the best of many guesses is lucky too."""
GATE: Final = 0.1
"""Score that a plan may lose on one identity, at the lower bound of one standard deviation, however much it saves."""
RETURNS: Final = 10.0
"""Steps' worth of the default that are kept up, as a share of the labelled steps of an identity that has left it: what
others are compared with must stay known, the less so the longer it was seen."""
LEAST_RETURN: Final = 0.01
DRAWS, LEAST_DRAWS = 16, 4
"""Samples of the beliefs that exploration is averaged over, with few identities and with many."""
DRAWN: Final = 800
"""Samples times identities, about: more would take longer than labels leave time for."""
COVERED: Final = 0.3
"""Share of the default from which its proposers need no exploration: its labels tell about them."""

Shares: TypeAlias = Mapping[str, Mapping[str, float]]
"""Share of each plan, for each identity."""
Beliefs: TypeAlias = Mapping[str, Mapping[str, Belief]]


class Blend(NamedTuple):
    """The shares of one identity's plans."""

    plain: Mapping[str, float]
    """Without exploration."""
    shares: Mapping[str, float]
    """With it."""
    parts: Mapping[str, float]
    """Of each exploring plan's share the part that is exploration."""


def passes(belief: Belief) -> bool:
    """Whether a plan that is not the default may be exploited: it has labels, and its lower bound passes the gate."""
    return belief.labels >= FEWEST and belief.gain - belief.deviation >= -GATE


def exploit(cases: Mapping[str, Case], beliefs: Beliefs, incumbent: str, max_loss: float) -> Shares:
    """Return the cheapest plans whose pooled loss stays within `max_loss`, gains taken with caution."""
    work = {
        key: Work(case.steps, _cautious(case, beliefs[key], incumbent)) for key, case in cases.items() if case.steps
    }
    return _shares(allocate(work, incumbent=incumbent, max_loss=max_loss, mixed=True), work)


def _cautious(case: Case, beliefs: Mapping[str, Belief], incumbent: str) -> dict[str, Option]:
    own = beliefs[case.default]
    doubted = case.tallies[case.default].doubt > 0.0
    default = Option(own.gain - CAUTION * own.deviation if doubted else own.gain, own.cost_usd)
    if not case.settled:
        # The incumbent must be there, to be compared with: as it is no cheaper for what it gains, it is not taken.
        return {case.default: default, incumbent: Option(0.0, max(beliefs[incumbent].cost_usd, own.cost_usd))}
    options = {
        name: Option(belief.gain - CAUTION * belief.deviation, belief.cost_usd)
        for name, belief in beliefs.items()
        if passes(belief)
    }
    return options | {incumbent: Option(0.0, beliefs[incumbent].cost_usd), case.default: default}


def explore(
    cases: Mapping[str, Case],
    beliefs: Beliefs,
    exploited: Shares,
    incumbent: str,
    max_loss: float,
    draws: random.Random,
) -> Shares:
    """Return where Thompson sampling would send the steps of each identity, on average over draws."""
    total: dict[str, dict[str, float]] = {key: defaultdict(float) for key in exploited}
    samples = max(LEAST_DRAWS, min(DRAWS, DRAWN // max(1, len(exploited))))
    for _ in range(samples):
        work = {key: Work(cases[key].steps, _drawn(beliefs[key], draws.gauss)) for key in exploited}
        for key, shares in _shares(allocate(work, incumbent=incumbent, max_loss=max_loss, mixed=True), work).items():
            case = cases[key]
            covered = exploited[key].get(case.default, 0.0) >= COVERED
            for name, share in shares.items():
                taken = case.default if covered and name in case.proposers else name
                total[key][taken] += share / samples
    return total


def _drawn(beliefs: Mapping[str, Belief], gauss: Callable[[float, float], float]) -> dict[str, Option]:
    return {name: Option(gauss(belief.gain, belief.deviation), belief.cost_usd) for name, belief in beliefs.items()}


def _shares(allocation: Allocation[str], work: Mapping[str, Work]) -> Shares:
    return {key: {name: share for name, share in allocation.shares(key) if share > 0.0} for key in work}


def blend(case: Case, exploited: Mapping[str, float], explored: Mapping[str, float], share: float) -> Blend:
    """Mix both for one identity: the default keeps a small share, and exploration gets `share`."""
    if not case.settled:
        exploited = {case.default: 1.0}
    kept = min(1.0, max(LEAST_RETURN, RETURNS / max(case.steps, 1.0)))
    plain: dict[str, float] = defaultdict(float)
    plain[case.default] = kept
    for name, own in exploited.items():
        plain[name] += (1.0 - kept) * own
    shares = defaultdict(float, {name: (1.0 - share) * own for name, own in plain.items()})
    parts = {}
    for name, own in explored.items():
        if share * own > 0.0:
            shares[name] += share * own
            if name != case.default:
                parts[name] = share * own / shares[name]
    return Blend(plain, shares, parts)


def price(case: Case, beliefs: Mapping[str, Belief], name: str) -> Price:
    """What a step with that plan is expected to cost beyond the default."""
    own, default = beliefs[name], beliefs[case.default]
    return Price(default.gain - own.gain, own.cost_usd - default.cost_usd)


def mean_price(cases: Mapping[str, Case], beliefs: Beliefs, explored: Shares) -> Price:
    """What a step costs on average if all explored."""
    loss = usd = steps = 0.0
    for key, shares in explored.items():
        steps += cases[key].steps
        for name, share in shares.items():
            one = price(cases[key], beliefs[key], name)
            loss += cases[key].steps * share * one.loss
            usd += cases[key].steps * share * one.usd
    return Price(loss / steps, usd / steps) if steps else Price(0.0, 0.0)


def branches_of(case: Case, beliefs: Mapping[str, Belief], shares: Mapping[str, float]) -> tuple[Branch, ...]:
    """Return the branches of an identity, with what each plan is believed to lose."""
    total = sum(shares.values())
    return tuple(
        Branch(case.arms[name].plan, share / total, _loss(beliefs[name], case))
        for name, share in shares.items()
        if share
    )


def _loss(belief: Belief, case: Case) -> Loss:
    spread = Z95 * belief.deviation
    source = f"{case.steps:,.0f} labelled steps of its kind while serving"
    return Loss(-belief.gain, -belief.gain - spread, -belief.gain + spread, source)
