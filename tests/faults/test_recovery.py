"""Promise 5: whoever asks an upstream in trouble for two things at once finds out too when it is well again."""

from collections.abc import Awaitable, Callable

import pytest

from demo import codex
from demo.faults import Faults
from demo.people import ADA
from tests.faults.elsewhere import OVERVIEW, OWN, Elsewhere, elsewhere
from tests.faults.rig import Answer, until

TOUCHY = {"timeout": 0.5, "breaker": {"failures": 3, "open_for": 0.05}}


async def overview(the: Elsewhere) -> Answer:
    return await the.ask(OVERVIEW.path, Cookie=f"dashboard_session={codex.SESSION}")


async def own_stats(the: Elsewhere) -> Answer:
    return await the.ask_as(ADA, OWN)


@pytest.mark.parametrize(
    ("upstream", "asks"), [("codex", overview), ("metrics", own_stats)], ids=["overview", "getStats"]
)
async def test_5_an_operation_that_asks_one_upstream_twice_recovers(
    upstream: str, asks: Callable[[Elsewhere], Awaitable[Answer]]
) -> None:
    async with elsewhere(policy=TOUCHY) as the:
        await the.misbehave(upstream, Faults(refuse=True))
        assert {(await asks(the)).status >= 500 for _ in range(4)} == {True}
        await the.misbehave(upstream, None)

        async def is_well() -> bool:
            return (await asks(the)).status == 200

        await until(is_well)
