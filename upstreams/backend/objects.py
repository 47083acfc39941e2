"""JSON objects of no fixed shape, which the service may have put its own secrets into."""

import re
from typing import Any, Final

MAX_DEPTH: Final = 64

_SEPARATORS = re.compile(r"[\W_]+")
_SECRET: Final = frozenset({"authtoken", "gatewaytoken"})


class PublicObject(dict[str, Any]):
    """A JSON object of which :func:`without_secrets` has seen everything."""


def without_secrets(value: Any, depth: int = MAX_DEPTH) -> Any:
    """Return a JSON value without ``authToken`` and ``gatewayToken``, however they are spelled, at any depth.

    Raises ValueError when it nests more than ``depth`` levels.
    """
    if not isinstance(value, dict | list):
        return value
    if not depth:
        raise ValueError("nested too deeply")
    if isinstance(value, list):
        return [without_secrets(inner, depth - 1) for inner in value]
    return {key: without_secrets(inner, depth - 1) for key, inner in value.items() if not _is_secret(key)}


def _is_secret(key: str) -> bool:
    return _SEPARATORS.sub("", key).lower() in _SECRET
