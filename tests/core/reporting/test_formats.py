"""How values are written for people."""

from __future__ import annotations

import pytest

from taskrouter.reporting.page.formats import percent, seconds, usd


@pytest.mark.parametrize(
    ("amount", "text"),
    [
        (None, "–"),
        (0.0, "$0.00"),
        (1234567.891, "$1,234,567.89"),
        (-3.14159, "−$3.14"),
        (0.31415, "$0.314"),
        (0.000592, "$0.000592"),
        (1e-12, "below $0.01"),
    ],
)
def test_money_has_cents_from_a_dollar_on_and_three_digits_below(amount: float | None, text: str) -> None:
    assert usd(amount) == text


def test_money_above_other_money_has_as_many_digits_and_never_becomes_zero() -> None:
    assert [usd(amount, 2) for amount in (7.07, 0.3152, 0.0003, 0.0)] == ["$7.07", "$0.32", "below $0.01", "$0.00"]


@pytest.mark.parametrize(
    ("share", "text"),
    [
        (None, "–"),
        (0.0, "0 %"),
        (0.4366, "43.7 %"),
        (-0.301, "−30.1 %"),
        (0.0001, "below 0.1 %"),
        (-0.0001, "0 %"),
        (1.0, "100.0 %"),
    ],
)
def test_a_share_is_in_percent_and_what_is_small_is_not_nothing(share: float | None, text: str) -> None:
    assert percent(share) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "–"), (0.0421, "42 ms"), (6.91, "6.9 s"), (600.0, "10 min"), (39_744.0, "11.0 h"), (259_200.0, "3.0 days")],
)
def test_a_time_has_the_unit_that_suits_it(value: float | None, text: str) -> None:
    assert seconds(value) == text
