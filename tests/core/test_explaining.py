"""One explanation: of a decision that was just made, and of its record in the ledger."""

from __future__ import annotations

import json
import re

import pytest
from tests.core.cli.routed import CARDS, card

from taskrouter import Decision, Router, Step, StepContext
from taskrouter.explaining import plain
from taskrouter.ledger import Label, Pool, Record, explain_record, noted, record_of, served_other, taken_call
from taskrouter.ledger.explaining import local_time
from taskrouter.outcome import Attempt, Ending, Proposal, Usage

POLICIES = ["safe", "balanced", "economy", {"quality": 1, "cost": 1}]
STEP = Step(messages=[{"role": "user", "content": "Write a Python function that reverses a string."}])
POOL = Pool(incumbent="large", models={one.id: one for one in CARDS})
ANSWER = Attempt(
    index=1,
    model="small",
    role="primary",
    status="ok",
    usage=Usage(input_tokens=1000, output_tokens=100),
    cost_usd=0.0011,
    latency_s=1.5,
)


def router(policy: object = "balanced", **config: object) -> Router:
    return Router(CARDS, "large", policy, config=config)  # type: ignore[arg-type]


def record(step: Step, decision: Decision, ending: Ending | None = None) -> Record:
    ended = ending or Ending(status="ok", attempts=(ANSWER,), answered=ANSWER, latency_s=1.6)
    return Record.read(json.dumps(record_of(noted(step, decision, ended, at_s=1_000_000.0, trace=("ab", "cd")))))


def explained(ending: Ending | None = None, **more: object) -> list[str]:
    decision = router().route(STEP)
    return explain_record(record(STEP, decision, ending), **more).splitlines()  # type: ignore[arg-type]


def timeless(text: str) -> list[str]:
    """The lines without the time that deciding took, which the ledger keeps to a few digits."""
    return re.sub(r"decided in \d+ µs", "decided", text).splitlines()


@pytest.mark.parametrize("policy", POLICIES, ids=str)
@pytest.mark.parametrize(
    "config",
    [
        {},
        {"rules": [{"name": "no 'large' here", "when": {"node": "x*"}, "avoid": ["large"], "regions": ["eu"]}]},
        {"rules": [{"name": "small only", "when": {}, "use": ["small"]}]},
    ],
    ids=["plain", "rule", "one left"],
)
def test_a_record_explains_its_decision_in_the_same_words(policy: object, config: dict[str, object]) -> None:
    decision = router(policy, **config).route(STEP)
    first = [line for line in timeless(decision.explain()) if not line.startswith("signals")]
    again = timeless(explain_record(record(STEP, decision)))
    for known, read in zip(first, again, strict=False):
        if known.startswith("  ") and decision.ranking[0].parts:
            assert known.startswith(read)  # the parts of the score are not kept
        else:
            assert read == known
    assert again[len(first)].startswith("when      ")


def test_what_came_of_it_follows_with_every_call_and_the_money() -> None:
    failed = Attempt(
        index=1,
        model="small",
        role="primary",
        status="failed",
        deployment="eu",
        error_type="rate_limited",
        cost_usd=0.0,
        latency_s=0.25,
        forced=True,
    )
    taken = Attempt(
        index=2,
        model="large",
        role="fallback",
        status="ok",
        usage=Usage(input_tokens=1000, output_tokens=100, cached_input_tokens=200, estimated=True),
        cost_usd=0.011,
        latency_s=2.0,
        first_token_s=0.5,
        waited_s=0.75,
        served_model="large-mini",
    )
    ending = Ending(status="fallback", attempts=(failed, taken), answered=taken, latency_s=3.0)
    lines = explained(ending, pool=POOL, labels=[Label(decision_id="dec_0", score=0.5, at_s=1_000_100.0)])
    assert lines[-8:] == [
        f"when      {local_time(1_000_000.0)}",
        "trace     ab, span cd",
        "outcome   fallback by large in 3.00 s",
        "calls",
        "   1. small@eu  primary failed (rate_limited), 0 tokens in and 0 out, $0.000000, 0.25 s, "
        "asked although its breaker was open",
        "   2. large  fallback ok, taken, about 1,000 tokens in (200 cached) and 100 out, $0.011000, 2.00 s, "
        "first token after 0.50 s, waited 0.75 s before, served by large-mini",
        "money     $0.011000 for 2 calls; large would have cost $0.011000 for the same answer",
        f"label     0.50 by user at {local_time(1_000_100.0)}",
    ]


def test_the_saving_is_net_of_every_call_that_was_paid() -> None:
    second = Attempt(index=2, model="large", role="propose", status="ok", usage=Usage(), cost_usd=0.0099)
    proposals = (Proposal(model="small", status="ok", same=True), Proposal(model="large", status="ok", same=False))
    cheap = Ending(status="ok", attempts=(ANSWER,), answered=ANSWER)
    dear = Ending(
        status="ok", attempts=(ANSWER, second, second), answered=ANSWER, check="disagreed", proposals=proposals
    )
    assert "; large would have cost $0.011000 for the same answer, 90 % saved" in explained(cheap, pool=POOL)[-2]
    lines = explained(dear, pool=POOL)
    assert lines[-2].endswith("$0.020900 for 3 calls; large would have cost $0.011000 for the same answer, 90 % more")
    assert "proposed  small the same answer; large another answer" in lines


@pytest.mark.parametrize(
    ("ending", "pool", "said"),
    [
        (Ending(status="ok", attempts=(ANSWER,), answered=ANSWER), None, "what large would have cost is unknown"),
        (
            Ending(status="exhausted", attempts=(ANSWER,), error_type="all_attempts_failed"),
            POOL,
            "money     $0.001100 for 1 call, and no answer",
        ),
        (
            Ending(
                status="ok",
                attempts=(unpriced := Attempt(index=1, model="small", role="primary", status="ok", usage=Usage()),),
                answered=unpriced,
            ),
            None,
            "money     cost unknown for 1 call",
        ),
    ],
)
def test_what_is_not_known_of_the_money_is_said(ending: Ending, pool: Pool | None, said: str) -> None:
    assert said in "\n".join(explained(ending, pool=pool))


def test_a_dated_snapshot_is_the_model_that_was_asked_and_a_sibling_is_not() -> None:
    def call(served: str) -> bool:
        attempt = Attempt(index=1, model="small", role="primary", status="ok", served_model=served)
        read = record(STEP, router().route(STEP), Ending(status="ok", attempts=(attempt,), answered=attempt))
        taken = taken_call(read)
        assert taken is not None
        return served_other(taken, POOL)

    assert not call("small-2024-08-06")
    assert call("small-nano")


def test_a_ranking_that_was_cut_says_so() -> None:
    models = [card(f"model-{number}", 1.0 + number, 0.9) for number in range(12)]
    decision = Router(models, "model-0").route(STEP)
    lines = explain_record(record(STEP, decision)).splitlines()
    assert "  the ledger keeps the first 10" in lines
    assert "  10. " in "\n".join(lines)
    assert "  11. " not in "\n".join(lines)


def test_a_record_of_the_past_without_its_grounds_is_still_explained() -> None:
    old = record(STEP, router().route(STEP)).model_dump(mode="json", exclude={"explained", "loss", "trace", "tenant"})
    for call in old["outcome"]["calls"]:
        del call["taken"]
    text = explain_record(Record.model_validate(old), pool=POOL)
    assert text.startswith(f"decision  {old['id']}  small  (cheaper_within_loss)\nstep      ")
    assert "ranking" not in text
    assert "90 % saved" in text


def test_names_cannot_act_on_the_terminal() -> None:
    step = Step(messages=[{"role": "user", "content": "Hi"}], context=StepContext(tenant="a\x1b[2Jb\n\u202ec\u2028"))
    text = explain_record(record(step, router().route(step)))
    assert "tenant a\N{REPLACEMENT CHARACTER}[2Jb \N{REPLACEMENT CHARACTER}c " in text
    assert all(line.isprintable() for line in text.split("\n"))
    assert plain("naïve – 模型 µs") == "naïve – 模型 µs"
