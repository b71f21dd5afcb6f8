"""What was learned, as a value: a plan per step identity, what it is expected to lose, and how that is known."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping
from typing import Any, Literal, NamedTuple, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from taskrouter.config import validated
from taskrouter.decision import Loss, Plan
from taskrouter.learning.views import View, seen

SCHEMA_VERSION: Literal[1] = 1
ROUNDING = 1e-6
"""By which shares of an identity's plans may miss 1."""
FEW = 20
"""Steps below which a choice is said to rest on few labels."""


class Branch(NamedTuple):
    """A plan, and the share of an identity's steps that takes it."""

    plan: Plan
    share: float
    loss: Loss
    """What the plan is expected to lose on that identity."""


def usable(
    branches: tuple[Branch, ...], *, allowed: Collection[str] | None = None, several: bool = True
) -> tuple[Branch, ...]:
    """Return the branches that a step can take, with shares that sum to 1 again.

    Args:
        branches: of the step's identity.
        allowed: models that may take it; None: any.
        several: whether a plan of several models can be carried out.
    """
    able = tuple(
        branch
        for branch in branches
        if (several or len(branch.plan.models) == 1)
        and (allowed is None or all(model in allowed for model in branch.plan.models))
    )
    if len(able) == len(branches):
        return branches
    total = sum(branch.share for branch in able)
    return tuple(branch._replace(share=branch.share / total) for branch in able)


def drawn(branches: tuple[Branch, ...], draw: float) -> Branch:
    """Return the branch that a number from 0 to 1 falls on."""
    branch = branches[0]
    for branch in branches:
        draw -= branch.share
        if draw < 0.0:
            break
    return branch


class Chosen(NamedTuple):
    """What the policy says of a step."""

    plan: Plan
    propensity: float
    loss: Loss
    labels: int
    """Labelled steps of the identity."""


class Reckoning(NamedTuple):
    """What the whole policy is expected to do, over the steps that it was learned from."""

    loss: float
    """Pooled loss against the incumbent on steps left out, as a share."""
    loss_error: float
    """Its standard error."""
    saving: float
    """Share of the incumbent's cost that is saved on steps left out."""
    steps: int
    """Steps with labels."""


class LearnedPolicy:
    """Plans per step identity, chosen jointly.

    Args:
        incumbent: id of the model that losses are counted against.
        branches: for each identity, its plans with shares that sum to 1.
        labels: labelled steps of each identity.
        reckoning: what was measured while it was learned.
        view: how steps without a name are looked at; keys of `branches` and `labels` are as it has them.
    """

    def __init__(
        self,
        incumbent: str,
        branches: Mapping[str, tuple[Branch, ...]],
        labels: Mapping[str, int],
        reckoning: Reckoning,
        view: View = "whole",
    ) -> None:
        self.incumbent = incumbent
        self.view = view
        self.branches = branches
        self.labels = labels
        self.reckoning = reckoning

    def choose(self, identity: str, draw: float) -> Chosen | None:
        """Return the plan for a step of that identity; None where nothing was learned.

        Args:
            identity: key of the step's identity.
            draw: number from 0 to 1 by which a divided identity's steps are told apart.
        """
        branches = self.of(identity)
        if not branches:
            return None
        branch = drawn(branches, draw)
        return Chosen(branch.plan, branch.share, branch.loss, self.labels_of(identity))

    def of(self, identity: str) -> tuple[Branch, ...]:
        """Return the plans of an identity; none where nothing was learned for it."""
        return self.branches.get(seen(identity, self.view), ())

    def labels_of(self, identity: str) -> int:
        """Return the labelled steps of an identity."""
        return self.labels.get(seen(identity, self.view), 0)

    @property
    def models(self) -> frozenset[str]:
        """Ids of all models that it sends steps to."""
        return frozenset(m for branches in self.branches.values() for branch in branches for m in branch.plan.models)

    @property
    def version(self) -> str:
        """Hash of what it chooses."""
        return hashlib.sha256(json.dumps(self.to_dict(), sort_keys=True).encode()).hexdigest()[:12]

    def to_dict(self) -> dict[str, Any]:
        """Return the policy as JSON-ready values, with a schema version."""
        return {
            "schema": SCHEMA_VERSION,
            "incumbent": self.incumbent,
            "view": self.view,
            "identities": {
                key: {
                    "labels": self.labels[key],
                    "branches": [
                        {"plan": branch.plan.to_dict(), "share": branch.share, "loss": branch.loss._asdict()}
                        for branch in branches
                    ],
                }
                for key, branches in self.branches.items()
            },
            "reckoning": self.reckoning._asdict(),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any], *, where: str = "learned policy") -> LearnedPolicy:
        """Read what `to_dict` wrote.

        Raises:
            ConfigurationError: the schema version is another, or a field is wrong; the message names it.
        """
        stored = validated(_StoredPolicy, data, where=where)
        return cls(
            stored.incumbent,
            {
                key: tuple(
                    Branch(Plan(kind=b.plan.kind, models=b.plan.models), b.share, Loss(**b.loss.model_dump()))
                    for b in identity.branches
                )
                for key, identity in stored.identities.items()
            },
            {key: identity.labels for key, identity in stored.identities.items()},
            Reckoning(**stored.reckoning.model_dump()),
            stored.view,
        )


class _Stored(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class _StoredPlan(_Stored):
    kind: Literal["single", "gate", "agree"]
    models: tuple[str, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _has_its_models(self) -> Self:
        if len(set(self.models)) != len(self.models) or (self.kind == "single") != (len(self.models) == 1):
            number = "one model" if self.kind == "single" else "several models, each once"
            raise ValueError(f"a plan of the kind {self.kind!r} takes {number}")
        return self


class _StoredLoss(_Stored):
    mean: float
    low: float
    high: float
    source: str


class _StoredBranch(_Stored):
    plan: _StoredPlan
    share: float = Field(gt=0, le=1)
    loss: _StoredLoss


class _StoredIdentity(_Stored):
    labels: int = Field(ge=0)
    branches: tuple[_StoredBranch, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _shares_are_of_one_whole(self) -> Self:
        total = sum(branch.share for branch in self.branches)
        if abs(total - 1.0) > ROUNDING:
            raise ValueError(f"the shares of its branches sum to {total:g}; they must sum to 1")
        return self


class _StoredReckoning(_Stored):
    loss: float
    loss_error: float
    saving: float
    steps: int


class _StoredPolicy(_Stored):
    schema_version: Literal[1] = Field(alias="schema")
    incumbent: str
    view: View = "whole"
    identities: dict[str, _StoredIdentity]
    reckoning: _StoredReckoning
