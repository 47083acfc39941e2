"""A repeat at another replica gets the first answer: who works, who waits, and what Redis knows of it."""

import asyncio

import msgspec
import pytest

from bff.claims import KeyReused
from bff.endpoints import ACTIONS
from tests.bff.shared.replica import LONGEST, Replica
from tests.bff.shared.work import SCOPE, Work, name_of, refused
from tests.faults.rig import until
from tests.redis_servers import RedisServer

DAY_MS = 86_400_000


async def test_a_crowd_at_two_replicas_with_one_key_is_one_piece_of_work(work: Work) -> None:
    answers = await asyncio.gather(*(work.ask(each) for _ in range(50) for each in (work.one, work.other)))

    assert work.started == 1
    assert sorted(answers) == [(1, False), *[(1, True)] * 99]


async def test_a_repeat_at_the_other_replica_gets_the_first_answer(work: Work) -> None:
    assert await work.ask(work.one) == (1, False)
    assert [await work.ask(work.other) for _ in range(2)] == [(1, True)] * 2
    assert await work.ask(work.other, key="another") == (2, False)


async def test_who_asks_the_other_replica_meanwhile_waits_for_the_answer(work: Work) -> None:
    asking = await work.under_way(work.one)
    waiting = [await work.waiting(work.other) for _ in range(2)]
    work.release()
    assert await asyncio.gather(asking, *waiting) == [(1, False), (1, True), (1, True)]


async def test_another_body_is_no_repeat_at_the_other_replica_either(work: Work) -> None:
    asking = await work.under_way(work.one)
    assert await refused(work.ask(work.other, body=b"other"), KeyReused)
    # The one that was refused there says nothing about who was first.
    waiting = await work.waiting(work.other)
    work.release()
    await asyncio.gather(asking, waiting)
    assert await refused(work.ask(work.other, body=b"other"), KeyReused)
    assert work.started == 1


async def test_bodies_that_race_at_one_replica_are_told_apart_by_who_is_first_anywhere(work: Work) -> None:
    asking = await work.under_way(work.one)
    wrong, right = work.ask(work.other, body=b"other"), work.ask(work.other)
    assert await refused(wrong, KeyReused)
    work.release()
    assert await right == (1, True)
    await asking


async def test_what_is_not_to_be_kept_is_not_known_elsewhere(work: Work, redis_server: RedisServer) -> None:
    asking = await work.under_way(work.one, keep=False)
    waiting = await work.waiting(work.other)
    work.release()
    assert await asking == (1, False)
    assert await waiting == (2, False)
    assert await work.ask(work.one) == (2, True)


async def test_neither_is_what_went_wrong(work: Work, redis_server: RedisServer) -> None:
    async def fail() -> int:
        raise ValueError("no")

    run = work.one.repeats.run(SCOPE, "k", b"body", fail, keep=lambda _: True, into=int)
    assert await refused(run, ValueError)
    assert redis_server.ask("GET", name_of("k")) == b""
    assert 0 < redis_server.ask("PTTL", name_of("k")) <= 2000
    assert await work.ask(work.other) == (1, False)


async def test_when_its_caller_leaves_the_work_goes_on_for_the_others(work: Work) -> None:
    leaving = await work.under_way(work.one)
    waiting = await work.waiting(work.other)
    leaving.cancel()
    assert await refused(leaving, asyncio.CancelledError)
    work.release()
    assert await waiting == (1, True)


async def test_who_waits_too_long_is_told_so_and_does_nothing(work: Work, impatient: None) -> None:
    asking = await work.under_way(work.one)
    assert await refused(work.ask(work.other))
    work.release()
    await asking
    assert await work.ask(work.other) == (1, True)


async def test_a_replica_that_dies_is_replaced_when_its_claim_has_lapsed(
    work: Work, redis_server: RedisServer
) -> None:
    async with Replica(redis_server.url, longest=1) as dying:
        asking = await work.under_way(dying)
        assert 0 < redis_server.ask("PTTL", name_of("k")) <= 1000
        await dying.repeats.close()
        assert await refused(asking, asyncio.CancelledError)
        assert redis_server.ask("EXISTS", name_of("k")), "what was cancelled may have been done"
        work.release()
        assert await work.ask(work.other) == (2, False)


async def test_what_came_too_late_does_not_replace_the_answer_that_others_were_given(
    work: Work, redis_server: RedisServer
) -> None:
    async with Replica(redis_server.url, longest=0.1) as slow:
        late = await work.under_way(slow)
        taking_over = work.ask(work.one)
        await until(lambda: work.started == 2)
        waiting = await work.waiting(work.other)
        work.release()
        assert await asyncio.gather(late, taking_over, waiting) == [(1, False), (2, False), (2, True)]


class TestInRedis:
    async def test_a_claim_ends_when_no_work_can_go_on_and_an_answer_after_a_day(
        self, work: Work, redis_server: RedisServer
    ) -> None:
        asking = await work.under_way(work.one)
        assert 0 < redis_server.ask("PTTL", name_of("k")) <= LONGEST * 1000
        work.release()
        await asking
        assert DAY_MS - 60_000 < redis_server.ask("PTTL", name_of("k")) <= DAY_MS

    async def test_keys_and_users_are_hashes(self, work: Work, redis_server: RedisServer) -> None:
        await work.ask(work.one, key="hunter2")
        [key] = redis_server.ask("KEYS", "*")
        for text in (b"hunter2", b"ada"):
            assert text not in key
            assert text not in redis_server.ask("GET", key)

    async def test_an_answer_under_another_key_is_not_given(
        self, work: Work, redis_server: RedisServer, impatient: None
    ) -> None:
        await work.ask(work.one)
        redis_server.ask("RENAME", name_of("k"), name_of("another"))
        assert await refused(work.ask(work.other, key="another"))

    @pytest.mark.parametrize(
        "value",
        [b"\xc1", msgspec.msgpack.encode([1, 2]), msgspec.msgpack.encode([b"", b"", b"", b"answer"])],
        ids=["bytes", "list", "another's"],
    )
    async def test_what_cannot_be_read_is_not_done_again(
        self, value: bytes, work: Work, redis_server: RedisServer, impatient: None
    ) -> None:
        redis_server.ask("SET", name_of("k"), value)
        assert await refused(work.ask(work.one))
        assert work.started == 0
        assert redis_server.ask("GET", name_of("k")) == value

    async def test_nor_is_what_another_version_answered(self, work: Work) -> None:
        await work.ask(work.one)
        run = work.other.repeats.run(SCOPE, "k", b"body", work._work, keep=bool, into=str)
        assert await refused(run)
        assert work.started == 1

    def test_no_answer_that_is_kept_there_holds_a_secret(self) -> None:
        kept = [
            set(action.answer.model_json_schema()["$defs"]["ProvisionedAgent"]["properties"])
            for action in ACTIONS
            if action.once
        ]
        assert kept == [{"id", "name", "status", "websocketUrl", "model", "createdAt"}]
