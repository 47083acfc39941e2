"""The request of a step, with the credentials of whoever asks."""

import json
from collections.abc import Mapping
from datetime import datetime, timedelta

import httpx
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from joserfc import jwe
from joserfc.jwk import OctKey

from tests.contract import clerk
from tests.contract.case import Step
from tests.contract.store import token_of
from tests.contract.words import written_out

HOST = "bff.example.com"
NEXTAUTH_SECRET = "a-secret-of-the-contract-tests"


def request_of(step: Step, now: datetime, words: Mapping[str, str]) -> httpx.Request:
    headers = {"Host": HOST} | _credentials(step, now)
    content = written_out(step.content, words)
    if step.send is not ...:
        headers["Content-Type"] = "application/json"
        content = json.dumps(written_out(step.send, words))
    for name, value in written_out(step.headers, words).items():
        headers[name] = f"{headers[name]}; {value}" if name == "Cookie" and name in headers else value
    raw = [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]
    url = f"http://{HOST}{written_out(step.target, words)}"
    return httpx.Request(step.method, url, headers=raw, content=content.encode() or None)


def _credentials(step: Step, now: datetime) -> dict[str, str]:
    if step.who is None:
        return {}
    kind, *forms = step.by.split(", ")
    if kind == "clerk":
        return {"Authorization": f"Bearer {clerk.token(step.who, forms, now)}"}
    token = token_of(step.who)
    match kind:
        case "cookie":
            return {"Cookie": f"agentbot-session={token}"}
        case "secure cookie":
            return {"Cookie": f"__Secure-agentbot.session-token={token}"}
        case "bearer":
            return {"Authorization": f"Bearer {token}"}
    session = _nextauth(step.who, now + timedelta(hours=-1 if "expired" in step.by else 1))
    if "chunked" not in step.by:
        return {"Cookie": f"next-auth.session-token={session}"}
    half = len(session) // 2
    name = "__Secure-next-auth.session-token"
    return {"Cookie": f"{name}.0={session[:half]}; {name}.1={session[half:]}"}


def _nextauth(user_id: str, expires: datetime) -> str:
    info = b"NextAuth.js Generated Encryption Key"
    key = HKDF(algorithm=SHA256(), length=32, salt=b"", info=info).derive(NEXTAUTH_SECRET.encode())
    claims = {"sub": user_id, "email": f"{user_id}@example.com", "exp": int(expires.timestamp())}
    header = {"alg": "dir", "enc": "A256GCM"}
    return jwe.encrypt_compact(header, json.dumps(claims), OctKey.import_key(key), algorithms=["dir", "A256GCM"])
