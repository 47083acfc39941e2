"""Faults are set, shown and cleared, and end by themselves when they are told to."""

import asyncio
import time

import pytest

from demo.faults import NAMES
from demo.people import ADA


async def test_faults_are_shown_set_and_cleared(platform, client, gateway):
    switch = gateway + "/__faults"
    none, some = {"upstream": "gateway", "faults": {}}, {"upstream": "gateway", "faults": {"status": 503}}

    assert (await client.ask(switch)).json == none
    assert (await client.ask(switch, "POST", {"status": 503})).json == some
    assert (await client.ask(switch)).json == some
    assert (await client.ask(switch, "DELETE")).json == none
    assert (await client.ask(switch, "POST", {"status": 503})).json == some
    assert (await client.ask(switch, "POST", {})).json == none
    assert (await client.ask(switch, "PUT", {})).status == 405
    assert (await client.ask(gateway + "/healthz")).status == 200


async def test_the_control_port_lists_the_upstreams_and_their_faults(platform, client, fault):
    await fault(latency=0.5, html=True)

    listed = (await client.ask(platform.control_url)).json

    assert {name: one["url"] for name, one in listed.items()} == platform.urls
    assert listed["gateway"]["faults"] == {"latency": 0.5, "html": True}
    assert listed["metrics"]["faults"] == {}
    assert (await client.ask(platform.control_url + "/nobody/__faults", "POST", {})).status == 404


@pytest.mark.parametrize(
    ("body", "named"),
    [
        ({"explode": True}, "explode"),
        ({"hang": "yes"}, "hang"),
        ({"status": 99}, "status"),
        ({"status": "500"}, "status"),
        ({"latency": -1}, "latency"),
        ({"seconds": "ten"}, "seconds"),
    ],
)
async def test_what_is_no_fault_is_refused_by_name(client, gateway, body, named):
    reply = await client.ask(gateway + "/__faults", "POST", body)

    assert reply.status == 400
    assert f"`{named}`" in reply.json["error"] or f"$.{named}`" in reply.json["error"]
    assert reply.json["faults"] == list(NAMES)


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b'{"hang": NaN}'])
async def test_what_is_not_an_object_of_faults_is_refused(client, gateway, body):
    assert (await client.ask(gateway + "/__faults", "POST", body)).status == 400


@pytest.mark.parametrize("kind", ["refuse", "hang", "status"])
async def test_a_fault_ends_by_itself_after_its_seconds(platform, client, gateway, kind):
    await client.ask(
        f"{platform.control_url}/gateway/__faults",
        "POST",
        {kind: 500 if kind == "status" else True, "seconds": 0.05},
    )
    async with asyncio.timeout(5):
        while (await client.ask(f"{platform.control_url}/gateway/__faults")).json["faults"]:
            pass

    assert (await client.invoke(gateway, ADA.gateway_token, "sessions_list")).status == 200


async def test_a_new_fault_outlives_the_end_of_the_one_before(client, gateway, fault):
    await fault(status=500, seconds=0.02)
    await fault(status=502)
    until = time.monotonic() + 0.05
    while time.monotonic() < until:
        assert (await client.ask(gateway + "/healthz")).status == 502
