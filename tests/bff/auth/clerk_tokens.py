"""Session tokens as Clerk makes them, and as others would, part by part after RFC 7515."""

import base64
import json

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from joserfc.jwk import RSAKey

from bff.auth.clerk import ClerkTokens
from tests.upstreams.answers import Upstream, json_answer
from upstreams.clerk import ClerkKeys
from upstreams.pipe import Address, Pipe, Policy

JWKS = Address.parse("https://clerk.example.com/.well-known/jwks.json")
ISSUER = "https://clerk.example.com"
NOW = 1_775_304_000
KEY, OTHER_KEY = (RSAKey.generate_key(2048, {"kid": kid, "use": "sig"}) for kid in ("ins_1", "ins_2"))

HEADER = {"alg": "RS256", "cat": "cl_B7d4PD111AAA", "kid": "ins_1", "typ": "JWT"}
CLAIMS = {
    "azp": "https://app.example.com",
    "exp": NOW + 60,
    "fva": [0, -1],
    "iat": NOW,
    "iss": ISSUER,
    "nbf": NOW - 10,
    "sid": "sess_1",
    "sub": "user_1",
}
VERSION_1 = CLAIMS | {"org_id": "org_1", "org_role": "org:admin", "org_slug": "one", "org_permissions": []}
VERSION_2 = CLAIMS | {"v": 2, "o": {"id": "org_1", "rol": "admin", "slg": "one"}, "sts": "active"}


def base64url(content):
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def as_bytes(value):
    return value if isinstance(value, bytes) else json.dumps(value).encode()


def signed(message, key=KEY):
    """Return the RS256 signature of ``message``."""
    return key.private_key.sign(message.encode(), padding.PKCS1v15(), hashes.SHA256())


def token(claims=VERSION_2, header=HEADER, key=KEY, sign=signed):
    """Return the token; ``claims`` and ``header`` may be bytes that are no JSON."""
    message = f"{base64url(as_bytes(header))}.{base64url(as_bytes(claims))}"
    return f"{message}.{base64url(sign(message, key))}"


def without(claims, *names):
    return {name: value for name, value in claims.items() if name not in names}


class Published(Upstream):
    """The instance's one key, as often as it is asked for."""

    async def handle_async_request(self, request):
        self.requests.append(request)
        return json_answer({"keys": [KEY.as_dict(private=False)]})


def tokens(upstream=None, parties=("https://app.example.com",), **options):
    keys = ClerkKeys(Pipe("clerk", Policy(retries=0), upstream or Published()), JWKS)
    return ClerkTokens(keys, ISSUER, parties, **options)


async def verify(given, **options):
    return await tokens(**options).verify(given)
