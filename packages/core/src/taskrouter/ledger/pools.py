"""What models cost when decisions were made: beside the ledger, under the version that records name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

from pydantic import BaseModel, ConfigDict

from taskrouter.catalog.card import ModelCard

POOLS: Final = "pools"
"""The space of what models cost, by the version of policy and pool that decisions name."""
KEPT: Final = frozenset(
    {"id", "model", "provider", "input_usd_per_million", "output_usd_per_million", "cached_input_usd_per_million"}
)
"""What is kept of a card: never an address, a parameter or a key."""


class Pool(BaseModel):
    """The pool that decisions of one version were made from."""

    model_config = ConfigDict(frozen=True, allow_inf_nan=False)

    incumbent: str
    policy: str = ""
    models: Mapping[str, ModelCard] = {}
    """By id, with their prices."""
    deployments: Mapping[str, ModelCard] = {}
    """By id of the endpoint, `model@deployment`."""

    def card(self, model: str, deployment: str | None) -> ModelCard | None:
        """Return the card of what was called, or None."""
        return self.models.get(model) if deployment is None else self.deployments.get(f"{model}@{deployment}")


class PoolEntry(NamedTuple):
    """A pool, as it is put into a store."""

    version: str
    """`Record.policy_version`."""
    text: str


def pool_entry(
    version: str, *, incumbent: str, policy: str, cards: Iterable[ModelCard], endpoints: Iterable[ModelCard] = ()
) -> PoolEntry:
    """Return what is kept of a pool.

    Args:
        version: what its decisions name.
        incumbent: id of the incumbent.
        policy: name of the policy.
        cards: the models.
        endpoints: what is called: models, and deployments of models.
    """
    models = {card.id: _kept(card) for card in cards}
    deployments = {card.id: _kept(card) for card in endpoints if card.id not in models}
    pool = Pool(incumbent=incumbent, policy=policy, models=models, deployments=deployments)
    return PoolEntry(version, pool.model_dump_json(exclude_unset=True))


def _kept(card: ModelCard) -> ModelCard:
    return ModelCard(**card.model_dump(include=set(KEPT)))
