"""Conditional and cache-directed requests."""

import pytest

from bff.edge.conditional import matches, wants_anew


@pytest.mark.parametrize(
    ("directives", "anew"),
    [
        (None, False),
        ("", False),
        ("max-age=60", False),
        ("max-age=00", False),
        ("only-if-cached", False),
        ("no-cache", True),
        ("no-store", False),
        ("max-age=0", False),
        ("No-Cache", True),
        ("min-fresh=1 , no-cache", True),
        ("max-age=60,no-cache", True),
        ("x-no-cache", False),
    ],
)
def test_who_will_not_have_a_kept_answer(directives, anew):
    headers = {} if directives is None else {b"cache-control": directives.encode()}
    assert wants_anew(headers) is anew


@pytest.mark.parametrize(
    ("given", "same"),
    [
        (None, False),
        ("", False),
        ('"abc"', True),
        ('W/"abc"', True),
        ("*", True),
        ('"x", "abc"', True),
        ('"x",W/"abc" ,"y"', True),
        ('"ABC"', False),
        ("abc", False),
        ('"abc', False),
        ('"ab"', False),
        ('w/"abc"', False),
        ('"x", "y"', False),
    ],
)
def test_an_etag_is_compared_weakly(given, same):
    headers = {} if given is None else {b"if-none-match": given.encode()}
    assert matches(headers, b'"abc"') is same
