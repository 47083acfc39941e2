"""Starting, stopping and mending an agent (document 004, "Agent lifecycle")."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from bff.clients import Clients
from bff.endpoints.instances import BACKEND_DOWN, running
from bff.endpoints.owned import INSTANCE, InstanceQuery, actor
from bff.plans import Access, Action, AnyAction, Order
from contracts import Document, instances
from upstreams.backend import LifecycleAction
from upstreams.failure import Reason, UpstreamFailure

Perform = Callable[[Clients, Order[InstanceQuery, None]], Awaitable[Document]]

CHANGES: Final = ("dashboard.data", "dashboard.analytics", "dashboard.cost", "dashboard.stats")


def _shape(status: int, message: str, fields: Mapping[str, object]) -> Mapping[str, object]:  # noqa: ARG001
    """Return the one shape of all their failures (document 004, "Lifecycle error responses")."""
    return {"success": False, "status": "error"}


def _changing(word: LifecycleAction) -> AnyAction:
    """Return the operation after which the agent has another status."""

    async def perform(up: Clients, order: Order[InstanceQuery, None]) -> instances.LifecycleStatus:
        done = await up.backend.lifecycle(actor(order), order.query.instance_id, word)
        if done.status is None:
            raise UpstreamFailure("backend", Reason.MALFORMED, unsafe=True)
        return instances.LifecycleStatus(status=running(done.status))

    return _operation(word, instances.LifecycleStatus, perform)


def _mending(word: LifecycleAction, message: str) -> AnyAction:
    """Return the operation that tells what was done, with ``message`` if the backend has no words for it."""

    async def perform(up: Clients, order: Order[InstanceQuery, None]) -> instances.LifecycleMessage:
        done = await up.backend.lifecycle(actor(order), order.query.instance_id, word)
        return instances.LifecycleMessage(message=done.message or message)

    return _operation(word, instances.LifecycleMessage, perform)


def _operation(word: LifecycleAction, answer: type[Document], perform: Perform) -> AnyAction:
    return Action(
        f"instance.{word}",
        method="POST",
        path=f"/api/instance/{{instance_id}}/{word}",
        document="004",
        query=InstanceQuery,
        answer=answer,
        access=Access.OWNER,
        subject=INSTANCE,
        asks=("backend",),
        perform=perform,
        changes=CHANGES,
        failed="Internal server error",
        failed_by={"backend": BACKEND_DOWN},
        shape=_shape,
    )


LIFECYCLE: Final = (
    _changing("start"),
    _changing("stop"),
    _changing("restart"),
    _changing("update"),
    _mending("repair", "Agent repaired successfully"),
    _mending("reset-memory", "Memory reset successfully"),
)
