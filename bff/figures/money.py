"""Exact arithmetic for the amounts shown: parts still add up to their total after rounding.

Amounts are fractions because a plan's day is a thirtieth of its price, and an agent's share of that any part of
it: most of these have no finite decimal form. What is shown is ``Decimal``.
"""

from collections.abc import Sequence
from decimal import Decimal
from fractions import Fraction
from math import lcm

_LEAST = 1e-9
_NOTHING = Fraction()


def exact(amount: float) -> Fraction:
    """Return ``amount`` as the decimal number that JSON wrote: 0.1 is one tenth.

    Less than a billionth is nothing: denominators stay small, whatever an upstream writes.
    """
    return Fraction(Decimal(repr(amount))) if amount >= _LEAST else _NOTHING


def half_up(value: Fraction, places: int) -> Decimal:
    """Return ``value`` (not negative) with ``places`` decimals, a half rounded up."""
    return _shown(_nearest(value.numerator * 10**places, value.denominator), places)


def cents(parts: Sequence[Fraction]) -> list[Decimal]:
    """Return ``parts`` (none negative) in cents that add up to their exact sum, rounded half-up."""
    return _rounded(parts, places=2)


def shares(parts: Sequence[Fraction]) -> list[Decimal]:
    """Return ``parts`` (none negative, not all zero) in percent, with one decimal, that add up to 100."""
    whole = sum(parts)
    return _rounded([100 * part / whole for part in parts], places=1)


def _rounded(parts: Sequence[Fraction], places: int) -> list[Decimal]:
    """Round down, then give what is missing to the largest remainders; the earlier part wins a tie."""
    unit = lcm(*(part.denominator for part in parts))
    scaled = [part.numerator * (unit // part.denominator) * 10**places for part in parts]
    floors = [number // unit for number in scaled]
    missing = _nearest(sum(scaled), unit) - sum(floors)
    by_remainder = sorted(range(len(parts)), key=lambda at: scaled[at] % unit, reverse=True)
    for at in by_remainder[:missing]:
        floors[at] += 1
    return [_shown(number, places) for number in floors]


def _nearest(numerator: int, denominator: int) -> int:
    return (2 * numerator + denominator) // (2 * denominator)


def _shown(units: int, places: int) -> Decimal:
    return Decimal(units).scaleb(-places)
