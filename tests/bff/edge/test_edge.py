"""What holds for every request and every response, whatever answers it."""

import pytest
from starlette.routing import Route

from bff.app import _application
from bff.auth.credentials import CredentialReader
from bff.edge import edge as edge_module
from bff.edge import record as record_module
from bff.edge.edge import Edge
from bff.edge.errors import error_answer, unavailable
from bff.edge.exchange import Answer
from bff.edge.shedding import Shedding
from bff.metrics import Metrics
from bff.overload import AdaptiveLimit
from tests.bff.edge.asgi import request
from upstreams import trace

READER = CredentialReader(["session"], ["next"])
TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
COOKIE = {"Cookie": "session=s", "Host": "api.example.com"}


class Log:
    """What would have been logged, each line as its event and its fields."""

    def __init__(self):
        self.lines = []

    def info(self, event, **fields):
        self.lines.append((event, fields))

    exception = info


@pytest.fixture
def log(monkeypatch):
    log = Log()
    monkeypatch.setattr(edge_module, "_log", log)
    monkeypatch.setattr(record_module, "_log", log)
    return log


class App:
    """Answers with a note, or raises its ``trouble``; keeps what the request carried."""

    def __init__(self, trouble=None):
        self.trouble = trouble
        self.traceparents = []

    async def __call__(self, scope, receive, send):
        self.traceparents.append(trace.traceparent.get())
        if self.trouble:
            raise self.trouble
        await Answer(200, b"{}")(scope, receive, send)


def edge(app=None, *, direct=None, origins=()):
    shedding = Shedding(AdaptiveLimit(), lambda: 0.0, {}, (), Metrics())
    return Edge(app or App(), direct or {}, {}, READER, origins, shedding=shedding, beyond=shedding)


async def test_every_response_has_the_common_headers(log):
    headers = (await request(edge(), headers={"X-Request-ID": "abc"})).headers
    assert headers == {
        "content-length": "2",
        "x-request-id": "abc",
        "x-content-type-options": "nosniff",
        "referrer-policy": "no-referrer",
        "cross-origin-resource-policy": "same-origin",
    }


async def test_https_is_asked_to_stay_https_and_http_is_not(log):
    assert (await request(edge(), scheme="https")).headers["strict-transport-security"] == "max-age=63072000"
    assert "strict-transport-security" not in (await request(edge(), scheme="http")).headers


async def test_answers_vary_by_origin_only_where_origins_are_configured(log):
    direct = {"/note": App()}
    allowed = edge(direct=direct, origins=["https://dashboard.example.com"])
    assert (await request(allowed)).headers["vary"] == "Origin"
    assert "vary" not in (await request(edge(direct=direct))).headers


async def test_an_unexpected_exception_is_the_documented_error_and_tells_nothing(log):
    response = await request(edge(App(KeyError("secret connection string"))), headers={"X-Request-ID": "abc"})
    assert (response.status, response.json) == (500, {"error": "Internal server error"})
    assert response.headers["x-request-id"] == "abc"
    assert response.headers["content-type"] == "application/json"
    assert response.headers["cache-control"] == "private, no-store"
    assert b"secret" not in response.body
    assert [event for event, _ in log.lines] == ["unexpected", "request"]
    assert log.lines[1][1]["status"] == 500


async def test_it_is_the_same_through_the_router(log):
    async def endpoint(_request):
        raise KeyError("secret connection string")

    response = await request(edge(_application([Route("/note", endpoint)])), headers={"X-Request-ID": "abc"})
    assert (response.status, response.json) == (500, {"error": "Internal server error"})
    assert response.headers["content-type"] == "application/json"
    assert [event for event, _ in log.lines] == ["unexpected", "request"]


async def test_what_was_already_begun_is_not_begun_again(log):
    async def app(scope, receive, send):
        await Answer(200, b"{}")(scope, receive, send)
        raise KeyError("late")

    assert (await request(edge(app))).status == 200
    assert [event for event, _ in log.lines] == ["unexpected", "request"]


async def test_one_line_for_each_request_without_who_or_what_exactly(log):
    await request(edge(), "/note", query=b"token=secret", headers={**COOKIE, "X-Request-ID": "abc"})
    [(event, fields)] = log.lines
    assert event == "request"
    assert fields.pop("ms") >= 0
    assert fields == {"operation": None, "method": "GET", "status": 200, "request_id": "abc"}


@pytest.mark.parametrize(
    ("given", "passed_on"),
    [
        (TRACE, TRACE),
        (TRACE.replace("00-", "cc-"), TRACE.replace("00-", "cc-")),
        (TRACE.replace("00-", "ff-"), None),
        (TRACE.upper(), None),
        (TRACE + "-more", None),
        (TRACE + "\n", None),
        (TRACE[:-1], None),
        ("00-" + "0" * 32 + "-b7ad6b7169203331-01", None),
        ("00-0af7651916cd43dd8448eb211c80319c-" + "0" * 16 + "-01", None),
        ("", None),
        (None, None),
    ],
)
async def test_a_sane_traceparent_is_passed_on(log, given, passed_on):
    app = App()
    await request(edge(app), headers={} if given is None else {"Traceparent": given})
    assert app.traceparents == [passed_on]


class TestRefused:
    """What no operation should see."""

    @pytest.mark.parametrize("method", ["GET", "POST"])
    async def test_cookies_beyond_any_measure(self, log, method):
        largest = {"Cookie": "a" * 32 * 1024}
        assert (await request(edge(), method=method, headers=largest)).status == 200
        response = await request(edge(), method=method, headers={"Cookie": largest["Cookie"] + "a"})
        assert (response.status, response.json) == (431, {"error": "Request header fields too large"})

    @pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
    @pytest.mark.parametrize("elsewhere", [{"Sec-Fetch-Site": "cross-site"}, {"Origin": "https://evil.com"}])
    async def test_an_unsafe_request_that_a_browser_sends_from_elsewhere(self, log, method, elsewhere):
        response = await request(edge(), method=method, headers={**COOKIE, **elsewhere})
        assert (response.status, response.json) == (403, {"error": "Forbidden"})

    @pytest.mark.parametrize(
        ("method", "headers"),
        [
            pytest.param("GET", COOKIE, id="a safe method"),
            pytest.param("HEAD", COOKIE, id="another safe method"),
            pytest.param("POST", {"Host": "api.example.com"}, id="no session"),
            pytest.param("POST", {"Cookie": "theme=dark"}, id="no session cookie"),
            pytest.param("POST", {"Authorization": "Bearer t"}, id="a bearer token"),
        ],
    )
    async def test_nothing_else_from_elsewhere(self, log, method, headers):
        elsewhere = {"Sec-Fetch-Site": "cross-site"}
        assert (await request(edge(), method=method, headers={**headers, **elsewhere})).status == 200

    @pytest.mark.parametrize("cookie", ["next=n", "next.0=n", "theme=dark; session="])
    async def test_any_session_cookie_counts(self, log, cookie):
        headers = {"Cookie": cookie, "Sec-Fetch-Site": "same-site"}
        assert (await request(edge(), method="POST", headers=headers)).status == 403

    @pytest.mark.parametrize("own", [{}, {"Sec-Fetch-Site": "same-origin"}, {"Origin": "https://api.example.com"}])
    async def test_not_what_comes_from_here(self, log, own):
        assert (await request(edge(), method="POST", headers={**COOKIE, **own})).status == 200

    async def test_not_what_comes_from_a_configured_origin(self, log):
        headers = {**COOKIE, "Origin": "https://dashboard.example.com", "Sec-Fetch-Site": "cross-site"}
        allowed = edge(origins=["https://dashboard.example.com"])
        assert (await request(allowed, method="POST", headers=headers)).status == 200


async def test_only_a_plain_get_takes_the_direct_way(log):
    routed, direct = App(), App()
    app = edge(routed, direct={"/note": direct})
    await request(app, "/note")
    assert (len(direct.traceparents), len(routed.traceparents)) == (1, 0)
    await request(app, "/note", "HEAD")
    await request(app, "/other")
    await request(app, "/note", headers={"Origin": "https://dashboard.example.com"})
    assert (len(direct.traceparents), len(routed.traceparents)) == (1, 3)


async def test_the_router_answers_in_the_documented_shape(log):
    async def note(_request):
        raise AssertionError("never reached")

    app = edge(_application([Route("/note", note, methods=["GET"])]))
    unknown = await request(app, "/unknown")
    assert (unknown.status, unknown.json) == (404, {"error": "Not found"})
    slash = await request(app, "/note/")
    assert (slash.status, slash.json) == (404, {"error": "Not found"})
    wrong = await request(app, "/note", "POST")
    assert (wrong.status, wrong.json) == (405, {"error": "Method not allowed"})
    assert sorted(wrong.headers["allow"].split(", ")) == ["GET", "HEAD"]


async def test_error_answers():
    answer = await request(error_answer(418, 'a "teapot"', fields={"details": None}, retry_after=7))
    assert (answer.status, answer.json) == (418, {"error": 'a "teapot"', "details": None})
    assert answer.headers["retry-after"] == "7"
    assert answer.headers["content-length"] == str(len(answer.body))
    unavailable_now = await request(unavailable())
    assert (unavailable_now.status, unavailable_now.json) == (503, {"error": "Service unavailable"})
    assert unavailable_now.headers["retry-after"] == "2"


async def test_what_is_not_http_passes():
    seen = []

    async def app(scope, receive, send):
        seen.append(scope)

    await edge(app)({"type": "lifespan"}, None, None)
    assert seen == [{"type": "lifespan"}]
