"""What the upstreams heard: the names a case has for a request, and whether they heard just what it expects."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import parse_qs

import httpx

from tests.contract.expect import Expectation


def names_of_request(request: httpx.Request, host: str = "") -> list[str]:
    """Return what ``request`` may be called, the most specific name last.

    ``POST /path``, then with its query, or with the tool that it invokes, or with that and the session that
    the tool is to look at. ``host`` comes before the path.
    """
    path, _, query = request.url.raw_path.decode("ascii").partition("?")
    names = [" ".join(filter(None, (request.method, host, path)))]
    if query:
        names.append(f"{names[0]}?{query}")
    for word in _invoked(request.content):
        names.append(f"{names[-1]} {word}")
    return names


def _invoked(content: bytes) -> Iterator[str]:
    try:
        body = json.loads(content)
    except ValueError:
        return
    if isinstance(body, dict) and "tool" in body:
        yield body["tool"]
        if "sessionKey" in body.get("args", {}):
            yield body["args"]["sessionKey"]


def in_asked(asked: Any, heard: Sequence[httpx.Request], expectation: Expectation) -> Iterator[str]:
    """Return where ``heard`` is not ``asked``: each of these and no others, in whatever order."""
    if asked is ...:
        return
    left = list(heard)
    for line, parts in _wanted(asked):
        named = [each for each in left if _is_named(line, each, expectation)]
        problems = {each: list(_in_parts(parts, each, expectation)) for each in named}
        if not named:
            yield f"asked: nothing like {line}"
        elif right := [each for each, wrong in problems.items() if not wrong]:
            left.remove(right[0])
        else:
            yield from problems[named[0]]
            left.remove(named[0])
    yield from (f"asked: {name_of_request(each)} too" for each in left)


def name_of_request(request: httpx.Request) -> str:
    return names_of_request(request, request.url.host)[-1]


def _wanted(asked: Any) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for each in () if asked == "nothing" else asked if isinstance(asked, list) else [asked]:
        yield from each.items() if isinstance(each, dict) else [(each, {})]


def _is_named(line: str, request: httpx.Request, expectation: Expectation) -> bool:
    return any(expectation.text(line, name) for name in names_of_request(request, request.url.host))


def _in_parts(parts: Mapping[str, Any], request: httpx.Request, expectation: Expectation) -> Iterator[str]:
    at = f"asked {name_of_request(request)}"
    assert not parts.keys() - {"query", "headers", "body", "contains"}, f"unknown parts: {parts}"
    if "query" in parts:
        yield from expectation.differences(parts["query"], _query(request), f"{at}: query")
    for name, expected in parts.get("headers", {}).items():
        actual = request.headers.get(name)
        yield from expectation.differences(expected, actual, f"{at}: {name}")
    for part in parts.keys() & {"body", "contains"}:
        actual = json.loads(request.content) if request.content else None
        yield from expectation.differences(parts[part], actual, f"{at}: body", partly=part == "contains")


def _query(request: httpx.Request) -> dict[str, str | list[str]]:
    parameters = parse_qs(request.url.query.decode("ascii"), keep_blank_values=True)
    return {name: values[0] if len(values) == 1 else values for name, values in parameters.items()}
