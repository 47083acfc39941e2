"""The pretend agent management service: who may ask, and agents that change as they are told to."""

import hashlib
import hmac
import re
from urllib.parse import quote

import pytest

from demo.backend import Backend
from demo.limits import PerMinute
from demo.people import ADA, ADMIN, BACKEND_API_KEY, PEOPLE
from demo.upstream import Upstream

BEACON, CINDER = "agent_ada_beacon", "agent_ada_cinder"  # a running one of Ada's, and a stopped one
KEY = {"Authorization": f"Bearer {BACKEND_API_KEY}"}


def signed(user_id, email, role="user"):
    said = f"{user_id}:{email}:{role}".encode()
    signature = hmac.new(BACKEND_API_KEY.encode(), said, hashlib.sha256).hexdigest()
    identity = {"x-user-id": user_id, "x-user-email": email, "x-user-role": role, "x-user-signature": signature}
    return KEY | identity


AS_ADA = signed(ADA.id, ADA.email)
AS_ADMIN = signed(ADMIN.id, ADMIN.email, "admin")


@pytest.fixture
def ask(platform, client):
    async def request(path, method="GET", body=None, headers=AS_ADA):
        return await client.ask(platform.urls["backend"] + path, method, body, headers)

    return request


@pytest.fixture
async def limited():
    """Run a service that allows three requests a minute; give its URL and its clock."""
    now = [100.0]
    upstream = Upstream("backend", {}, Backend(PerMinute(3, lambda: now[0])), host="127.0.0.1", port=0)
    await upstream.open()
    yield upstream.url, now
    await upstream.close()


@pytest.mark.parametrize(
    ("name", "headers"),
    [
        ("agents-noauth", {}),
        ("agents-noauth", {"x-user-id": ADA.id}),
        ("agents-wrong-key", {"Authorization": "Bearer nope"}),
        ("agents-wrong-key", AS_ADA | {"Authorization": BACKEND_API_KEY}),
        ("metrics-historical-bearer-only", KEY),
        ("metrics-historical-badsig", AS_ADA | {"x-user-signature": "00"}),
        ("metrics-historical-badsig", AS_ADA | {"x-user-id": "user_bob"}),
        ("metrics-historical-badsig", AS_ADA | {"x-user-email": "bob@example.com"}),
        ("metrics-historical-badsig", AS_ADA | {"x-user-role": "admin"}),
        ("agent-get-owned", signed("user_bob", "bob@example.com")),
    ],
)
@pytest.mark.parametrize("path", ["", "/config", "/token", "/logs"])
async def test_who_may_not_ask_is_refused_as_captured(ask, capture, name, headers, path):
    real, pretended = (
        capture(f"agentbot-backend/{name}"),
        await ask(f"/api/agents/{BEACON}{path}", headers=headers),
    )
    assert (pretended.status, pretended.json) == (real.status, real.json)


async def test_an_admin_may_ask_for_any_agent(ask):
    assert (await ask(f"/api/agents/{BEACON}", headers=AS_ADMIN)).json["id"] == BEACON


async def test_an_agent_is_told_in_the_captured_shape(ask, capture):
    real, pretended = capture("agentbot-backend/agent-get-ok").json, (await ask(f"/api/agents/{BEACON}")).json
    assert list(pretended) == list(real)
    assert {name: type(value) for name, value in pretended.items()} == {
        name: type(value) for name, value in real.items()
    }
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z", pretended["startedAt"])
    assert (pretended["status"], pretended["plan"]) == ("active", "label")


@pytest.mark.parametrize(
    ("agent", "status"),
    [(agent, agent.status) for agent in ADA.agents],
    ids=lambda value: value if isinstance(value, str) else value.name,
)
async def test_seeded_agents_are_as_the_store_has_them(ask, agent, status):
    words = {"running": "active", "pending": "provisioning"}
    assert (await ask(f"/api/agents/{agent.id}")).json["status"] == words.get(status, status)


@pytest.mark.parametrize("person", [person for person in PEOPLE if person.instance_id], ids=lambda one: one.name)
async def test_everybody_has_the_instance_that_the_store_names(ask, person):
    found = await ask(f"/api/agents/{person.instance_id}", headers=signed(person.id, person.email))
    assert (found.status, found.json["status"]) == (200, "active")


async def test_an_agent_made_elsewhere_is_its_first_askers(ask, capture):
    assert (await ask("/api/agents/agent_brand_new")).json["status"] == "active"
    assert (await ask("/api/agents/agent_brand_new", headers=signed("user_bob", "b@example.com"))).status == 403


@pytest.mark.parametrize("agent_id", ["nope", "x" * 65, "agent%00_nul_byte", "agent%20with%20space"])
async def test_what_is_no_id_is_not_found_as_captured(ask, capture, agent_id):
    real, pretended = capture("agentbot-backend/agent-get-404"), await ask(f"/api/agents/{agent_id}")
    assert (pretended.status, pretended.json) == (real.status, real.json)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", f"/api/agents/{BEACON}/nothing"),
        ("POST", f"/api/agents/{BEACON}"),
        ("GET", f"/api/agents/{BEACON}/start"),
        ("GET", f"/api/agents/{BEACON}%2Fconfig%2Fx"),
        ("GET", "/api/provision"),
        ("GET", "/api/<script>"),
    ],
)
async def test_an_unknown_route_is_html_as_captured(ask, capture, method, path):
    real, pretended = capture("agentbot-backend/agent-config-get"), await ask(path, method)
    assert (pretended.status, pretended.headers["content-type"]) == (real.status, real.headers["content-type"])
    assert f"<pre>Cannot {method} /api/".encode() in pretended.body
    assert pretended.body.splitlines()[:7] == real.body.splitlines()[:7]
    assert b"<script>" not in pretended.body


@pytest.mark.parametrize("body", [b"{bad", b"\xff", b'"\\ud800"'])
async def test_a_body_that_is_no_json_is_answered_with_a_stack_trace(ask, capture, body):
    real, pretended = capture("agentbot-backend/job-provision-badjson"), await ask("/api/provision", "POST", body)
    assert (pretended.status, pretended.headers["content-type"]) == (real.status, real.headers["content-type"])
    assert b"SyntaxError" in pretended.body


@pytest.mark.parametrize(
    ("order", "before", "after"),
    [
        ("start", CINDER, "active"),
        ("stop", BEACON, "stopped"),
        ("restart", BEACON, "active"),
        ("update", CINDER, "active"),
        ("repair", "agent_ada_dune", "active"),
        ("reset-memory", CINDER, "stopped"),
    ],
)
async def test_an_order_is_answered_as_captured_and_changes_the_agent(ask, capture, order, before, after):
    real, pretended = (
        capture(f"agentbot-backend/{order}-ok"),
        await ask(f"/api/agents/{before}/{order}", "POST", {}),
    )
    told = {"image", "previousImage", "openclawVersion"}
    assert list(pretended.json) == list(real.json)
    assert {name: value for name, value in pretended.json.items() if name not in told} == {
        name: value for name, value in real.json.items() if name not in told
    }
    assert (await ask(f"/api/agents/{before}")).json["status"] == after


async def test_a_start_is_when_the_agent_started(ask):
    before = (await ask(f"/api/agents/{CINDER}")).json["startedAt"]
    await ask(f"/api/agents/{CINDER}/start", "POST", {})
    assert (await ask(f"/api/agents/{CINDER}")).json["startedAt"] > before


async def test_an_update_brings_the_latest_version(ask):
    assert (await ask(f"/api/agents/{BEACON}")).json["openclawVersion"] == "2026.4.2"
    await ask(f"/api/agents/{BEACON}/update", "POST", {})
    assert (await ask(f"/api/agents/{BEACON}")).json["openclawVersion"] == "latest"


async def test_a_configuration_is_replaced_but_for_the_token_of_the_service(ask):
    path = f"/api/agents/{BEACON}/config"
    assert (await ask(path)).json["gatewayToken"] == ADA.gateway_token
    wanted = {"model": "gpt-5.1", "deep": {"list": [1, None]}}
    put = await ask(path, "PUT", wanted)
    assert put.json == (await ask(path)).json == wanted | {"gatewayToken": ADA.gateway_token}
    assert (await ask(path, "PUT", [1])).status == 400


async def test_logs_are_newest_first_and_tell_what_happened(ask):
    await ask(f"/api/agents/{BEACON}/repair", "POST", {})
    page = (await ask(f"/api/agents/{BEACON}/logs?limit=2")).json
    assert [line["message"] for line in page["logs"]] == ["Agent repaired", "Agent started successfully"]
    assert page["total"] == 4
    assert set(page["logs"][0]) == {"id", "timestamp", "level", "message", "source", "agentId"}
    warnings = (await ask(f"/api/agents/{BEACON}/logs?level=warn")).json
    assert (warnings["total"], warnings["logs"]) == (1, page["logs"][:1])
    assert (await ask(f"/api/agents/{BEACON}/logs?level=nothing")).json == {"logs": [], "total": 0}


@pytest.mark.parametrize("limit", ["0", "101", "-1", "x", "\u0661"])
async def test_a_limit_is_from_one_to_a_hundred(ask, limit):
    assert (await ask(f"/api/agents/{BEACON}/logs?limit={quote(limit)}")).status == 400


async def test_a_verification_is_set_shown_and_removed_as_captured(ask, capture):
    path, wanted = f"/api/agents/{BEACON}", {"verificationType": "eas", "attestationUid": "0xabc"}
    assert (await ask(f"{path}/verification")).json == capture("agentbot-backend/verification").json

    made = await ask(f"{path}/verify", "POST", wanted)

    when = {"verifiedAt": made.json["verifiedAt"]}
    assert made.json == capture("agentbot-backend/verify-post").json | when
    shown, real = (await ask(f"{path}/verification")).json, capture("agentbot-backend/verification-after").json
    assert set(shown) == set(real)
    assert shown["metadata"]["authToken"]
    assert (await ask(path)).json["verified"] is True

    removed = await ask(f"{path}/verify", "DELETE")
    assert removed.json == capture("agentbot-backend/verify-delete").json
    assert (await ask(f"{path}/verification")).json == capture("agentbot-backend/verification").json


@pytest.mark.parametrize("body", [None, [], {}, {"verificationType": "passport"}])
async def test_an_unknown_kind_of_verification_is_refused(ask, body):
    assert (await ask(f"/api/agents/{BEACON}/verify", "POST", body)).status == 400


async def test_a_token_is_made_on_the_first_read_and_stays(ask):
    first, second = await ask(f"/api/agents/{BEACON}/token"), await ask(f"/api/agents/{BEACON}/token")
    assert first.json == second.json
    assert re.fullmatch("[0-9a-f]{64}", first.json["token"])
    assert (await ask(f"/api/agents/{CINDER}/token")).json != first.json


async def test_stats_are_of_a_running_container_alone(ask, capture):
    real, pretended = (
        capture("agentbot-backend/instance-stats-ok").json,
        await ask(f"/api/openclaw/instances/{BEACON}/stats"),
    )
    assert list(pretended.json) == list(real)
    assert {name: type(value) for name, value in pretended.json.items()} == {
        name: type(value) for name, value in real.items()
    }
    failing = capture("agentbot-backend/instance-stats-failing")
    stopped = await ask(f"/api/openclaw/instances/{CINDER}/stats")
    assert (stopped.status, stopped.json) == (failing.status, failing.json)


async def test_provisioning_makes_an_agent_and_a_live_stream(ask):
    wanted = {"telegramToken": "123:abc", "email": ADA.email, "plan": "pro"}
    first, second = [(await ask("/api/provision", "POST", wanted)).json for _ in range(2)]
    agent_id = first["userId"]
    assert first["success"] is True
    assert (first["subdomain"], first["url"]) == (
        f"{agent_id}.agents.localhost",
        f"https://{agent_id}.agents.localhost",
    )
    assert not {first[name] for name in ("userId", "streamKey", "liveStreamId")} & set(second.values())
    assert "123:abc" not in str(first)
    made = (await ask(f"/api/agents/{agent_id}")).json
    assert (made["status"], made["plan"]) == ("active", "pro")


@pytest.mark.parametrize("body", [None, [], {}, {"telegramToken": ""}, {"apiKey": "k"}])
async def test_provisioning_needs_a_channel(ask, body):
    assert (await ask("/api/provision", "POST", body)).status == 400


async def test_a_client_has_so_many_requests_a_minute(limited, client, capture):
    url, now = limited
    real = capture("agentbot-backend/rate-limited")
    statuses = [(await client.ask(f"{url}/api/agents/{BEACON}", headers=AS_ADA)).status for _ in range(3)]
    now[0] += 55.5
    refused = await client.ask(f"{url}/api/agents/{BEACON}", headers=AS_ADA)
    now[0] += 4.5
    again = await client.ask(f"{url}/api/agents/{BEACON}", headers=AS_ADA)

    assert statuses == [200, 200, 200]
    assert (refused.status, refused.json) == (real.status, real.json)
    assert refused.headers["retry-after"] == real.headers["retry-after"] == "5"
    assert again.status == 200


@pytest.mark.parametrize("kind", ["status", "malformed", "html"])
async def test_a_fault_answers_in_place_of_the_order(platform, client, ask, kind):
    fault = {kind: 500 if kind == "status" else True}
    await client.ask(f"{platform.control_url}/backend/__faults", "POST", fault)
    await ask(f"/api/agents/{BEACON}/stop", "POST", {})
    await client.ask(f"{platform.control_url}/backend/__faults", "DELETE")
    assert (await ask(f"/api/agents/{BEACON}")).json["status"] == "active"


async def test_an_answer_that_is_cut_off_is_of_an_order_carried_out(platform, client, ask):
    await client.ask(f"{platform.control_url}/backend/__faults", "POST", {"truncated": True})
    await ask(f"/api/agents/{BEACON}/stop", "POST", {})
    await client.ask(f"{platform.control_url}/backend/__faults", "DELETE")
    assert (await ask(f"/api/agents/{BEACON}")).json["status"] == "stopped"
