"""Pages of a list: what falls outside the accepted values is the documented default."""

from collections.abc import Mapping
from typing import Final

_DEFAULT_LIMIT: Final = 50
_LIMITS: Final = range(1, 101)
_MAX_DIGITS: Final = 9


def limit_of(parameters: Mapping[str, str]) -> int:
    """Return ``limit``, 1 to 100, else 50."""
    limit = _whole(parameters.get("limit"))
    return limit if limit in _LIMITS else _DEFAULT_LIMIT


def offset_of(parameters: Mapping[str, str]) -> int:
    """Return ``offset``, else 0."""
    return max(_whole(parameters.get("offset")), 0)


def _whole(text: str | None) -> int:
    """Return the number that ``text`` writes, -1 for anything else."""
    return int(text) if text and text.isascii() and text.isdigit() and len(text) <= _MAX_DIGITS else -1
