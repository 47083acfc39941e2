"""Secrets at rest: AES-256-GCM under the configured key, each bound to what it belongs to."""

import base64
import hashlib
import os
from collections.abc import Sequence
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

_KEY_BYTES: Final = 32
_PREFIX_LENGTH: Final = len("v1.") + 8
_NONCE_BYTES: Final = 12  # NIST SP 800-38D, 8.2: random ones of 96 bits are good for 2^32 values under one key


class Unsealable(Exception):
    """It was not sealed with a known key, or not for what it is opened for. It does not say more."""


class Vault:
    """Seals with the first of ``keys``, opens with any: a new key goes first, the old one stays until all is new.

    A sealed text is ``v1.<key id>.<base64url of nonce and ciphertext>``, sealed bytes ``v1.<key id>``, nonce and
    ciphertext; the id is the first 8 hexadecimal digits of the key's SHA-256. Raises ValueError unless there are
    keys and each has 32 bytes.
    """

    def __init__(self, keys: Sequence[bytes]) -> None:
        if not keys or any(len(key) != _KEY_BYTES for key in keys):
            raise ValueError(f"the vault needs keys of {_KEY_BYTES} bytes")
        self._ciphers = {_prefix(key): AESGCM(key) for key in keys}
        self._first = _prefix(keys[0])

    def seal(self, user_id: str, name: str, value: str) -> str:
        """Return ``value`` as it may be stored. It can be opened for the same user and name only."""
        return f"{self._first}.{_encoded(self._encrypted(value.encode(), _owned(user_id, name)))}"

    def open(self, user_id: str, name: str, sealed: str) -> str:
        """Return the value that was sealed for this user under this name. Raises Unsealable."""
        try:
            prefix, text = sealed.rsplit(".", 1)
            return self._decrypted(prefix, _decoded(text), _owned(user_id, name)).decode()
        except ValueError:
            raise Unsealable from None

    def seal_bytes(self, data: bytes, bound_to: bytes) -> bytes:
        """Return ``data`` as it may be stored. It can be opened with the same ``bound_to`` only."""
        return self._first.encode() + self._encrypted(data, _bare(bound_to))

    def open_bytes(self, sealed: bytes, bound_to: bytes) -> bytes:
        """Return what was sealed with this ``bound_to``. Raises Unsealable."""
        prefix = sealed[:_PREFIX_LENGTH].decode("latin-1")
        return self._decrypted(prefix, sealed[_PREFIX_LENGTH:], _bare(bound_to))

    def _encrypted(self, data: bytes, bound_to: bytes) -> bytes:
        nonce = os.urandom(_NONCE_BYTES)
        return nonce + self._ciphers[self._first].encrypt(nonce, data, bound_to)

    def _decrypted(self, prefix: str, data: bytes, bound_to: bytes) -> bytes:
        try:
            return self._ciphers[prefix].decrypt(data[:_NONCE_BYTES], data[_NONCE_BYTES:], bound_to)
        except (ValueError, KeyError, InvalidTag):
            raise Unsealable from None


def _prefix(key: bytes) -> str:
    return f"v1.{hashlib.sha256(key).hexdigest()[:8]}"


def _encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode()


def _decoded(text: str) -> bytes:
    data = base64.urlsafe_b64decode(text)
    # Decoding passes over what is no base64; only the one way to write the data is good.
    if _encoded(data) != text:
        raise ValueError
    return data


def _owned(user_id: str, name: str) -> bytes:
    # With the length, so that the two cannot run into each other.
    user = user_id.encode()
    return b"%d:%b%b" % (len(user), user, name.encode())


def _bare(bound_to: bytes) -> bytes:
    # Begins with no digit, so that sealed bytes are never opened as somebody's text, nor the other way round.
    return b"bytes:" + bound_to
