"""The documented bodies and answers: one module per documented page, models and nothing else."""

from contracts._base import Body, Document, iso_milliseconds
from contracts._problems import problem

__all__ = ["Body", "Document", "iso_milliseconds", "problem"]
