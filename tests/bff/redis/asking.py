"""Scripts to ask Redis for, and what to make of the answer."""

from typing import Any, Protocol

from bff.metrics import Metrics
from bff.redis import Redis, RedisDown, Script

ECHO = Script("return ARGV[1]")
SET = Script("return redis.call('SET', KEYS[1], ARGV[1])")
GET = Script("return redis.call('GET', KEYS[1])")


class Open(Protocol):
    async def __call__(self, url: str, *, up: bool = True) -> Redis: ...


async def outcome(redis: Redis, script: Script = ECHO, key: str = "key", arg: str | bytes | int = "arg") -> Any:
    """Return the script's reply, or why there was none."""
    try:
        return await redis.run(script, [key], [arg])
    except RedisDown as down:
        return down.reason


async def answers(redis: Redis) -> bool:
    return await outcome(redis) == b"arg"


def failures(metrics: Metrics, reason: str) -> float:
    return metrics.redis_failures.labels(reason)._value.get()
