"""Whether an answer is one that the documents have for this operation in this weather."""

import json
from dataclasses import replace
from typing import Any, Final

from bff.plans import Access, Action, Operation, Plan
from tests.faults.documented import FAILED, LIFECYCLE, ORDERS, UNAVAILABLE, failed
from tests.soak.ledger import Kind, Wrong
from tests.soak.wire import Answer

Wrongs = list[tuple[Wrong, str]]

_ASKED_FIRST: Final = {
    Access.ANYONE: (),
    Access.SESSION: ("user_store",),
    Access.OWNER: ("user_store",),
    Access.ADMIN: ("user_store",),
    Access.MEMBER: ("clerk",),
    Access.CODEX: ("codex",),
}

# What tests/faults/documented.py does not have: the dashboards whose sessions are not the platform's.
_ELSEWHERE: Final[dict[str, list[tuple[int, Any]]]] = {
    "dashboard.getStats": [(500, {"error": "Internal Server Error"})],
    "codex.overview": [(502, {"error": {"code": "upstream_error", "message": "codex-lb is unavailable"}})],
    "codex.models": [(502, {"error": {"code": "upstream_error", "message": "codex-lb is unavailable"}})],
}
_TOO_OFTEN: Final = ({"error": "Too many requests"}, {"error": "Too many requests at once"})
_OF_THIS_ANSWER: Final = ("details", "responseTime")


def upstreams(operation: Operation[Any]) -> frozenset[str]:
    """Return the upstreams that the operation asks, to find out who is asking too."""
    asked = set(_ASKED_FIRST[operation.access])
    if operation.subject is not None:
        asked.add(operation.subject.upstream)
    if isinstance(operation, Plan):
        asked.update(source.upstream for source in operation.sources)
    if isinstance(operation, Action):
        asked.update(operation.asks)
    return frozenset(asked)


def judge(
    operation: Operation[Any],
    answer: Answer,
    hurt: frozenset[str],
    refusals: frozenset[int] = frozenset(),
) -> tuple[Kind, Wrongs]:
    """Return what kind of answer it is, and what is wrong with it.

    ``hurt`` is what was in trouble while it was made, ``refusals`` are the 4xx that the question asks for.
    """
    if answer.status >= 500:
        return _failure(operation, answer, hurt)
    if answer.status >= 400:
        return _refusal(operation, answer, refusals)
    content_type = answer.headers.get("content-type", "")
    if content_type.startswith("text/event-stream"):
        return _stream(operation, answer, hurt)
    if answer.status != 304 and _body(answer) is None:
        return _undocumented(operation, answer)
    return _success(operation, answer, hurt)


def missing(answer: Answer) -> frozenset[str]:
    """Return the upstreams that it says it had to do without."""
    degraded = answer.headers.get("bff-degraded", "")
    return frozenset(entry.strip().partition(";")[0] for entry in degraded.split(",")) - {""}


def last_event(content: bytes) -> tuple[str, bytes]:
    """Return the name and the data of the last event of a stream, empty ones of what is no stream."""
    name, _, data = content.removesuffix(b"\n\n").rpartition(b"\n\n")[2].partition(b"\n")
    return name.removeprefix(b"event: ").decode("latin-1"), data.removeprefix(b"data: ")


def _stream(operation: Operation[Any], answer: Answer, hurt: frozenset[str]) -> tuple[Kind, Wrongs]:
    name, data = last_event(answer.body)
    if name == "done":
        return Kind.COMPLETE, []
    status = 500 if name == "error" else answer.status
    return _failure(operation, replace(answer, status=status, body=data), hurt)


def _success(operation: Operation[Any], answer: Answer, hurt: frozenset[str]) -> tuple[Kind, Wrongs]:
    if without := missing(answer):
        told = f"{operation.name}: {answer.headers['bff-degraded']}"
        return Kind.DEGRADED, [] if without & _with_queue(hurt) else [(Wrong.UNEXPLAINED, told)]
    is_stale = answer.headers.get("cache-status", "").endswith("detail=stale")
    return Kind.STALE if is_stale else Kind.COMPLETE, []


def _refusal(operation: Operation[Any], answer: Answer, refusals: frozenset[int]) -> tuple[Kind, Wrongs]:
    is_quota = isinstance(operation, Action) and operation.quota is not None and answer.status == 429
    if is_quota and _body(answer) in _TOO_OFTEN and "retry-after" in answer.headers:
        return Kind.REFUSED, []
    if answer.status in refusals and _is_error(operation, _body(answer)):
        return Kind.REFUSED, []
    return _undocumented(operation, answer)


def _failure(operation: Operation[Any], answer: Answer, hurt: frozenset[str]) -> tuple[Kind, Wrongs]:
    body = _body(answer)
    documented = (answer.status, body) in _documented(operation) or _is_unavailable(operation, answer, body)
    if documented and upstreams(operation) & hurt:
        return Kind.FAILED, []
    if _is_unavailable(operation, answer, body) and "user_store" in hurt:
        return Kind.FAILED, []
    return _undocumented(operation, answer)


def _with_queue(hurt: frozenset[str]) -> frozenset[str]:
    """Return what may be missing: where the store is slow, nobody is let in to the queue for it."""
    return hurt | {"bff"} if "user_store" in hurt else hurt


def _documented(operation: Operation[Any]) -> list[tuple[int, Any]]:
    if operation.name in _ELSEWHERE:
        return _ELSEWHERE[operation.name]
    asked = [name for name in upstreams(operation) if operation.name in FAILED or name == "backend"]
    unknown = (False, True) if isinstance(operation, Action) else (False,)
    return [failed(operation.name, name, unknown=each) for name in asked for each in unknown]


def _is_unavailable(operation: Operation[Any], answer: Answer, body: Any) -> bool:
    """Return whether it is the 503 of a request for which nobody can tell who is asking."""
    expected = LIFECYCLE if operation.name in ORDERS else UNAVAILABLE
    return answer.status == 503 and body == expected and answer.headers.get("retry-after", "").isdigit()


def _is_error(operation: Operation[Any], body: Any) -> bool:
    if operation.name in ORDERS:
        return bool(body == LIFECYCLE)
    return isinstance(body, dict) and bool(body.get("error"))


def _body(answer: Answer) -> Any:
    """Return the JSON value without what describes this very answer, None for what is no JSON."""
    try:
        body = json.loads(answer.body)
    except ValueError:
        return None
    if isinstance(body, dict):
        return {name: value for name, value in body.items() if name not in _OF_THIS_ANSWER}
    return body


def _undocumented(operation: Operation[Any], answer: Answer) -> tuple[Kind, Wrongs]:
    told = f"{operation.name}: {answer.status} {answer.body[:200]!r}"
    return Kind.UNDOCUMENTED, [(Wrong.UNDOCUMENTED, told)]
