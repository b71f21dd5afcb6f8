"""Who said what: only hashes are kept, the latest author counts, and the oldest are forgotten."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from hypothesis import given
from hypothesis import strategies as st

from taskrouter.adapters import Author, Authors, fingerprint

ONE, OTHER = Author("small", "dec_1"), Author("large", "dec_2")
texts = st.lists(st.text(max_size=5), max_size=4)


def test_what_was_said_is_known_by_any_of_its_signs() -> None:
    authors = Authors()
    authors.note([b"call", b"thought"], ONE)
    assert authors.of([b"unknown", b"thought"]) == ONE
    assert authors.of([b"unknown"]) is None
    assert authors.of([]) is None


def test_the_later_author_of_the_same_counts() -> None:
    authors = Authors()
    authors.note([b"call"], ONE)
    authors.note([b"call"], OTHER)
    assert authors.of([b"call"]) == OTHER


def test_the_oldest_are_forgotten_and_noting_again_keeps() -> None:
    authors = Authors(remembered=2)
    authors.note([b"a", b"b"], ONE)
    authors.note([b"a"], OTHER)
    authors.note([b"c"], ONE)
    assert [authors.of([sign]) for sign in (b"a", b"b", b"c")] == [OTHER, None, ONE]


def test_threads_may_note_at_once() -> None:
    authors = Authors(remembered=50)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: authors.note([str(n).encode()], ONE), range(500)))
    assert sum(authors.of([str(n).encode()]) is not None for n in range(500)) == 50


@given(texts, texts)
def test_a_fingerprint_tells_parts_apart_and_shows_none(one: list[str], other: list[str]) -> None:
    assert (fingerprint(*one) == fingerprint(*other)) == (one == other)
    assert len(fingerprint(*one)) == 16


def test_a_fingerprint_takes_any_text() -> None:
    assert fingerprint("\ud800") == fingerprint("\ud800")
    assert fingerprint("ab", "c") != fingerprint("a", "bc")
