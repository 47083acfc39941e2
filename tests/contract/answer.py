"""What is wrong with an answer."""

import json
from collections.abc import Iterator
from typing import Any

import httpx

from tests.contract.case import Step
from tests.contract.expect import Expectation


def in_answer(step: Step, answer: httpx.Response, expectation: Expectation) -> Iterator[str]:
    """Return where ``answer``, which has been read, is not what the step expects."""
    if answer.status_code not in step.status:
        yield f"status: expected {step.status}, got {answer.status_code}"
    for name, expected in step.tells.items():
        told = answer.headers.get(name)
        if (told is None) != (expected is None) or (told and expected and not expectation.text(expected, told)):
            yield f"{name}: expected {expected}, got {told}"
    yield from _in_body(step, answer, expectation)
    yield from (f"says {text}" for text in step.never if text in everything(answer))


def _in_body(step: Step, answer: httpx.Response, expectation: Expectation) -> Iterator[str]:
    expected, partly = (step.body, False) if step.body is not ... else (step.contains, True)
    try:
        if step.events is not ...:
            yield from expectation.differences(step.events, events_of(answer), "events")
        elif expected is None:
            yield from () if answer.content == b"" else ("body: expected none",)
        elif expected is not ...:
            yield from expectation.differences(expected, answer.json(), partly=partly)
    except ValueError as error:
        yield f"body: {error}"


def events_of(answer: httpx.Response) -> list[dict[str, Any]]:
    """Return the server-sent events (WHATWG HTML, 9.2), their data being JSON. Raises ValueError."""
    *blocks, rest = answer.text.split("\n\n")
    if rest:
        raise ValueError(f"an event without its end: {rest}")
    return [_event(block) for block in blocks]


def _event(block: str) -> dict[str, Any]:
    (name, kind), (data_name, data) = (line.split(": ", 1) for line in block.split("\n"))
    if (name, data_name) != ("event", "data"):
        raise ValueError(f"not an event and its data: {block}")
    return {"event": kind, "data": json.loads(data)}


def everything(answer: httpx.Response) -> str:
    return f"{answer.headers.raw}{answer.text}"


def found(path: str, answer: httpx.Response) -> str:
    """Return what is at ``body.agent.id``, or ``events.-1.data.reply``, as text. Raises LookupError."""
    root, *names = path.split(".")
    value: Any = {"body": answer.json, "events": lambda: events_of(answer)}[root]()
    for name in names:
        value = value[int(name) if isinstance(value, list) else name]
    return str(value)
