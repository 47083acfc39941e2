"""An endpoint is a plan and a pure merge, or an action: what they are, and how a plan's sources are asked."""

from bff.plans.action import Action, AnyAction, Order, Quota
from bff.plans.operation import (
    Access,
    Ask,
    Caller,
    CookieHolder,
    Member,
    NoQuery,
    Operation,
    Query,
    Refused,
    Shape,
    Subject,
    error_shape,
)
from bff.plans.plan import NOT_KEPT, Got, Keep, Plan, Scope, Shared, Source, optional, required

__all__ = [
    "NOT_KEPT",
    "Access",
    "Action",
    "AnyAction",
    "Ask",
    "Caller",
    "CookieHolder",
    "Got",
    "Keep",
    "Member",
    "NoQuery",
    "Operation",
    "Order",
    "Plan",
    "Query",
    "Quota",
    "Refused",
    "Scope",
    "Shape",
    "Shared",
    "Source",
    "Subject",
    "error_shape",
    "optional",
    "required",
]
