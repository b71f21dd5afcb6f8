"""Calls and their results: one id for both, a result for every call, right behind it.

Every vendor refuses a call without its result and a result without its call. Answers of the reader itself are left as
they are, together with what follows them. An adapter shows its messages as units and builds its messages from slots, so
the rules are in one place; they are pure.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from hashlib import sha256
from typing import NamedTuple, TypeAlias

ANYBODYS = re.compile(r"[A-Za-z0-9_-]{1,40}")
"""Ids that all vendors but Mistral take: Anthropic's and Bedrock's letters, OpenAI's length."""
MISTRALS = re.compile(r"[A-Za-z0-9]{9}")
INTERRUPTED = "There is no result: the call was interrupted."
"""What stands for the result of a call that nobody answered."""


class Call(NamedTuple):
    """A call within an answer."""

    name: str
    id: str
    """The id that it came with; empty: none."""
    valid: bool = True
    """Whether its arguments can be read; one that cannot is kept only if it was answered."""


class Answer(NamedTuple):
    """A model's answer, with its calls in order."""

    calls: Sequence[Call] = ()


class Result(NamedTuple):
    """What one call returned."""

    call_id: str
    name: str | None = None


Unit: TypeAlias = Answer | Result | None
"""A piece of a conversation: an answer, a result, or (None) what somebody else said."""


class Kept(NamedTuple):
    """A unit that stays as it is."""

    place: int


class Renamed(NamedTuple):
    """An answer whose calls get other ids."""

    place: int
    ids: Mapping[int, str]
    """By a call's position; a call that is not in it goes."""


class Answered(NamedTuple):
    """The result of a call."""

    place: int | None
    """The unit that it is; None: there is none, and `INTERRUPTED` stands for it."""
    call: Call
    id: str
    """The id that it gets."""


Slot: TypeAlias = Kept | Renamed | Answered
"""What stands in one place of the mended conversation."""


def paired(
    units: Sequence[Unit], own: AbstractSet[int], form: re.Pattern[str] = ANYBODYS, *, stored: bool = False
) -> list[Slot]:
    """Return the conversation with every call and every result in its place.

    Args:
        units: the conversation.
        own: the places of the reader's own answers.
        form: what an id must look like.
        stored: the vendor has what came before the first unit, so results may stand there alone.
    """
    ids = _Ids(form)
    first = next((place for place, unit in enumerate(units) if isinstance(unit, Answer)), len(units))
    mended: list[Slot] = [
        Kept(place) for place in range(first) if stored or first in own or not isinstance(units[place], Result)
    ]
    place = first
    while place < len(units):
        end = place + 1
        while end < len(units) and not isinstance(units[end], Answer):
            end += 1
        answer = units[place]
        assert isinstance(answer, Answer)  # noqa: S101 - the spans begin with one
        if place in own:
            ids.taken.update(call.id for call in answer.calls)
            mended += map(Kept, range(place, end))
        else:
            mended += _span(answer, place, units[:end], ids)
        place = end
    return mended


class _Ids:
    """Gives every call an id that the vendor takes and no other call has; the same ones for a longer conversation."""

    def __init__(self, form: re.Pattern[str]) -> None:
        self.taken: set[str] = set()
        self._form = form
        self._seen: Counter[str] = Counter()

    def fit(self, given: str) -> str:
        if given not in self.taken and self._form.fullmatch(given):
            self.taken.add(given)
            return given
        while True:
            count = self._seen[given]
            self._seen[given] += 1
            digest = sha256(f"{given}#{count}".encode()).hexdigest()
            fitting = digest[:9] if self._form is MISTRALS else f"call_{digest[:24]}"
            if fitting not in self.taken:
                self.taken.add(fitting)
                return fitting


def _span(answer: Answer, place: int, until: Sequence[Unit], ids: _Ids) -> Iterator[Slot]:
    """Return an answer of somebody else, the results of its calls, and what else was said before the next answer."""
    calls = answer.calls
    others = [Kept(at) for at in range(place + 1, len(until)) if not isinstance(until[at], Result)]
    if not calls:
        yield Kept(place)
        yield from others
        return
    results: dict[int, int] = {}
    for at in range(place + 1, len(until)):
        if isinstance(unit := until[at], Result) and (index := _answered_by(unit, calls, results)) is not None:
            results[index] = at
    kept = [index for index, call in enumerate(calls) if call.valid or index in results]
    names = {index: ids.fit(calls[index].id) for index in kept}
    yield Kept(place) if all(names.get(i) == call.id for i, call in enumerate(calls)) else Renamed(place, names)
    for index in kept:
        yield Answered(results.get(index), calls[index], names[index])
    yield from others


def _answered_by(result: Result, calls: Sequence[Call], results: Mapping[int, int]) -> int | None:
    """Return which call a result belongs to: the first open one of that id, else of that name where there is no id."""
    same = [index for index, call in enumerate(calls) if call.id == result.call_id]
    if not result.call_id:
        same = [index for index in same if calls[index].name == result.name] or same
    open_ones = [index for index in same if index not in results]
    return next(iter(open_ones or same[-1:]), None)
