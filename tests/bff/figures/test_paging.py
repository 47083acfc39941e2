"""Pages of a list: whatever is not accepted is the default."""

import pytest

from bff.figures.paging import limit_of, offset_of


@pytest.mark.parametrize(
    ("given", "limit"),
    [
        *((text, int(text)) for text in ("1", "7", "50", "100")),
        *((text, 50) for text in ("0", "101", "-1", "ten", "", "1e2", "٣", "9" * 5000, " 7", None)),
    ],
)
def test_limit(given, limit):
    assert limit_of({} if given is None else {"limit": given}) == limit


@pytest.mark.parametrize(("given", "offset"), [("0", 0), ("7", 7), ("-1", 0), ("x", 0), ("9" * 50, 0), (None, 0)])
def test_offset(given, offset):
    assert offset_of({} if given is None else {"offset": given}) == offset
