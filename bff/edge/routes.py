"""From operations to routes: what has one path is found by its method, and by ``?action=``."""

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

from starlette.routing import Route
from starlette.types import ASGIApp

from bff.auth.doors import Door
from bff.edge.action_endpoint import ActionEndpoint, Tools
from bff.edge.dispatch import ByAction, ByMethod
from bff.edge.gone import Gone
from bff.edge.plan_endpoint import PlanEndpoint
from bff.plans.action import AnyAction
from bff.plans.operation import Access
from bff.plans.plan import Plan

Doors = Mapping[Access, Door]

T = TypeVar("T")
K = TypeVar("K", bound=Hashable)


class Routes:
    """``direct`` are the applications that answer GET by exact path, ``kept`` those of them that keep answers."""

    def __init__(self, doors: Doors, tools: Tools) -> None:
        self._doors = doors
        self._tools = tools
        self._by_path: defaultdict[str, dict[str, ASGIApp]] = defaultdict(dict)
        self.kept: dict[str, PlanEndpoint] = {}

    def add_plans(self, plans: Sequence[Plan[Any]]) -> None:
        for path, sharing in _grouped(plans, lambda plan: plan.path).items():
            endpoints = {plan.action: self._plan(plan) for plan in sharing}
            only = endpoints[None] if len(endpoints) == 1 else None
            self._by_path[path]["GET"] = only or ByAction(endpoints)
            if only is not None and sharing[0].keep.fresh:
                self.kept[path] = only

    def add_actions(self, actions: Sequence[AnyAction]) -> None:
        for (method, path), sharing in _grouped(actions, lambda action: (action.method, action.path)).items():
            self._by_path[path][method] = ActionEndpoint(sharing, self._doors[sharing[0].access], self._tools)

    def add_gone(self, gone: Sequence[Gone]) -> None:
        for each in gone:
            self._by_path[each.path][each.method] = each

    @property
    def direct(self) -> dict[str, ASGIApp]:
        return {path: apps["GET"] for path, apps in self._by_path.items() if "GET" in apps and "{" not in path}

    def routes(self) -> list[Route]:
        """Return the routes, exact paths before those with parameters."""
        paths = sorted(self._by_path, key=lambda path: "{" in path)
        return [Route(path, ByMethod(self._by_path[path])) for path in paths]

    def _plan(self, plan: Plan[Any]) -> PlanEndpoint:
        return PlanEndpoint(plan, self._doors[plan.access], self._tools.answers)


def _grouped(items: Iterable[T], key: Callable[[T], K]) -> dict[K, list[T]]:
    groups: defaultdict[K, list[T]] = defaultdict(list)
    for item in items:
        groups[key(item)].append(item)
    return groups
