"""What is believed of each plan while the router runs: gains, counted from what the default plan does.

Most steps are answered by the default plan, so that is what others are compared with. Where it asks two models and
compares, one label tells about all three (`evidence.labelled`): the *difference* of each proposer to the default is
known on nearly every step, where labels of the incumbent alone are rare. What the default itself gains against the
incumbent comes from a prior, what was measured for its kind, and from the few steps that the incumbent answers.

Estimates are normal and empirical Bayes in two levels (Efron and Morris, JASA 1975): a plan on an identity is drawn
around what it does on its task type, and that around the prior.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from taskrouter.decision import Z95
from taskrouter.learning.cases import Case, Tally

SPREAD: Final = 0.06
"""How far apart a plan's gains lie on identities of one task type, one standard deviation; the incumbent's against the
default lie closer together, for most of their answers are the same."""
SPREAD_OF_INCUMBENT: Final = 0.01
LEAST_PRIOR: Final = 0.01
"""Standard deviation that a prior has at least."""
NOISE: Final = 0.15
"""Variance of a single label before the first was seen; it counts as one label."""
BLAMED: Final = 0.6
"""Share of what agreed answers score below those of their family that the incumbent would not have lost."""
GUESS_DEVIATION: Final = 0.05
"""How far guesses at unlabelled proposals (`cases`) are off, one standard deviation: more labels do not mend them."""
AGREED_LABELS: Final = 5.0


class Belief(NamedTuple):
    """What is believed of a plan on one identity."""

    gain: float
    """Expected score minus the incumbent's."""
    deviation: float
    """Standard deviation of that."""
    cost_usd: float
    """Expected, per step."""
    labels: float


class _Seen(NamedTuple):
    """A difference to the default that was observed, and its variance."""

    mean: float
    variance: float


class _Guess(NamedTuple):
    mean: float
    variance: float


def believe(cases: Mapping[str, Case], incumbent: str) -> dict[str, dict[str, Belief]]:
    """Return what is believed of every plan on every identity."""
    families: dict[tuple[str, ...], list[str]] = defaultdict(list)
    for key, case in cases.items():
        families[case.family].append(key)
    found: dict[str, dict[str, Belief]] = {}
    for keys in families.values():
        family = [cases[key] for key in keys]
        names = list(dict.fromkeys(name for case in family for name in case.arms))
        guesses = {name: _guesses(family, name, incumbent) for name in names if name != family[0].default}
        for place, (key, case) in enumerate(zip(keys, family, strict=True)):
            found[key] = _beliefs(case, {name: of[place] for name, of in guesses.items()}, incumbent)
    return found


def _beliefs(case: Case, guesses: Mapping[str, _Guess], incumbent: str) -> dict[str, Belief]:
    base = _Guess(0.0, 0.0) if case.default == incumbent else guesses[incumbent]
    found = {}
    for name in case.arms:
        tally = case.tallies[name]
        labels, cost_usd = tally.labels + tally.pairs, case.cost_usd(name)
        if name == incumbent:
            found[name] = Belief(0.0, 0.0, cost_usd, labels)
        elif name == case.default:
            found[name] = Belief(-base.mean, math.sqrt(base.variance), cost_usd, labels)
        else:
            own = guesses[name]
            found[name] = Belief(own.mean - base.mean, math.sqrt(own.variance + base.variance), cost_usd, labels)
    return found


def _guesses(family: Sequence[Case], name: str, incumbent: str) -> list[_Guess]:
    """What the plan gains against the default, for each identity of a family: one task type, one default."""
    prior = _prior(next(case for case in family if name in case.arms), name)
    spread = (SPREAD_OF_INCUMBENT if name == incumbent else SPREAD) ** 2
    shifts = _shortfalls(family) if name == incumbent else [0.0] * len(family)
    seen = [_seen(case, name) for case in family]
    precision = 1.0 / prior.variance
    total = prior.mean * precision
    for one, shift in zip(seen, shifts, strict=True):
        if one is not None:
            own = 1.0 / (one.variance + spread)
            precision += own
            total += own * (one.mean - shift)
    upper = _Guess(total / precision, 1.0 / precision)
    guesses = []
    for case, one, shift in zip(family, seen, shifts, strict=True):
        doubt = _doubt(case, name, incumbent)
        guesses.append(_shrunk(one, _Guess(upper.mean + shift, upper.variance), spread + doubt))
    return guesses


def _doubt(case: Case, name: str, incumbent: str) -> float:
    doubt = case.tallies[name].doubt if name in case.tallies else 0.0
    return doubt + (case.tallies[case.default].doubt if name == incumbent else 0.0)


def _shrunk(seen: _Seen | None, upper: _Guess, spread: float) -> _Guess:
    if seen is None:
        return _Guess(upper.mean, upper.variance + spread)
    own = spread / (spread + seen.variance)
    return _Guess(
        own * seen.mean + (1.0 - own) * upper.mean,
        own * seen.variance + (1.0 - own) ** 2 * upper.variance,
    )


def _prior(case: Case, name: str) -> _Guess:
    own, base = case.arms[name].loss, case.arms[case.default].loss
    variance = sum(((loss.high - loss.low) / (2.0 * Z95)) ** 2 for loss in (own, base))
    return _Guess(base.mean - own.mean, max(variance, LEAST_PRIOR**2))


def _seen(case: Case, name: str) -> _Seen | None:
    """Differences on the same steps, and the difference of two means, by their precision."""
    tally, base = case.tallies.get(name), case.tallies[case.default]
    if tally is None:
        return None
    parts: list[_Seen] = []
    if tally.pairs:
        mean = tally.gain / tally.pairs
        noise = (max(0.0, tally.gain_squares - tally.gain * mean) + NOISE) / (tally.pairs + 1.0)
        unknown = GUESS_DEVIATION * tally.guessed / tally.pairs
        parts.append(_Seen(mean, noise / tally.pairs + unknown * unknown))
    if tally.labels and base.labels:
        mean = tally.score / tally.labels - base.score / base.labels
        parts.append(_Seen(mean, _variance(tally) / tally.labels + _variance(base) / base.labels))
    if not parts:
        return None
    precision = sum(1.0 / part.variance for part in parts)
    return _Seen(sum(part.mean / part.variance for part in parts) / precision, 1.0 / precision)


def _variance(tally: Tally) -> float:
    """Of a single label."""
    mean = tally.score / tally.labels
    return (tally.labels * mean * (1.0 - mean) + NOISE) / (tally.labels + 1.0)


def _shortfalls(family: Sequence[Case]) -> list[float]:
    """What the incumbent gains on each identity because agreed answers are worse there than on the whole task type.

    Where two models agree on answers that are mostly wrong, the identity misleads them alike. That shows in labels of
    the default alone, long before enough of the incumbent's are there.
    """
    agreed = sum(case.agreed for case in family)
    if not agreed:
        return [0.0] * len(family)
    usual = sum(case.agreed_score for case in family) / agreed
    return [_shortfall(case, usual) for case in family]


def _shortfall(case: Case, usual: float) -> float:
    labels = case.tallies[case.default].labels
    if not labels:
        return 0.0
    own = (AGREED_LABELS * usual + case.agreed_score) / (AGREED_LABELS + case.agreed)
    return BLAMED * min(1.0, case.agreed / labels) * max(0.0, usual - own)
