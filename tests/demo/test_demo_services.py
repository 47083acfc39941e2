"""The pretend monitored services and the agent management service's health."""


async def test_monitored_services_are_two_good_ones_and_one_behind_a_bad_gateway(platform, client):
    replies = {name: await client.ask(url) for name, url in platform.monitored_services}

    assert {name: (reply.status, reply.json) for name, reply in replies.items()} == {
        "Agentbot API": (200, {"status": "ok"}),
        "Tempo Soul": (200, {"status": "ok"}),
        "x402 Gateway": (502, {"error": "Bad Gateway"}),
    }


async def test_the_backend_tells_its_health_as_captured(platform, client, capture):
    real = capture("agentbot-backend/health")

    reply = await client.ask(platform.urls["backend"] + "/health")

    assert (reply.status, reply.headers["content-type"]) == (real.status, real.headers["content-type"])
    assert reply.json | {"timestamp": ""} == real.json | {"timestamp": ""}
    assert len(reply.json["timestamp"]) == len(real.json["timestamp"])


async def test_an_unknown_route_of_the_backend_is_html(platform, client):
    reply = await client.ask(platform.urls["backend"] + "/api/nothing")

    assert (reply.status, reply.headers["content-type"]) == (404, "text/html; charset=utf-8")
