"""Certificates: a policy's harm, bounded on labelled steps that it was not learned from, or an honest refusal.

The policies of a `ladder` are tested from the most cautious on, each at the full confidence, until the first that
fails. As the order was fixed before the steps were looked at, the chance that any policy which passes is worse than
promised stays within `1 - confidence` without a correction for the number of tests (fixed-sequence testing, as in
Angelopoulos et al., "Learn then Test: calibrating predictive algorithms to achieve risk control", 2021).

What is promised holds for steps like those that it was counted on: drawn at random from the same work, answered by the
same models. `Certificate.lapsed` says when that is no longer so.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Annotated, Any, Final, Literal, NamedTuple, TypeAlias

from pydantic import BaseModel, ConfigDict, Field

from taskrouter.config import validated
from taskrouter.learning.bounds import betting_bound, binomial_bound, needed_n, tolerated
from taskrouter.learning.fitting import FEWEST_TRIALS, Labelled
from taskrouter.learning.identity import Identity
from taskrouter.learning.ladder import harm
from taskrouter.learning.policy import LearnedPolicy

SCHEMA_VERSION: Final = 1
TESTED: Final = 0.65
"""Share of the labelled steps that certify; the others are learned from."""
LEAST_SAVING: Final = 0.02
"""Share of the incumbent's cost that a policy must save to be worth its harm."""
PRICE_MARGIN: Final = 0.2
"""Change of a price, as a share, after which what was found to be cheapest may no longer be."""
MIX_MARGIN: Final = 0.2
"""Share of the work that may be of another kind than what was counted on, chance not included."""

Method: TypeAlias = Literal["binomial", "betting"]
METHODS: Final[tuple[Method, ...]] = ("binomial", "betting")


class Price(NamedTuple):
    """What a model is, and what it was listed at."""

    model: str
    """Model string, such as `openai/gpt-4o`."""
    input_usd_per_million: float | None = None
    output_usd_per_million: float | None = None


class Tested(NamedTuple):
    """What one policy did to the steps that certify."""

    policy: LearnedPolicy
    n: int
    harmed: float
    """Harm of all steps together: where scores are 0 or 1, the number of steps harmed."""
    bound: float
    """The harm is at most that, with the wanted confidence."""
    saving: float
    """Share of the incumbent's cost."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What came of the tests."""

    n: int
    """Steps that were to certify."""
    tested: tuple[Tested, ...]
    """The policies in the order of their tests, up to the first that failed."""
    certified: Tested | None
    """The cheapest one that passed; None: the incumbent keeps everything."""
    needed: int | None
    """Steps in all, learned from and counted on, that would do where nothing was certified: at the harm that was seen,
    or without harm where there were too few to look. None: no number would."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """What is promised of a policy, and what that rests on."""

    incumbent: str
    max_loss: float
    """Accepted harm, as a share."""
    confidence: float
    bound: float
    """The harm is at most that, with this confidence."""
    n: int
    """Labelled steps that it was counted on."""
    harmed: float
    saving: float
    method: Method
    """Whether the bound is the binomial one (scores of 0 and 1) or the betting one (any)."""
    pool: Mapping[str, Price]
    """The models that the policy may call, by id."""
    mix: Mapping[str, float]
    """Shares of the identities among all labelled steps."""
    data_hash: str
    """Of the recordings."""
    policy_hash: str
    """`LearnedPolicy.version` of the policy that it is of."""
    date: str
    """When it was issued, ISO 8601."""

    @property
    def line(self) -> str:
        """The promise in a few words."""
        return f"at most {100 * self.max_loss:.1f} % harm at confidence {self.confidence:.2f} (n={self.n}, {self.date})"

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON-ready values, with a schema version."""
        document = asdict(self)
        document["pool"] = {id_: price._asdict() for id_, price in self.pool.items()}
        return {"schema": SCHEMA_VERSION, **document}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any], *, where: str = "certificate") -> Certificate:
        """Read what `to_dict` wrote.

        Raises:
            ConfigurationError: the schema version is another, or a field is wrong; the message names it.
        """
        stored = validated(_StoredCertificate, data, where=where).model_dump(exclude={"schema_version"})
        stored["pool"] = {id_: Price(**price) for id_, price in stored["pool"].items()}
        return cls(**stored)

    def lapsed(self, incumbent: str, pool: Mapping[str, Price]) -> str | None:
        """Return why it does not hold for a router of that incumbent and pool, or None.

        Models that were added are no reason: the policy does not call them.
        """
        if incumbent != self.incumbent:
            return f"the incumbent is {incumbent}, and was {self.incumbent}"
        for id_, before in self.pool.items():
            now = pool.get(id_)
            if now is None:
                return f"{id_} is no longer in the pool"
            if _bare(now.model) != _bare(before.model):
                return f"{id_} is now {now.model}, and was {before.model}"
            if change := _change(before, now):
                return f"prices of {id_} changed by {100 * change:+.0f} %"
        return None

    def drifted(self, counts: Mapping[str, int]) -> str | None:
        """Return why it does not hold for work of that mix of identities, or None.

        The mixes are compared by their distance in total variation: the share of the steps that would have to be of
        another identity. What chance alone makes of it at these numbers is granted on top.
        """
        steps = sum(counts.values())
        if not steps:
            return None
        keys = {**self.mix, **counts}
        distance = sum(abs(counts.get(key, 0) / steps - self.mix.get(key, 0.0)) for key in keys) / 2
        noise = 1 / steps + 1 / self.n
        chance = sum(math.sqrt(share * (1.0 - share) * noise) for share in self.mix.values()) / math.sqrt(2 * math.pi)
        if distance <= MIX_MARGIN + chance:
            return None
        return f"{100 * distance:.0f} % of the last {steps:,} steps are of other kinds than it was counted on"


def split(total: int, max_loss: float, confidence: float, method: Method = "binomial") -> int:
    """Return how many of so many labelled steps are to certify; 0: too few for it, whatever they say.

    A binomial bound tolerates no more harm at 300 steps than at 265: what is not needed is better learned from.
    """
    wanted = round(TESTED * total)
    least = needed_n(max_loss, confidence, betting=method == "betting") or total
    if method == "betting":
        return wanted if least <= wanted < total else 0
    harmed = tolerated(wanted, max_loss, confidence)
    if harmed < 0:
        return least if total - least >= FEWEST_TRIALS else 0
    low, high = least - 1, wanted
    while high - low > 1:
        middle = (low + high) // 2
        if tolerated(middle, max_loss, confidence) >= harmed:
            high = middle
        else:
            low = middle
    return high


def certify(
    ladder: Sequence[LearnedPolicy],
    rows: Sequence[Labelled],
    draws: Sequence[float],
    *,
    max_loss: float,
    confidence: float,
    method: Method = "binomial",
    otherwise: Sequence[str] | None = None,
) -> Verdict:
    """Test policies on steps that they were not learned from.

    Args:
        ladder: the policies, in an order that does not depend on `rows`.
        rows: labelled steps, each with every plan that a policy may choose for it.
        draws: a random number from 0 to 1 for each row, by which the steps of a divided identity are told apart.
        max_loss: accepted harm, as a share.
        confidence: with which it is to be kept.
        method: `binomial` where scores are 0 or 1. Were one of them a fraction nevertheless, it counts as whole harm.
        otherwise: for each row the name of the plan that serves where a policy does not know the identity; without it
            that is the incumbent.
    """
    tested: list[Tested] = []
    passed = 0
    for policy in ladder if rows else ():
        tested.append(_test(policy, rows, draws, otherwise, confidence, method))
        if tested[-1].bound > max_loss:
            break
        passed += 1
    certified = max(reversed(tested[:passed]), key=lambda one: one.saving, default=None)
    if certified is not None and certified.saving < LEAST_SAVING:
        certified = None
    needed = None if certified is not None else _needed(len(rows), tested, max_loss, confidence, method)
    return Verdict(n=len(rows), tested=tuple(tested), certified=certified, needed=needed)


def _test(
    policy: LearnedPolicy,
    rows: Sequence[Labelled],
    draws: Sequence[float],
    otherwise: Sequence[str] | None,
    confidence: float,
    method: Method,
) -> Tested:
    incumbent = policy.incumbent
    harms = []
    cost_usd = base_usd = 0.0
    for position, (row, draw) in enumerate(zip(rows, draws, strict=True)):
        chosen = policy.choose(row.identity.key, draw)
        name = str(chosen.plan) if chosen else otherwise[position] if otherwise else incumbent
        harms.append(harm(row, name, incumbent))
        cost_usd += row.scores[name].cost_usd or 0.0
        base_usd += row.scores[incumbent].cost_usd or 0.0
    if method == "binomial":
        harms = [float(math.ceil(one)) for one in harms]
        bound = binomial_bound(round(sum(harms)), len(harms), confidence)
    else:
        bound = betting_bound(harms, confidence)
    saving = 1.0 - cost_usd / base_usd if base_usd else 0.0
    return Tested(policy, len(rows), math.fsum(harms), bound, saving)


def _needed(n: int, tested: Sequence[Tested], max_loss: float, confidence: float, method: Method) -> int | None:
    betting = method == "betting"
    if not n:
        least = needed_n(max_loss, confidence, betting=betting)
        return None if least is None else math.ceil(least / TESTED) if betting else least + FEWEST_TRIALS
    if not tested or tested[-1].bound <= max_loss:
        return None  # nothing saves
    least = needed_n(max_loss, confidence, rate=tested[-1].harmed / n, betting=betting)
    return None if least is None else math.ceil(least / TESTED)


def mix_of(identities: Sequence[Identity]) -> dict[str, float]:
    """Return the shares of the identities."""
    counts = Counter(identity.key for identity in identities)
    return {key: count / len(identities) for key, count in counts.items()}


def digest(document: object) -> str:
    """Return a hash of JSON-ready values."""
    return hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()[:12]


def _change(before: Price, now: Price) -> float | None:
    """Return the larger relative change of the two prices if it is beyond the margin; unknown ones are not compared."""
    changes = [
        (new - old) / old if old else math.copysign(1.0, new) * (new > 0)
        for old, new in ((before[1], now[1]), (before[2], now[2]))
        if old is not None and new is not None
    ]
    most = max(changes, key=abs, default=0.0)
    return most if abs(most) > PRICE_MARGIN + 1e-9 else None


def _bare(model: str) -> str:
    """A model string without its provider: the same model may be reached another way."""
    return model.rpartition("/")[2]


Share = Annotated[float, Field(ge=0, le=1)]


class _Stored(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class _StoredPrice(_Stored):
    model: str
    input_usd_per_million: float | None = Field(default=None, ge=0)
    output_usd_per_million: float | None = Field(default=None, ge=0)


class _StoredCertificate(_Stored):
    schema_version: Literal[1] = Field(alias="schema")
    incumbent: str
    max_loss: float = Field(gt=0, lt=1)
    confidence: float = Field(gt=0, lt=1)
    bound: Share
    n: int = Field(ge=1)
    harmed: float = Field(ge=0)
    saving: float = Field(le=1)
    method: Method
    pool: dict[str, _StoredPrice]
    mix: dict[str, Share]
    data_hash: str
    policy_hash: str
    date: str
