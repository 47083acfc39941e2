"""The user store's client: each method raises only UpstreamFailure, and nothing is ever tried twice."""

from datetime import datetime, timedelta
from typing import Literal
from uuid import uuid4

from upstreams.user_store import agent_statements, readers, setting_statements, statements, writers
from upstreams.user_store.address import parse
from upstreams.user_store.database import Database
from upstreams.user_store.drivers import driver
from upstreams.user_store.pool import Pool
from upstreams.user_store.rows import (
    Account,
    AgentRecord,
    Bootstrap,
    Counts,
    Dashboard,
    InstalledSkill,
    Instance,
    Inventory,
    NewAgent,
    OwnedAgent,
    SessionOwner,
    Standing,
    Subscription,
    Summary,
)
from upstreams.user_store.turns import Turns

EXPIRES_SOON = timedelta(days=3)


class UserStore:
    """The platform's relational database, whose tables it fills but never makes or migrates.

    Durations are in seconds. ``statement_timeout`` bounds a statement or a transaction, opening a connection
    included; waiting for one of ``pool_size`` connections adds at most ``pool_wait``.
    """

    def __init__(
        self,
        url: str,
        *,
        pool_size: int = 10,
        pool_wait: float = 1.0,
        statement_timeout: float = 1.5,
        connect_timeout: float = 1.0,
        failures: int = 5,
        ratio: float = 0.5,
        volume: int = 20,
        open_for: float = 1.0,
    ) -> None:
        """Raise ValueError when ``url`` names no database that can be used; nothing is connected yet.

        What opens the circuit breaker is as with ``upstreams.pipe.Breaker``.
        """
        way = driver(parse(url), statement_timeout, connect_timeout)
        pool = Pool(way, size=pool_size, wait=pool_wait, timeout=statement_timeout)
        self._database = Database(way, pool, failures=failures, ratio=ratio, volume=volume, open_for=open_for)
        # As long as the one before may take.
        self._turns = Turns(pool_wait + statement_timeout)

    @property
    def delay(self) -> float:
        """For how many seconds the statement that is next has been waiting for a connection, 0.0 without one."""
        return self._database.pool.delay

    async def session(self, token: str, now: datetime) -> SessionOwner | None:
        """Return whose session ``token`` is, None when there is none that lasts beyond ``now``."""
        if not token.isprintable():
            return None  # not a token, and PostgreSQL would refuse to look for it
        return await self._database.ask(
            statements.SESSION, readers.session_owner, token=token, now=self._database.moment(now)
        )

    async def account(self, user_id: str) -> Account | None:
        """Return the user's account, None when the user is missing."""
        return await self._database.ask(statements.ACCOUNT, readers.account, user_id=user_id)

    async def dashboard(self, user_id: str) -> Dashboard | None:
        """Return the user and the user's agent, None when the user is missing."""
        return await self._database.ask(statements.DASHBOARD, readers.dashboard, user_id=user_id)

    async def bootstrap(self, user_id: str) -> Bootstrap | None:
        """Return the user's referrals and connection, None when the user is missing."""
        return await self._database.ask(statements.BOOTSTRAP, readers.bootstrap, user_id=user_id)

    async def inventory(self, user_id: str, since: datetime, until: datetime) -> Inventory | None:
        """Return what the user has, and by month what came from ``since`` to ``until``, both included."""
        return await self._database.ask(
            statements.INVENTORY,
            readers.inventory,
            user_id=user_id,
            since=self._database.moment(since),
            until=self._database.moment(until),
        )

    async def subscription(self, user_id: str) -> Subscription | None:
        """Return the user's plan and live agents, None when the user is missing."""
        return await self._database.ask(statements.SUBSCRIPTION, readers.subscription, user_id=user_id)

    async def counts(self, user_id: str, today: datetime) -> Counts | None:
        """Return how much the user has, new being what was created since ``today``, 00:00 UTC."""
        return await self._database.ask(
            statements.COUNTS, readers.counts, user_id=user_id, today=self._database.moment(today)
        )

    async def summary(self, now: datetime) -> Summary:
        """Return the platform's trials and agents; a trial expires soon when it ends within three days."""
        return await self._database.ask(
            statements.SUMMARY,
            readers.summary,
            now=self._database.moment(now),
            soon=self._database.moment(now + EXPIRES_SOON),
        )

    async def agents(self, user_id: str, *, now: datetime, abandoned_before: datetime) -> tuple[AgentRecord, ...]:
        """Return the user's agents, newest first.

        Those whose provisioning nobody has touched since ``abandoned_before`` are set to ``error`` first.
        """
        listed = await self._database.ask(agent_statements.AGENTS, readers.agents, user_id=user_id)
        if not any(each.status == "provisioning" and each.updated_at < abandoned_before for each in listed):
            return listed
        return await self._database.transact(
            (agent_statements.ABANDON, agent_statements.AGENTS),
            readers.agents_left,
            user_id=user_id,
            now=self._database.moment(now),
            abandoned_before=self._database.moment(abandoned_before),
        )

    async def owned_agent(self, user_id: str, agent_id: str) -> OwnedAgent | None:
        """Return the agent, None unless it is this user's."""
        return await self._database.ask(
            agent_statements.OWNED_AGENT, readers.owned_agent, user_id=user_id, agent_id=agent_id
        )

    async def instance(self, user_id: str) -> Instance | None:
        """Return what the user's instance is, None when the user is missing."""
        return await self._database.ask(agent_statements.INSTANCE, readers.instance, user_id=user_id)

    async def standing(self, user_id: str) -> Standing | None:
        """Return what the user may provision by and has provisioned, None when the user is missing."""
        return await self._database.ask(agent_statements.STANDING, readers.standing, user_id=user_id)

    async def reserve_agent(
        self, agent: NewAgent, *, limit: int, now: datetime, abandoned_before: datetime
    ) -> int | None:
        """Insert the agent as ``provisioning`` and return None, or return how many the user has already.

        The user's agents not in ``error`` never exceed ``limit``, however many reserve at once and wherever:
        a transaction locks the user, gives up what was abandoned (as in ``agents``), counts and inserts. A
        missing user gets no agent.
        """
        values = writers.new_agent(agent)
        async with self._turns.of(agent.user_id):
            return await self._database.transact(
                (
                    agent_statements.LOCK_USER,
                    agent_statements.ABANDON,
                    agent_statements.RESERVE,
                    agent_statements.COUNTED,
                ),
                readers.reservation,
                **values,
                agent_limit=limit,
                now=self._database.moment(now),
                abandoned_before=self._database.moment(abandoned_before),
            )

    async def finish_agent(
        self,
        agent_id: str,
        user_id: str,
        *,
        status: Literal["running", "error"],
        websocket_url: str | None,
        now: datetime,
    ) -> bool:
        """Set how the provisioning of the user's agent ended; the same again changes nothing.

        False when it was not being provisioned any more: given up meanwhile, its place may be another's.
        """
        return await self._database.ask(
            agent_statements.FINISH,
            bool,
            agent_id=agent_id,
            user_id=user_id,
            outcome=status,
            agent_url=websocket_url,
            now=self._database.moment(now),
        )

    async def installed_skills(self, user_id: str) -> tuple[InstalledSkill, ...]:
        """Return the skills that the user has installed, each once, by name; at most 1000."""
        return await self._database.ask(
            setting_statements.INSTALLED_SKILLS, readers.installed_skills, user_id=user_id
        )

    async def set_skill(self, user_id: str, skill_id: str, *, enabled: bool) -> bool:
        """Switch the skill on or off wherever the user has it installed; False when that is nowhere."""
        return await self._database.write(
            setting_statements.SET_SKILL, bool, user_id=user_id, skill_id=skill_id, switched_on=enabled
        )

    async def credentials(self, user_id: str) -> frozenset[str]:
        """Return the names of the user's credentials that have a value."""
        return await self._database.ask(setting_statements.CREDENTIALS, readers.credentials, user_id=user_id)

    async def put_credential(self, user_id: str, name: str, sealed: str, now: datetime) -> None:
        """Keep ``sealed``, an encrypted value, as the user's credential ``name`` in place of any other."""
        await self._database.write(
            setting_statements.PUT_SETTING,
            bool,
            setting_id=f"setting_{uuid4().hex}",
            user_id=user_id,
            setting_key=setting_statements.CREDENTIAL + name,
            setting_value=sealed,
            now=self._database.moment(now),
        )

    async def ping(self) -> None:
        """Return when the database answers."""
        await self._database.ask(statements.PING, bool)

    async def check_schema(self) -> None:
        """Return when every table and column that is used exists; else the failure is ``malformed``."""
        for statement in statements.SCHEMA:
            await self._database.ask(statement, bool)

    async def close(self) -> None:
        """Close the connections. Statements under way finish."""
        await self._database.close()
