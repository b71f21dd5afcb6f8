"""The memory of step identities keeps what holds for every step of an identity, and nothing else."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from taskrouter.ports import Classification
from taskrouter.profiling.identity import Identity, IdentityMemory, identify
from taskrouter.step import Step, StepContext

TELLING = Classification((("planning", 0.9),), of_identity=True)


def identity(system="You plan.", agent=None, node=None, user="hi") -> Identity | None:
    messages = [{"role": "system", "content": system}] if system else []
    step = Step(messages=[*messages, {"role": "user", "content": user}], context=StepContext(agent=agent, node=node))
    return identify(step.view, step.context)


def test_same_agent_and_prompt_are_the_same_identity_whatever_the_user_writes():
    assert identity(user="one") == identity(user="two")


@pytest.mark.parametrize(
    "other", [{"system": "You plan!"}, {"agent": "b"}, {"node": "n"}, {"system": "x" * 950}, {"system": "x" * 951}]
)
def test_another_prompt_agent_or_node_is_another_identity(other):
    assert identity(**other) != identity()


def test_length_tells_prompts_with_the_same_extract_apart():
    assert identity("x" * 2000) != identity("x" * 2001)


def test_anonymous_step_has_no_identity():
    assert identity(system="") is None
    memory = IdentityMemory(10, 0.5)
    memory.remember(None, TELLING)
    assert memory.recall(None) is None
    assert len(memory) == 0


def test_identity_does_not_hold_the_prompt():
    assert "You plan" not in repr(identity("You plan a secret party."))


def test_digest_is_the_same_in_every_process():
    code = (
        "from taskrouter.profiling.identity import identify\n"
        "from taskrouter.step import Step\n"
        "s = Step(messages=[{'role': 'system', 'content': 'You plan.'}, {'role': 'user', 'content': 'hi'}])\n"
        "print(identify(s.view, s.context)[2].hex())"
    )
    found = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONHASHSEED": "7"},
        capture_output=True,
        text=True,
        check=True,
    )
    here = identity()
    assert here is not None
    assert found.stdout.strip() == here[2].hex()


@pytest.mark.parametrize(
    "passing",
    [
        Classification((("planning", 0.9),), of_identity=False),
        Classification((("planning", 0.4),), of_identity=True),
        Classification((), of_identity=True),
    ],
)
def test_what_may_not_hold_for_later_steps_is_not_kept(passing):
    memory = IdentityMemory(10, 0.5)
    memory.remember(identity(), passing)
    assert memory.recall(identity()) is None


def test_first_decision_stands():
    memory = IdentityMemory(10, 0.5)
    memory.remember(identity(), TELLING)
    memory.remember(identity(), Classification((("chat", 0.9),), of_identity=True))
    assert memory.recall(identity()) == TELLING


def test_least_recently_used_identity_goes_first():
    memory = IdentityMemory(2, 0.5)
    one, two, three = (identity(agent=name) for name in "abc")
    memory.remember(one, TELLING)
    memory.remember(two, TELLING)
    memory.recall(one)
    memory.remember(three, TELLING)
    assert [memory.recall(i) for i in (one, two, three)] == [TELLING, None, TELLING]
    assert len(memory) == 2


def test_memory_stays_bounded_under_threads():
    memory = IdentityMemory(50, 0.5)
    identities = [identity(agent=f"agent {n}") for n in range(200)]

    def use(offset):
        for n in range(2000):
            chosen = identities[(n * 7 + offset) % len(identities)]
            memory.remember(chosen, TELLING)
            assert memory.recall(chosen) in (TELLING, None)
            assert len(memory) <= 51

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(use, range(8)))
    assert len(memory) == 50
