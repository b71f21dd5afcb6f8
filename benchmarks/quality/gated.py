"""The router's learner on recorded steps: what an agent that runs would tell it, and nothing more."""

from __future__ import annotations

from functools import partial
from typing import Final

from benchmarks.quality.plugs import Choice, Pool, Proposals

from taskrouter.catalog import Catalog, ModelCard
from taskrouter.config import PolicyConfig
from taskrouter.decision import NO_LOSS, Plan, loss_between
from taskrouter.evaluation.replay import Served
from taskrouter.evaluation.situations import Situation
from taskrouter.learning import Identity, Labelled, Scored
from taskrouter.learning.cases import Arm
from taskrouter.learning.online import MOST_ARMS, OnlineLearner
from taskrouter.planning.agreement import acceptable, trusted
from taskrouter.planning.checks import Check, check_of
from taskrouter.planning.measured import ABILITY
from taskrouter.planning.pairs import Pair, PairBook
from taskrouter.planning.quality import QualityModel
from taskrouter.profile import UNKNOWN, TaskProfile

CHARS_PER_TOKEN: Final = 4
TOKENS_OUT: Final = 250
FIFTH: Final = 0.5
"""What a model beside the default's may cost, as a share of the incumbent."""
RIGHT: Final = 1.0


class Gated:
    """`OnlineLearner` with the arms that cards and prices suggest.

    The default is what `balanced` does where the kind of a step is declared: the agreement of a pair, if answers can be
    compared, else the incumbent. Beside it: the incumbent, the pair's models, one or two more.
    """

    def __init__(self, pool: Pool, seed: int) -> None:
        self._pool = pool
        self._cards = [_card(model, pool) for model in pool.models]
        self._incumbent = pool.models.index(pool.incumbent)
        self._quality = QualityModel(self._cards, self._incumbent)
        self._pairs = PairBook(self._cards, self._incumbent, self._quality)
        self._learner = OnlineLearner(pool.incumbent, seed=seed)
        self._trusted = trusted(PolicyConfig(name="balanced"))
        self._found: dict[Check | None, list[Arm]] = {}

    def choose(self, situation: Situation) -> Choice:
        """Draw from the mixture of the step's identity."""
        check = _check(situation)
        if check not in self._found:
            self._found[check] = self._arms(check)
        chosen = self._learner.choose(_identity(situation, check), self._found[check])
        return Choice(chosen.plan, chosen.propensity)

    def observe(self, situation: Situation, choice: Choice, served: Served, proposals: Proposals) -> None:
        """Tell what a running router would know."""
        identity = _identity(situation, _check(situation))
        self._learner.charge(identity, choice.plan, cost_usd=served.cost_usd, latency_s=served.latency_s)
        scores = {str(choice.plan): Scored(served.score, served.cost_usd)}
        for model, proposal in proposals.items():
            if proposal.same:
                scores[model] = Scored(served.score, proposal.cost_usd)
            elif served.score >= RIGHT and not situation.step.tools:
                scores[model] = Scored(0.0, proposal.cost_usd)
        self._learner.observe(Labelled(identity=identity, scores=scores))

    def _arms(self, check: Check | None) -> list[Arm]:
        ability = ABILITY[check] if check else UNKNOWN
        estimates = self._quality.column(ability).estimates
        trust = self._trusted.get(check) if check else None
        pair = self._pairs.best(trust.check, accept=partial(acceptable, trust=trust)) if trust else None
        found = [self._single(self._incumbent, ability)]
        positions = [] if pair is None else [pair.first, pair.second]
        if pair is not None:
            found.insert(0, self._agreement(pair))
        usd = self._pool.usd_per_call
        rest = [
            place
            for place, model in enumerate(self._pool.models)
            if place not in (*positions, self._incumbent) and usd[model] < FIFTH * usd[self._pool.incumbent]
        ]
        rest.sort(key=lambda place: -estimates[place].low)
        return [*found, *(self._single(place, ability) for place in (*positions, *rest))][:MOST_ARMS]

    def _agreement(self, pair: Pair) -> Arm:
        names = [self._pool.models[place] for place in (pair.first, pair.second, self._incumbent)]
        first, second, last = (self._pool.usd_per_call[name] for name in names)
        plan = Plan(kind="agree", models=tuple(names))
        return Arm(plan=plan, cost_usd=first + second + (1.0 - pair.agree) * last, loss=pair.loss)

    def _single(self, place: int, ability: str) -> Arm:
        model, estimates = self._pool.models[place], self._quality.column(ability).estimates
        own = place == self._incumbent
        loss = NO_LOSS if own else loss_between(estimates[place], estimates[self._incumbent])
        return Arm(plan=Plan(models=(model,)), cost_usd=self._pool.usd_per_call[model], loss=loss)


def _card(model: str, pool: Pool) -> ModelCard:
    known = Catalog.bundled().resolve(model) or ModelCard(id=model, model=model, source="recording")
    changes: dict[str, object] = {"id": model}
    if not known.priced:
        per_million = 1e6 * pool.usd_per_call[model] / (4 * TOKENS_OUT + TOKENS_OUT)
        changes |= {"input_usd_per_million": per_million, "output_usd_per_million": per_million}
    return known.model_copy(update=changes)


def _check(situation: Situation) -> Check | None:
    return check_of(situation.step, TaskProfile(task_type="reasoning", confidence=1.0, evidence="declared"))


def _identity(situation: Situation, check: Check | None) -> Identity:
    return Identity(situation.identity or "", f"{situation.task_type}:{check}")
