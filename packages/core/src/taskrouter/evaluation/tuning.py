"""Learns a policy on one part of recorded prompts and certifies it on the other: `tune`."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TypeAlias

from taskrouter.catalog import Catalog, ModelCard
from taskrouter.decision import Plan
from taskrouter.errors import ConfigurationError
from taskrouter.evaluation.arms import arms_of
from taskrouter.evaluation.baselines import incumbent_of
from taskrouter.evaluation.recordings import Prompt, Recording
from taskrouter.evaluation.replay import serve
from taskrouter.evaluation.routed import Routed, identity_of, routers
from taskrouter.evaluation.situations import by_task
from taskrouter.learning import Identity, Labelled, LearnedPolicy, Scored
from taskrouter.learning.certificate import (
    METHODS,
    Certificate,
    Method,
    Price,
    Tested,
    Verdict,
    certify,
    digest,
    mix_of,
    split,
)
from taskrouter.learning.ladder import ladder

POLICY = "safe"
"""What serves the steps of identities that were not learned."""

Otherwise: TypeAlias = Callable[[Sequence[Prompt], str], list[Plan]]
"""Plans for prompts of identities that were not learned, given the incumbent."""


def stay(prompts: Sequence[Prompt], incumbent: str) -> list[Plan]:
    """Let the incumbent serve them."""
    return [Plan(models=(incumbent,))] * len(prompts)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tuning:
    """What was learned and what can be promised of it."""

    incumbent: str
    prompts: int
    learned_from: int
    method: Method
    max_loss: float
    confidence: float
    verdict: Verdict
    certificate: Certificate | None

    @property
    def policy(self) -> LearnedPolicy | None:
        """The certified policy; None: the incumbent keeps everything."""
        return self.verdict.certified and self.verdict.certified.policy


def tune(
    recording: Recording,
    *,
    max_loss: float,
    confidence: float,
    incumbent: str | None = None,
    pool: Mapping[str, ModelCard] | None = None,
    seed: int = 0,
) -> Tuning:
    """Learn a policy and certify it, with the identities that a router would see.

    Args:
        recording: prompts with the outcome of every model.
        max_loss: accepted harm against the incumbent, as a share.
        confidence: with which the harm is to be at most that.
        incumbent: the model that is used today; the best one on the part that is learned from unless named.
        pool: the models that may be called, by id; all that were recorded unless given.
        seed: of the division into the two parts, and of draws.

    Raises:
        ConfigurationError: the incumbent is not in the recordings, none of the pool is, or a share is none.
    """
    if pool is not None:
        recording = of_pool(recording, pool)
    router = routers(recording, incumbent_of(recording, incumbent))[POLICY]
    identities = [identity_of(router, prompt.step) for prompt in recording.prompts]

    def otherwise(prompts: Sequence[Prompt], base: str) -> list[Plan]:
        routed = Routed(POLICY, routers(recording, base)[POLICY], base)
        return routed.plans(by_task(Recording(prompts=tuple(prompts), models=recording.models)))

    return tuned(
        recording,
        identities,
        incumbent=incumbent,
        max_loss=max_loss,
        confidence=confidence,
        otherwise=otherwise,
        prices={model: _price(model, pool) for model in recording.models},
        seed=seed,
    )


def tuned(
    recording: Recording,
    identities: Sequence[Identity],
    *,
    max_loss: float,
    confidence: float,
    incumbent: str | None = None,
    otherwise: Otherwise = stay,
    prices: Mapping[str, Price] | None = None,
    seed: int = 0,
) -> Tuning:
    """Do the same where the identities of the prompts are given, what serves those that were not learned, and prices.

    The arguments are those of `tune` otherwise; without prices the certificate does not watch them.
    """
    _check(max_loss, confidence)
    rng = random.Random(seed)
    order = list(range(len(recording.prompts)))
    rng.shuffle(order)
    parts: dict[Method, int] = {method: split(len(order), max_loss, confidence, method) for method in METHODS}
    # By prompts that are learned from in either case: a bound must not be picked by what it is to bound.
    method = _method([recording.prompts[i] for i in order[max(parts.values()) :]])
    n = parts[method]
    tested, learned = order[:n], order[n:]
    part = replace(recording, prompts=tuple(recording.prompts[i] for i in learned))
    base = incumbent_of(part, incumbent)
    plans = {str(plan): plan for plan in arms_of(part, base)}
    policies = []
    if n:
        rows = [_row(recording.prompts[i], identities[i], plans) for i in learned]
        policies = ladder(rows, plans, base, max_loss=max_loss)
    used = {str(branch.plan): branch.plan for p in policies for of in p.branches.values() for branch in of}
    used[base] = plans[base]
    others = otherwise([recording.prompts[i] for i in tested], base)
    verdict = certify(
        policies,
        [
            _row(recording.prompts[i], identities[i], {**used, str(other): other})
            for i, other in zip(tested, others, strict=True)
        ],
        [rng.random() for _ in tested],
        max_loss=max_loss,
        confidence=confidence,
        method=method,
        otherwise=[str(other) for other in others],
    )
    tuning = Tuning(
        incumbent=base,
        prompts=len(order),
        learned_from=len(learned),
        method=method,
        max_loss=max_loss,
        confidence=confidence,
        verdict=verdict,
        certificate=None,
    )
    if verdict.certified is None:
        return tuning
    return replace(tuning, certificate=_certificate(tuning, verdict.certified, recording, identities, prices))


def of_pool(recording: Recording, pool: Mapping[str, ModelCard]) -> Recording:
    """Call recorded models by the ids that they have in a pool, and leave the others out.

    A recorded name is an id of the pool, or the model string of one of its cards, with or without the provider.

    Raises:
        ConfigurationError: no recorded model is in the pool.
    """
    ids = {name: id_ for id_, card in pool.items() for name in (card.model.rpartition("/")[2], card.model)}
    ids |= {id_: id_ for id_ in pool}
    known = {model: ids[model] for model in recording.models if model in ids}
    if not known:
        raise ConfigurationError(
            f"none of the recorded models ({', '.join(recording.models)}) is in the pool ({', '.join(pool)}): record "
            "them by their id, or by the model string of their card"
        )
    prompts = [
        replace(prompt, outcomes={id_: prompt.outcomes[model] for model, id_ in known.items()})
        for prompt in recording.prompts
    ]
    return replace(recording, prompts=tuple(prompts), models=tuple(dict.fromkeys(known.values())))


def _certificate(
    tuning: Tuning,
    certified: Tested,
    recording: Recording,
    identities: Sequence[Identity],
    prices: Mapping[str, Price] | None,
) -> Certificate:
    models = sorted({tuning.incumbent, *certified.policy.models})
    return Certificate(
        incumbent=tuning.incumbent,
        max_loss=tuning.max_loss,
        confidence=tuning.confidence,
        bound=certified.bound,
        n=certified.n,
        harmed=certified.harmed,
        saving=certified.saving,
        method=tuning.method,
        pool={model: prices[model] if prices else Price(model) for model in models},
        mix=mix_of(identities),
        data_hash=_hash(recording),
        policy_hash=certified.policy.version,
        date=datetime.now(UTC).date().isoformat(),
    )


def _check(max_loss: float, confidence: float) -> None:
    for name, value in (("max-loss", max_loss), ("confidence", confidence)):
        if not 0.0 < value < 1.0:
            raise ConfigurationError(f"{name} is {value!r}; it is a share between 0 and 1, such as 0.01 or 0.9")


def _method(prompts: Sequence[Prompt]) -> Method:
    scores = {outcome.score for prompt in prompts for outcome in prompt.outcomes.values()}
    return "binomial" if scores <= {0.0, 1.0} else "betting"


def _row(prompt: Prompt, identity: Identity, plans: dict[str, Plan]) -> Labelled:
    served = {name: serve(plan, prompt) for name, plan in plans.items()}
    return Labelled(identity=identity, scores={name: Scored(s.score, s.cost_usd) for name, s in served.items()})


def _price(model: str, pool: Mapping[str, ModelCard] | None) -> Price:
    """The listed price: the pool's, or the catalogue's. What is derived from recorded costs is no list price."""
    card = pool[model] if pool else Catalog.bundled().resolve(model)
    if card is None:
        return Price(model)
    return Price(card.model, card.input_usd_per_million, card.output_usd_per_million)


def _hash(recording: Recording) -> str:
    """Hash of what the recordings say, whatever file they stand in; no prompt can be read out of it."""
    return digest(
        [
            [p.id, p.task, p.step.messages, [[m, o.score, o.cost_usd] for m, o in sorted(p.outcomes.items())]]
            for p in recording.prompts
        ]
    )
