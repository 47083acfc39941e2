"""What the whole gateway, having no room for anybody, tells whom."""

import pytest

from bff.app import Gateway
from bff.configuration import validate
from bff.overload import CEILING
from tests.bff.edge.asgi import at_once, request

ORIGIN = "https://app.example.com"
SERVICE_UNAVAILABLE = {"error": "Service unavailable"}


@pytest.fixture
async def gateway():
    settings = {"upstreams": {"user_store": {"url": "sqlite+aiosqlite:////nowhere/store.db"}}}
    gateway = Gateway(validate({**settings, "auth": {"allowed_origins": [ORIGIN]}}))
    while gateway._limit.enter() is not None:
        pass
    yield gateway
    await gateway.close()


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "/api/dashboard/data", SERVICE_UNAVAILABLE),
        ("GET", "/api/agents/a1/logs", SERVICE_UNAVAILABLE),
        ("GET", "/api/models", {"error": {"code": "unavailable", "message": "Service unavailable"}}),
        ("GET", "/api/dashboard/overview", {"error": {"code": "unavailable", "message": "Service unavailable"}}),
        ("POST", "/api/chat", SERVICE_UNAVAILABLE),
        ("POST", "/api/instance/i1/start", {"success": False, "status": "error"}),
        ("POST", "/api/instance/i1/reset-memory", {"success": False, "status": "error"}),
        ("GET", "/nowhere", SERVICE_UNAVAILABLE),
    ],
)
async def test_a_refusal_has_the_shape_of_its_family(gateway, method, path, body):
    responses = [await request(gateway.public, path, method)]
    if method == "GET":
        responses.append(at_once(gateway.public, path, {}))
    for response in responses:
        assert (response.status, response.json, response.headers["retry-after"]) == (503, body, "2")


@pytest.mark.parametrize("path", ["/livez", "/readyz"])
async def test_both_ports_tell_whether_the_process_is_well(gateway, path):
    for app in (gateway.public, gateway.ops):
        assert (await request(app, path)).json["status"] in {"live", "not ready"}


async def test_a_browser_elsewhere_may_read_the_refusal(gateway):
    headers = {"Origin": ORIGIN}
    assert at_once(gateway.public, "/api/models", headers) is None
    response = await request(gateway.public, "/api/models", headers=headers)
    assert response.status == 503
    assert response.headers["access-control-allow-origin"] == ORIGIN
    assert "Retry-After" in response.headers["access-control-expose-headers"]
    assert response.headers["vary"] == "Origin"
    other = await request(gateway.public, "/api/models", headers={"Origin": "https://evil.example.com"})
    assert "access-control-allow-origin" not in other.headers


async def test_it_may_ask_whether_it_may_ask(gateway):
    headers = {"Origin": ORIGIN, "Access-Control-Request-Method": "POST"}
    assert (await request(gateway.public, "/api/chat", "OPTIONS", headers=headers)).status == 200


async def test_the_figures_tell_of_it(gateway):
    at_once(gateway.public, "/api/models", {})
    figures = gateway.metrics.render().decode().splitlines()
    assert "bff_shed_requests_total 1.0" in figures
    assert f"bff_requests_in_flight {CEILING}.0" in figures
    assert f"bff_concurrency_limit {CEILING}.0" in figures
