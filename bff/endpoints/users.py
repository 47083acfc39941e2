"""What the store said of the caller, or the documented refusal when it knows no such user."""

from typing import TypeVar

from bff.plans import Refused

T = TypeVar("T")


def existing(found: T | None) -> T:
    """Return ``found``. Raises Refused when the session's user is missing from the store (contract.md)."""
    if found is None:
        raise Refused(404, "User not found")
    return found
