"""``bff check``, ``bff plans``, ``bff --version``, and the configuration errors of them all."""

import json
import re
import socket
from pathlib import Path
from typing import Any

import pytest

from bff import __version__
from bff.endpoints import PLANS
from demo import gateway
from demo.faults import Faults
from demo.platform import Platform
from tests.e2e.process import run, run_fork
from tests.forks import Forks

ALL_WELL = {
    "user_store": "ok",
    "gateway": "ok",
    "sessions": "ok",
    "metrics": "ok",
    "chat": "ok",
    "backend": "ok",
    "codex": "ok",
    "clerk keys": "ok",
    "clerk members": "ok",
    "redis": "disabled",
    "service Agentbot API": "ok",
    "service Tempo Soul": "ok",
    "service x402 Gateway": "degraded",
}


async def test_check_of_a_good_platform(settings: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text(json.dumps(settings), encoding="utf-8")
    status, output, errors = await run("check", folder=tmp_path)

    assert (status, errors) == (0, "")
    assert _results(output) == ALL_WELL


async def test_check_of_what_does_not_answer(
    forks: Forks, storeless: dict[str, Any], platform: Platform, tmp_path: Path
) -> None:
    await platform.upstreams["metrics"].misbehave(Faults(status=500))
    await platform.upstreams["tempo-soul"].misbehave(Faults(refuse=True))
    for name in ("backend", "codex", "clerk"):
        del storeless["upstreams"][name]
    (tmp_path / "other.yaml").write_text(json.dumps(storeless), encoding="utf-8")
    status, output, errors = await run_fork(forks, "check", "--config", "other.yaml", folder=tmp_path)

    assert (status, errors) == (1, "")
    failed = dict.fromkeys(("user_store", "metrics", "service Tempo Soul"), "failed")
    disabled = dict.fromkeys(("backend", "codex", "clerk keys", "clerk members"), "disabled")
    assert _results(output) == ALL_WELL | failed | disabled


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"backend": {"api_key": "another-key"}}, {"backend": "status 403"}),
        ({"clerk": {"secret_key": "sk_test_another"}}, {"clerk members": "status 401"}),
        ({"codex": {"url": "http://127.0.0.1:1"}}, {"codex": "refused"}),
        (
            {"clerk": {"jwks_url": "http://127.0.0.1:1/jwks", "api_url": "http://127.0.0.1:1"}},
            {"clerk keys": "refused", "clerk members": "refused"},
        ),
    ],
    ids=str,
)
async def test_check_says_what_is_wrong(
    forks: Forks, settings: dict[str, Any], wrong: dict[str, dict[str, str]], said: dict[str, str], tmp_path: Path
) -> None:
    for name, keys in wrong.items():
        settings["upstreams"][name].update(keys)
    (tmp_path / "config.yaml").write_text(json.dumps(settings), encoding="utf-8")
    status, output, errors = await run_fork(forks, "check", folder=tmp_path)

    assert (status, errors) == (1, "")
    assert _results(output) == ALL_WELL | dict.fromkeys(said, "failed")
    assert {name: _table(output)[name][-1] for name in said} == said
    assert not [key for keys in wrong.values() for key in keys.values() if key in output]


@pytest.mark.parametrize("is_there", [True, False], ids=["there", "not there"])
async def test_check_of_redis(
    forks: Forks, settings: dict[str, Any], redis_url: str, is_there: bool, tmp_path: Path
) -> None:
    settings["cache"] = {"redis_url": redis_url if is_there else "redis://:of-the-store@127.0.0.1:1"}
    (tmp_path / "config.yaml").write_text(json.dumps(settings), encoding="utf-8")
    status, output, errors = await run_fork(forks, "check", folder=tmp_path)

    assert (status, errors) == (0 if is_there else 1, "")
    assert _results(output) == ALL_WELL | {"redis": "ok" if is_there else "failed"}
    assert "of-the-store" not in output


async def test_check_says_that_chat_is_off(
    forks: Forks, settings: dict[str, Any], platform: Platform, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(platform.upstreams["gateway"]._routes, "/v1/chat/completions", gateway.NOT_FOUND)
    (tmp_path / "config.yaml").write_text(json.dumps(settings), encoding="utf-8")
    status, output, errors = await run_fork(forks, "check", folder=tmp_path)

    assert (status, errors) == (1, "")
    assert _results(output) == ALL_WELL | {"chat": "failed"}
    assert _table(output)["chat"][-1] == "status 404"


async def test_plans_lists_every_plan_with_its_sources(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("keep: {dashboard.data: {fresh: 77}}", encoding="utf-8")
    status, output, errors = await run("plans", folder=tmp_path)

    assert (status, errors) == (0, "")
    chapters = {text.split()[0]: text for text in output.split("\n\n")}
    for plan in PLANS:
        chapter = chapters[plan.name]
        query = f"?action={plan.action}" if plan.action else ""
        assert f"GET {plan.path}{query} " in chapter
        for source in plan.sources:
            need = "required" if source.required else "optional"
            assert re.search(rf"^ +{source.upstream} +{need}", chapter, re.MULTILINE)
    assert "kept 77/30/600 s" in chapters["dashboard.data"]


async def test_version(tmp_path: Path) -> None:
    assert await run("--version", folder=tmp_path) == (0, f"bff {__version__}\n", "")


@pytest.mark.parametrize(
    ("configuration", "env", "said"),
    [
        ("sever: {port: 1}", {}, "config.yaml: sever: unknown key; did you mean server?"),
        ("server: {prot: 1}", {}, "config.yaml: server.prot: unknown key; did you mean port?"),
        ("server: {port: http}", {}, "config.yaml: server.port: expected a valid integer"),
        ("server: {port: 70000}", {}, "config.yaml: server.port: expected less than or equal to 65535"),
        ("server: [8080]", {}, "config.yaml: server: expected"),
        ("- server", {}, "config.yaml: expected a mapping"),
        ("server: {port: 1\nops: 2", {}, "config.yaml, line 2: expected valid YAML"),
        ("upstreams: {gateway: {url: ftp://host}}", {}, "config.yaml: upstreams.gateway.url: expected an http://"),
        ("keep: {dashboard.dta: {fresh: 1}}", {}, "keep.dashboard.dta: unknown key; did you mean dashboard.data?"),
        ("monitored_services: [{name: A}]", {}, "config.yaml: monitored_services.0.url: missing"),
        ("{}", {"BFF_SERVER__PORT": "eighty"}, "environment: BFF_SERVER__PORT: expected a valid integer"),
        ("{}", {"BFF_SEVER__PORT": "80"}, "environment: BFF_SEVER__PORT: unknown key; did you mean server?"),
        ("{}", {"DATABASE_URL": "mysql://host/db"}, "user store"),
    ],
)
async def test_configuration_error_is_one_line(
    forks: Forks, configuration: str, env: dict[str, str], said: str, tmp_path: Path
) -> None:
    (tmp_path / "config.yaml").write_text(configuration, encoding="utf-8")
    status, output, errors = await run_fork(forks, "serve", folder=tmp_path, env=env)

    assert (status, output) == (2, "")
    assert errors.startswith("bff: ")
    assert errors.count("\n") == 1
    assert said in errors


async def test_missing_file_is_named(tmp_path: Path) -> None:
    status, _, errors = await run("serve", "--config", "missing.yaml", folder=tmp_path)

    assert (status, errors) == (2, "bff: missing.yaml: cannot be read: No such file or directory\n")


async def test_port_that_is_taken_is_named(forks: Forks, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        (tmp_path / "config.yaml").write_text(f"server: {{port: {port}}}", encoding="utf-8")
        status, output, errors = await run_fork(forks, "serve", folder=tmp_path)

    assert (status, output, errors) == (2, "", f"bff: 127.0.0.1:{port}: Address already in use\n")


def _results(output: str) -> dict[str, str]:
    """Return the second column of the table by the first."""
    return {name: row[1] for name, row in _table(output).items()}


def _table(output: str) -> dict[str, list[str]]:
    """Return the table's rows by their first column."""
    rows = [re.split(r"\s{2,}", line.strip()) for line in output.strip().splitlines()[1:]]
    return {row[0]: row for row in rows}
