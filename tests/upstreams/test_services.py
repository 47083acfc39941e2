"""What the monitored services say of themselves."""

import httpx
import pytest

from tests.upstreams.answers import Upstream, captured, json_answer
from upstreams.pipe import Pipe, Policy
from upstreams.services import Service, Services, ServiceStatus


def services(upstream, *hosts):
    pipe = Pipe("services", Policy(retries=0), upstream)
    return Services(pipe, [Service.parse(host, f"http://{host}/health") for host in hosts])


async def status(answer):
    [one] = await services(Upstream(answer), "api").probe_all()
    assert one.name == "api"
    return one.status, one.detail


@pytest.mark.parametrize(
    ("answer", "detail"),
    [
        (captured("agentbot-backend/health"), "ok"),
        (json_answer({"status": "live"}), "live"),
        (json_answer({"status": "ready"}, status=204), "ready"),
        (json_answer({"status": "w" * 100}), "w" * 100),
        (json_answer({"status": "w" * 101}), "ok"),
        (json_answer({"status": ""}), "ok"),
        (json_answer({"status": "a\nb"}), "ok"),
        (json_answer({"status": 1}), "ok"),
        (json_answer({"status": None}), "ok"),
        (json_answer(["live"]), "ok"),
        (httpx.Response(200), "ok"),
        (httpx.Response(200, content=b"OK"), "ok"),
        (httpx.Response(200, content=b'{"status": "\xff"}'), "ok"),
        (httpx.Response(200, content=b"[" * 10_000), "ok"),
        (captured("openclaw/root-2026.4.2"), "ok"),
    ],
    ids=lambda case: case if isinstance(case, str) else str(case.content[:30]),
)
async def test_any_2xx_is_ok_in_its_own_word_if_it_has_a_short_one(answer, detail):
    assert await status(answer) == ("ok", detail)


@pytest.mark.parametrize(
    ("answer", "detail"),
    [
        (json_answer({"status": "ok"}, status=502), "HTTP 502"),
        (captured("agentbot-backend/agent-get-404"), "HTTP 404"),
        (captured("agentbot-backend/rate-limited"), "HTTP 429"),
        (httpx.Response(302, headers={"location": "http://elsewhere"}), "HTTP 302"),
    ],
    ids=str,
)
async def test_any_other_status_is_degraded(answer, detail):
    assert await status(answer) == ("degraded", detail)


@pytest.mark.parametrize(
    ("answer", "detail"),
    [
        (httpx.ConnectError("http://secret.internal refused"), "refused"),
        (httpx.ReadError("gone"), "reset"),
        (httpx.ReadTimeout("late"), "timeout"),
    ],
    ids=repr,
)
async def test_no_answer_is_down_for_a_short_reason(answer, detail):
    assert await status(answer) == ("down", detail)


async def test_each_on_its_own_in_the_configured_order():
    upstream = Upstream(json_answer({"status": "fine"}), httpx.ConnectError("no"), httpx.Response(500))
    assert await services(upstream, "a", "b", "c").probe_all() == (
        ServiceStatus("a", "ok", "fine"),
        ServiceStatus("b", "down", "refused"),
        ServiceStatus("c", "degraded", "HTTP 500"),
    )
    assert [str(request.url) for request in upstream.requests] == [f"http://{host}/health" for host in "abc"]


async def test_no_services_are_none():
    assert await services(Upstream()).probe_all() == ()
