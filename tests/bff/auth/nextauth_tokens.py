"""Session tokens as NextAuth v4 makes them, step by step after RFC 5869, RFC 7516 and RFC 7518."""

import base64
import hashlib
import hmac
import json

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

SECRET = "a secret of the platform"
INFO = b"NextAuth.js Generated Encryption Key"


def derived(secret=SECRET, info=INFO, salt=bytes(32)):
    """Return 32 bytes of HKDF-SHA256; an empty salt is one of zeros."""
    extracted = hmac.digest(salt, secret.encode(), hashlib.sha256)
    return hmac.digest(extracted, info + b"\x01", hashlib.sha256)


def token(claims, *, key=None, plaintext=None, **header):
    """Return the JWE of ``claims`` under ``header``, which is NextAuth's own unless told otherwise."""
    protected = _base64(json.dumps({"alg": "dir", "enc": "A256GCM", **header}).encode())
    content = json.dumps(claims).encode() if plaintext is None else plaintext
    nonce = bytes(range(12))
    sealed = AESGCM(key or derived()).encrypt(nonce, content, protected.encode())
    return f"{protected}..{_base64(nonce)}.{_base64(sealed[:-16])}.{_base64(sealed[-16:])}"


def _base64(content):
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()
