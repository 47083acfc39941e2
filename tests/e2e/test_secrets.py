"""No secret is ever in what the gateway prints, logs or answers, at any level of detail."""

from pathlib import Path
from typing import Any

import httpx
import pytest

from bff.endpoints import PLANS
from demo.people import ADA, ADMIN
from tests.e2e.process import run_fork, serving
from tests.forks import Forks

SECRETS = {
    "NEXTAUTH_SECRET": "the-secret-of-nextauth",
    "INTERNAL_API_KEY": "the-internal-key",
    "BFF_UPSTREAMS__METRICS__API_KEY": "the-key-of-metrics",
    "BFF_UPSTREAMS__BACKEND__API_KEY": "the-key-of-backend",
    "OPENCLAW_GATEWAY_TOKEN": "the-token-of-the-gateway",
    "BFF_AUTH__ENCRYPTION_KEY": "dGhlLWVuY3J5cHRpb24ta2V5LW9mLTMyLWJ5dGVzISE=",
    "REDIS_URL": "redis://:the-password-of-redis@127.0.0.1:1/0",
}
SENT = {
    "Cookie": f"agentbot-session={ADA.session_token}; next-auth.session-token=a-forged-session",
    "Authorization": "Bearer a-token-of-nobody",
    "Cache-Control": "no-cache",
}
NEVER = [
    *(value for value in SECRETS.values() if not value.startswith("redis")),
    "the-password-of-redis",
    "of-the-store",
    ADA.session_token,
    ADMIN.session_token,
    str(ADA.gateway_token),
    "a-forged-session",
    "a-token-of-nobody",
    "demo-shared-gateway-token",
    ADA.email,
]


@pytest.mark.parametrize("level", ["debug", "info"])
async def test_no_secret_in_output_or_logs(either: dict[str, Any], level: str, tmp_path: Path) -> None:
    settings = either | {"log": {"level": level}}
    async with serving(settings, tmp_path, SECRETS) as bff, httpx.AsyncClient(trust_env=False) as http:
        for plan in PLANS:
            for headers in (SENT, {"Cookie": f"agentbot-session={ADMIN.session_token}"}, {}):
                answer = await http.get(bff.public + plan.path, headers=headers)
                assert not [each for each in NEVER if each in str(answer.headers.raw)]
        await http.get(f"{bff.ops}/readyz")
        bff.process.terminate()
        await bff.ended()
        said = bff.errors.read_text(encoding="utf-8")

    assert said.count('"event":"request"') == 3 * len(PLANS)
    assert not [each for each in NEVER if each in said]


async def test_no_secret_in_what_check_says(forks: Forks, storeless: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text(str(storeless), encoding="utf-8")
    status, output, errors = await run_fork(forks, "check", folder=tmp_path, env=SECRETS)

    assert status == 1
    assert not [each for each in NEVER if each in output + errors]


@pytest.mark.parametrize(
    "configuration",
    [
        "auth: {nextauth_secret: [of-the-store]}",
        "upstreams: {user_store: {url: 'mysql://user:of-the-store@db/platform'}}",
        "upstreams: {gateway: {token: of-the-store, tokn: of-the-store}}",
        "upstreams: {metrics: {url: 'http://user:of-the-store@metrics'}}",
        "upstreams: {gateway: {token: of-the-store",
        "cache: {redis_url: {of-the-store: 1}}",
    ],
)
async def test_no_secret_in_a_configuration_error(forks: Forks, configuration: str, tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text(configuration, encoding="utf-8")
    status, output, errors = await run_fork(forks, "serve", folder=tmp_path)

    assert status == 2
    assert output == ""
    assert errors.count("\n") == 1
    assert "of-the-store" not in errors
