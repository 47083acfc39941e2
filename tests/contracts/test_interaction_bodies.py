"""The bodies of ``/api/agent`` and ``/api/chat``: what is taken, and what each bad one is told."""

import json
from pathlib import Path
from typing import get_args

import pytest

from contracts.interaction import (
    ChatBody,
    CreateSessionBody,
    CredentialName,
    CredentialNames,
    SetCredentialBody,
    TopicMessageBody,
    UpdateSkillBody,
)
from tests.contracts.bodies import accepted, refusal

EXAMPLES = json.loads(Path(__file__).with_name("document_004.json").read_text())
KEYS = "key must be one of anthropic, openai, openrouter, google, telegram, discord, whatsapp"


@pytest.mark.parametrize(
    ("model", "body", "taken"),
    [
        (ChatBody, {"message": " Hi\n"}, {"message": " Hi\n", "sessionId": None}),
        (
            ChatBody,
            {"message": "x" * 32_000, "sessionId": "s" * 200},
            {"message": "x" * 32_000, "sessionId": "s" * 200},
        ),
        (CreateSessionBody, {"action": "create-session"}, {}),
        (UpdateSkillBody, {"skillId": "browser", "enabled": False}, {"skillId": "browser", "enabled": False}),
        (SetCredentialBody, {"key": "google", "value": "v" * 8192}, {"key": "google", "value": "v" * 8192}),
        (TopicMessageBody, {"message": "Hi"}, {"message": "Hi", "topic": "general"}),
        (TopicMessageBody, {"message": "Hi", "topic": " plans "}, {"message": "Hi", "topic": "plans"}),
        (TopicMessageBody, {"message": "Hi", "topic": "ö" * 100}, {"message": "Hi", "topic": "ö" * 100}),
    ],
)
def test_what_is_taken(model, body, taken):
    assert accepted(model, body).model_dump() == taken


@pytest.mark.parametrize(
    ("model", "body", "message"),
    [
        (ChatBody, {}, "Message required"),
        (ChatBody, {"message": None}, "Message required"),
        (ChatBody, {"message": " \n"}, "Message required"),
        (ChatBody, {"message": 5}, "message must be a string"),
        (ChatBody, {"message": {"text": "Hi"}}, "message must be a string"),
        (ChatBody, {"message": "x" * 32_001}, "message must be at most 32000 characters"),
        (ChatBody, {"message": "Hi", "sessionId": 7}, "sessionId must be a string"),
        (ChatBody, {"message": "Hi", "sessionId": "s" * 201}, "sessionId must be at most 200 characters"),
        (ChatBody, {"message": "Hi", "sessionId": "a\0"}, "sessionId must consist of printable characters"),
        (UpdateSkillBody, {"enabled": True}, "skillId is required"),
        (UpdateSkillBody, {"skillId": "", "enabled": True}, "skillId is required"),
        (UpdateSkillBody, {"skillId": 1, "enabled": True}, "skillId must be a string"),
        (UpdateSkillBody, {"skillId": "s" * 201, "enabled": True}, "skillId must be at most 200 characters"),
        (UpdateSkillBody, {"skillId": "browser"}, "enabled is required"),
        (UpdateSkillBody, {"skillId": "browser", "enabled": None}, "enabled is required"),
        (UpdateSkillBody, {"skillId": "browser", "enabled": 1}, "enabled must be a boolean"),
        (UpdateSkillBody, {"skillId": "browser", "enabled": "true"}, "enabled must be a boolean"),
        (SetCredentialBody, {"value": "v"}, "key is required"),
        (SetCredentialBody, {"key": "aws", "value": "v"}, KEYS),
        (SetCredentialBody, {"key": "__proto__", "value": "v"}, KEYS),
        (SetCredentialBody, {"key": "openai"}, "value is required"),
        (SetCredentialBody, {"key": "openai", "value": " "}, "value is required"),
        (SetCredentialBody, {"key": "openai", "value": ["v"]}, "value must be a string"),
        (SetCredentialBody, {"key": "openai", "value": "v" * 8193}, "value must be at most 8192 characters"),
        (SetCredentialBody, {"key": "openai", "value": "a\nb"}, "value must consist of printable characters"),
        (TopicMessageBody, {"topic": "general"}, "Message required"),
        (TopicMessageBody, {"message": "", "topic": "general"}, "Message required"),
        (TopicMessageBody, {"message": True}, "message must be a string"),
        (TopicMessageBody, {"message": "Hi", "topic": 5}, "topic must be a string"),
        (TopicMessageBody, {"message": "Hi", "topic": "t" * 101}, "topic must be at most 100 characters"),
        (TopicMessageBody, {"message": "Hi", "topic": "a\nb"}, "topic must consist of printable characters"),
    ],
)
def test_what_is_refused(model, body, message):
    assert refusal(model, body) == message


def test_the_credentials_that_can_be_set_are_the_documented_ones():
    documented = list(EXAMPLES["GET /api/agent?action=credentials"]["credentials"])
    assert list(get_args(CredentialName)) == documented == list(CredentialNames.model_fields)
