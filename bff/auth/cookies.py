"""Who is asking, by a cookie that only its upstream can judge (contract.md, "Codex-LB")."""

from collections.abc import Mapping
from typing import Final

from bff.auth.credentials import parse_cookies
from bff.auth.doors import ANYONE
from bff.cache.keys import credential_key
from bff.plans.operation import Caller, CookieHolder, Refused

_NAMES: Final = ("dashboard_session", "codex_lb_dashboard_session")  # the document's name, and codex-lb's own
_LOG_ID_CHARS: Final = 12


class CookieDoor:
    """Lets in whoever has the cookie. Whether it is any good shows when it is used."""

    def known(self, headers: Mapping[bytes, bytes]) -> Caller | None:
        cookies = parse_cookies(headers.get(b"cookie", b""))
        value = next((cookies[name] for name in _NAMES if cookies.get(name)), None)
        if value is None:
            return None
        name = credential_key("codex", value).hex()
        return CookieHolder(name, None, name[:_LOG_ID_CHARS], ANYONE.found, cookie=value)

    async def admit(self, headers: Mapping[bytes, bytes], *, reads: bool, expires: float) -> Caller:  # noqa: ARG002
        caller = self.known(headers)
        if caller is None:
            raise Refused(401, "Authentication is required", fields={"code": "authentication_required"})
        return caller
