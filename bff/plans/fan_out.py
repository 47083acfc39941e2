"""Asking all sources of a plan at once, under one deadline."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Final

import structlog

from bff.clock import monotonic
from bff.plans.operation import Ask, Refused
from bff.plans.plan import Got, Plan, Source
from upstreams.failure import Reason, UpstreamFailure

_log: Final = structlog.get_logger("bff.fan_out")

Fetch = Callable[[Source[Any], Ask[Any]], Awaitable[Any]]


class FanOut:
    """One fan-out: the first failing required source ends it, an optional one never does.

    ``timings`` are the milliseconds each upstream took, in the order they ended.
    """

    def __init__(self, plan: Plan[Any], ask: Ask[Any], fetch: Fetch) -> None:
        self._plan = plan
        self._ask = ask
        self._fetch = fetch
        self._loop = asyncio.get_running_loop()
        self._started = monotonic()
        self._open = set(plan.sources)
        self._ended: asyncio.Future[None] = self._loop.create_future()
        self._got = Got()
        self.timings: list[tuple[str, float, Reason | None]] = []

    async def gather(self, expires: float) -> Got:
        """Return what the sources gave by ``expires`` (the event loop's time, seconds).

        Raises UpstreamFailure when a required source failed or was too slow, Refused when one says what the
        documented refusal is.
        """
        if not self._open:
            return self._got
        tasks = [self._loop.create_task(self._run(source)) for source in self._plan.sources]
        timer = self._loop.call_at(expires, self._expire)
        try:
            await self._ended
        finally:
            timer.cancel()
            for task in tasks:
                task.cancel()
        return self._got

    async def _run(self, source: Source[Any]) -> None:
        try:
            self._got.put(source, await self._fetch(source, self._ask))
        except Refused as refused:
            self._refuse(refused)
        except UpstreamFailure as failure:
            # Named after the source: what failed may be the way to it, as when the store cannot tell where it is.
            named = UpstreamFailure(
                source.upstream, failure.reason, status=failure.status, in_json=failure.in_json
            )
            self._close(source, named)
        except Exception:  # noqa: BLE001 - a bug in asking one source must not cost the others' answer
            _log.exception("source failed unexpectedly", plan=self._plan.name, upstream=source.upstream)
            self._close(source, UpstreamFailure(source.upstream, Reason.MALFORMED))
        else:
            self._close(source, None)

    def _expire(self) -> None:
        for source in tuple(self._open):
            self._close(source, UpstreamFailure(source.upstream, Reason.TIMEOUT))

    def _refuse(self, refused: Refused) -> None:
        if not self._ended.done():
            self._ended.set_exception(refused)

    def _close(self, source: Source[Any], failure: UpstreamFailure | None) -> None:
        if self._ended.done():
            return
        self._open.discard(source)
        took = (monotonic() - self._started) * 1000
        self.timings.append((source.upstream, took, failure.reason if failure else None))
        if failure is not None:
            self._got.fail(source, failure)
            if source.required:
                self._ended.set_exception(failure)
                return
        if not self._open:
            self._ended.set_result(None)
