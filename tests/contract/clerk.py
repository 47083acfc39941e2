"""A pretend Clerk: its keys, the members of an organization, and session tokens, good ones and forged ones."""

import hmac
import json
from base64 import urlsafe_b64encode
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import cache
from typing import Any

from joserfc import jws
from joserfc.jwk import RSAKey

ISSUER = "https://clerk.example.com"
PARTY = "https://app.example.com"
SECRET_KEY = "clerk-secret-key"
ORGANIZATION = "org_1"
JWKS = "/.well-known/jwks.json"

_KID, _OTHER_KID = "ins_1", "ins_2"
_REGISTRY = jws.JWSRegistry(algorithms=["RS256"], strict_check_header=False)

_FORGED_CLAIMS: dict[str, dict[str, Any]] = {
    "expired": {"exp": -60},
    "not yet valid": {"nbf": 60},
    "wrong issuer": {"iss": "https://clerk.evil.example.com"},
    "wrong party": {"azp": "https://evil.example.com"},
    "40 KB": {"x": "x" * 40 * 1024},
}
_SIGNED_BY_ANOTHER = {"another key", "unknown kid", "embedded jwk", "jku"}
_FORMS = {"v1", "admin", "no party", "no organization", "alg none", "HS256", "tampered"}


@cache
def _key(kid: str) -> RSAKey:
    return RSAKey.generate_key(2048, {"kid": kid, "use": "sig", "alg": "RS256"})


def answers_of(state: Mapping[str, Any]) -> dict[str, Any]:
    """Return Clerk's answers: its keys, and the ``members`` of org_1, where the case says nothing else."""
    members = [_membership(member, user) for member in state.get("members", ()) for user in _users(member)]
    return {
        f"GET {JWKS}": {"body": {"keys": [_key(_KID).as_dict(private=False)]}},
        f"GET /v1/organizations/{ORGANIZATION}/memberships": {
            "body": {"data": members, "total_count": len(members)}
        },
        **{name: answer for name, answer in state.items() if name != "members"},
    }


def _users(member: Mapping[str, Any]) -> list[str]:
    if "times" not in member:
        return [member["user"]]
    return [f"{member['user']}-{number}" for number in range(1, member["times"] + 1)]


def _membership(member: Mapping[str, Any], user_id: str) -> dict[str, Any]:
    return {
        "role": f"org:{member.get('role', 'member')}",
        "public_metadata": member.get("metadata", {}),
        "public_user_data": {"user_id": user_id},
    }


def token(user_id: str, forms: Sequence[str], now: datetime) -> str:
    """Return a token of a member of org_1, by claims of version 2, unless ``forms`` say something else."""
    known = _FORMS | _SIGNED_BY_ANOTHER | _FORGED_CLAIMS.keys()
    assert all(form in known or form.startswith("of ") for form in forms), f"unknown forms: {forms}"
    claims = _claims(user_id, forms, int(now.timestamp()))
    signed = _signed(_header(forms), claims, forms)
    return _tampered(signed, claims) if "tampered" in forms else signed


def _claims(user_id: str, forms: Sequence[str], at: int) -> dict[str, Any]:
    times = {"exp": 600, "iat": 0, "nbf": -10}
    claims: dict[str, Any] = {"azp": PARTY, "iss": ISSUER, "sid": "sess_1", "sub": user_id, **times}
    for form in forms:
        claims |= _FORGED_CLAIMS.get(form, {})
    if "no party" in forms:
        del claims["azp"]
    return claims | {name: at + claims[name] for name in times} | _organization(forms)


def _organization(forms: Sequence[str]) -> dict[str, Any]:
    organization = next((form.removeprefix("of ") for form in forms if form.startswith("of ")), ORGANIZATION)
    role = "admin" if "admin" in forms else "member"
    if "v1" in forms:
        return {} if "no organization" in forms else {"org_id": organization, "org_role": f"org:{role}"}
    return {"v": 2} | ({} if "no organization" in forms else {"o": {"id": organization, "rol": role}})


def _header(forms: Sequence[str]) -> dict[str, Any]:
    header: dict[str, Any] = {"alg": "RS256", "cat": "cl_B7d4PD111AAA", "kid": _KID, "typ": "JWT"}
    if "unknown kid" in forms:
        header["kid"] = _OTHER_KID
    if "embedded jwk" in forms:
        header["jwk"] = _key(_OTHER_KID).as_dict(private=False)
    if "jku" in forms:
        header["jku"] = "https://evil.example.com/jwks.json"
    return header


def _signed(header: dict[str, Any], claims: dict[str, Any], forms: Sequence[str]) -> str:
    if "alg none" in forms:
        return f"{_encoded(header | {'alg': 'none'})}.{_encoded(claims)}."
    if "HS256" in forms:  # the public key, which everybody knows, taken for a secret
        message = f"{_encoded(header | {'alg': 'HS256'})}.{_encoded(claims)}"
        public = _key(_KID).as_pem(private=False)
        return f"{message}.{_base64url(hmac.digest(public, message.encode(), 'sha256'))}"
    key = _key(_KID if _SIGNED_BY_ANOTHER.isdisjoint(forms) else _OTHER_KID)
    return jws.serialize_compact(header, json.dumps(claims), key, registry=_REGISTRY)


def _tampered(signed: str, claims: dict[str, Any]) -> str:
    header, _, signature = signed.split(".")
    return ".".join([header, _encoded(claims | _organization(["admin"])), signature])


def _encoded(value: object) -> str:
    return _base64url(json.dumps(value).encode())


def _base64url(content: bytes) -> str:
    return urlsafe_b64encode(content).rstrip(b"=").decode()
