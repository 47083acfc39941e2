"""The pretend metrics service's figures of an organization: a year of conversations and files, made up once."""

import random
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import cache
from typing import Annotated, Any
from urllib.parse import parse_qs

import msgspec
from starlette.types import ASGIApp, Receive, Scope, Send

from demo.asgi import Answer, header, json_answer, whole_body
from demo.clerk import ORGANIZATION
from demo.metrics import UNAUTHORIZED
from demo.people import METRICS_API_KEY, PEOPLE, Person

DAYS = 365
KNOWLEDGE_BASES = ("kb_handbook", "kb_products", "kb_contracts")
MOST_USERS_IN_QUERY = 200

TOO_MANY_USERS = json_answer({"error": f"at most {MOST_USERS_IN_QUERY} userId in a query, POST to /query"}, 400)
NOT_ALLOWED = json_answer({"error": "Method not allowed"}, 405)

Moment = Annotated[datetime, msgspec.Meta(tz=True)]


class Asked(msgspec.Struct, rename="camel"):
    """Whose figures and of when; no ``user_id`` at all means everybody's."""

    org_id: str
    since: Moment = msgspec.field(name="from")
    until: Moment = msgspec.field(name="to")
    user_id: tuple[str, ...] | None = None
    agent_id: str | None = None


@dataclass(frozen=True, slots=True)
class Conversation:
    at: datetime
    user: str
    agent: str
    messages: int
    tool_calls: int
    input_tokens: int
    output_tokens: int
    helpful: bool | None


@dataclass(frozen=True, slots=True)
class File:
    at: datetime
    knowledge_base: str
    input_tokens: int
    output_tokens: int


def _conversations(person: Person, day: date) -> Iterator[Conversation]:
    chance = random.Random(f"{person.id} conversations {day}")
    for _ in range(chance.choice((0, 0, 1, 1, 2, 3)) if person.agents else 0):
        messages = chance.randrange(2, 40)
        yield Conversation(
            at=_moment(day, chance),
            user=person.id,
            agent=chance.choice(person.agents).id,
            messages=messages,
            tool_calls=chance.randrange(messages),
            input_tokens=messages * chance.randrange(200, 900),
            output_tokens=messages * chance.randrange(50, 300),
            helpful=chance.choice((None, None, None, True, True, False)),
        )


def _files(day: date) -> Iterator[File]:
    chance = random.Random(f"files {day}")
    for _ in range(chance.choice((0, 0, 0, 1, 4))):
        tokens = chance.randrange(1_000, 60_000)
        yield File(_moment(day, chance), chance.choice(KNOWLEDGE_BASES), tokens, tokens // 10)


def _moment(day: date, chance: random.Random) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(seconds=chance.randrange(86_400))


class Figures:
    """The one organization's year until ``now``; of any other there is nothing."""

    def __init__(self, now: datetime) -> None:
        days = [now.date() - timedelta(days=ago) for ago in reversed(range(DAYS))]
        self.conversations = [
            each for day in days for person in PEOPLE for each in _conversations(person, day) if each.at <= now
        ]
        self.files = [each for day in days for each in _files(day) if each.at <= now]

    def _selected(self, asked: Asked) -> list[Conversation]:
        if asked.org_id != ORGANIZATION:
            return []
        users = None if asked.user_id is None else set(asked.user_id)
        return [
            each
            for each in self.conversations
            if asked.since <= each.at <= asked.until
            and (users is None or each.user in users)
            and asked.agent_id in (None, each.agent)
        ]

    def of_conversations(self, asked: Asked) -> dict[str, int]:
        """Return the totals of the selected conversations."""
        chosen = self._selected(asked)
        return {
            "conversationCount": len(chosen),
            "messageCount": sum(each.messages for each in chosen),
            "toolCalls": sum(each.tool_calls for each in chosen),
            **_tokens(chosen, "totalTokens", "inputTokens", "outputTokens"),
            "uniqueUsers": len({each.user for each in chosen}),
            "uniqueAgents": len({each.agent for each in chosen}),
        }

    def of_feedback(self, asked: Asked) -> dict[str, int]:
        """Return how the selected conversations were rated."""
        rated = [each.helpful for each in self._selected(asked) if each.helpful is not None]
        return {
            "totalFeedback": len(rated),
            "totalHelpful": rated.count(True),
            "totalNotHelpful": rated.count(False),
        }

    def of_knowledge_base(self, asked: Asked) -> dict[str, int]:
        """Return the totals of the organization's files, whoever is asked about."""
        chosen = [each for each in self.files if asked.since <= each.at <= asked.until]
        if asked.org_id != ORGANIZATION:
            chosen = []
        return {
            "kbFileCount": len(chosen),
            "kbCount": len({each.knowledge_base for each in chosen}),
            **_tokens(chosen, "kbExtractTotalTokens", "kbExtractInputTokens", "kbExtractOutputTokens"),
        }


def _tokens(chosen: Iterable[Conversation | File], total: str, given: str, made: str) -> dict[str, int]:
    into, out = sum(each.input_tokens for each in chosen), sum(each.output_tokens for each in chosen)
    return {total: into + out, given: into, made: out}


class Totals:
    """A path of the service: what ``figures`` says to what is asked in the query (GET) or as JSON (POST)."""

    def __init__(self, method: str, figures: Callable[[Asked], dict[str, int]]) -> None:
        self._method = method
        self._figures = figures
        self._authorization = f"Bearer {METRICS_API_KEY}".encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = await whole_body(receive)
        await self._answer(scope, body)(scope, receive, send)

    def _answer(self, scope: Scope, body: bytes) -> Answer:
        if header(scope, b"authorization") != self._authorization:
            return UNAUTHORIZED
        if scope["method"] != self._method:
            return NOT_ALLOWED
        try:
            if self._method == "POST":
                return json_answer(self._figures(msgspec.json.decode(body, type=Asked)))
            asked = msgspec.convert(_queried(scope["query_string"]), Asked)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            return json_answer({"error": str(error)}, 400)
        too_many = len(asked.user_id or ()) > MOST_USERS_IN_QUERY
        return TOO_MANY_USERS if too_many else json_answer(self._figures(asked))


def _queried(query: bytes) -> dict[str, Any]:
    asked = parse_qs(query.decode("latin-1"))
    return {name: values if name == "userId" else values[0] for name, values in asked.items()}


def routes(clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> dict[str, ASGIApp]:
    """Return the paths of an organization's figures, as they are when one of them is first asked for."""
    figures = cache(lambda: Figures(clock()))  # making a year up takes a while, and few ever ask

    def conversations(asked: Asked) -> dict[str, int]:
        return figures().of_conversations(asked)

    def feedback(asked: Asked) -> dict[str, int]:
        return figures().of_feedback(asked)

    def knowledge_base(asked: Asked) -> dict[str, int]:
        return figures().of_knowledge_base(asked)

    return {
        "/api/metrics/conversations": Totals("GET", conversations),
        "/api/metrics/conversations/query": Totals("POST", conversations),
        "/api/metrics/feedback": Totals("GET", feedback),
        "/api/metrics/feedback/query": Totals("POST", feedback),
        "/api/metrics/knowledge-base": Totals("GET", knowledge_base),
    }
