"""From a question to finished bytes: a kept copy if it is fresh, else one fan-out for all who wait."""

import asyncio
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any, Final, NamedTuple

import structlog

from bff.cache.entries import entry_of, timing_of
from bff.cache.generations import Generation, Generations, Owner
from bff.cache.invalidation import Invalidations
from bff.cache.keys import answer_key
from bff.cache.second_tier import Found, Good, SecondTier
from bff.cache.single_flight import SingleFlight
from bff.cache.store import Entry, Store
from bff.clock import monotonic
from bff.overload import AdaptiveLimit
from bff.plans.fan_out import FanOut
from bff.plans.operation import Ask, Caller, Query, Refused
from bff.plans.plan import NOT_KEPT, Got, Plan
from bff.plans.shared import Sources
from upstreams.failure import Reason, UpstreamFailure

_log: Final = structlog.get_logger("bff.answers")

_REFRESH_PAUSE_SECONDS: Final = 1.0
_PATIENCE: Final = (
    0.5  # of the time there is: when no other replica's answer comes, there is still time for one's own
)
_MERGE_SECONDS: Final = 0.025  # what a fan-out that ends at the deadline still needs to become an answer
_OVERLOAD: Final = UpstreamFailure("bff", Reason.SATURATED)
_NOT_KEPT: Final = ""  # stands for all plans whose answers are not kept: any write may change them


class State(Enum):
    """How an answer came about."""

    HIT = "hit"
    STALE = "stale"
    STALE_ON_ERROR = "stale-on-error"
    MISS = "miss"
    COLLAPSED = "collapsed"
    BYPASS = "bypass"


@dataclass(frozen=True, slots=True)
class Answered:
    """A finished answer; ``failure`` is why a copy that is no longer fresh had to do."""

    entry: Entry
    state: State
    failure: UpstreamFailure | None = None


def as_it_is(kept: Entry, *, bypass: bool) -> Answered | None:
    """Return a copy as what it is while none can be made, None when it is too old to be served."""
    now = monotonic()
    if not bypass and now < kept.stale_until:
        return Answered(kept, State.HIT if now < kept.fresh_until else State.STALE)
    return Answered(kept, State.STALE_ON_ERROR, _OVERLOAD) if now < kept.error_until else None


class Shared(NamedTuple):
    """What replicas have in common: kept answers, and word of what is outdated."""

    tier: SecondTier
    invalidations: Invalidations


class _Made(NamedTuple):
    """``kept``: found in the second tier."""

    entry: Entry
    kept: bool


class _Wanted(NamedTuple):
    """An answer to be made from what is asked not before ``since`` (seconds of the monotonic clock)."""

    plan: Plan[Any]
    ask: Ask[Any]
    key: Hashable
    since: float


class Answers:
    """The first tier, in this process, before the second one, when replicas ``share`` one.

    A copy is refreshed only if there is room within ``limit``, where that counts as a request does.
    """

    def __init__(self, sources: Sources, store: Store, limit: AdaptiveLimit | None = None) -> None:
        self._sources = sources
        self._store = store
        self._limit = limit or AdaptiveLimit()
        self._generations = Generations()
        self._flights: SingleFlight[_Made] = SingleFlight()
        self._shared: Shared | None = None

    def share(self, shared: Shared) -> None:
        """Keep answers in the second tier too, and tell other replicas of changes."""
        self._shared = shared

    async def changed(self, plans: Sequence[str], caller: Caller) -> None:
        """Have these plans' answers to the caller made anew from here on, also those being made right now.

        Of plans that are not kept, which share only what is being made, so are all.
        """
        every = (*plans, _NOT_KEPT)
        self.outdated(every, caller.owner)
        if self._shared is not None:
            try:
                await self._shared.invalidations.tell(caller.owner, every)
            finally:
                # Until Redis had it, an old copy may have been taken from there.
                self.outdated(every, caller.owner)

    def outdated(self, plans: Sequence[str], owner: Owner) -> None:
        """Have these plans' answers to the owner made anew here."""
        for plan in plans:
            self._generations.begin(plan, owner)

    def drop(self) -> None:
        """Keep nothing of what there is: word of changes may have been missed."""
        self._generations.begin_all()
        self._store.clear()

    def kept(self, plan: Plan[Any], caller: Caller, query: Query) -> Entry | None:
        """Return the kept answer, fresh or not."""
        generation = self._generation(plan, caller)
        return self._store.get(answer_key(plan, caller, query, generation.number))

    async def answer(self, plan: Plan[Any], ask: Ask[Any], *, expires: float, bypass: bool = False) -> Answered:
        """Return the answer by ``expires`` (the event loop's time, seconds).

        ``bypass``: gathered anew, though still together with everyone who waits for the same. Raises
        UpstreamFailure when a required source failed and no copy may be served, and Refused when the question
        has a documented refusal for an answer.
        """
        generation = self._generation(plan, ask.caller)
        key = answer_key(plan, ask.caller, ask.query, generation.number)
        wanted = _Wanted(plan, ask, key, generation.since)
        kept = self._store.get(key)
        if kept is not None and not bypass and monotonic() < kept.stale_until:
            return self._from_copy(wanted, kept)
        # Whoever wants it anew must not be given what a fan-out took from kept sources.
        good = Good.NONE if bypass else Good.STALE
        flight, leads = self._flights.join((key, bypass), lambda: self._make(wanted, expires, good))
        try:
            made = await _landing(flight, plan, expires)
        except UpstreamFailure as failure:
            kept = self._store.get(key)
            if kept is None or monotonic() >= kept.error_until:
                raise
            return Answered(kept, State.STALE_ON_ERROR, failure)
        if bypass:
            return Answered(made.entry, State.BYPASS)
        if made.kept:
            return self._from_copy(wanted, made.entry)
        return Answered(made.entry, State.MISS if leads else State.COLLAPSED)

    def _generation(self, plan: Plan[Any], caller: Caller) -> Generation:
        return self._generations.current(_NOT_KEPT if plan.keep == NOT_KEPT else plan.name, caller.owner)

    def _from_copy(self, wanted: _Wanted, kept: Entry) -> Answered:
        if monotonic() < kept.fresh_until:
            return Answered(kept, State.HIT)
        self._refresh(wanted, kept)
        return Answered(kept, State.STALE)

    def _refresh(self, wanted: _Wanted, kept: Entry) -> None:
        now = monotonic()
        if now < kept.retry_at:
            return
        place = self._limit.enter()
        if place is None:
            return
        kept.retry_at = now + _REFRESH_PAUSE_SECONDS
        expires = asyncio.get_running_loop().time() + wanted.plan.deadline
        flight, _ = self._flights.join((wanted.key, False), lambda: self._make(wanted, expires, Good.FRESH))
        flight.add_done_callback(lambda _: self._limit.leave(place))

    async def _make(self, wanted: _Wanted, expires: float, good: Good) -> _Made:
        found = await self._found(wanted, expires, good)
        if found is None or self._shared is None:
            return _Made(await self._gathered(wanted, expires, anew=not good), kept=False)
        if found.entry is not None:
            self._keep(wanted.key, found.entry)
            if found.good:
                return _Made(found.entry, kept=True)
        tier = self._shared.tier
        if good and not found.leads:
            return await self._whichever_is_first(tier, wanted, found, expires)
        try:
            entry = await self._gathered(wanted, expires, anew=not good)
        except BaseException:
            tier.release(found)
            raise
        tier.put(wanted.plan, found, entry)
        return _Made(entry, kept=False)

    async def _found(self, wanted: _Wanted, expires: float, good: Good) -> Found | None:
        if self._shared is None or wanted.plan.keep == NOT_KEPT:
            return None
        if self._shared.invalidations.owes(wanted.ask.caller.owner):
            return None
        patience = (expires - asyncio.get_running_loop().time()) * _PATIENCE
        return await self._shared.tier.find(wanted.plan, wanted.ask, good, patience)

    async def _whichever_is_first(self, tier: SecondTier, wanted: _Wanted, found: Found, expires: float) -> _Made:
        """Return what comes first: the answer of the replica that leads, which is late, or this one's."""
        own = asyncio.create_task(self._gathered(wanted, expires, anew=False))
        patience = expires - asyncio.get_running_loop().time()
        theirs = asyncio.create_task(tier.watch(wanted.plan, found, patience))
        try:
            await asyncio.wait({own, theirs}, return_when=asyncio.FIRST_COMPLETED)
            kept = await self._better(tier, wanted, found, own, theirs)
            if kept is not None:
                self._keep(wanted.key, kept)
                return _Made(kept, kept=True)
            entry = await own
        finally:
            for task in (own, theirs):
                task.cancel()
            await asyncio.gather(own, theirs, return_exceptions=True)
        if entry.degraded is None:  # else the replica that leads may do better
            tier.put(wanted.plan, found, entry)
        return _Made(entry, kept=False)

    async def _better(
        self,
        tier: SecondTier,
        wanted: _Wanted,
        found: Found,
        own: asyncio.Task[Entry],
        theirs: asyncio.Task[Entry | None],
    ) -> Entry | None:
        """Return the leading replica's answer if it is there, or there is none of one's own; else None."""
        if not own.done() or own.exception() is not None:
            return await theirs
        return None if own.result().degraded is None else await tier.watch(wanted.plan, found, 0)

    async def _gathered(self, wanted: _Wanted, expires: float, *, anew: bool) -> Entry:
        try:
            entry = await self._fanned_out(wanted, expires, anew=anew)
        except Refused as refused:
            if refused.revokes:
                await self.changed(refused.revokes, wanted.ask.caller)
            raise
        self._keep(wanted.key, entry)
        return entry

    def _keep(self, key: Hashable, entry: Entry) -> None:
        kept = self._store.get(key)
        if kept is None or kept.asked_at <= entry.asked_at:  # else one that was asked for later is there already
            self._store.put(key, entry)

    async def _fanned_out(self, wanted: _Wanted, expires: float, *, anew: bool) -> Entry:
        started = monotonic()
        plan, ask = wanted.plan, wanted.ask
        if plan.subject is not None:
            ask = replace(ask, subject=await self._sources.subject(plan.subject, ask, expires))
        fan_out = FanOut(
            plan, ask, lambda source, ask: self._sources.fetch(source, ask, since=wanted.since, anew=anew)
        )
        got = await fan_out.gather(expires)
        timing = timing_of(fan_out, monotonic() - started)
        return entry_of(plan, _merged(plan, ask, got), got, asked_at=started, timing=timing)

    async def close(self) -> None:
        await self._flights.close()
        if self._shared is not None:
            await self._shared.tier.close()
            await self._shared.invalidations.close()


def _merged(plan: Plan[Any], ask: Ask[Any], got: Got) -> bytes:
    try:
        return plan.merge(ask, got).model_dump_json().encode()
    except Refused:
        raise
    except Exception as error:
        # Data that no merge was written for is an upstream's failure to the caller, and a bug to us.
        _log.exception("merge failed", plan=plan.name)
        raise UpstreamFailure(_first(plan), Reason.MALFORMED) from error


async def _landing(flight: asyncio.Task[_Made], plan: Plan[Any], expires: float) -> _Made:
    # Who joined a flight may have less time left than the one who started it.
    try:
        async with asyncio.timeout_at(expires + _MERGE_SECONDS):
            return await asyncio.shield(flight)
    except TimeoutError as error:
        raise UpstreamFailure(_first(plan), Reason.TIMEOUT) from error


def _first(plan: Plan[Any]) -> str:
    return plan.sources[0].upstream if plan.sources else "user_store"
