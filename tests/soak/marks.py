"""Telling users' bytes apart: a mark in everything that is one user's, and in nothing that is another's."""

import re
from typing import Final

_MARK: Final = re.compile(rb"zq(\d{4})z")


def mark(number: int) -> str:
    """Return the mark of the user of this number (0 to 9999): letters and digits, which no encoding changes."""
    return f"zq{number:04}z"


def others(text: bytes, own: int | None) -> set[int]:
    """Return the numbers of the users other than ``own`` whose marks are in ``text``."""
    return {int(found) for found in _MARK.findall(text)} - {own}
