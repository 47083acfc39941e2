"""The case files: given a store and upstreams, this request gets this answer (format: ``cases/README.md``)."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import yaml

FOLDER = Path(__file__).parent / "cases"

_AGO = re.compile(r"now(?:([+-]\d+)([smhd]))?")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
_SIZE = re.compile(r"<(\d+) KB>")


@dataclass(frozen=True)
class Trend:
    """``!trend``: the monthly buckets from ``since`` to now, from when each item was created."""

    since: str
    deployments: list[str] = field(default_factory=list)
    skills: list[str] = field(default_factory=list)
    tasks: list[str] = field(default_factory=list)


class _Loader(yaml.SafeLoader):
    pass


def _trend(loader: yaml.SafeLoader, node: yaml.MappingNode) -> Trend:
    return Trend(**{str(key): value for key, value in loader.construct_mapping(node, deep=True).items()})


_Loader.add_constructor("!trend", _trend)


@dataclass(frozen=True)
class Step:
    """One request and its answer; ``status`` holds the statuses that are right."""

    method: str
    target: str
    who: str | None
    by: str
    headers: dict[str, str]
    content: str
    status: tuple[int, ...]
    tells: dict[str, str | None]
    body: Any
    contains: Any
    never: list[str]


@dataclass(frozen=True)
class Case:
    name: str
    store: Any
    upstreams: dict[str, Any]
    steps: list[Step]


def load() -> Iterator[Case]:
    """Return the cases of all files, named ``file: name``."""
    for file in sorted(FOLDER.glob("*.yaml")):
        page = yaml.load(file.read_text(encoding="utf-8"), _Loader)
        for given in page.pop("cases"):
            yield _case(file.stem, page, dict(given))


def _case(file: str, page: dict[str, Any], given: dict[str, Any]) -> Case:
    name = given.pop("name")
    store = given.pop("store", {})
    upstreams = page.get("upstreams", {}) | given.pop("upstreams", {})
    steps = given.pop("steps", None) or [given]
    return Case(
        name=f"{file}: {name}",
        store=store if store == "down" else page.get("store", {}) | store,
        upstreams=upstreams,
        steps=[_step(dict(step)) for step in steps],
    )


def _step(given: dict[str, Any]) -> Step:
    method, target = expand(given.pop("ask")).split(" ", 1)
    status = given.pop("status")
    step = Step(
        method=method,
        target=target,
        who=given.pop("as", None),
        by=given.pop("by", "cookie"),
        headers={name: expand(value) for name, value in given.pop("headers", {}).items()},
        content=given.pop("content", ""),
        status=tuple(status) if isinstance(status, list) else (status,),
        tells=given.pop("tells", {}),
        body=given.pop("body", ...),
        contains=given.pop("contains", ...),
        never=given.pop("never", []),
    )
    assert not given, f"unknown keys: {', '.join(given)}"
    return step


def expand(text: str) -> str:
    """Return ``text`` with ``<20 KB>`` written out."""
    return _SIZE.sub(lambda size: "x" * (int(size[1]) * 1024), text)


def moment(text: str, now: datetime) -> datetime | None:
    """Return the time that ``now-3d`` means, None for any other text."""
    match = _AGO.fullmatch(text)
    if match is None:
        return None
    return now + timedelta(**{_UNITS[match[2]]: int(match[1])}) if match[1] else now
