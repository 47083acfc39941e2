"""Every fault does on the wire what its name says."""

import asyncio
import gzip
import json
import math
import time

import pytest

from demo.people import SHARED_GATEWAY_TOKEN


async def sessions(client, gateway):
    return await client.invoke(gateway, SHARED_GATEWAY_TOKEN, "sessions_list", {"limit": 2})


def refuse_constant(name):
    raise ValueError(name)


async def test_a_fault_of_one_upstream_leaves_the_others_alone(platform, client, fault):
    await fault(status=500)

    assert (await client.ask(platform.urls["gateway"] + "/healthz")).status == 500
    assert (await client.ask(platform.urls["backend"] + "/health")).status == 200


async def test_latency_comes_before_the_real_answer(client, gateway, fault):
    await fault(latency=0.05)
    started = time.monotonic()

    reply = await sessions(client, gateway)

    assert time.monotonic() - started >= 0.05
    assert reply.json["result"]["details"]["count"] == 2


async def test_latency_adds_to_another_fault(client, gateway, fault):
    await fault(latency=0.05, status=500)
    started = time.monotonic()

    assert (await client.ask(gateway + "/healthz")).status == 500
    assert time.monotonic() - started >= 0.05


async def test_hang_accepts_and_never_answers(client, gateway, fault):
    await fault(hang=True)
    reader, writer = await client.send(gateway + "/healthz")

    with pytest.raises(TimeoutError):
        await asyncio.wait_for(reader.read(1), 0.1)

    writer.close()


async def test_refuse_closes_the_port_and_clearing_opens_the_same_one(platform, client, gateway, fault):
    assert (await fault(refuse=True)).json["faults"] == {"refuse": True}
    with pytest.raises(ConnectionRefusedError):
        await client.ask(gateway + "/healthz")

    assert (await fault()).json["faults"] == {}
    assert platform.urls["gateway"] == gateway
    assert (await client.ask(gateway + "/healthz")).status == 200


async def test_refuse_ends_open_connections(client, gateway, fault):
    await fault(hang=True)
    reader, writer = await client.send(gateway + "/healthz")
    await fault(refuse=True)

    assert await reader.read() == b""
    writer.close()


async def test_a_request_to_refuse_is_itself_answered(platform, client, gateway, fault):
    reply = await client.ask(gateway + "/__faults", "POST", {"refuse": True})

    assert reply.json == {"upstream": "gateway", "faults": {"refuse": True}}
    with pytest.raises(ConnectionRefusedError):
        await client.ask(gateway + "/__faults")


async def test_refuse_may_be_asked_for_twice(client, gateway, fault):
    await fault(refuse=True)
    await fault(refuse=True)
    with pytest.raises(ConnectionRefusedError):
        await client.ask(gateway)

    await fault()
    assert (await client.ask(gateway)).status == 200


async def test_reset_breaks_the_connection_off(client, gateway, fault):
    await fault(reset=True)

    with pytest.raises(ConnectionResetError):
        await client.ask(gateway + "/healthz")


@pytest.mark.parametrize("status", [204, 401, 404, 429, 500, 503, 599])
async def test_status_is_answered_with_a_small_error(client, gateway, fault, status):
    await fault(status=status)

    reply = await client.ask(gateway + "/healthz")

    assert reply.status == status
    assert status == 204 or isinstance(reply.json["error"], str)
    assert ("retry-after" in reply.headers) == (status in (429, 503))


async def test_html_is_a_page_where_json_belongs(client, gateway, fault):
    await fault(html=True)

    reply = await sessions(client, gateway)

    assert (reply.status, reply.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert reply.body.startswith(b"<!doctype html>")


async def test_malformed_is_json_that_breaks_off(client, gateway, fault):
    await fault(malformed=True)

    reply = await sessions(client, gateway)

    assert (reply.status, int(reply.headers["content-length"])) == (200, len(reply.body))
    with pytest.raises(json.JSONDecodeError):
        json.loads(reply.body)


async def test_truncated_ends_before_its_announced_length(client, gateway, fault):
    await fault(truncated=True)

    reply = await sessions(client, gateway)

    assert reply.status == 200
    assert 0 < len(reply.body) < int(reply.headers["content-length"])


async def test_huge_is_fifty_megabytes(client, gateway, fault):
    await fault(huge=True)
    reader, writer = await client.send(gateway + "/healthz")
    reply = await client.head(reader)

    received = 0
    while chunk := await reader.read(1 << 20):
        received += len(chunk)

    assert reply.headers["transfer-encoding"] == "chunked"
    assert received > 50_000_000
    writer.close()


async def test_huge_stops_when_the_client_leaves(client, gateway, fault):
    await fault(huge=True)
    reader, writer = await client.send(gateway + "/healthz")
    await reader.readexactly(1000)
    writer.close()
    await fault()

    async with asyncio.timeout(5):
        while asyncio.all_tasks() - {asyncio.current_task()}:
            assert (await client.ask(gateway + "/healthz")).status == 200


async def test_slow_sends_a_byte_a_second(client, gateway, fault):
    await fault(slow=True)
    reader, writer = await client.send(gateway + "/healthz")
    reply = await client.head(reader)
    first = await reader.read(100)
    started = time.monotonic()
    second = await reader.read(100)

    assert int(reply.headers["content-length"]) > 10
    assert (first, second) == (b"{", b'"')
    assert time.monotonic() - started > 0.5
    writer.close()


async def test_gzip_bomb_is_small_on_the_wire_and_huge_unpacked(client, gateway, fault):
    await fault(gzip_bomb=True)

    reply = await client.ask(gateway + "/healthz")

    assert reply.headers["content-encoding"] == "gzip"
    assert len(reply.body) < 500_000
    assert len(gzip.decompress(reply.body)) > 100_000_000


async def test_nan_stands_where_numbers_belong(client, gateway, fault):
    await fault(nan=True)

    reply = await sessions(client, gateway)

    assert math.isnan(reply.json["result"]["details"]["count"])
    with pytest.raises(ValueError, match="NaN"):
        json.loads(reply.body, parse_constant=refuse_constant)


async def test_deep_is_nested_ten_thousand_levels(client, gateway, fault):
    await fault(deep=True)

    assert (await client.ask(gateway)).body.count(b"{") == 10_000


async def test_wrong_types_keep_the_names_alone(client, gateway, fault):
    await fault(wrong_types=True)

    reply = await sessions(client, gateway)

    details = reply.json["result"]["details"]
    assert isinstance(details["count"], dict)
    assert isinstance(details["sessions"], str)
    assert reply.json["ok"] == "neither"


async def test_nulls_stand_where_lists_belong(client, gateway, fault):
    await fault(nulls=True)

    reply = await sessions(client, gateway)

    assert reply.json["result"] == {"content": None, "details": {"count": 2, "sessions": None}}


@pytest.mark.parametrize("fault_name", ["nan", "wrong_types", "nulls"])
async def test_what_is_not_json_stays_as_it_is(client, gateway, fault, fault_name):
    usual = await client.ask(gateway)
    await fault(**{fault_name: True})

    assert await client.ask(gateway) == usual


async def test_redirect_leads_to_a_metadata_address(client, gateway, fault):
    await fault(redirect=True)

    reply = await client.ask(gateway + "/healthz")

    assert (reply.status, reply.headers["location"]) == (302, "http://169.254.169.254/latest/meta-data/")
