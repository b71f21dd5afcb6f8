"""The router's own policies under evaluation: no label of the recordings is used."""

from __future__ import annotations

from collections.abc import Sequence

from taskrouter.catalog import Catalog, ModelCard
from taskrouter.decision import Plan
from taskrouter.errors import RoutingError
from taskrouter.evaluation.arms import has_answers
from taskrouter.evaluation.recordings import Prompt, Recording
from taskrouter.evaluation.situations import Situation
from taskrouter.learning import Identity, identify
from taskrouter.profile import UNKNOWN
from taskrouter.router import Router
from taskrouter.step import Step

NAMES = ("safe", "balanced", "economy")
CHARS_PER_TOKEN = 4
"""For recordings without token counts."""


class Routed:
    """A policy of the router. Where it refuses a step, the incumbent is called, as it would be today.

    Attributes:
        refused: how many steps it could not route: no model may take them, or a tool has no valid schema.
    """

    def __init__(self, name: str, router: Router, incumbent: str) -> None:
        self.name = name
        self._router = router
        self._incumbent = Plan(models=(incumbent,))
        self.refused = 0

    def plans(self, situations: Sequence[Situation]) -> list[Plan]:
        """Route each step."""
        return [self._plan(situation) for situation in situations]

    def _plan(self, situation: Situation) -> Plan:
        try:
            return self._router.route(situation.step).plan
        except RoutingError:
            self.refused += 1
            return self._incumbent


def identity_of(router: Router, step: Step) -> Identity:
    """The identity that the router sees, or an unknown one where it cannot route the step."""
    try:
        return identify(step, router.route(step).profile)
    except RoutingError:
        return Identity(UNKNOWN, UNKNOWN)


def routers(train: Recording, incumbent: str) -> dict[str, Router]:
    """Build a router for each policy, from cards alone. Where no answers were recorded none can be compared."""
    cards = [card_of(model, train) for model in train.models]
    agreement = has_answers(train)
    policies = {name: {"name": name, "agreement": agreement} for name in NAMES}
    alone = {"state": {"url": "memory:"}}  # whatever the environment says: what is measured here is no traffic
    return {name: Router(cards, incumbent, policy, config=alone) for name, policy in policies.items()}


def card_of(model: str, train: Recording) -> ModelCard:
    """What is known of a recorded model without its labels: the catalogue's card, else a bare one.

    An unknown price is derived from the recorded costs, and a model that was sent tools can take tools: costs and
    requests are no labels.
    """
    known = Catalog.bundled().resolve(model) or ModelCard(id=model, model=model, source="recording")
    changes: dict[str, object] = {"id": model}
    if not known.priced:
        per_million = usd_per_million(model, train.prompts)
        changes |= {"input_usd_per_million": per_million, "output_usd_per_million": per_million}
    if known.capabilities.tools is None and any(prompt.step.tools for prompt in train.prompts):
        changes["capabilities"] = known.capabilities.model_copy(update={"tools": True})
    return known.model_copy(update=changes)


def usd_per_million(model: str, prompts: Sequence[Prompt]) -> float:
    """One price for all recorded tokens, input and output alike: recordings do not say which part cost what."""
    cost_usd = tokens = 0.0
    for prompt in prompts:
        outcome = prompt.outcomes[model]
        counted = (outcome.input_tokens or 0) + (outcome.output_tokens or 0)
        tokens += counted or max(1, prompt.step.view.chars // CHARS_PER_TOKEN)
        cost_usd += outcome.cost_usd
    return 1e6 * cost_usd / tokens
