"""The soak's accounting: what it counts as wrong, what it excuses, and how it tells it."""

import json
import re
from pathlib import Path

import pytest

from tests.soak import table
from tests.soak.chronicle import AFTER_SECONDS, Chronicle, State
from tests.soak.judge import judge
from tests.soak.ledger import Excuse, Kind, Ledger, Suspect, Wrong, percentile
from tests.soak.marks import mark, others
from tests.soak.questions import OPERATIONS
from tests.soak.replicas import warnings
from tests.soak.users import Thing
from tests.soak.wire import Answer

ROOT = Path(__file__).parents[1]
DEGRADED = {"bff-degraded": "metrics;reason=timeout, gateway;reason=reset"}
LATER = {"retry-after": "2"}
STORE_DOWN = {"error": "Failed to fetch stats"}
NOBODY_KNOWS = {"error": "Service unavailable"}
UNKNOWN = {"error": "Failed to send message: the outcome is unknown"}
CODEX_DOWN = {"error": {"code": "upstream_error", "message": "codex-lb is unavailable"}}


def answered(status: int, body: object = None, headers: dict[str, str] | None = None) -> Answer:
    return Answer(status, headers or {}, b"", json.dumps(body or {}).encode())


@pytest.mark.parametrize(
    ("text", "own", "found"),
    [
        ("", 7, set()),
        (mark(7), 7, set()),
        (mark(7) + mark(8), 7, {8}),
        (mark(7), None, {7}),
        (f'{{"id":"agent-{mark(300)}-1","name":"{mark(0)}"}}', 0, {300}),
        ("zq12345z zq123z ZQ0001Z", 7, set()),
    ],
)
def test_whose_bytes_they_are(text: str, own: int | None, found: set[int]) -> None:
    assert others(text.encode(), own) == found


@pytest.mark.parametrize(
    ("seconds", "share", "expected"),
    [
        ([], 0.99, 0.0),
        ([3.0], 0.5, 3.0),
        ([3.0, 1.0, 2.0], 0.5, 2.0),
        ([*range(1, 101)], 0.99, 99),
        ([*range(1, 101)], 1.0, 100),
        ([*range(1, 12)], 0.99, 11),
    ],
    ids=str,
)
def test_percentile(seconds: list[float], share: float, expected: float) -> None:
    assert percentile(seconds, share) == expected


def test_weather_hurts_while_it_lasts_and_a_little_longer() -> None:
    chronicle = Chronicle()
    spell = chronicle.begin("metrics: hang", State.UPSTREAM, {"metrics"}, now=10.0)
    assert chronicle.hurt(50.0, 50.0) == {"metrics"}
    spell.ended = 14.0
    after = spell.ended + AFTER_SECONDS

    assert [chronicle.state(at) for at in (9.9, 10.0, 13.9, after - 0.1, after)] == [
        State.CALM,
        *[State.UPSTREAM] * 3,
        State.CALM,
    ]
    assert chronicle.hurt(0.0, 9.9) == chronicle.hurt(after, 100.0) == frozenset()
    assert chronicle.hurt(0.0, 10.0) == chronicle.hurt(after - 0.1, 100.0) == {"metrics"}
    lasted = chronicle.seconds(8.0, 22.0)
    assert (round(lasted[State.CALM]), round(lasted[State.UPSTREAM])) == (4, 10)


def test_weather_of_two_kinds_at_once_and_one_after_the_other() -> None:
    chronicle = Chronicle()
    for name, state, upstream in (("a", State.REDIS, "redis"), ("b", State.STORE, "user_store")):
        chronicle.begin(name, state, {upstream}, now=1.0).ended = 4.0
    chronicle.begin("c", State.KILLED, (), now=8.0)

    assert [chronicle.state(at) for at in (2.0, 7.9, 8.0)] == [State.TWO, State.TWO, State.KILLED]
    assert chronicle.hurt(2.0, 2.0) == {"redis", "user_store"}
    assert chronicle.names(2.0) == "a, b"


@pytest.mark.parametrize(
    ("name", "answer", "hurt", "kind", "wrong"),
    [
        ("dashboard.stats", answered(200), "", Kind.COMPLETE, None),
        ("dashboard.stats", answered(304), "", Kind.COMPLETE, None),
        (
            "dashboard.stats",
            answered(200, headers={"cache-status": "bff; hit; ttl=-2; detail=stale"}),
            "",
            Kind.STALE,
            None,
        ),
        ("dashboard.data", answered(200, headers=DEGRADED), "gateway", Kind.DEGRADED, None),
        ("dashboard.data", answered(200, headers=DEGRADED), "redis", Kind.DEGRADED, Wrong.UNEXPLAINED),
        ("agents.list", answered(503, NOBODY_KNOWS, LATER), "user_store", Kind.FAILED, None),
        ("agents.list", answered(503, NOBODY_KNOWS), "user_store", Kind.UNDOCUMENTED, Wrong.UNDOCUMENTED),
        ("agents.list", answered(503, NOBODY_KNOWS, LATER), "backend", Kind.UNDOCUMENTED, Wrong.UNDOCUMENTED),
        ("dashboard.stats", answered(500, STORE_DOWN), "user_store", Kind.UNDOCUMENTED, Wrong.UNDOCUMENTED),
        ("chat.send", answered(500, UNKNOWN), "gateway", Kind.FAILED, None),
        ("chat.messages", answered(500, UNKNOWN), "sessions", Kind.UNDOCUMENTED, Wrong.UNDOCUMENTED),
        ("codex.models", answered(502, CODEX_DOWN), "codex", Kind.FAILED, None),
        ("instance.stop", answered(502, {"success": False, "status": "error"}), "backend", Kind.FAILED, None),
        ("dashboard.data", answered(404, {"error": "x"}), "", Kind.UNDOCUMENTED, Wrong.UNDOCUMENTED),
        ("agents.detail", answered(404, {"error": "Agent not found"}), "", Kind.REFUSED, None),
        ("agents.detail", answered(404), "", Kind.UNDOCUMENTED, Wrong.UNDOCUMENTED),
        ("chat.send", answered(429, {"error": "Too many requests"}, LATER), "", Kind.REFUSED, None),
        ("agent.skills", answered(429, {"error": "Too many requests"}, LATER), "", Kind.UNDOCUMENTED, None),
    ],
)
def test_what_an_answer_is(name: str, answer: Answer, hurt: str, kind: Kind, wrong: Wrong | None) -> None:
    refusals = frozenset({404} if name == "agents.detail" else ())
    found, wrongs = judge(OPERATIONS[name], answer, frozenset({hurt}), refusals)

    assert found is kind
    assert wrong is None or [what for what, _ in wrongs] == [wrong]


@pytest.mark.parametrize(
    ("last", "kind"),
    [
        (b'event: done\ndata: {"reply":"x"}\n\n', Kind.COMPLETE),
        (b"event: error\ndata: " + json.dumps(UNKNOWN).encode() + b"\n\n", Kind.FAILED),
        (b'event: error\ndata: {"error":"what is this"}\n\n', Kind.UNDOCUMENTED),
        (b'event: token\ndata: {"text":"x"}\n\n', Kind.UNDOCUMENTED),
    ],
)
def test_what_a_stream_is(last: bytes, kind: Kind) -> None:
    body = b'event: token\ndata: {"text":"a"}\n\n' + last
    answer = Answer(200, {"content-type": "text/event-stream; charset=utf-8"}, b"", body)

    assert judge(OPERATIONS["chat.send"], answer, frozenset({"gateway"}))[0] is kind


def test_a_write_of_which_nobody_can_tell_is_not_looked_for_until_a_later_one() -> None:
    thing = Thing(False)
    thing.written(True, now=1.0, writer="a")
    assert (thing.value, thing.is_known, thing.writer) == (True, True, "a")

    thing.doubt(2.0)
    thing.written(False, now=3.0, writer="b")
    assert not thing.is_known  # the earlier one may still come

    thing.written(True, now=100.0, writer="b")
    assert (thing.value, thing.is_known) == (True, True)


def test_suspects_are_wrong_unless_redis_was_not_there() -> None:
    ledger = Ledger()
    for since in (1.0, 2.0, 3.0):
        suspect = Suspect(State.CALM, Wrong.OUTDATED, f"since {since}", frozenset(), since, since + 1)
        ledger.suspects.append(suspect)
    ledger.settle(lambda suspect: suspect.since < 2.5)

    assert ledger.all.excused == {(Wrong.OUTDATED, Excuse.NO_REDIS): 2}
    assert ledger.wrongs == {Wrong.OUTDATED: 1}
    assert ledger.told == ["own write not read: since 3.0"]


def test_the_tables() -> None:
    ledger = Ledger()
    ledger.record(State.REDIS, Kind.COMPLETE, 0.002)
    ledger.record(State.CALM, Kind.COMPLETE, 0.001)
    ledger.record(State.CALM, Kind.FAILED)
    ledger.wrong(State.CALM, Wrong.FOREIGN, "u")
    ledger.excuse(State.REDIS, Wrong.OUTDATED, Excuse.NO_REDIS)

    heads, _, *rows = table.states(ledger, dict.fromkeys(State, 1.0)).splitlines()
    cells = [dict(zip(_cells(heads), _cells(row), strict=True)) for row in rows]
    shown = ("state", "requests", "complete", "5xx", "p50 ms", "p99 ms")
    assert [[row[name] for name in shown] for row in cells] == [
        ["calm", "2", "1", "1", "1.0", "1.0"],
        ["redis lost", "1", "1", "0", "2.0", "2.0"],
        ["all", "3", "2", "1", "1.0", "2.0"],
    ]
    never = table.never(ledger).splitlines()
    assert _cells(never[0]) == ["must be 0", "calm", "redis lost", "all"]
    assert "| another user's bytes | 1 | 0 | 1 |" in never
    assert "| (own write not read, without Redis) | 0 | 1 | 1 |" in never


def test_what_logs_warn_of(tmp_path: Path) -> None:
    lines = [
        {"event": "request", "level": "info"},
        {"event": "redis lost", "level": "warning", "reason": "timeout"},
        {"event": "Task-17 failed at 0xbeef", "level": "error", "exception": "Traceback\n  line\nOSError: x"},
        {"event": "Task-18 failed at 0xcafe", "level": "error", "exception": "Traceback\n  line\nOSError: x"},
    ]
    log = tmp_path / "bff.log"
    log.write_text("\n".join([*map(json.dumps, lines), "Traceback (most recent call last):"]))

    assert warnings(log) == {
        "warning: redis lost (timeout)": 1,
        "error: ... failed at ... (OSError: x)": 2,
        "error: Traceback (most recent call last):": 1,
    }


@pytest.mark.parametrize("document", ["docs/reliability.md"])
def test_the_tests_that_a_document_names_exist(document: str) -> None:
    text = (ROOT / document).read_text()
    named = dict(re.findall(r"\[`(test_\w+\.py)`\]\(\.\./(tests/[\w/]+\.py)\)", text))
    assert named
    for name, path in named.items():
        assert (ROOT / path).name == name
        assert (ROOT / path).exists()
    for name, prefix in re.findall(r"`(test_\w+\.py)`(?:\]\([^)]*\))? `(test_\d_)…`", text):
        assert f"def {prefix}" in (ROOT / named[name]).read_text(), (name, prefix)


def _cells(row: str) -> list[str]:
    return row.strip("| ").split(" | ")
