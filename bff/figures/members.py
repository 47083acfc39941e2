"""Which members of an organization a metadata filter means (document 001, "Metadata filtering")."""

from collections.abc import Iterable, Set
from typing import Any, Literal

import msgspec

from upstreams.clerk import Member

# A scalar with its kind, because to Python True is 1. Numbers are the same however they are written.
Form = tuple[Literal["null", "boolean", "number", "text"], object]


def matching(members: Iterable[Member], key: str | None, value: str | None) -> tuple[str, ...]:
    """Return the ids of the users whose metadata has ``key``, ``value`` under any key, or ``value`` under ``key``.

    A scalar in the metadata is meant by its text (``pro``) and by its JSON (``"pro"``, ``3``, ``true``, ``null``);
    an object or a list is meant by no value. With neither key nor value everybody is.
    """
    meant = None if value is None else _meanings(value)
    return tuple(member.user_id for member in members if _matches(member.public_metadata, key, meant))


def _matches(metadata: dict[str, Any], key: str | None, meant: Set[Form] | None) -> bool:
    if key is not None and key not in metadata:
        return False
    if meant is None:
        return True
    values = metadata.values() if key is None else (metadata[key],)
    return any(_form(value) in meant for value in values)


def _meanings(value: str) -> Set[Form]:
    try:
        scalar = _form(msgspec.json.decode(value))
    except (msgspec.DecodeError, ValueError, RecursionError):
        scalar = None
    return {("text", value)} if scalar is None else {("text", value), scalar}


def _form(value: object) -> Form | None:
    match value:
        case None:
            return ("null", None)
        case bool():
            return ("boolean", value)
        case int() | float():
            return ("number", value)
        case str():
            return ("text", value)
        case _:
            return None
