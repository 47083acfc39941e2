"""One who asks, and looks closely at every answer."""

import itertools
import json
import time
from collections import deque
from dataclasses import dataclass
from random import Random
from typing import Any, Final

from bff.plans import Operation
from tests.faults.table import SLACK
from tests.soak.balancer import Balancer, Sent
from tests.soak.chronicle import Chronicle
from tests.soak.judge import judge, missing
from tests.soak.ledger import Excuse, Kind, Ledger, Suspect, Wrong
from tests.soak.marks import others
from tests.soak.questions import Claim, Question
from tests.soak.replicas import Life
from tests.soak.users import Thing, User
from tests.soak.wire import Cut
from tests.stores import Database

# So long after Redis is back, everything that was written meanwhile is read everywhere.
_CONVERGES_SECONDS: Final = 3.0
# The other replica hears of a write by a message, for which its writer does not wait.
_ON_ITS_WAY_SECONDS: Final = 0.1
_numbers: Final = itertools.count(1)


class Lag:
    """How late the soak's own event loop was: what it adds to every latency that it measures."""

    def __init__(self) -> None:
        self._late: deque[tuple[float, float]] = deque(maxlen=2_000)

    def note(self, at: float, seconds: float) -> None:
        self._late.append((at, seconds))

    def worst(self, since: float = 0.0) -> float:
        return max((seconds for at, seconds in self._late if at >= since), default=0.0)


@dataclass(frozen=True)
class Surroundings:
    """What all visitors have in common."""

    balancer: Balancer
    ledger: Ledger
    chronicle: Chronicle
    lag: Lag
    database: Database


@dataclass(frozen=True, slots=True)
class Reply:
    """What came of a request: the JSON ``body`` of a success that is no stream, else None."""

    kind: Kind
    life: Life
    began: float
    ended: float
    status: int = 0
    body: Any = None
    content: bytes = b""
    etag: str | None = None
    without: frozenset[str] = frozenset()

    @property
    def is_success(self) -> bool:
        return 200 <= self.status < 300


def request(method: str, path: str, *lines: str, document: Any = None) -> bytes:
    """Return a request with a JSON document, if any."""
    body = b"" if document is None else json.dumps(document).encode()
    length = [f"Content-Length: {len(body)}"] if body else []
    return "\r\n".join([f"{method} {path} HTTP/1.1", "Host: bff", *length, *lines, "", ""]).encode() + body


class Visitor:
    """Who asks for some of the users, of each one thing after the other."""

    def __init__(self, around: Surroundings, users: list[User], chance: Random) -> None:
        self.around = around
        self.users = users
        self.chance = chance

    async def ask(self, question: Question, user: User, *lines: str, via: str | None = None) -> Reply:
        """Ask as the user; look whether the answer is right and the user's own."""
        reply = await self.tell(
            question.plan,
            user,
            request("GET", question.path(user), question.credential(user), *lines, f"X-Request-ID: {_name(user)}"),
            via=via,
            is_private=question.is_private,
        )
        if reply.body is not None:
            self._check(question, user, reply)
        return reply

    async def tell(
        self,
        operation: Operation[Any],
        user: User | None,
        *pieces: bytes,
        via: str | None = None,
        refusals: frozenset[int] = frozenset(),
        is_private: bool = True,
        pause: float = 0.0,
    ) -> Reply:
        """Send a request in these pieces and account for what becomes of it; ``user``: whose answer it will be."""
        sent = await self.around.balancer.send(*pieces, via=via, pause=pause)
        if sent.answer is None:
            return self._unanswered(operation, sent)
        answer = sent.answer
        hurt = self.around.chronicle.hurt(sent.began, sent.ended)
        kind, wrongs = judge(operation, answer, hurt, refusals)
        for wrong, text in wrongs:
            self.wrong(sent.began, wrong, text)
        if is_private:
            self._look_for_others(operation, user, sent)
        asked_for = b"X-Request-ID: ", answer.headers.get("x-request-id", "").encode()
        if asked_for[0] in pieces[0] and b"".join(asked_for) + b"\r\n" not in pieces[0]:
            self.wrong(sent.began, Wrong.FOREIGN, f"{operation.name}: answer to another request: {asked_for[1]!r}")
        self._account(operation, sent, kind, timed=pause == 0)
        return Reply(
            kind,
            sent.life,
            sent.began,
            sent.ended,
            answer.status,
            _document(answer.body) if 200 <= answer.status < 300 else None,
            answer.body,
            answer.headers.get("etag"),
            missing(answer),
        )

    def wrong(self, at: float, what: Wrong, text: str) -> None:
        state = self.around.chronicle.state(at)
        self.around.ledger.wrong(state, what, self._told(at, text))

    def suspect(self, what: Wrong, text: str, writer: object, reply: Reply, *, since: float) -> None:
        """Note what is wrong, unless another process did the writing and Redis was not there for both of them."""
        if writer is reply.life:
            self.wrong(reply.began, what, text)
            return
        processes = frozenset({writer, reply.life} - {None})
        state = self.around.chronicle.state(reply.began)
        told = self._told(reply.began, text)
        self.around.ledger.suspects.append(Suspect(state, what, told, processes, since, reply.ended))

    def _told(self, at: float, text: str) -> str:
        return f"[{time.strftime('%H:%M:%S')}, {self.around.chronicle.names(at)}] {text}"

    def count(self, at: float, kind: Kind) -> None:
        self.around.ledger.record(self.around.chronicle.state(at), kind)

    def _account(self, operation: Operation[Any], sent: Sent, kind: Kind, *, timed: bool) -> None:
        is_read = not hasattr(operation, "method")
        state = self.around.chronicle.state(sent.began)
        self.around.ledger.record(state, kind, sent.seconds if timed and is_read else None)
        patience = operation.deadline + SLACK + self.around.lag.worst(sent.began)
        if timed and is_read and sent.seconds > patience:
            self.wrong(sent.began, Wrong.LATE, f"{operation.name}: {sent.seconds:.2f} s")

    def _unanswered(self, operation: Operation[Any], sent: Sent) -> Reply:
        assert sent.failure is not None
        kind = Kind.KILLED if sent.life.is_killed else Kind.CUT
        if sent.life.is_draining and isinstance(sent.failure, Cut) and not sent.failure.sent:
            kind = Kind.LEFT  # what is not all there yet when a replica drains is nobody's request
        if kind is Kind.CUT:
            self.wrong(sent.began, Wrong.CUT, f"{operation.name} at {sent.life.name}: {sent.failure}")
        self.count(sent.ended, kind)
        return Reply(kind, sent.life, sent.began, sent.ended)

    def _look_for_others(self, operation: Operation[Any], user: User | None, sent: Sent) -> None:
        assert sent.answer is not None
        found = others(sent.answer.head + sent.answer.body, None if user is None else user.number)
        if found:
            whose = "a stranger" if user is None else user.mark
            self.wrong(sent.began, Wrong.FOREIGN, f"{operation.name}: {whose} was given bytes of {sorted(found)}")

    def _check(self, question: Question, user: User, reply: Reply) -> None:
        try:
            for number, claim in enumerate(question.claims(user, reply.body, reply.without)):
                if claim.says != claim.own:
                    self._false(question, claim, number, user, reply)
        except (KeyError, TypeError, IndexError) as error:
            text = f"{question.name}: {error!r} in {str(reply.body)[:200]}"
            self.wrong(reply.began, Wrong.UNDOCUMENTED, text)

    def _false(self, question: Question, claim: Claim, number: int, user: User, reply: Reply) -> None:
        told = f"{question.name}, claim {number}, of {user.mark}: {claim.says!r}, not {claim.own!r}"
        thing = claim.thing
        if thing is None:
            self.wrong(reply.began, Wrong.FOREIGN, told)
        elif thing.is_known:
            self._outdated(thing, told, reply)

    def _outdated(self, thing: Thing, told: str, reply: Reply) -> None:
        ago, writer = reply.began - thing.written_at, thing.writer
        if writer is not reply.life and ago < _ON_ITS_WAY_SECONDS + self.around.lag.worst(thing.written_at):
            state = self.around.chronicle.state(reply.began)
            self.around.ledger.excuse(state, Wrong.OUTDATED, Excuse.ON_ITS_WAY)
            return
        told += f", written {ago:.3f} s before at {getattr(writer, 'name', None)}, read at {reply.life.name}"
        since = max(thing.written_at, reply.began - _CONVERGES_SECONDS)
        self.suspect(Wrong.OUTDATED, told, writer, reply, since=since)


def _name(user: User) -> str:
    return f"{user.mark}-{next(_numbers)}"


def _document(content: bytes) -> Any:
    try:
        return json.loads(content)
    except ValueError:
        return None
