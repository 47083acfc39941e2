"""Rounded parts add up to the rounded whole, whatever the parts."""

from decimal import ROUND_HALF_UP, Decimal, localcontext
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bff.figures.money import cents, exact, half_up, shares

PROPERTY = settings(derandomize=True, deadline=None, max_examples=200)

AMOUNTS = st.lists(st.floats(min_value=0, max_value=1e12), max_size=60).map(
    lambda amounts: [exact(amount) for amount in amounts]
)
THIRDS = st.lists(st.fractions(min_value=0, max_value=1000, max_denominator=210), max_size=60)
PARTS = AMOUNTS | THIRDS


@pytest.mark.parametrize(
    ("amount", "fraction"),
    [
        pytest.param(0.1, Fraction(1, 10), id="a tenth is a tenth, not its nearest binary"),
        pytest.param(29, Fraction(29), id="whole number"),
        pytest.param(1e12, Fraction(10**12), id="exponent"),
        pytest.param(1e-9, Fraction(1, 10**9), id="a billionth"),
        pytest.param(9e-10, Fraction(0), id="less than a billionth is nothing"),
        pytest.param(5e-324, Fraction(0), id="smallest float"),
        pytest.param(-0.0, Fraction(0), id="negative zero"),
    ],
)
def test_a_float_is_the_decimal_that_json_wrote(amount, fraction):
    assert exact(amount) == fraction


@pytest.mark.parametrize(
    ("amount", "places", "shown"),
    [
        (0.005, 2, "0.01"),
        (0.015, 2, "0.02"),
        (1.005, 2, "1.01"),
        (2.675, 2, "2.68"),
        (0.004999999999999999, 2, "0.00"),
        (0.00425, 4, "0.0043"),
        (999999999999.995, 2, "1000000000000.00"),
        (0.0, 2, "0.00"),
        (2.5, 0, "3"),
    ],
)
def test_a_half_is_rounded_up(amount, places, shown):
    assert str(half_up(exact(amount), places)) == shown


@PROPERTY
@given(st.floats(min_value=0, max_value=1e12), st.integers(min_value=0, max_value=6))
def test_half_up_is_what_decimal_calls_half_up(amount, places):
    with localcontext(prec=400):
        expected = Decimal(repr(amount)).quantize(Decimal(1).scaleb(-places), ROUND_HALF_UP)
    assert half_up(exact(amount), places) == expected


@pytest.mark.parametrize(
    ("parts", "shown"),
    [
        pytest.param([], [], id="no parts"),
        pytest.param(["0.005"], ["0.01"], id="one part is rounded half-up"),
        pytest.param(["0.004", "0.004"], ["0.01", "0.00"], id="the earlier of equals gets the cent"),
        pytest.param(["0.006", "0.008"], ["0.00", "0.01"], id="the larger remainder gets it"),
        pytest.param(["10/3"] * 3, ["3.34", "3.33", "3.33"], id="thirds"),
        pytest.param(["0", "0.009", "0"], ["0.00", "0.01", "0.00"], id="a zero part stays zero"),
        pytest.param(["0.001"] * 4, ["0.00"] * 4, id="too little for a cent"),
        pytest.param(["29/30"] * 7, ["0.97"] * 5 + ["0.96"] * 2, id="a week of a 29 dollar plan is 6.77"),
    ],
)
def test_cents(parts, shown):
    assert [str(part) for part in cents([Fraction(part) for part in parts])] == shown


@PROPERTY
@given(PARTS)
def test_cents_add_up_to_the_exact_sum_rounded_half_up(parts):
    assert sum(cents(parts)) == half_up(sum(parts, Fraction()), 2)


@PROPERTY
@given(PARTS)
def test_no_part_moves_by_a_cent_or_more_and_a_larger_one_never_shows_less(parts):
    shown = cents(parts)
    assert all(abs(Fraction(amount) - part) < Fraction(1, 100) for part, amount in zip(parts, shown, strict=True))
    ranked = [amount for _, amount in sorted(zip(parts, shown, strict=True))]
    assert ranked == sorted(ranked)


def test_thousands_of_the_largest_amounts_keep_their_cents():
    assert sum(cents([exact(999999999999.99)] * 5000)) == 5000 * Decimal("999999999999.99")


@pytest.mark.parametrize(
    ("parts", "shown"),
    [
        pytest.param([5], ["100.0"], id="one part"),
        pytest.param([1, 1, 1], ["33.4", "33.3", "33.3"], id="thirds"),
        pytest.param([2, 1], ["66.7", "33.3"], id="two thirds"),
        pytest.param([1, 0], ["100.0", "0.0"], id="nothing is no percent"),
        pytest.param([1] * 8, ["12.5"] * 8, id="even"),
        pytest.param([10**12, 1], ["100.0", "0.0"], id="far apart"),
    ],
)
def test_shares(parts, shown):
    assert [str(percent) for percent in shares([Fraction(part) for part in parts])] == shown


@PROPERTY
@given(PARTS.filter(any))
def test_shares_add_up_to_exactly_a_hundred(parts):
    assert sum(shares(parts)) == 100
