"""What is wrong with a request body, in words that a caller can act on and that repeat nothing that was sent."""

import re
from collections.abc import Mapping
from typing import Any, Final

from pydantic import ValidationError

_QUOTED: Final = re.compile(r"'([^']+)'")

# The documents' own words for some fields.
_DOCUMENTED: Final[Mapping[tuple[str, str], str]] = {
    ("name", "missing"): "Agent name is required",
    ("message", "missing"): "Message required",
    ("verificationType", "missing"): "Missing required fields: verificationType",
    ("verificationType", "literal_error"): "Invalid verification type",
}

_EXPECTED: Final[Mapping[str, str]] = {
    "missing": "is required",
    "string_type": "must be a string",
    "string_too_long": "must be at most {max_length} characters",
    "bool_type": "must be a boolean",
    "dict_type": "must be a JSON object",
    "literal_error": "must be one of {options}",
}


def problem(error: ValidationError) -> str:
    """Return the first thing that is wrong with a body: a documented message, or the field and what it must be."""
    first = error.errors(include_url=False, include_input=False)[0]
    kind = first["type"]
    if kind == "documented":
        return first["msg"]
    if not first["loc"]:
        return "Request body must be a JSON object"
    # Only the first step is a documented name: further ones are keys that the caller chose.
    field = str(first["loc"][0])
    return _DOCUMENTED.get((field, kind)) or f"{field} {_expected(kind, first['msg'], first.get('ctx', {}))}"


def _expected(kind: str, message: str, context: Mapping[str, Any]) -> str:
    if kind == "expected":
        return message
    options = ", ".join(_QUOTED.findall(context.get("expected", "")))
    return _EXPECTED.get(kind, "is not valid").format(**context, options=options)
