"""The memory of prompt prefixes expects what a provider is likely to have cached, and believes what it reports."""

from __future__ import annotations

import os
import signal
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.core.planning.pools import card

from taskrouter import Step, StepContext, Usage
from taskrouter.planning.prefix import PrefixMemory

CARDS = {
    "a": card("a", 3.0, cached_input_usd_per_million=0.3),
    "b": card("b", 1.0, cached_input_usd_per_million=0.1, cache_ttl_s=3600.0),
    "no cache": card("no cache", 1.0),
}
SYSTEM: dict[str, object] = {"role": "system", "content": "You keep the books. " * 400}
"""8,000 characters: 2,000 tokens by our estimate."""
TOOL = {"type": "function", "function": {"name": "look_up", "parameters": {"type": "object", "properties": {}}}}


def transcript(turns: int = 1, first: str = "What is due?") -> list[dict[str, object]]:
    messages: list[dict[str, object]] = [SYSTEM, {"role": "user", "content": first}]
    for number in range(turns - 1):
        messages.append({"role": "assistant", "content": f"Answer {number}. " * 50})
        messages.append({"role": "user", "content": f"And in month {number}?"})
    return messages


def step(turns: int = 1, first: str = "What is due?", **fields: object) -> Step:
    return Step(messages=transcript(turns, first), **fields)  # type: ignore[arg-type]


def size(of: Step) -> int:
    return of.view.chars // 4


def usage(tokens: int, cached: int = 0, **fields: bool) -> Usage:
    return Usage(input_tokens=tokens, output_tokens=10, cached_input_tokens=cached, **fields)


def test_the_prompt_of_the_last_call_is_expected_to_be_cached() -> None:
    memory = PrefixMemory()
    memory.note(step(1), "a", usage(9_999), now_s=0.0)
    assert memory.expected(step(2), CARDS, now_s=10.0) == {"a": size(step(1))}
    memory.note(step(2), "a", usage(9_999, cached=9_999), now_s=12.0)
    assert memory.expected(step(3), CARDS, now_s=20.0) == {"a": size(step(2))}


def test_no_more_is_expected_than_the_provider_counted() -> None:
    memory = PrefixMemory()
    memory.note(step(1), "a", usage(1_500), now_s=0.0)
    assert memory.expected(step(2), CARDS, now_s=1.0) == {"a": 1_500}


def test_an_answer_without_usage_is_remembered_by_our_estimate() -> None:
    memory = PrefixMemory()
    memory.note(step(1), "a", None, now_s=0.0)
    assert memory.expected(step(2), CARDS, now_s=1.0) == {"a": size(step(1))}


def test_each_model_that_served_has_its_own_prefix() -> None:
    memory = PrefixMemory()
    memory.note(step(1), "a", None, now_s=0.0)
    memory.note(step(2), "b", None, now_s=1.0)
    assert memory.expected(step(3), CARDS, now_s=2.0) == {"a": size(step(1)), "b": size(step(2))}


def test_a_short_prompt_is_never_cached() -> None:
    memory = PrefixMemory()
    short = Step(messages=[{"role": "user", "content": "x" * 4095}])
    memory.note(short, "a", usage(1023), now_s=0.0)
    assert len(memory) == 0
    memory.note(step(1), "a", usage(1000), now_s=0.0)
    assert memory.expected(step(2), CARDS, now_s=1.0) == {}


def test_models_without_a_price_for_cached_input_and_models_out_of_the_pool_are_left_out() -> None:
    memory = PrefixMemory()
    memory.note(step(1), "no cache", None, now_s=0.0)
    memory.note(step(1), "gone", None, now_s=0.0)
    assert memory.expected(step(2), CARDS, now_s=1.0) == {}


def test_a_prefix_lives_as_long_as_the_card_says_or_five_minutes_and_each_call_starts_anew() -> None:
    memory = PrefixMemory()
    memory.note(step(1), "a", None, now_s=0.0)
    memory.note(step(1), "b", None, now_s=0.0)
    assert set(memory.expected(step(2), CARDS, now_s=299.0)) == {"a", "b"}
    assert set(memory.expected(step(2), CARDS, now_s=300.0)) == {"b"}
    assert set(memory.expected(step(2), CARDS, now_s=3600.0)) == set()
    memory.note(step(2), "a", None, now_s=3600.0)
    assert set(memory.expected(step(3), CARDS, now_s=3700.0)) == {"a"}


@pytest.mark.parametrize(
    "later",
    [
        step(1),
        step(3, first="Something else?"),
        step(3, tools=[TOOL]),
        step(3, response_schema={"type": "object", "properties": {"due": {"type": "string"}}}),
        step(3, context=StepContext(session_id="another")),
        step(3, context=StepContext(tenant="another")),
        Step(messages=[*transcript(2)[:-1], {"role": "user", "content": "Edited."}, *transcript(3)[-2:]]),
    ],
    ids=["shorter", "other question", "tools", "schema", "other session", "other tenant", "edited"],
)
def test_another_conversation_or_a_changed_one_has_nothing_cached(later) -> None:
    memory = PrefixMemory()
    memory.note(step(2), "a", None, now_s=0.0)
    assert memory.expected(step(3), CARDS, now_s=1.0)
    assert memory.expected(later, CARDS, now_s=1.0) == {}


def test_other_images_are_another_conversation() -> None:
    def look(url: str, turns: int) -> Step:
        seen = [{"type": "text", "text": "What is this?"}, {"type": "image_url", "image_url": {"url": url}}]
        return Step(messages=[SYSTEM, {"role": "user", "content": seen}, *transcript(turns)[2:]])

    memory = PrefixMemory()
    memory.note(look("https://example.org/cat.png", 1), "a", None, now_s=0.0)
    assert memory.expected(look("https://example.org/dog.png", 2), CARDS, now_s=1.0) == {}
    assert memory.expected(look("https://example.org/cat.png", 2), CARDS, now_s=1.0) == {"a": size(step(1)) + 1000}


def test_marks_that_steer_caching_may_move_along_with_the_conversation() -> None:
    marked = {"type": "text", "text": "What is due?", "cache_control": {"type": "ephemeral"}}
    memory = PrefixMemory()
    memory.note(Step(messages=[SYSTEM, {"role": "user", "content": [marked]}]), "a", None, now_s=0.0)
    assert set(memory.expected(step(2), CARDS, now_s=1.0)) == {"a"}


def test_a_provider_that_reads_nothing_from_its_cache_is_not_expected_to_any_more() -> None:
    memory = PrefixMemory()
    for turns in (1, 2):
        memory.expected(step(turns), CARDS, now_s=turns)
        memory.note(step(turns), "a", usage(2_500, cached=0), now_s=turns)
    assert memory.expected(step(3), CARDS, now_s=3.0) == {}
    memory.note(step(3), "a", usage(2_500, cached=0), now_s=4.0)
    assert memory.expected(step(4), CARDS, now_s=5.0) == {}
    memory.note(step(1, first="Another one?"), "a", None, now_s=5.0)
    assert memory.expected(step(2, first="Another one?"), CARDS, now_s=6.0) != {}
    memory.note(step(4), "a", usage(2_500, cached=2_500), now_s=7.0)
    assert memory.expected(step(5), CARDS, now_s=8.0) != {}


def test_an_empty_cache_is_no_surprise_after_its_time_or_from_a_count_of_our_own() -> None:
    memory = PrefixMemory()
    memory.note(step(1), "a", usage(2_500), now_s=0.0)
    memory.expected(step(2), CARDS, now_s=1_000.0)
    memory.note(step(2), "a", usage(2_500, cached=0), now_s=1_000.0)
    assert memory.expected(step(3), CARDS, now_s=1_001.0) != {}
    memory.note(step(3), "a", usage(2_500, estimated=True), now_s=1_002.0)
    assert memory.expected(step(4), CARDS, now_s=1_003.0) != {}


def test_the_next_expectation_is_scaled_to_what_was_read() -> None:
    memory = PrefixMemory()
    memory.note(step(1), "a", usage(4_000), now_s=0.0)
    memory.expected(step(2), CARDS, now_s=1.0)
    memory.note(step(2), "a", usage(4_400, cached=3_000), now_s=1.0)
    assert memory.expected(step(3), CARDS, now_s=2.0) == {"a": int(size(step(2)) * 0.75)}


def test_the_conversations_used_last_are_kept() -> None:
    memory = PrefixMemory(capacity=2)
    for now, first in enumerate(["one", "two"]):
        memory.note(step(1, first=first), "a", None, now_s=now)
    memory.expected(step(2, first="one"), CARDS, now_s=2.0)
    memory.note(step(1, first="three"), "a", None, now_s=3.0)
    assert len(memory) == 2
    assert memory.expected(step(2, first="two"), CARDS, now_s=4.0) == {}
    assert memory.expected(step(2, first="one"), CARDS, now_s=4.0) != {}


def test_a_capacity_of_nothing_turns_it_off() -> None:
    memory = PrefixMemory(capacity=0)
    memory.note(step(1), "a", None, now_s=0.0)
    assert len(memory) == 0


def test_threads_may_share_it() -> None:
    memory = PrefixMemory(capacity=20)

    def talk(number: int) -> bool:
        first = f"question {number % 40}"
        memory.note(step(1, first=first), "a", None, now_s=0.0)
        memory.expected(step(2, first=first), CARDS, now_s=1.0)
        return len(memory) <= 21

    with ThreadPoolExecutor(8) as threads:
        assert all(threads.map(talk, range(800)))
    assert len(memory) == 20


def test_no_text_is_kept() -> None:
    memory = PrefixMemory()
    memory.note(step(1, first="my secret", context=StepContext(session_id="s")), "a", None, now_s=0.0)
    kept = repr(memory._known)
    assert "'s'" in kept
    assert "secret" not in kept
    assert "books" not in kept


@given(
    st.lists(
        st.tuples(
            st.integers(1, 12),
            st.sampled_from(["a", "b", "no cache"]),
            st.none() | st.tuples(st.integers(0, 9_000), st.integers(0, 9_000)),
            st.floats(0, 1_000),
        ),
        max_size=12,
    ),
    st.integers(1, 12),
    st.floats(0, 5_000),
)
def test_an_expectation_is_worth_caching_and_within_the_prompt(calls, turns, now_s) -> None:
    memory = PrefixMemory()
    for of, model, counted, at_s in calls:
        memory.expected(step(of), CARDS, at_s)
        memory.note(step(of), model, None if counted is None else usage(*counted), at_s)
    expected = memory.expected(step(turns), CARDS, now_s)
    assert set(expected) <= {"a", "b"}
    assert all(1024 <= tokens <= size(step(turns)) for tokens in expected.values())


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_fork_while_another_thread_uses_the_memory_does_not_hang_its_child() -> None:
    memory = PrefixMemory()
    memory.note(step(1), "a", usage(2000), 0.0)
    held, done = threading.Event(), threading.Event()

    def hold() -> None:
        with memory._lock:
            held.set()
            done.wait()

    holder = threading.Thread(target=hold)
    holder.start()
    held.wait()
    if not (child := os.fork()):
        signal.alarm(10)
        os._exit(0 if memory.expected(step(1), CARDS, 1.0) else 1)
    done.set()
    holder.join()
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0
