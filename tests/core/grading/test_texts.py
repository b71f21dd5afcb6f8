"""`exact`, `contains`, `regex`, `numeric`."""

import asyncio
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskrouter.grading import Grade, Graders, Skip
from taskrouter.grading.numbers import final_number, numbers_in
from taskrouter.grading.patterns import SEARCHES, SearchProcess
from taskrouter.grading.texts import MAX_SEARCHED_CHARS, normalised

BOMB = {"kind": "regex", "pattern": "(a+)+$", "timeout_s": 0.2}


def score(case, view):
    graded = Graders().grade(case, view)
    assert isinstance(graded, Grade), graded
    return graded.score


@pytest.mark.parametrize(
    ("text", "expected", "right"),
    [
        ("Paris", "Paris", 1),
        (" **paris**.\n", "Paris", 1),
        ("The  Hague", "the hague", 1),
        ("Paris, I think", "Paris", 0),
        ("B", ["A", "B"], 1),
        ('{"a": 1.0}', {"a": 1}, 1),
        ('{"a": true}', {"a": 1}, 0),
        ("[1, 2]", [1, 2], 1),
        ("yes", True, 0),
        ("true", True, 1),
    ],
)
def test_exact_ignores_what_does_not_matter(case, view, text, expected, right):
    assert score(case(expected, kind="exact"), view(text)) == right


def test_exact_can_be_strict(case, view):
    assert score(case("Paris", kind="exact", strict=True), view("paris")) == 0
    assert score(case("Paris", kind="exact", strict=True), view("Paris")) == 1


@pytest.mark.parametrize(
    ("options", "right"),
    [({}, 0), ({"match": "any"}, 1), ({"partial": True}, 0.5), ({"strict": True, "match": "any"}, 0)],
)
def test_contains_wants_all_any_or_a_share(case, view, options, right):
    assert score(case(["Tin", "salt"], kind="contains", **options), view("some TIN here")) == right


@pytest.mark.parametrize(
    ("pattern", "whole", "right"),
    [(r"\d{3}", False, 1), (r"\d{3}", True, 0), (r"(?is)number.*\d", True, 1), ("é", False, 1)],
)
def test_a_pattern_is_searched_or_matched(case, view, pattern, whole, right):
    assert score(case(kind="regex", pattern=pattern, whole=whole), view(" The\nnumber é 123 "[4:])) == right


def test_a_pattern_without_end_is_a_counted_skip_and_the_next_search_works(case, view):
    graders = Graders()
    assert graders.grade(case(**BOMB), view("a" * 60 + "!")) == Skip(
        reason="timed_out", detail="the pattern took longer than 0.2 s"
    )
    assert graders.grade(case(kind="regex", pattern="b$"), view("ab")) == Grade(score=1, detail="the pattern was found")


async def test_a_pattern_without_end_leaves_the_event_loop_free(case, view):
    ticks = 0

    async def tick():
        nonlocal ticks
        while True:
            await asyncio.sleep(0)
            ticks += 1

    ticking = asyncio.create_task(tick())
    graded = await Graders().agrade(case(**BOMB), view("a" * 60 + "!"))
    ticking.cancel()
    assert isinstance(graded, Skip)
    assert ticks > 10


def test_a_search_works_after_the_process_was_ended(case, view):
    SEARCHES.close()
    SEARCHES.close()
    assert score(case(kind="regex", pattern="b"), view("ab")) == 1


def test_a_process_that_has_died_is_replaced():
    searches = SearchProcess()
    assert searches.found("b", "ab", whole=False, timeout_s=10) is True
    assert searches._process is not None
    searches._process.kill()
    searches._process.wait()
    assert searches.found("b", "ab", whole=False, timeout_s=10) is True
    searches.close()


def test_a_process_of_another_program_is_not_used():
    ours = SearchProcess()
    assert ours.found("b", "ab", whole=False, timeout_s=10) is True
    theirs, ours._owner = ours._process, -1  # as after a fork
    assert ours.found("b", "a", whole=False, timeout_s=10) is False
    assert ours._process is not theirs
    for process in (theirs, ours._process):
        assert process is not None
        with process:
            process.kill()


def test_a_text_too_long_to_search_is_a_skip(case, view):
    graded = Graders().grade(case(kind="regex", pattern="b"), view("a" * (MAX_SEARCHED_CHARS + 1)))
    assert isinstance(graded, Skip)
    assert graded.reason == "too_long"


@pytest.mark.parametrize(
    ("text", "expected", "right"),
    [
        ("16 - 3 = 13 eggs", 13, 1),
        ("It is $1,234.50.", "1234.5", 1),
        ("so \\frac{3}{4}", 0.75, 1),
        ("3/4", "3/4", 1),
        ("-5", -5, 1),
        ("10-5", 5, 1),
        ("about 0.3333333", "1/3", 1),
        ("0.33", "1/3", 0),
        ("none at all", 0, 0),
        ("1e400", 1, 0),
    ],
)
def test_numeric_takes_the_last_number(case, view, text, expected, right):
    assert score(case(expected, kind="numeric"), view(text)) == right


@pytest.mark.parametrize(
    ("tolerance", "right"), [({"absolute": 0.5}, 1), ({"relative": 0.05}, 1), ({"absolute": 0.1, "relative": 0.0}, 0)]
)
def test_numeric_has_two_tolerances_and_the_wider_one_holds(case, view, tolerance, right):
    assert score(case(10, kind="numeric", **tolerance), view("10.4")) == right


@given(st.text())
def test_normalising_twice_is_normalising_once(text):
    once = normalised(text)
    assert normalised(once) == once


@given(st.text())
def test_numbers_of_any_text_are_finite(text):
    assert all(map(math.isfinite, numbers_in(text)))


@given(st.floats(allow_nan=False, allow_infinity=False, min_value=-1e15, max_value=1e15))
def test_a_number_is_found_where_it_was_written(value):
    assert final_number(f"the result is {value!r}") == pytest.approx(value)


@pytest.mark.parametrize(
    ("expected", "table"),
    [
        ("ab", {"kind": "exact"}),
        ("a", {"kind": "contains"}),
        (1, {"kind": "numeric"}),
        (None, {"kind": "regex", "pattern": "b"}),
        (None, {"kind": "json_schema", "schema": {"type": "object"}}),
        ([], {"kind": "tool_call"}),
    ],
)
async def test_graders_say_the_same_with_and_without_an_event_loop(case, view, expected, table):
    graders, chosen = Graders(), case(expected, **table)
    for text in ("ab", "1", "{}"):
        assert await graders.agrade(chosen, view(text)) == graders.grade(chosen, view(text))


@pytest.mark.parametrize(
    ("expected", "table"),
    [
        ("many", {"kind": "numeric"}),
        (True, {"kind": "numeric"}),
        ("1 or 2", {"kind": "numeric"}),
        ("f", {"kind": "tool_call"}),
    ],
)
def test_a_label_in_the_wrong_form_is_a_skip(case, view, expected, table):
    graded = Graders().grade(case(expected, **table), view("1"))
    assert isinstance(graded, Skip)
    assert graded.reason == "bad_label"
