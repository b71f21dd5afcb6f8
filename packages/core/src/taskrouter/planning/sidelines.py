"""Who stands in the choice at the moment: models that are sidelined step back, unless nobody else is left."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from taskrouter.decision import Rejection
from taskrouter.ports import Choice, Sidelined

SOFT: Final = frozenset({"slow"})
"""Codes of models that answer, only badly: as a last resort they come before those that may not answer at all."""


class Lineup(NamedTuple):
    """The eligible models of a step, parted by what holds of them at the moment."""

    standing: tuple[int, ...]
    """Positions of the models to choose from; never empty."""
    aside: tuple[str, ...] = ()
    """Ids of the models left out, least bad first."""
    rejected: tuple[Rejection, ...] = ()
    """Why, in the same order."""
    rescued: Sidelined | None = None
    """What is wrong with the one model standing, where every eligible model is sidelined."""


def lineup(ids: Sequence[str], eligible: tuple[int, ...], sidelined: Mapping[str, Sidelined]) -> Lineup:
    """Part the models at the positions `eligible`; where all are sidelined the least bad one stands."""
    if not sidelined:
        return Lineup(eligible)
    out = [position for position in eligible if ids[position] in sidelined]
    if not out:
        return Lineup(eligible)

    def badness(position: int) -> tuple[bool, float]:
        why = sidelined[ids[position]]
        return why.code not in SOFT, why.until_s

    out.sort(key=badness)
    rescued = None
    if len(out) < len(eligible):
        standing = tuple(position for position in eligible if ids[position] not in sidelined)
    else:
        standing = (out.pop(0),)
        rescued = sidelined[ids[standing[0]]]
    rejected = tuple(
        Rejection(model=ids[position], code=sidelined[ids[position]].code, detail=sidelined[ids[position]].detail)
        for position in out
    )
    return Lineup(standing, tuple(ids[position] for position in out), rejected, rescued)


def rescue(choice: Choice, model: str, why: Sidelined, eligible: int) -> Choice:
    """Say that a model was chosen because it is the least bad of those that are all sidelined."""
    whole = "the only eligible model is" if eligible == 1 else f"all {eligible} eligible models are"
    lead = "" if eligible == 1 else f"{model} is the least bad: "
    return choice._replace(
        reason="all_sidelined",
        detail=f"{whole} sidelined at the moment; {lead}{why.detail} ({why.code})",
        propensity=1.0,
        alternatives=(),
    )
