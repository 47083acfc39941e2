"""The case files: given a store and upstreams, this request gets this answer (format: ``cases/README.md``)."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import yaml

FOLDER = Path(__file__).parent / "cases"

_AGO = re.compile(r"now(?:([+-]\d+)([smhd]))?")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


@dataclass(frozen=True)
class Trend:
    """``!trend``: the monthly buckets from ``since`` to now, from when each item was created."""

    since: str
    deployments: list[str] = field(default_factory=list)
    skills: list[str] = field(default_factory=list)
    tasks: list[str] = field(default_factory=list)


class _Loader(yaml.CSafeLoader):
    pass


def _trend(loader: yaml.CSafeLoader, node: yaml.MappingNode) -> Trend:
    return Trend(**{str(key): value for key, value in loader.construct_mapping(node, deep=True).items()})


_Loader.add_constructor("!trend", _trend)


@dataclass(frozen=True)
class Step:
    """One request, its answer and what it did; ``status`` holds the statuses that are right.

    What is ``...`` is not looked at, and not sent.
    """

    method: str
    target: str
    who: str | None
    by: str
    client: str | None
    headers: dict[str, str]
    content: str
    send: Any
    status: tuple[int, ...]
    tells: dict[str, str | None]
    body: Any
    contains: Any
    events: Any
    never: list[str]
    asked: Any
    left: dict[str, Any]
    remember: dict[str, str]


@dataclass(frozen=True)
class Case:
    name: str
    store: Any
    upstreams: dict[str, Any]
    settings: dict[str, Any]
    steps: list[Step]


def load() -> Iterator[Case]:
    """Return the cases of all files, named ``file: name``."""
    for file in sorted(FOLDER.glob("*.yaml")):
        page = yaml.load(file.read_text(encoding="utf-8"), _Loader)
        for given in page.pop("cases"):
            yield case_of(file.stem, page, dict(given))


def case_of(file: str, page: Mapping[str, Any], given: dict[str, Any]) -> Case:
    """Return the case that ``given`` describes on top of what ``page`` says for all. ``given`` is used up."""
    name = given.pop("name")
    store = given.pop("store", {})
    upstreams = page.get("upstreams", {}) | given.pop("upstreams", {})
    settings = merged(page.get("settings", {}), given.pop("settings", {}))
    steps = given.pop("steps", None) or [given]
    return Case(
        name=f"{file}: {name}",
        store=store if store == "down" else page.get("store", {}) | store,
        upstreams=upstreams,
        settings=settings,
        steps=[_step(dict(step)) for step in steps],
    )


def _step(given: dict[str, Any]) -> Step:
    method, target = given.pop("ask").split(" ", 1)
    status = given.pop("status")
    step = Step(
        method=method,
        target=target,
        who=given.pop("as", None),
        by=given.pop("by", "cookie"),
        client=given.pop("from", None),
        headers=given.pop("headers", {}),
        content=given.pop("content", ""),
        send=given.pop("send", ...),
        status=tuple(status) if isinstance(status, list) else (status,),
        tells=given.pop("tells", {}),
        body=given.pop("body", ...),
        contains=given.pop("contains", ...),
        events=given.pop("events", ...),
        never=given.pop("never", []),
        asked=given.pop("asked", ...),
        left=given.pop("left", {}),
        remember=given.pop("remember", {}),
    )
    assert not given, f"unknown keys: {', '.join(given)}"
    assert step.send is ... or not step.content, "either send or content"
    return step


def merged(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Return both, ``above`` where both have a value, at every depth."""
    both = {
        name: merged(below[name], value)
        for name, value in above.items()
        if isinstance(value, dict) and isinstance(below.get(name), dict)
    }
    return {**below, **above, **both}


def moment(text: str, now: datetime) -> datetime | None:
    """Return the time that ``now-3d`` means, None for any other text."""
    match = _AGO.fullmatch(text)
    if match is None:
        return None
    return now + timedelta(**{_UNITS[match[2]]: int(match[1])}) if match[1] else now
