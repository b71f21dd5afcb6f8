"""Pools, profiles and plans to try the planner on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hypothesis import strategies as st

from taskrouter import Decision, ModelCard, TaskProfile
from taskrouter.config import PolicyConfig
from taskrouter.planning import Planner, make_selector
from taskrouter.planning.planner import Planned
from taskrouter.planning.selectors import OWN
from taskrouter.ports import WELL, Conditions, Selector, Sidelined
from taskrouter.profile import UNKNOWN

POLICIES = ("safe", "balanced", "economy", "weighted")


def card(name: str, price: float | None = 1.0, quality: float | None = None, **fields: object) -> ModelCard:
    data: dict[str, object] = {"id": name, "model": f"house/{name}", **fields}
    if price is not None:
        data |= {"input_usd_per_million": price, "output_usd_per_million": price * 4}
    if quality is not None:
        data["quality"] = {"extraction": {"mean": quality, "source": "our own test"}}
    return ModelCard.model_validate(data)


def profile(input_tokens: int = 10_000, output_tokens: int = 100, task_type: str = "extraction") -> TaskProfile:
    return TaskProfile(
        task_type=task_type, confidence=1.0, input_tokens=input_tokens, output_tokens=output_tokens, evidence="declared"
    )


def policy(name: str, **fields: Any) -> Selector:
    if name == "weighted":
        fields.setdefault("weights", {"quality": 1.0, "cost": 0.5, "latency": 0.2})
    return make_selector(OWN[name], PolicyConfig.of({"name": name, **fields}))


def plan(
    cards: Sequence[ModelCard],
    selector: Selector | str = "safe",
    *,
    incumbent: str | None = None,
    task: TaskProfile | None = None,
    eligible: tuple[int, ...] | None = None,
    escalation: Sequence[str] = (),
    **conditions: Any,
) -> Planned:
    """Plan a step; without `incumbent` the last model of the pool is it."""
    position = len(cards) - 1 if incumbent is None else [c.id for c in cards].index(incumbent)
    return Planner(cards, incumbent=position).plan(
        task or profile(),
        tuple(range(len(cards))) if eligible is None else eligible,
        policy(selector) if isinstance(selector, str) else selector,
        Conditions(**conditions) if conditions else WELL,
        escalation,
    )


def decided(planned: Planned, *, task: TaskProfile | None = None, **fields: Any) -> Decision:
    return Decision(
        id="dec_1",
        plan=planned.plan,
        profile=task or profile(),
        policy="some",
        policy_version="0",
        reason=planned.choice.reason,
        detail=planned.choice.detail,
        incumbent="large",
        fallbacks=planned.fallbacks,
        rejected=planned.rejected,
        propensity=planned.choice.propensity,
        duration_s=0.0,
        board=planned.board,
        **fields,
    )


def chosen(planned: Planned) -> str:
    return planned.plan.models[0]


PRICES = st.none() | st.floats(0.01, 50)


@st.composite
def pools(draw: st.DrawFn, least: int = 1) -> list[ModelCard]:
    """Models of any price, speed and quality, known or not; some with a price for cached input."""
    cards = []
    for number in range(draw(st.integers(least, 7))):
        price = draw(PRICES)
        fields: dict[str, object] = {}
        if draw(st.booleans()):
            fields |= {"first_token_s": draw(st.floats(0.1, 5)), "output_tokens_per_s": draw(st.floats(5, 500))}
        if price is not None and draw(st.booleans()):
            fields["cached_input_usd_per_million"] = price * draw(st.floats(0, 1))
        cards.append(card(f"m{number}", price, draw(st.none() | st.floats(0, 1)), **fields))
    return cards


def profiles() -> st.SearchStrategy[TaskProfile]:
    return st.builds(profile, st.integers(0, 50_000), st.integers(1, 2_000), st.sampled_from(["extraction", UNKNOWN]))


def sidelined(ids: Sequence[str]) -> st.SearchStrategy[dict[str, Sidelined]]:
    """Some of the models out, for any reason and any time."""
    codes = st.sampled_from(["breaker_open", "probing", "rate_limited", "down", "slow"])
    reasons = st.builds(Sidelined, codes, st.just("for a reason"), st.floats(0, 1000))
    return st.dictionaries(st.sampled_from(list(ids)), reasons)
