"""Calls and results: whatever the order they come in, every call has one result, right behind it."""

from __future__ import annotations

import re
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskrouter.adapters import Answer, Answered, Call, Kept, Renamed, Result, paired
from taskrouter.adapters.pairing import ANYBODYS, MISTRALS, Slot, Unit

ids = st.sampled_from(["", "a", "b", "c", "has space", "x" * 50])
names = st.sampled_from(["f", "g"])
calls = st.builds(Call, names, ids, st.booleans())
units = st.lists(
    st.one_of(
        st.none(), st.builds(Result, ids, st.none() | names), st.builds(Answer, st.lists(calls, max_size=3).map(tuple))
    ),
    max_size=10,
)
forms = st.sampled_from([ANYBODYS, MISTRALS])


def called(slot: Slot, conversation: Sequence[Unit]) -> list[str] | None:
    """Return the ids of the calls of an answer as they are in a mended conversation; None: it is no answer."""
    unit = conversation[slot.place] if slot.place is not None else None
    if isinstance(slot, Answered) or not isinstance(unit, Answer):
        return None
    if isinstance(slot, Renamed):
        return [slot.ids[place] for place in sorted(slot.ids)]
    return [call.id for call in unit.calls]


@given(units, forms)
def test_every_call_is_answered_right_behind_it_and_no_result_stands_alone(
    conversation: list[Unit], form: re.Pattern[str]
) -> None:
    open_ids: list[str] = []
    seen: set[str] = set()
    for slot in paired(conversation, frozenset(), form):
        if isinstance(slot, Answered):
            assert slot.id in open_ids
            open_ids.remove(slot.id)
            continue
        assert open_ids == []
        assert not isinstance(conversation[slot.place], Result)
        if (named := called(slot, conversation)) is not None:
            assert all(form.fullmatch(name) for name in named)
            assert not seen & set(named)
            assert len(set(named)) == len(named)
            seen.update(named)
            open_ids = named
    assert open_ids == []


@given(units, forms)
def test_nothing_that_others_said_is_lost_or_changes_its_order(conversation: list[Unit], form: re.Pattern[str]) -> None:
    slots = paired(conversation, frozenset(), form)
    kept = [slot.place for slot in slots if isinstance(slot, Kept | Renamed)]
    assert kept == sorted(kept)
    assert set(kept) == {place for place, unit in enumerate(conversation) if not isinstance(unit, Result)}


@given(units, forms)
def test_mending_is_pure_and_a_longer_conversation_begins_the_same(
    conversation: list[Unit], form: re.Pattern[str]
) -> None:
    slots = paired(conversation, frozenset(), form)
    assert slots == paired(list(conversation), frozenset(), form)
    answers = [place for place, unit in enumerate(conversation) if isinstance(unit, Answer)]
    if answers:
        shorter = paired(conversation[: answers[-1]], frozenset(), form)
        assert slots[: len(shorter)] == shorter


@given(units, forms, st.data())
def test_a_reader_s_own_answers_stay_with_what_follows_them(
    conversation: list[Unit], form: re.Pattern[str], data: st.DataObject
) -> None:
    answers = [place for place, unit in enumerate(conversation) if isinstance(unit, Answer)]
    own = frozenset(data.draw(st.sets(st.sampled_from(answers)))) if answers else frozenset()
    slots = paired(conversation, own, form)
    for place in own:
        end = next((later for later in answers if later > place), len(conversation))
        assert [Kept(at) for at in range(place, end)] == [
            slot for slot in slots if isinstance(slot, Kept) and place <= slot.place < end
        ]


def test_a_call_without_a_result_is_given_one() -> None:
    call = Call("f", "a")
    assert paired([None, Answer([call]), None], frozenset()) == [Kept(0), Kept(1), Answered(None, call, "a"), Kept(2)]


def test_a_broken_call_goes_unless_it_was_answered() -> None:
    broken = Call("f", "a", valid=False)
    assert paired([Answer([broken])], frozenset()) == [Renamed(0, {})]
    assert paired([Answer([broken]), Result("a")], frozenset()) == [Kept(0), Answered(1, broken, "a")]


def test_results_out_of_order_come_in_the_order_of_the_calls() -> None:
    one, other = Call("f", "a"), Call("g", "b")
    slots = paired([Answer([one, other]), Result("b"), None, Result("a")], frozenset())
    assert slots == [Kept(0), Answered(3, one, "a"), Answered(1, other, "b"), Kept(2)]


def test_of_two_results_for_one_call_the_later_counts() -> None:
    call = Call("f", "a")
    assert paired([Answer([call]), Result("a"), Result("a")], frozenset()) == [Kept(0), Answered(2, call, "a")]


def test_without_ids_names_tell() -> None:
    one, other = Call("f", ""), Call("g", "")
    slots = paired([Answer([one, other]), Result("", "g"), Result("", "f")], frozenset())
    assert [slot.place for slot in slots if isinstance(slot, Answered)] == [2, 1]


@pytest.mark.parametrize("stored", [True, False])
def test_results_before_the_first_answer_stay_where_the_vendor_has_the_call(*, stored: bool) -> None:
    slots = paired([Result("a"), Answer()], frozenset(), stored=stored)
    assert slots == ([Kept(0), Kept(1)] if stored else [Kept(1)])


def test_ids_are_mistral_s_where_it_reads() -> None:
    (answer, _) = paired([Answer([Call("f", "call_1")]), Result("call_1")], frozenset(), MISTRALS)
    assert isinstance(answer, Renamed)
    assert MISTRALS.fullmatch(answer.ids[0])
