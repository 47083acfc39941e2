"""The pretend platform starts anywhere, tells where, and stops at once."""

import asyncio
import base64
import json
import signal
import socket
import sys
import time
import warnings
from dataclasses import astuple, replace

import pytest

from demo import clerk, codex
from demo.people import INTERNAL_KEY
from demo.platform import Platform, Ports
from demo.store import DEMO_TOKEN


async def test_settings_point_a_gateway_at_the_platform(platform, tmp_path):
    settings = platform.settings(tmp_path / "demo.db")

    assert settings["auth"]["admin_emails"] == ["admin@example.com"]
    assert len(base64.b64decode(settings["auth"]["encryption_key"], validate=True)) == 32
    assert settings["upstreams"]["user_store"] == {"url": f"sqlite+aiosqlite:///{tmp_path}/demo.db"}
    assert settings["upstreams"]["gateway"]["internal_key"] == INTERNAL_KEY
    assert settings["upstreams"]["gateway"]["allowed_hosts"] == ["127.0.0.1", "localhost"]
    for name in ("gateway", "metrics", "backend", "codex"):
        assert settings["upstreams"][name]["url"] == platform.urls[name]
    assert settings["upstreams"]["clerk"] == {
        "jwks_url": f"{platform.urls['clerk']}/.well-known/jwks.json",
        "issuer": clerk.ISSUER,
        "api_url": platform.urls["clerk"],
        "secret_key": clerk.SECRET_KEY,
        "authorized_parties": [clerk.AUTHORIZED_PARTY],
    }
    assert [one["name"] for one in settings["monitored_services"]] == [
        "Agentbot API",
        "Tempo Soul",
        "x402 Gateway",
    ]


async def test_every_upstream_has_a_port_of_its_own(platform):
    addresses = [*platform.urls.values(), platform.control_url]

    services = ["agentbot-api", "tempo-soul", "x402-gateway"]
    assert list(platform.urls) == ["gateway", "metrics", "backend", *services, "clerk", "codex"]
    assert len(set(addresses)) == len(addresses) == 9


async def test_a_port_that_is_taken_gives_way_to_a_free_one(client):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        ports = replace(Ports.free(), control=taken.getsockname()[1])
        async with Platform(ports) as platform:
            assert not platform.control_url.endswith(f":{ports.control}")
            assert (await client.ask(platform.control_url)).status == 200


def test_ports_are_counted_from_a_base():
    assert astuple(Ports.counted_from(9200)) == tuple(range(9200, 9209))


async def test_a_platform_may_follow_another_on_the_same_ports(client):
    async with Platform(Ports.free()) as first:
        port = int(first.urls["gateway"].rpartition(":")[2])
    async with Platform(replace(Ports.free(), gateway=port)) as second:
        assert second.urls["gateway"] == first.urls["gateway"]
        assert (await client.ask(second.urls["gateway"])).status == 200


async def test_the_platform_stops_at_once_and_silently_whatever_is_going_on(client, caplog):
    with warnings.catch_warnings(record=True) as warned:
        async with Platform(Ports.free()) as platform:
            waiting = []
            for name, faults in (
                ("gateway", {"hang": True}),
                ("metrics", {"latency": 60}),
                ("backend", {"slow": True}),
                ("tempo-soul", {"huge": True}),
            ):
                await client.ask(f"{platform.control_url}/{name}/__faults", "POST", faults)
                waiting.append(await client.send(platform.urls[name] + "/health"))
            await waiting[2][0].readuntil(b"{")
            await waiting[3][0].readuntil(b"x")
            started = time.monotonic()

    assert time.monotonic() - started < 1
    assert not asyncio.all_tasks() - {asyncio.current_task()}
    assert not warned
    assert not [record for record in caplog.records if record.levelname in ("WARNING", "ERROR")]
    for _, writer in waiting:
        writer.close()


@pytest.mark.parametrize(
    ("upstream", "path"),
    [
        ("clerk", clerk.JWKS),
        ("codex", "/api/models"),
        ("metrics", "/api/metrics/conversations"),
        ("metrics", "/api/metrics/feedback/query"),
        ("metrics", "/api/metrics/knowledge-base"),
    ],
)
async def test_every_dashboards_upstream_can_be_broken(platform, client, upstream, path):
    switch = f"{platform.control_url}/{upstream}/__faults"
    await client.ask(switch, "POST", {"status": 503})
    assert (await client.ask(platform.urls[upstream] + path)).status == 503
    await client.ask(switch, "DELETE")
    assert (await client.ask(platform.urls[upstream] + path)).status in {200, 401}


async def test_a_clerk_of_one_process_keeps_its_key(platform):
    assert Platform(Ports.free()).clerk.jwks() == platform.clerk.jwks()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda number: number.name)
async def test_the_command_runs_the_platform_until_a_signal(client, tmp_path, number):
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-W", "error", "-m", "demo", "--port-base", "0", "--store", str(tmp_path / "demo.db")),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    told = json.loads(await asyncio.wait_for(process.stdout.readline(), 10))
    switch = f"{told['control']}/gateway/__faults"
    await client.ask(switch, "POST", {"refuse": True})
    with pytest.raises(ConnectionRefusedError):
        await client.ask(told["gateway"] + "/healthz")
    await client.ask(switch, "POST", {"hang": True})
    reader, writer = await client.send(told["gateway"] + "/healthz")
    process.send_signal(number)

    assert (await process.communicate(), process.returncode) == ((b"", b""), 0)
    assert told["session"] == DEMO_TOKEN
    assert (told["codex_session"], told["codex_totp_session"]) == (codex.SESSION, codex.TOTP_SESSION)
    assert (tmp_path / "demo.db").exists()
    writer.close()
    assert await reader.read() == b""
