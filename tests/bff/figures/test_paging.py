"""Pages of a list: whatever is not accepted is the default."""

import pytest

from bff.figures.paging import limit_of, offset_of


@pytest.mark.parametrize(
    ("given", "limit"),
    [("1", 1), ("100", 100), ("50", 50), ("0", 50), ("101", 50), ("-1", 50), ("ten", 50), ("", 50), ("1e2", 50)]
    + [("٣", 50), ("9" * 5000, 50), (" 7", 50), (None, 50)],
)
def test_limit(given, limit):
    assert limit_of({} if given is None else {"limit": given}) == limit


@pytest.mark.parametrize(("given", "offset"), [("0", 0), ("7", 7), ("-1", 0), ("x", 0), ("9" * 50, 0), (None, 0)])
def test_offset(given, offset):
    assert offset_of({} if given is None else {"offset": given}) == offset
