"""The upstreams that a case describes, as one router: for both ways of running the case."""

import json
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import httpx
import respx

from tests.contract import clerk
from tests.contract.heard import names_of_request
from tests.contract.words import written_out

CAPTURES = Path(__file__).parents[1] / "captures"

_ALWAYS_THERE: dict[str, Any] = {"gateway": {}, "metrics": {}, "backend": {}}


def name_of(service: str) -> str:
    """Return the host that a monitored service has."""
    return service.lower().replace(" ", "-")


def names_of(state: dict[str, Any]) -> list[str]:
    """Return the upstreams by the hosts they have."""
    return list(_by_host(state))


def is_down(state: dict[str, Any], name: str) -> bool:
    return bool(_by_host(state)[name] == "down")


def _by_host(state: dict[str, Any]) -> dict[str, Any]:
    upstreams = {name: each for name, each in (_ALWAYS_THERE | state).items() if name != "services"}
    services = state.get("services", {})
    probed = {name_of(name): each if each == "down" else {"GET /health": each} for name, each in services.items()}
    if isinstance(upstreams.get("clerk"), dict):
        upstreams["clerk"] = clerk.answers_of(upstreams["clerk"])
    return upstreams | probed


def router_of(state: dict[str, Any], words: Mapping[str, str], heard: list[httpx.Request]) -> respx.Router:
    """Return what answers as ``state`` says, each upstream at ``http://<name>``; what it lacks is 404.

    ``words`` may grow, they are filled in when a request comes; the requests go to ``heard``.
    """
    router = respx.Router(assert_all_called=False)
    for host, answers in _by_host(state).items():
        if answers == "down":
            router.route(host=host).mock(side_effect=httpx.ConnectError("refused"))
        else:
            known = {} if answers == "not configured" else answers
            router.route(host=host).mock(side_effect=Upstream(known, words, heard))
    return router


class Upstream:
    """Gives one upstream's answers, which are by the names that requests have; of a list one after the other."""

    def __init__(self, answers: Mapping[str, Any], words: Mapping[str, str], heard: list[httpx.Request]) -> None:
        self._answers = answers
        self._words = words
        self._heard = heard
        self._given: Counter[str] = Counter()

    def __call__(self, request: httpx.Request) -> httpx.Response:
        """Raise httpx.ReadTimeout where it hangs and httpx.ReadError where it drops the connection."""
        self._heard.append(request)
        answers = written_out(self._answers, self._words)
        name = next((name for name in reversed(names_of_request(request)) if name in answers), None)
        if name is None:
            return httpx.Response(404, text="Not Found")
        answer = answers[name]
        if isinstance(answer, list):
            answer = answer[min(self._given[name], len(answer) - 1)]
            self._given[name] += 1
        return _answer(answer)


def _answer(given: Mapping[str, Any]) -> httpx.Response:
    if "capture" in given:
        return captured(given["capture"])
    if "sse" in given:
        return _streamed(given)
    _break_off(given)
    fields: dict[str, Any] = {"json": given["body"]} if "body" in given else {"text": given.get("text", "")}
    return httpx.Response(given.get("status", 200), headers=given.get("headers"), **fields)


def _streamed(given: Mapping[str, Any]) -> httpx.Response:
    async def stream() -> AsyncIterator[bytes]:
        for piece in given["sse"]:
            yield b"data: %b\n\n" % json.dumps({"choices": [{"delta": {"content": piece}}]}).encode()
        _break_off(given)
        yield b"data: [DONE]\n\n"

    return httpx.Response(200, headers={"Content-Type": "text/event-stream"}, content=stream())


def _break_off(given: Mapping[str, Any]) -> None:
    if given.get("hang"):
        raise httpx.ReadTimeout("hangs")
    if given.get("drop"):
        raise httpx.ReadError("dropped")


def captured(name: str) -> httpx.Response:
    """Return the answer that a real upstream once gave."""
    _, _, answer = (CAPTURES / f"{name}.http").read_text(encoding="utf-8").partition("\nHTTP/1.1 ")
    head, _, body = answer.partition("\n\n")
    status, *fields = head.splitlines()
    kept = [line.split(": ", 1) for line in fields]
    headers = [(key, value) for key, value in kept if key.lower() not in {"content-length", "transfer-encoding"}]
    return httpx.Response(int(status.split()[0]), headers=headers, content=body.strip().encode())
