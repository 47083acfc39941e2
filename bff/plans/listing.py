"""``bff plans``: the plans and actions as a person reads them."""

from collections.abc import Iterator, Sequence
from typing import Any

from bff.plans.action import AnyAction
from bff.plans.operation import Operation
from bff.plans.plan import NOT_KEPT, Plan, Source

_LEGEND = "Kept: fresh / after that stale while revalidated / at most this old when a required source fails."


def listing(plans: Sequence[Plan[Any]], actions: Sequence[AnyAction]) -> str:
    """Return each plan with its sources, what stands in for them, and its times in seconds; then the actions."""
    lines = [line for plan in plans for line in _plan(plan)]
    done = [line for action in actions for line in _action(action)]
    return "\n".join([*lines, *done, _LEGEND])


def _head(operation: Operation[Any], method: str) -> str:
    action = f"?action={operation.action}" if operation.action else ""
    return f"{operation.name}  {method} {operation.path}{action}  (document {operation.document})"


def _plan(plan: Plan[Any]) -> Iterator[str]:
    keep = plan.keep
    kept = "not kept" if keep == NOT_KEPT else f"kept {keep.fresh:g}/{keep.stale:g}/{keep.on_error:g} s"
    yield _head(plan, "GET")
    yield (
        f"    asked by {plan.access.value}; shared by {plan.shared_by.value}; deadline {plan.deadline:g} s; {kept}"
    )
    if plan.subject:
        yield f"    {plan.subject.upstream:<11}{'first':<23}else {plan.subject.refusal[0]}"
    for source in plan.sources:
        need = "required" if source.required else "optional"
        shared = f", shared {source.shared.fresh:g} s" if source.shared else ""
        yield f"    {source.upstream:<11}{need + shared:<23}else {_stand_in(plan, source)}"
    yield ""


def _stand_in(plan: Plan[Any], source: Source[Any]) -> str:
    if not source.required:
        return source.stands_in
    kept = "a kept copy, else " if plan.keep.on_error else ""
    return kept + (
        "the documented zeros" if plan.fallback else str(plan.failed_by.get(source.upstream, (500,))[0])
    )


def _action(action: AnyAction) -> Iterator[str]:
    yield _head(action, action.method)
    first = f"user_store first, else {action.subject.refusal[0]}; " if action.subject else ""
    asks = f"asks {', '.join(action.asks)} at most once" if action.asks else "asks nobody"
    yield f"    asked by {action.access.value}; {first}{asks}"
    if action.changes:
        yield f"    changes {', '.join(action.changes)}"
    yield ""
