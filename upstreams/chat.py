"""Talking to a user's agent through its OpenClaw gateway (upstreams.md, "gateway and sessions")."""

from collections.abc import Awaitable, Callable

import msgspec

from upstreams.completions import COMPLETION, MAX_REPLY_BYTES, MAX_STREAM_BYTES, StreamedReply
from upstreams.failure import UpstreamFailure
from upstreams.gateway import GatewayDirectory, RefusedTokens
from upstreams.pipe import Address, Pipe
from upstreams.user_store import Account

_PATH = "/v1/chat/completions"
_BAD_REQUEST = 400


class Chat:
    """A message may have been taken although the call failed (``outcome_unknown``): none is sent twice."""

    def __init__(self, pipe: Pipe, directory: GatewayDirectory, refused: RefusedTokens) -> None:
        self._pipe = pipe
        self._directory = directory
        self._refused = refused

    async def reply(self, account: Account, conversation: str, message: str) -> str:
        """Return what the user's agent replies to ``message``. Raises UpstreamFailure.

        A failure of its model is the reply on gateways up to 2026.4, and nothing tells it from one.
        """
        at, token = self._gateway(account)
        with self._refused.noted(self._pipe.upstream, at, token):
            completion = await self._pipe.send(
                at,
                "POST",
                _PATH,
                content=_question(conversation, message, stream=False),
                into=COMPLETION,
                bearer=token,
                max_bytes=MAX_REPLY_BYTES,
            )
        return completion.text

    async def stream(
        self, account: Account, conversation: str, message: str, on_text: Callable[[str], Awaitable[None]]
    ) -> str:
        """Return the reply as ``reply`` does, having told ``on_text`` each piece of it as it came.

        Raises UpstreamFailure, also when pieces have been told already. Cancelling it ends the connection.
        """
        at, token = self._gateway(account)
        reading = StreamedReply(self._pipe.upstream, on_text)
        with self._refused.noted(self._pipe.upstream, at, token):
            await self._pipe.stream(
                at,
                _PATH,
                content=_question(conversation, message, stream=True),
                sink=reading.feed,
                bearer=token,
                max_bytes=MAX_STREAM_BYTES,
            )
        return await reading.finish()

    async def check(self, account: Account) -> None:
        """Return when the gateway's chat is on and takes the token; nothing is said. Raises UpstreamFailure."""
        at, token = self._gateway(account)
        try:
            await self._pipe.send(at, "POST", _PATH, content=b"{}", into=COMPLETION, bearer=token)
        except UpstreamFailure as failure:
            if failure.status != _BAD_REQUEST:
                raise

    def _gateway(self, account: Account) -> tuple[Address, str | None]:
        at = self._directory.address(account, self._pipe.upstream)
        return at, self._directory.token(account, at)


def _question(conversation: str, message: str, *, stream: bool) -> bytes:
    question = {
        "model": "openclaw/default",
        "user": conversation,
        "messages": [{"role": "user", "content": message}],
    }
    return msgspec.json.encode(question | {"stream": True} if stream else question)
