"""An endpoint is a plan and a pure merge: what a plan is, and how its sources are asked."""

from bff.plans.plan import (
    Access,
    Ask,
    Caller,
    Got,
    Keep,
    NoQuery,
    Plan,
    Refused,
    Scope,
    Shared,
    Source,
    optional,
    required,
)

__all__ = [
    "Access",
    "Ask",
    "Caller",
    "Got",
    "Keep",
    "NoQuery",
    "Plan",
    "Refused",
    "Scope",
    "Shared",
    "Source",
    "optional",
    "required",
]
