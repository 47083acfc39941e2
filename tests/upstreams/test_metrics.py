"""The metrics service's cost figures."""

import pytest

from tests.upstreams.answers import Upstream, json_answer
from upstreams.failure import Reason, UpstreamFailure
from upstreams.metrics import AgentFigures, CostFigures, DayFigures, Metrics, ModelFigures
from upstreams.pipe import Address, Pipe, Policy

HERE = Address.parse("http://metrics.example.com")


def metrics(upstream, address=HERE, api_key="key"):
    return Metrics(Pipe("metrics", Policy(retries=0), upstream), address, api_key)


async def cost(answer):
    return await metrics(Upstream(answer)).cost("u", 7)


async def test_what_is_asked():
    upstream = Upstream(json_answer({}))
    await metrics(upstream).cost("user&days=1000", 30)
    [request] = upstream.requests
    assert (request.method, request.url.path) == ("GET", "/api/metrics/cost")
    assert request.url.query == b"userId=user%26days%3D1000&days=30"
    assert request.headers["authorization"] == "Bearer key"


async def test_without_a_key_none_is_sent():
    upstream = Upstream(json_answer({}))
    await metrics(upstream, api_key=None).cost("u", 7)
    assert "authorization" not in upstream.requests[0].headers


async def test_the_figures():
    figures = await cost(
        json_answer(
            {
                "agents": [
                    {"name": "a", "tokens": 5, "cost": 1.25, "calls": 2, "avgCostPerCall": 0.6, "model": "m"},
                    {"name": "b"},
                ],
                "daily": [{"date": "2026-04-04", "cost": 2, "tokens": 9}],
                "modelBreakdown": [{"model": "m", "percent": 100, "cost": 0.5}],
            }
        )
    )
    assert figures == CostFigures(
        agents=(AgentFigures("a", 5, 1.25, 2, "m"), AgentFigures("b", 0, 0.0, 0, None)),
        daily=(DayFigures(2.0, 9),),
        model_breakdown=(ModelFigures("m", 0.5),),
    )


async def test_no_figures_are_figures():
    assert await cost(json_answer({"anything": "else"})) == CostFigures((), (), ())


@pytest.mark.parametrize(
    "body",
    [
        {"agents": None},
        {"agents": {}},
        {"agents": [{"tokens": 1}]},
        {"agents": [{"name": "a", "cost": -0.01}]},
        {"agents": [{"name": "a", "cost": "1.25"}]},
        {"agents": [{"name": "a", "cost": 1e13}]},
        {"agents": [{"name": "a", "tokens": -1}]},
        {"agents": [{"name": "a", "tokens": 2**53}]},
        {"agents": [{"name": "a", "calls": 1.5}]},
        {"agents": [{"name": "a" * 501}]},
        {"daily": [1.0]},
        {"daily": [{"cost": None}]},
        {"modelBreakdown": [{"cost": 1.0}]},
    ],
    ids=str,
)
async def test_figures_that_cannot_be_are_malformed(body):
    with pytest.raises(UpstreamFailure) as caught:
        await cost(json_answer(body))
    assert caught.value.reason is Reason.MALFORMED


async def test_without_an_address_it_is_disabled():
    with pytest.raises(UpstreamFailure) as caught:
        await metrics(Upstream(), address=None).cost("u", 7)
    assert (caught.value.upstream, caught.value.reason) == ("metrics", Reason.DISABLED)
