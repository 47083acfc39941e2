"""Serving actions: who asks, whether that one may, what with, and then one try."""

import asyncio
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Final, NamedTuple

import msgspec
from pydantic import ValidationError
from starlette.types import Receive, Scope, Send

from bff.auth.doors import Door
from bff.cache.answers import Answers
from bff.claims import KeyReused, StillUnderWay
from bff.clients import Clients
from bff.clock import utc_now
from bff.edge.body import ClientLeft, read_json
from bff.edge.errors import RETRY_AFTER_SECONDS, failed_answer, failed_write, refused_answer, unexpected
from bff.edge.event_stream import while_connected
from bff.edge.exchange import SCOPE_KEY, Answer, Exchange
from bff.edge.headers import JSON, NO_STORE
from bff.edge.plan_endpoint import bounded, parameters
from bff.edge.quotas import Quotas
from bff.idempotency import Idempotency, valid_key
from bff.plans.action import AnyAction, Order, Tell
from bff.plans.operation import Ask, Caller, Refused
from contracts import problem
from upstreams.failure import Reason, UpstreamFailure

_DEFAULT: Final = "chat"  # document 004, "Chat": the action when none is named


@dataclass(frozen=True, slots=True)
class Tools:
    """What all actions work with."""

    clients: Clients
    answers: Answers
    quotas: Quotas
    repeats: Idempotency
    max_body_bytes: int


class _Ready(NamedTuple):
    """An order that may be carried out."""

    action: AnyAction
    order: Order[Any, Any]
    document: Any


class _Done(NamedTuple):
    """``lasting``: it was tried, so a repeat is to be told the same."""

    answer: Answer
    lasting: bool


class ActionEndpoint:
    """The actions of one method and path as an ASGI application.

    Where there are several, the body's ``action`` chooses, without one that of the query.
    """

    def __init__(self, actions: Sequence[AnyAction], door: Door, tools: Tools) -> None:
        self._first = actions[0]
        self._actions = {action.action: action for action in actions}
        self._door = door
        self._tools = tools

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        exchange: Exchange = scope[SCOPE_KEY]
        exchange.operation = self._first.name
        try:
            answer = await self._answer(exchange, scope, receive, send)
        except ClientLeft:
            return
        except Refused as refused:
            answer = refused_answer(refused, self._first.shape)
        except UpstreamFailure as failure:
            exchange.failure = str(failure)
            answer = failed_answer(self._first, failure)
        if answer is not None:
            # Another one: a repeat with the same key is given the first request's.
            answer = Answer(answer.status, answer.body, [*answer.headers, *exchange.allowance])
            await answer(scope, receive, send)

    async def _answer(self, exchange: Exchange, scope: Scope, receive: Receive, send: Send) -> Answer | None:
        """Return the answer, None when it has been sent. Raises Refused, UpstreamFailure and ClientLeft."""
        ready = await self._ready(exchange, scope, receive)
        exchange.operation = ready.action.name
        if ready.action.streams and b"text/event-stream" in exchange.headers.get(b"accept", b""):
            return await while_connected(receive, send, partial(self._told, exchange, ready), exchange.allowance)
        return await self._once(exchange, ready) if ready.action.once else (await self._do(exchange, ready)).answer

    async def _ready(self, exchange: Exchange, scope: Scope, receive: Receive) -> _Ready:
        caller = await self._caller(exchange)
        document = None
        if self._first.body is not None:
            document = await read_json(exchange.headers, receive, self._tools.max_body_bytes)
        query = {**parameters(bounded(scope["query_string"])), **scope.get("path_params", {})}
        action = self._chosen(document, query)
        exchange.allowance = await self._tools.quotas.take(action.quota, caller, scope)
        ask = Ask(caller, action.query.parse(query), utc_now())
        if action.permit is not None:
            action.permit(caller, ask.query)
        if action.subject is not None:
            ask = replace(ask, subject=await action.subject.of(self._tools.clients, ask))
        order = Order(ask.caller, ask.query, ask.now, ask.subject, body=_validated(action, document))
        return _Ready(action, order, document)

    async def _caller(self, exchange: Exchange) -> Caller:
        expires = asyncio.get_running_loop().time() + self._first.deadline
        try:
            caller = await self._door.admit(exchange.headers, reads=False, expires=expires)
        except UpstreamFailure as failure:
            exchange.failure = str(failure)
            raise Refused(503, "Service unavailable", retry_after=RETRY_AFTER_SECONDS) from failure
        exchange.user = caller.log_id
        return caller

    def _chosen(self, document: Any, query: Mapping[str, str]) -> AnyAction:
        if None in self._actions:
            return self._first
        named = document.get("action") if isinstance(document, dict) else None
        action = self._actions.get(named or query.get("action") or _DEFAULT) if _is_text(named) else None
        if action is None:
            raise Refused(400, f"action must be one of {', '.join(map(str, self._actions))}")
        return action

    async def _told(self, exchange: Exchange, ready: _Ready, tell: Tell) -> Answer:
        telling = ready._replace(order=replace(ready.order, tell=tell))
        return (await self._do(exchange, telling)).answer

    async def _once(self, exchange: Exchange, ready: _Ready) -> Answer:
        key = exchange.headers.get(b"idempotency-key")
        if key is None:
            return (await self._do(exchange, ready)).answer
        if not valid_key(key):
            raise Refused(400, "Idempotency-Key must be 1 to 255 printable ASCII characters")
        scope = (ready.action.name, ready.order.caller.user_id)
        body = hashlib.sha256(msgspec.json.encode(ready.document, order="deterministic")).digest()
        try:
            done, _ = await self._tools.repeats.run(
                scope,
                key.decode(),
                body,
                lambda: self._do(exchange, ready),
                keep=lambda done: done.lasting,
                into=_Done,
            )
        except KeyReused:
            raise Refused(422, "Idempotency-Key was used before with another request body") from None
        except StillUnderWay:
            raise Refused(
                409, "The request with this Idempotency-Key has no answer yet", retry_after=RETRY_AFTER_SECONDS
            ) from None
        return done.answer

    async def _do(self, exchange: Exchange, ready: _Ready) -> _Done:
        """Carry the order out. Whatever comes of it, what it may have changed is no longer served from memory."""
        action = ready.action
        try:
            with self._tools.quotas.place(action.quota, ready.order.caller):
                document = await action.perform(self._tools.clients, ready.order)
        except Refused as refused:
            return _Done(refused_answer(refused, action.shape), lasting=False)
        except UpstreamFailure as failure:
            exchange.failure = str(failure)
            return _Done(failed_write(action, failure), lasting=_was_tried(failure))
        except Exception:  # noqa: BLE001 - whatever it is, the caller gets the documented shape
            return _Done(unexpected(exchange, action.shape), lasting=True)
        finally:
            await self._tools.answers.changed(action.changes, ready.order.caller)
        body = document.model_dump_json().encode()
        return _Done(Answer(action.status, body, [JSON, NO_STORE]), lasting=True)


def _was_tried(failure: UpstreamFailure) -> bool:
    return failure.unsafe and failure.reason is not Reason.RATE_LIMITED


def _is_text(named: object) -> bool:
    return named is None or isinstance(named, str)


def _validated(action: AnyAction, document: Any) -> Any:
    if action.body is None:
        return None
    try:
        return action.body.model_validate(document, strict=True)
    except ValidationError as error:
        raise Refused(400, problem(error)) from None
