"""Finding the operation where several have one path: by their method, and by ``?action=``."""

from collections.abc import Mapping
from typing import Final

from starlette.types import ASGIApp, Receive, Scope, Send

from bff.edge.errors import error_answer
from bff.edge.plan_endpoint import PlanEndpoint, bounded, parameters

OTHERWISE: Final = "*"


class ByMethod:
    """``apps`` by method; GET answers HEAD too, and what the path does not have is 405 with ``Allow``."""

    def __init__(self, apps: Mapping[str, ASGIApp]) -> None:
        self._apps = dict(apps)
        if "GET" in apps:
            self._apps["HEAD"] = apps["GET"]
        self._otherwise = error_answer(405, "Method not allowed")
        self._otherwise.headers.append((b"allow", ", ".join(sorted(self._apps)).encode()))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._apps.get(scope["method"], self._otherwise)(scope, receive, send)


class ByAction:
    """Plans by their ``action``: None is that of a request without one, ``*`` that of any other."""

    def __init__(self, plans: Mapping[str | None, PlanEndpoint]) -> None:
        self._plans = plans

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        action = parameters(bounded(scope["query_string"])).get("action") or None
        plan = self._plans.get(action) or self._plans[OTHERWISE]
        await plan(scope, receive, send)
