"""Behind proxies: kept answers still take the short way, and only a trusted proxy's word counts."""

import pytest

from bff.edge.proxies import BehindProxies
from demo.people import ADA
from tests.edge_sockets.wire import get, serving

STATS = "/api/dashboard/stats"
HTTPS = "X-Forwarded-Proto: https"
USUAL = "Cache-Control: max-age=0"


@pytest.fixture
def behind(open_gateway):
    async def open_(trusted):
        front = await open_gateway()
        return serving(BehindProxies(front._app, trusted))

    return open_


@pytest.mark.parametrize(
    ("trusted", "headers", "secure"),
    [
        (["127.0.0.1"], [HTTPS], True),
        (["127.0.0.0/8"], [HTTPS], True),
        (["127.0.0.1"], [], False),
        (["127.0.0.1"], ["X-Forwarded-Proto: http"], False),
        (["127.0.0.1"], ["X-Forwarded-Proto: ftp"], False),
        (["127.0.0.1"], [HTTPS, "X-Forwarded-Proto: http"], False),
        (["10.0.0.1"], [HTTPS], False),
    ],
    ids=str,
)
async def test_both_ways_tell_the_same(behind, trusted, headers, secure):
    async with await behind(trusted) as front:
        wire = await front.connect()
        await wire.ask(get(STATS, ADA.session_token))
        asked = front.usual
        short = await wire.ask(get(STATS, ADA.session_token, *headers))
        assert front.usual == asked
        usual = await wire.ask(get(STATS, ADA.session_token, *headers, USUAL))
        assert front.usual == asked + 1
        assert short.json == usual.json
        assert short.headers.keys() == usual.headers.keys()
        assert ("strict-transport-security" in short.headers) is secure
