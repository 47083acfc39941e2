"""What all documented models share: camelCase names on the wire, timestamps in UTC with milliseconds."""

from datetime import UTC, datetime
from typing import Annotated

from pydantic import BaseModel, ConfigDict, PlainSerializer
from pydantic.alias_generators import to_camel


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
