"""NextAuth v4 session cookies: encrypted JWTs (JWE, ``dir`` + ``A256GCM``)."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from joserfc import jwe
from joserfc.errors import JoseError
from joserfc.jwk import OctKey

_ALGORITHMS = ["dir", "A256GCM"]
_INFO = b"NextAuth.js Generated Encryption Key"
_MAX_ID_CHARS = 255


@dataclass(frozen=True, slots=True)
class Claims:
    user_id: str
    email: str | None
    expires: datetime


class NextAuthSessions:
    def __init__(self, secret: str) -> None:
        derived = HKDF(algorithm=SHA256(), length=32, salt=b"", info=_INFO).derive(secret.encode())
        self._key = OctKey.import_key(derived)

    def open(self, token: str) -> Claims | None:
        """Return what the session says, None when it was not made with our secret or says nothing usable."""
        try:
            decrypted = jwe.decrypt_compact(token, self._key, algorithms=_ALGORITHMS)
            claims = json.loads(decrypted.plaintext or b"")
        except (JoseError, ValueError, TypeError, RecursionError):
            return None
        return _read(claims) if isinstance(claims, dict) else None


def _read(claims: dict[str, Any]) -> Claims | None:
    user_id = claims.get("sub") or claims.get("id")
    email = claims.get("email")
    expires = claims.get("exp")
    if not isinstance(user_id, str) or not user_id.isprintable() or len(user_id) > _MAX_ID_CHARS:
        return None
    if not isinstance(expires, int | float) or isinstance(expires, bool):
        return None
    try:
        moment = datetime.fromtimestamp(expires, UTC)
    except (ValueError, OverflowError, OSError):
        return None
    return Claims(user_id, email if isinstance(email, str) else None, moment)
