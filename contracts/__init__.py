"""The documented answers: one module per documented page, models and nothing else."""
