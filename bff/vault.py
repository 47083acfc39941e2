"""Credentials at rest: AES-256-GCM under the configured key, each bound to its user and its name."""

import base64
import hashlib
import os
from collections.abc import Sequence
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

_KEY_BYTES: Final = 32
_NONCE_BYTES: Final = 12  # NIST SP 800-38D, 8.2: random ones of 96 bits are good for 2^32 values under one key


class Unsealable(Exception):
    """The text was not sealed with a known key, for this user and under this name. It does not say more."""


class Vault:
    """Seals with the first of ``keys``, opens with any: a new key goes first, the old one stays until all is new.

    A sealed text is ``v1.<key id>.<base64url of nonce and ciphertext>``; the id is the first 8 hexadecimal digits
    of the key's SHA-256. Raises ValueError unless there are keys and each has 32 bytes.
    """

    def __init__(self, keys: Sequence[bytes]) -> None:
        if not keys or any(len(key) != _KEY_BYTES for key in keys):
            raise ValueError(f"the vault needs keys of {_KEY_BYTES} bytes")
        self._ciphers = {_prefix(key): AESGCM(key) for key in keys}
        self._first = _prefix(keys[0])

    def seal(self, user_id: str, name: str, value: str) -> str:
        """Return ``value`` as it may be stored. It can be opened for the same user and name only."""
        nonce = os.urandom(_NONCE_BYTES)
        sealed = nonce + self._ciphers[self._first].encrypt(nonce, value.encode(), _bound_to(user_id, name))
        return f"{self._first}.{_encoded(sealed)}"

    def open(self, user_id: str, name: str, sealed: str) -> str:
        """Return the value that was sealed for this user under this name. Raises Unsealable."""
        try:
            prefix, text = sealed.rsplit(".", 1)
            data = _decoded(text)
            nonce, ciphertext = data[:_NONCE_BYTES], data[_NONCE_BYTES:]
            return self._ciphers[prefix].decrypt(nonce, ciphertext, _bound_to(user_id, name)).decode()
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


def _bound_to(user_id: str, name: str) -> bytes:
    # With the length, so that the two cannot run into each other.
    user = user_id.encode()
    return b"%d:%b%b" % (len(user), user, name.encode())
