"""The documented answers: one module per documented page, models and nothing else."""

from contracts._base import Document

__all__ = ["Document"]
