"""The configuration: where values come from, and the one line that says what is wrong with one."""

import base64
import os
from pathlib import Path

import pytest

from bff.app import kept_as_configured
from bff.configuration import WELL_KNOWN, ConfigurationError, load, validate
from bff.endpoints import PLANS
from bff.plans import NOT_KEPT, Keep


@pytest.fixture(autouse=True)
def _bare_environment(monkeypatch, tmp_path):
    for name in [name for name in os.environ if name.startswith("BFF_") or name in WELL_KNOWN]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


def complaint(ask):
    with pytest.raises(ConfigurationError) as caught:
        ask()
    message = str(caught.value)
    assert "\n" not in message
    assert caught.value.__cause__ is None
    return message


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"server": {"port": "x"}}, "server.port: expected a valid integer, unable to parse string as an integer"),
        ({"server": {"port": 70000}}, "server.port: expected less than or equal to 65535"),
        ({"server": {"workers": 0}}, "server.workers: expected greater than or equal to 1"),
        ({"server": []}, "server: expected a valid dictionary or instance of Server"),
        ({"server": None}, "server: expected a valid dictionary or instance of Server"),
        ({"cache": {"max_bytes": -1}}, "cache.max_bytes: expected greater than or equal to 0"),
        ({"auth": {"admin_emails": 5}}, "auth.admin_emails: expected a valid list"),
        ({"auth": {"nextauth_secret": 5}}, "auth.nextauth_secret: expected a valid string"),
        ({"limits": {"chat_per_minute": 0}}, "limits.chat_per_minute: expected greater than or equal to 1"),
        (
            {"upstreams": {"gateway": {"deploy_deadline": 0}}},
            "upstreams.gateway.deploy_deadline: expected greater than 0",
        ),
        (
            {"upstreams": {"gateway": {"chat_deadline": 3601}}},
            "upstreams.gateway.chat_deadline: expected less than or equal to 3600",
        ),
        (
            {"upstreams": {"metrics": {"signing_secret": "x"}}},
            "upstreams.metrics.signing_secret: unknown key; expected one of "
            "timeout, deadline, retries, max_concurrency, breaker, url, api_key",
        ),
        ({"log": {"level": "loud"}}, "log.level: expected text to match pattern '^(debug|info|warning|error)$'"),
        ({"ops": {"ready_needs": ["redis"]}}, "ops.ready_needs: redis is needed, but cache.redis_url is not set"),
        (
            {"server": {"prot": 1}},
            "server.prot: unknown key; did you mean port? "
            "expected one of host, port, workers, max_body_bytes, max_connections, trusted_proxies",
        ),
        (
            {"upstreams": {"gatway": {}}},
            "upstreams.gatway: unknown key; did you mean gateway? "
            "expected one of user_store, gateway, sessions, backend, metrics, codex, clerk",
        ),
        (
            {"zzz": {}},
            "zzz: unknown key; "
            "expected one of server, ops, auth, cache, limits, keep, log, monitored_services, upstreams",
        ),
        (
            {1: {}},
            "1: unknown key; "
            "expected one of server, ops, auth, cache, limits, keep, log, monitored_services, upstreams",
        ),
        ({"upstreams": {"gateway": {"url": "x"}}}, "upstreams.gateway.url: expected an http:// or https:// URL"),
        (
            {"upstreams": {"metrics": {"url": "http://ada:hunter2@x"}}},
            "upstreams.metrics.url: expected a URL without user, query or fragment",
        ),
        ({"upstreams": {"codex": {"timeout": 0}}}, "upstreams.codex.timeout: expected greater than 0"),
        (
            {"upstreams": {"backend": {"breaker": {"failures": 0}}}},
            "upstreams.backend.breaker.failures: expected greater than or equal to 1",
        ),
        (
            {"upstreams": {"user_store": {"url": "mysql://ada:hunter2@x/y"}}},
            "upstreams.user_store.url: expected a URL that can be used: "
            "the user store's URL is for mysql; it can be PostgreSQL or SQLite",
        ),
        (
            {"upstreams": {"user_store": {"url": "hunter2"}}},
            "upstreams.user_store.url: expected a URL that can be used: "
            "the user store's URL is not a database URL",
        ),
        ({"monitored_services": [{"name": "A"}]}, "monitored_services.0.url: missing, expected a value"),
        (
            {"monitored_services": [{"name": "", "url": "http://x"}]},
            "monitored_services.0.name: expected text to have at least 1 character",
        ),
        (
            {"monitored_services": [{"name": "A", "url": "http://x", "ur": 1}]},
            "monitored_services.0.ur: unknown key; did you mean url? expected one of name, url",
        ),
        ({"monitored_services": "[{"}, "monitored_services: expected valid JSON"),
        (
            {"keep": {"dashboard.data": {"fresh": -1}}},
            "keep.dashboard.data.fresh: expected greater than or equal to 0",
        ),
        (
            {"keep": {"dashboard.data": {"frsh": 1}}},
            "keep.dashboard.data.frsh: unknown key; did you mean fresh? expected one of fresh, stale, on_error",
        ),
        (
            {"server": {"port": -1, "workers": 0, "host": 1}},
            "server.host: expected a valid string (and 2 more)",
        ),
    ],
    ids=str,
)
def test_what_is_wrong_in_one_line(values, message):
    assert complaint(lambda: validate(values)) == f"configuration: {message}"
    assert complaint(lambda: validate(values, Path("mine.yaml"))) == f"mine.yaml: {message}"


def test_a_plan_that_is_none():
    values = {"keep": {"dashboard.dat": {"fresh": 1}}}
    assert complaint(lambda: validate(values, Path("mine.yaml"))) == (
        "mine.yaml: keep.dashboard.dat: unknown key; did you mean dashboard.data? expected one of "
        + ", ".join(plan.name for plan in PLANS if plan.keep != NOT_KEPT)
    )


def test_what_is_overridden_is_kept_so_and_the_rest_as_documented():
    settings = validate({"keep": {"dashboard.data": {"fresh": 0, "on_error": 7}}})
    kept = {plan.name: plan.keep for plan in kept_as_configured(PLANS, settings)}
    documented = {plan.name: plan.keep for plan in PLANS}
    assert kept == documented | {"dashboard.data": Keep(fresh=0, stale=30, on_error=7)}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("- a\n- b", "expected a mapping of sections"),
        ("just text", "expected a mapping of sections"),
    ],
)
def test_a_file_that_is_no_configuration(tmp_path, text, message):
    file = tmp_path / "mine.yaml"
    file.write_text(text)
    assert complaint(lambda: load(file)) == f"{file}: {message}"


def test_a_broken_file_is_told_by_its_line_and_not_quoted(tmp_path):
    file = tmp_path / "mine.yaml"
    file.write_text("auth:\n  nextauth_secret: hunter2: hunter3\n")
    assert complaint(lambda: load(file)) == f"{file}, line 2: expected valid YAML"


def test_a_file_that_cannot_be_read(tmp_path):
    assert complaint(lambda: load(tmp_path / "none.yaml")).endswith("cannot be read: No such file or directory")
    (tmp_path / "binary.yaml").write_bytes(b"\xff\xfe\xfa")
    assert complaint(lambda: load(tmp_path / "binary.yaml")).endswith("expected UTF-8 text")


def test_an_empty_file_and_no_file_are_the_defaults(tmp_path):
    (tmp_path / "empty.yaml").write_text("# nothing\n")
    assert load(tmp_path / "empty.yaml") == load() == validate({})


class TestPrecedence:
    """Defaults, the file, well-known names, ``BFF_`` names: later ones win."""

    @pytest.fixture
    def file(self, tmp_path):
        file = tmp_path / "config.yaml"
        file.write_text("auth: {admin_emails: [file@x], identity_ttl: 7}\nserver: {port: 1}\n")
        return file

    def test_the_file_over_the_defaults(self, file):
        settings = load()
        assert (settings.server.port, settings.auth.identity_ttl, settings.server.host) == (1, 7, "127.0.0.1")

    def test_a_well_known_name_over_the_file(self, file, monkeypatch):
        monkeypatch.setenv("ADMIN_EMAILS", "a@x, b@x ,")
        settings = load(file)
        assert settings.auth.admin_emails == ["a@x", "b@x"]
        assert settings.auth.identity_ttl == 7

    def test_our_own_name_over_all(self, file, monkeypatch):
        monkeypatch.setenv("ADMIN_EMAILS", "known@x")
        monkeypatch.setenv("BFF_AUTH__ADMIN_EMAILS", "own@x")
        monkeypatch.setenv("BFF_SERVER__PORT", "2")
        settings = load(file)
        assert (settings.auth.admin_emails, settings.server.port, settings.auth.identity_ttl) == (["own@x"], 2, 7)

    @pytest.mark.parametrize("name", ["ADMIN_EMAILS", "BFF_AUTH__ADMIN_EMAILS"])
    def test_an_empty_one_is_none(self, file, monkeypatch, name):
        monkeypatch.setenv(name, "")
        assert load(file).auth.admin_emails == ["file@x"]

    def test_without_a_file(self, monkeypatch):
        monkeypatch.setenv("BFF_UPSTREAMS__GATEWAY__URL", "http://gw.example.com/")
        monkeypatch.setenv("BFF_MONITORED_SERVICES", '[{"name": "A", "url": "http://a/health"}]')
        settings = load()
        assert settings.upstreams.gateway.url == "http://gw.example.com"
        assert [service.name for service in settings.monitored_services] == ["A"]


@pytest.mark.parametrize(("name", "path"), WELL_KNOWN.items())
def test_every_well_known_name(name, path, monkeypatch):
    text = {"DATABASE_URL": "postgresql://h/db", "REDIS_URL": "redis://h"}.get(name, "value")
    monkeypatch.setenv(name, text)
    value = load()
    for part in path:
        value = getattr(value, part)
    assert (value if isinstance(value, list) else value.get_secret_value()) in (text, [text])


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        (
            "BFF_SERVER__PORT",
            "x",
            "BFF_SERVER__PORT: expected a valid integer, unable to parse string as an integer",
        ),
        ("BFF_UPSTREAMS__METRICS__URL", "x", "BFF_UPSTREAMS__METRICS__URL: expected an http:// or https:// URL"),
        ("BFF_SERVR__PORT", "1", "BFF_SERVR__PORT: unknown key; did you mean server? expected one of "),
        ("BFF_SERVER__PROT", "1", "BFF_SERVER__PROT: unknown key; did you mean port? expected one of "),
        ("BFF_PORT", "1", "BFF_PORT: unknown key; "),
        ("BFF_MONITORED_SERVICES", "hunter2", "BFF_MONITORED_SERVICES: expected valid JSON"),
        ("DATABASE_URL", "hunter2", "DATABASE_URL: expected a URL that can be used"),
    ],
)
def test_what_is_wrong_in_the_environment_is_told_by_its_name(name, value, message, monkeypatch):
    monkeypatch.setenv(name, value)
    told = complaint(load)
    assert told.startswith(f"environment: {message}")
    assert "hunter2" not in told


SECRETS = {
    "auth": {"nextauth_secret": "hunter2-a", "encryption_key": "hunter2-b" + "A" * 34},
    "cache": {"redis_url": "redis://:hunter2-c@h"},
    "upstreams": {
        "user_store": {"url": "postgresql://u:hunter2-d@h/db"},
        "gateway": {"token": "hunter2-e", "internal_key": "hunter2-f"},
        "backend": {"api_key": "hunter2-g", "signing_secret": "hunter2-j"},
        "metrics": {"api_key": "hunter2-h"},
        "clerk": {"secret_key": "hunter2-i"},
    },
}


def test_no_secret_shows():
    settings = validate(SECRETS)
    for shown in (repr(settings), str(settings), repr(settings.model_dump()), settings.model_dump_json()):
        assert "hunter2" not in shown


@pytest.mark.parametrize("wrong", [["hunter2"], {"a": "hunter2"}, 4711])
def test_no_secret_shows_in_what_is_wrong_with_it(wrong):
    for section, values in {"auth": "nextauth_secret", "cache": "redis_url"}.items():
        told = complaint(lambda: validate({section: {values: wrong}}))  # noqa: B023 - called at once
        assert told == f"configuration: {section}.{values}: expected a valid string"


KEY = bytes(range(32))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "hunter2",
        "hunter2!" + "A" * 35,
        "hunter2" + "A" * 35,
        "hunter2" + "A" * 37,
        "hunter2" + "A" * 36 + "==",
        "hunter2\n" + "A" * 36,
        "=" + "hunter2" + "A" * 36,
        KEY.hex(),
        base64.b64encode(KEY[:16]).decode(),
        base64.b64encode(KEY * 2).decode(),
    ],
    ids=ascii,
)
def test_what_is_no_encryption_key_is_told_and_not_shown(text, monkeypatch):
    told = complaint(lambda: validate({"auth": {"encryption_key": text}}))
    assert told == "configuration: auth.encryption_key: expected base64 of 32 bytes"
    if text:
        monkeypatch.setenv("BFF_AUTH__ENCRYPTION_KEY", text)
        assert complaint(load) == "environment: BFF_AUTH__ENCRYPTION_KEY: expected base64 of 32 bytes"
