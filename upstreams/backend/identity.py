"""On whose behalf the service is asked: the caller's identity in headers, signed."""

import hmac
import re
from dataclasses import dataclass

# An e-mail with a colon would let two callers share a signature: "a" with "b:c@d" reads like "a:b" with "c@d".
_USER_ID = re.compile(r"[!-~]{1,255}")
_EMAIL = re.compile(r"[!-9;-~]{1,320}")


@dataclass(frozen=True, slots=True)
class Actor:
    """The user who asks; ``email`` is None when none is known."""

    user_id: str
    email: str | None
    is_admin: bool


def signed(actor: Actor, secret: str) -> dict[str, str]:
    """Return the headers that tell the service who asks.

    An e-mail that no header can carry safely is left empty: one of other than visible ASCII characters, or with a
    colon. Raises ValueError for an id of other than visible ASCII characters (no spaces: a server may strip them).
    """
    email = actor.email if actor.email and _EMAIL.fullmatch(actor.email) else ""
    if not _USER_ID.fullmatch(actor.user_id):
        raise ValueError("an identity that no header can carry")
    role = "admin" if actor.is_admin else "user"
    return {
        "x-user-id": actor.user_id,
        "x-user-email": email,
        "x-user-role": role,
        "x-user-signature": hmac.digest(
            secret.encode(), f"{actor.user_id}:{email}:{role}".encode(), "sha256"
        ).hex(),
    }
