"""Operations that were taken away: 410, and where to go instead (RFC 9745, RFC 8288)."""

from dataclasses import dataclass
from typing import Final
from urllib.parse import quote

from starlette.types import Receive, Scope, Send

from bff.edge.errors import error_answer
from bff.edge.exchange import SCOPE_KEY

# 2026-04-01, when the documents that call them deprecated were written.
_DEPRECATION: Final = (b"deprecation", b"@1775001600")


@dataclass(frozen=True, slots=True)
class Gone:
    """A deprecated operation; ``successor`` is the path that took its place, ``instead`` names it in words."""

    name: str
    method: str
    path: str
    successor: str
    instead: str

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope[SCOPE_KEY].operation = self.name
        names = {name: quote(value, safe="") for name, value in scope["path_params"].items()}
        answer = error_answer(410, f"This operation is deprecated. Use {self.instead}")
        link = f'<{self.successor.format_map(names)}>; rel="successor-version"'
        answer.headers.extend([(b"link", link.encode()), _DEPRECATION])
        await answer(scope, receive, send)
