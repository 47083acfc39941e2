"""The settings: what values mean, and that the file that comes along tells every one of them."""

import base64
from pathlib import Path

import pytest
import yaml

from bff.configuration import validate
from bff.settings import HttpUpstream, Settings

CONFIG = Path(__file__).parents[2] / "config.yaml"


def test_settings_do_not_change():
    with pytest.raises(ValueError):
        validate({}).server.port = 1


def test_every_documented_section_is_there():
    documented = {"server", "ops", "auth", "cache", "limits", "keep", "log", "monitored_services", "upstreams"}
    assert set(Settings.model_fields) == documented


def test_the_file_that_comes_along_has_every_key_and_its_default():
    told = yaml.safe_load(CONFIG.read_text())
    settings = validate(told)
    assert settings == validate({})
    for section in ("server", "ops", "auth", "cache", "limits", "log"):
        assert set(told[section]) == set(type(getattr(settings, section)).model_fields)
    per_upstream = set(HttpUpstream.model_fields) - {"url"}  # told once for all of them
    for name, upstream in settings.upstreams:
        assert set(type(upstream).model_fields) - set(told["upstreams"][name]) <= per_upstream


KEY = b"\xfb\xff" * 16  # written with both of the characters that the two alphabets do not share


@pytest.mark.parametrize(
    "text",
    [
        base64.b64encode(KEY).decode(),
        base64.urlsafe_b64encode(KEY).decode(),
        base64.b64encode(KEY).decode().rstrip("="),
        base64.urlsafe_b64encode(KEY).decode().rstrip("="),
        f" {base64.b64encode(KEY).decode()}\n",
    ],
)
def test_an_encryption_key(text):
    auth = validate({"auth": {"encryption_key": text}}).auth
    assert auth.encryption_keys == [KEY]
    assert auth == validate({"auth": {"encryption_key": base64.urlsafe_b64encode(KEY).decode()}}).auth


def test_no_encryption_key():
    assert validate({}).auth.encryption_keys == []


def test_an_upstreams_policy():
    settings = validate({"upstreams": {"metrics": {"timeout": 1.0, "breaker": {"failures": 2, "open_for": 9}}}})
    policy = settings.upstreams.metrics.policy
    assert (policy.timeout, policy.deadline, policy.failures, policy.open_for) == (1.0, 1.3, 2, 9)
    assert (policy.ratio, policy.volume) == (0.5, 20)
    given = validate({"upstreams": {"metrics": {"deadline": 1.7}}}).upstreams.metrics
    assert (given.policy.deadline, given.address) == (1.7, None)


def test_what_may_take_long():
    up = validate({"upstreams": {"backend": {"timeout": 1, "retries": 3, "provision_deadline": 20}}}).upstreams
    patient = up.backend.patient(up.backend.provision_deadline)
    assert (patient.timeout, patient.deadline, patient.retries, patient.patient) == (20, 20, 0, True)
    assert (up.gateway.deploy_deadline, up.gateway.chat_deadline) == (27, 60)
    usual = up.backend.policy
    assert (usual.timeout, usual.retries, usual.patient) == (1, 3, False)
