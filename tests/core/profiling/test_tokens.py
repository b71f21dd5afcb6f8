"""Token estimates cost nothing and err on the safe side for scripts that tokenise badly."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskrouter.profile import FAMILIES
from taskrouter.profiling.tokens import OUTPUT_TOKENS, TOKENS_PER_IMAGE, estimate_tokens, expect_output_tokens


def test_four_characters_of_english_are_a_token():
    assert estimate_tokens(4000, 0, "plain English prose") == 1000


def test_the_shortest_text_is_a_token_and_no_text_is_none():
    assert [estimate_tokens(chars, 0) for chars in (0, 1, 3, 8)] == [0, 1, 1, 2]


def test_images_count():
    assert estimate_tokens(0, 3) == 3 * TOKENS_PER_IMAGE


@pytest.mark.parametrize(
    ("sample", "least", "most"),
    [
        ("今天天气很好我们去公园", 0.9, 1.05),
        ("сегодня хорошая погода", 0.45, 0.65),
        ("voilà un café très bon", 0.25, 0.35),
    ],
)
def test_other_scripts_cost_more_per_character(sample, least, most):
    assert least <= estimate_tokens(1000, 0, sample) / 1000 <= most


@given(st.integers(0, 10**7), st.integers(0, 100), st.text(max_size=200))
def test_more_characters_never_cost_fewer_tokens(chars, images, sample):
    assert 0 <= estimate_tokens(chars, images, sample) <= estimate_tokens(chars + 100, images, sample)


def test_every_task_type_has_an_expected_answer():
    assert set(OUTPUT_TOKENS) == set(FAMILIES)
    assert all(expect_output_tokens(task_type, 0) > 0 for task_type in FAMILIES)


def test_translation_grows_with_its_input_and_a_label_does_not():
    assert expect_output_tokens("translation", 1000) > expect_output_tokens("translation", 10)
    assert expect_output_tokens("classification", 10_000) == expect_output_tokens("classification", 10)


def test_schema_sets_a_floor_by_its_properties():
    wide = {"type": "object", "properties": {f"field{n}": {} for n in range(30)}}
    assert expect_output_tokens("classification", 10, wide) > expect_output_tokens("classification", 10) * 10
    assert expect_output_tokens("creative_writing", 10, {"type": "object"}) <= 400
