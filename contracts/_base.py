"""What all documented models share: camelCase names on the wire, UTC times with milliseconds, kinds of text."""

from datetime import UTC, datetime
from typing import Annotated, Final

from pydantic import AfterValidator, BaseModel, ConfigDict, PlainSerializer, StringConstraints, model_validator
from pydantic.alias_generators import to_camel
from pydantic_core import PydanticCustomError


class Document(BaseModel):
    """A documented JSON object. Fields are read by their Python names and written by the documented ones."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        populate_by_name=True,
        serialize_by_alias=True,
        hide_input_in_errors=True,
        extra="forbid",
        frozen=True,
    )


def iso_milliseconds(moment: datetime) -> str:
    """Return ``moment`` as ``2026-04-04T12:00:00.000Z``."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"


Timestamp = Annotated[datetime, PlainSerializer(iso_milliseconds, return_type=str)]


class Body(BaseModel):
    """What a caller sends: documented names and types alone; unknown fields are ignored, values never shown."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        serialize_by_alias=True,
        hide_input_in_errors=True,
        strict=True,
        frozen=True,
    )

    def __repr_args__(self) -> tuple[()]:
        return ()


class Form(Body):
    """A body of documented fields. Null or blank text counts as not given."""

    @model_validator(mode="before")
    @classmethod
    def _given(cls, document: object) -> object:
        if not isinstance(document, dict):
            return document
        return {name: value for name, value in document.items() if not _is_blank(value)}


def _is_blank(value: object) -> bool:
    return value is None or (isinstance(value, str) and not value.strip())


def _printable(text: str) -> str:
    if not text.isprintable():
        raise PydanticCustomError("expected", "must consist of printable characters")
    return text


def _ascii(text: str) -> str:
    if not (text.isascii() and text.isprintable()):
        raise PydanticCustomError("expected", "must consist of printable ASCII characters")
    return text


# To follow the length in an annotation, so that what is too long is not looked at further.
PRINTABLE: Final = AfterValidator(_printable)
PRINTABLE_ASCII: Final = AfterValidator(_ascii)

Label = Annotated[str, StringConstraints(strip_whitespace=True, max_length=100), PRINTABLE]
