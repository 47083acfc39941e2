"""``bff plans``: the plans as a person reads them."""

from collections.abc import Iterator, Sequence
from typing import Any

from bff.plans.plan import Plan, Source

_LEGEND = "Kept: fresh / after that stale while revalidated / at most this old when a required source fails."


def listing(plans: Sequence[Plan[Any]]) -> str:
    """Return each plan with its sources, what stands in for them, and its times in seconds."""
    lines = [line for plan in plans for line in _plan(plan)]
    return "\n".join([*lines, _LEGEND])


def _plan(plan: Plan[Any]) -> Iterator[str]:
    keep = plan.keep
    yield f"{plan.name}  GET {plan.path}  (document {plan.document})"
    yield (
        f"    asked by {plan.access.value}; shared by {plan.shared_by.value}; deadline {plan.deadline:g} s; "
        f"kept {keep.fresh:g}/{keep.stale:g}/{keep.on_error:g} s"
    )
    for source in plan.sources:
        need = "required" if source.required else "optional"
        shared = f", shared {source.shared.fresh:g} s" if source.shared else ""
        yield f"    {source.upstream:<11}{need + shared:<23}else {_stand_in(plan, source)}"
    yield ""


def _stand_in(plan: Plan[Any], source: Source[Any]) -> str:
    if not source.required:
        return source.stands_in
    kept = "a kept copy, else " if plan.keep.on_error else ""
    return kept + ("the documented zeros" if plan.fallback else "500")
