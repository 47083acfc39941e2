"""``bff check``, ``bff plans``, ``bff --version``, and the configuration errors of them all."""

import json
import re
import socket
from pathlib import Path
from typing import Any

import pytest

from bff import __version__
from bff.endpoints import PLANS
from demo.faults import Faults
from demo.platform import Platform
from tests.e2e.process import run


async def test_check_of_a_good_platform(settings: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text(json.dumps(settings), encoding="utf-8")
    status, output, errors = await run("check", folder=tmp_path)

    assert (status, errors) == (0, "")
    results = _results(output)
    assert results == {
        "user_store": "ok",
        "gateway": "ok",
        "sessions": "ok",
        "metrics": "ok",
        "backend": "ok",
        "service Agentbot API": "ok",
        "service Tempo Soul": "ok",
        "service x402 Gateway": "degraded",
    }


async def test_check_of_what_does_not_answer(
    storeless: dict[str, Any], platform: Platform, tmp_path: Path
) -> None:
    await platform.upstreams["metrics"].misbehave(Faults(status=500))
    await platform.upstreams["tempo-soul"].misbehave(Faults(refuse=True))
    del storeless["upstreams"]["backend"]
    (tmp_path / "other.yaml").write_text(json.dumps(storeless), encoding="utf-8")
    status, output, errors = await run("check", "--config", "other.yaml", folder=tmp_path)

    assert (status, errors) == (1, "")
    assert _results(output) == {
        "user_store": "failed",
        "gateway": "ok",
        "sessions": "ok",
        "metrics": "failed",
        "backend": "disabled",
        "service Agentbot API": "ok",
        "service Tempo Soul": "failed",
        "service x402 Gateway": "degraded",
    }


async def test_plans_lists_every_plan_with_its_sources(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("keep: {dashboard.data: {fresh: 77}}", encoding="utf-8")
    status, output, errors = await run("plans", folder=tmp_path)

    assert (status, errors) == (0, "")
    chapters = {text.split()[0]: text for text in output.split("\n\n")}
    for plan in PLANS:
        chapter = chapters[plan.name]
        assert f"GET {plan.path} " in chapter
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
    configuration: str, env: dict[str, str], said: str, tmp_path: Path
) -> None:
    (tmp_path / "config.yaml").write_text(configuration, encoding="utf-8")
    status, output, errors = await run("serve", folder=tmp_path, env=env)

    assert (status, output) == (2, "")
    assert errors.startswith("bff: ")
    assert errors.count("\n") == 1
    assert said in errors


async def test_missing_file_is_named(tmp_path: Path) -> None:
    status, _, errors = await run("serve", "--config", "missing.yaml", folder=tmp_path)

    assert (status, errors) == (2, "bff: missing.yaml: cannot be read: No such file or directory\n")


async def test_port_that_is_taken_is_named(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        (tmp_path / "config.yaml").write_text(f"server: {{port: {port}}}", encoding="utf-8")
        status, output, errors = await run("serve", folder=tmp_path)

    assert (status, output, errors) == (2, "", f"bff: 127.0.0.1:{port}: Address already in use\n")


def _results(table: str) -> dict[str, str]:
    """Return the second column of the table by the first."""
    rows = [re.split(r"\s{2,}", line.strip()) for line in table.strip().splitlines()[1:]]
    return {row[0]: row[1] for row in rows}
