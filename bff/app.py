"""The gateway put together: its public application and its operations' one, on shared clients and caches."""

from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace
from typing import Any

import httpx
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.routing import Route
from starlette.types import ASGIApp

from bff.auth.clerk import ClerkTokens
from bff.auth.cookies import CookieDoor
from bff.auth.credentials import CredentialReader
from bff.auth.doors import AdminDoor, Door, OpenDoor, SessionDoor
from bff.auth.identities import Identities
from bff.auth.members import MemberDoor
from bff.auth.nextauth import NextAuthSessions
from bff.auth.sessions import Sessions
from bff.cache.answers import Answers, Shared
from bff.cache.invalidation import Invalidations
from bff.cache.second_tier import SecondTier
from bff.cache.store import Store
from bff.clients import Clients
from bff.edge.action_endpoint import Tools
from bff.edge.edge import Edge
from bff.edge.errors import routing_error, unexpected_error
from bff.edge.quotas import Quotas
from bff.edge.routes import Routes
from bff.edge.shedding import Shedding
from bff.endpoints import ACTIONS, GONE, PLANS
from bff.idempotency import Idempotency
from bff.limits import RateLimits
from bff.metrics import Metrics
from bff.ops import Health
from bff.overload import AdaptiveLimit
from bff.plans import Access, Plan
from bff.plans.shared import Sources
from bff.redis import Redis
from bff.settings import Settings
from bff.sharing import Sharing

EXPOSED_HEADERS = (
    "BFF-Degraded",
    "Cache-Status",
    "Deprecation",
    "ETag",
    "Link",
    "RateLimit",
    "RateLimit-Policy",
    "Retry-After",
    "Server-Timing",
    "X-Request-ID",
)


Beside = Callable[["Gateway"], AbstractAsyncContextManager[None]]


@asynccontextmanager
async def _nothing(_: "Gateway") -> AsyncIterator[None]:
    yield


class Gateway:
    """One process's gateway: ``public`` and ``ops`` are ASGI applications.

    The lifespan of ``public`` closes everything; ``beside`` runs within it.
    """

    def __init__(
        self, settings: Settings, *, beside: Beside = _nothing, transport: httpx.AsyncBaseTransport | None = None
    ) -> None:
        self._beside = beside
        self._plans = kept_as_configured(PLANS, settings)
        self.metrics = Metrics()
        self.redis = _redis(settings, self.metrics)
        self.clients = Clients.build(settings, transport)
        self._sources = Sources(self.clients)
        self._limit = self._adaptive_limit()
        self._answers = Answers(self._sources, Store(settings.cache.max_bytes), self._limit)
        if self.redis is not None:
            self._answers.share(self._shared(self.redis, settings))
        self._identities = Identities(
            self.clients.user_store,
            _nextauth(settings),
            settings.auth.admin_emails,
            ttl=settings.auth.identity_ttl,
            stale=settings.auth.identity_stale,
        )
        self._repeats = Idempotency(self._sharing("idempotency", settings), longest=self.clients.abandoned_after)
        self.health = Health(self.clients, self.metrics, self._redis_is_up, settings.ops.ready_needs)
        self.public = self._public(settings)
        self.ops = _application(self.health.routes(detailed=True))

    def _adaptive_limit(self) -> AdaptiveLimit:
        limit = AdaptiveLimit()
        self.metrics.concurrency_limit.set_function(lambda: limit.limit)
        self.metrics.in_flight.set_function(lambda: limit.in_flight)
        return limit

    def _redis_is_up(self) -> bool:
        return self.redis is not None and self.redis.is_up

    def _public(self, settings: Settings) -> Edge:
        reader = CredentialReader(settings.auth.session_cookies, settings.auth.nextauth_cookies)
        sessions = Sessions(reader, self._identities)
        doors: dict[Access, Door] = {
            Access.ANYONE: OpenDoor(),
            Access.SESSION: SessionDoor(sessions),
            Access.OWNER: SessionDoor(sessions, status=403),
            Access.ADMIN: AdminDoor(sessions),
            Access.MEMBER: MemberDoor(_clerk(settings, self.clients), ttl=settings.auth.identity_ttl),
            Access.CODEX: CookieDoor(),
        }
        quotas = Quotas(settings.limits, RateLimits(self._sharing("limits", settings)))
        tools = Tools(self.clients, self._answers, quotas, self._repeats, settings.server.max_body_bytes)
        routes = Routes(doors, tools)
        routes.add_plans(self._plans)
        routes.add_actions(ACTIONS)
        routes.add_gone(GONE)
        origins = settings.auth.allowed_origins
        every = [*routes.routes(), *self.health.routes(detailed=False)]
        app = _application(every, _cors(origins), self._lifespan)
        users = self.clients.user_store
        shedding = Shedding(self._limit, lambda: users.delay, routes.kept, (*PLANS, *ACTIONS), self.metrics)
        beyond = _wrapped(shedding, _cors(origins))
        return Edge(app, routes.direct, routes.kept, reader, origins, shedding=shedding, beyond=beyond)

    def _shared(self, redis: Redis, settings: Settings) -> Shared:
        longest = max(max(plan.keep.fresh + plan.keep.stale, plan.keep.on_error) for plan in self._plans)
        prefix = settings.cache.prefix
        return Shared(
            SecondTier(redis, prefix, self.clients.vault, self.metrics, longest),
            Invalidations(redis, prefix, self._answers, self.metrics, longest),
        )

    def _sharing(self, feature: str, settings: Settings) -> Sharing | None:
        redis = self.redis
        return None if redis is None else Sharing(feature, redis, settings.cache.prefix, self.metrics)

    @asynccontextmanager
    async def _lifespan(self, _: Starlette) -> AsyncIterator[None]:
        try:
            await self.open()
            async with self._beside(self):
                yield
        finally:
            await self.close()

    async def open(self) -> None:
        """Connect to what is shared with other replicas, without waiting long for it."""
        if self.redis is not None:
            await self.redis.open()

    async def close(self) -> None:
        """End what is in flight and close every connection."""
        await self._repeats.close()
        await self._answers.close()
        await self._identities.close()
        await self._sources.close()
        await self.clients.close()
        if self.redis is not None:
            await self.redis.close()


def kept_as_configured(plans: Iterable[Plan[Any]], settings: Settings) -> list[Plan[Any]]:
    """Return the plans with the times that ``keep`` overrides."""
    times = {name: each.model_dump(exclude_none=True) for name, each in settings.keep.items()}
    return [replace(plan, keep=replace(plan.keep, **times.get(plan.name, {}))) for plan in plans]


def _redis(settings: Settings, metrics: Metrics) -> Redis | None:
    url = settings.cache.redis_url
    return None if url is None else Redis(url.get_secret_value(), metrics)


def _nextauth(settings: Settings) -> NextAuthSessions | None:
    secret = settings.auth.nextauth_secret
    return None if secret is None else NextAuthSessions(secret.get_secret_value())


def _clerk(settings: Settings, clients: Clients) -> ClerkTokens | None:
    clerk = settings.upstreams.clerk
    return (
        None if clerk.issuer is None else ClerkTokens(clients.clerk_keys, clerk.issuer, clerk.authorized_parties)
    )


def _cors(origins: Sequence[str]) -> list[Middleware]:
    if not origins:
        return []
    middleware = Middleware(
        CORSMiddleware,
        allow_origins=origins,
        allow_methods=["GET", "POST", "PUT", "DELETE"],
        allow_headers=[
            "Authorization",
            "Cache-Control",
            "Content-Type",
            "Idempotency-Key",
            "If-None-Match",
            "X-Request-ID",
        ],
        allow_credentials=True,
        expose_headers=EXPOSED_HEADERS,
    )
    return [middleware]


def _wrapped(app: ASGIApp, middleware: Sequence[Middleware]) -> ASGIApp:
    for each in middleware:
        app = each.cls(app, *each.args, **each.kwargs)
    return app


def _application(
    routes: Sequence[Route],
    middleware: Sequence[Middleware] = (),
    lifespan: Callable[[Starlette], AbstractAsyncContextManager[None]] | None = None,
) -> Starlette:
    app = Starlette(
        routes=routes,
        middleware=middleware,
        lifespan=lifespan,
        exception_handlers={HTTPException: routing_error, Exception: unexpected_error},
    )
    app.router.redirect_slashes = False  # a redirect would be built from the caller's Host header
    return app
