"""The examples of document 004, word for word: each is what its model writes, field by field and in its order."""

import json
import re
from pathlib import Path

import pytest
from pydantic import ValidationError

from contracts import agents, instances, interaction, provisioning

EXAMPLES = json.loads(Path(__file__).with_name("document_004.json").read_text())
ANSWERS = {
    "GET /api/agents": agents.AgentList,
    "GET /api/agents/:id": agents.AgentAnswer,
    "POST /api/agents/provision": provisioning.ProvisionAnswer,
    "GET /api/agents/provision": provisioning.ProvisionedList,
    "GET /api/agents/:id/config": agents.ConfigAnswer,
    "PUT /api/agents/:id/config": agents.ConfigAnswer,
    "GET /api/agents/:id/logs": agents.Logs,
    "GET /api/agents/:id/messages": agents.Messages,
    "GET /api/agents/:id/stats (live)": agents.StatsAnswer,
    "GET /api/agents/:id/stats (mock)": agents.StatsAnswer,
    "POST /api/instance/:userId/start": instances.LifecycleStatus,
    "POST /api/instance/:userId/stop": instances.LifecycleStatus,
    "POST /api/instance/:userId/restart": instances.LifecycleStatus,
    "POST /api/instance/:userId/update": instances.LifecycleStatus,
    "POST /api/instance/:userId/repair": instances.LifecycleMessage,
    "POST /api/instance/:userId/reset-memory": instances.LifecycleMessage,
    "GET /api/instance/:userId": instances.Instance,
    "GET /api/instance/:userId/stats": instances.InstanceStats,
    "GET /api/instance/:userId/token": instances.InstanceToken,
    "GET /api/agents/:id/verify": agents.VerificationStatus,
    "POST /api/agents/:id/verify": agents.Verified,
    "DELETE /api/agents/:id/verify": agents.Removed,
    "POST /api/provision": provisioning.ChannelProvisioned,
    "GET /api/agent": interaction.EndpointList,
    "GET /api/agent?action=health": interaction.AgentHealth,
    "GET /api/agent?action=sessions": interaction.SessionList,
    "GET /api/agent?action=memory": interaction.Memory,
    "GET /api/agent?action=credentials": interaction.Credentials,
    "POST /api/agent chat": interaction.ChatReply,
    "POST /api/agent create-session": interaction.SessionCreated,
    "POST /api/agent update-skill": interaction.SkillUpdated,
    "POST /api/agent set-credential": interaction.CredentialSet,
    "POST /api/chat": interaction.ChatMessageSent,
    "GET /api/chat": interaction.ChatHistory,
}
# Shapes that the document leaves open.
SETTLED = [
    (
        interaction.SessionAnswer,
        {
            "session": {
                "id": "sess_abc123",
                "status": "active",
                "messageCount": 1,
                "createdAt": 1710806400000,
                "lastActivity": 1710810000000,
                "messages": [{"role": "user", "content": "Hello!", "timestamp": 1710806400000}],
            }
        },
    ),
    (
        interaction.SkillList,
        {"skills": [{"id": "browser", "name": "Browser", "description": None, "enabled": True}]},
    ),
    (
        interaction.ChatHistory,
        {
            "messages": [
                {
                    "id": "msg_123",
                    "role": "user",
                    "content": "Hello!",
                    "topic": "general",
                    "timestamp": "2026-03-19T00:00:00Z",
                }
            ],
            "count": 1,
        },
    ),
]


def with_milliseconds(text):
    return re.sub(r"(\d\d:\d\d:\d\d)Z", r"\1.000Z", text)


def test_no_example_is_left_out():
    assert set(EXAMPLES) == set(ANSWERS)


@pytest.mark.parametrize(
    ("model", "example"), [*((model, EXAMPLES[name]) for name, model in ANSWERS.items()), *SETTLED]
)
def test_an_answer_reads_like_its_example(model, example):
    written = json.loads(model.model_validate(example).model_dump_json())
    assert json.dumps(written) == with_milliseconds(json.dumps(example))


@pytest.mark.parametrize(("name", "model"), ANSWERS.items())
def test_an_answer_has_no_field_but_the_documented_ones(name, model):
    with pytest.raises(ValidationError):
        model.model_validate({**EXAMPLES[name], "authToken": "secret"})


def test_figures_nobody_measures_need_not_be_given():
    live = dict(EXAMPLES["GET /api/agents/:id/stats (live)"]["stats"])
    measured = {name: value for name, value in live.items() if value != "N/A"}
    assert agents.LiveStats.model_validate(measured).model_dump() == live


@pytest.mark.parametrize(
    ("model", "name"),
    [
        (agents.AgentDetail, "startedAt"),
        (agents.AgentDetail, "openclawVersion"),
        (agents.Agent, "model"),
        (agents.Agent, "websocketUrl"),
        (agents.LogEntry, "source"),
        (agents.VerificationStatus, "metadata"),
        (instances.Instance, "startedAt"),
        (provisioning.ProvisionedAgent, "websocketUrl"),
        (interaction.AgentHealth, "lastSeen"),
    ],
)
def test_what_is_not_known_must_be_said_to_be_null(model, name):
    example = next(found for each in EXAMPLES.values() if (found := _holding(each, model)))
    assert json.loads(model.model_validate({**example, name: None}).model_dump_json())[name] is None
    with pytest.raises(ValidationError):
        model.model_validate({key: value for key, value in example.items() if key != name})


def _holding(value, model):
    """Return the object within an example that has the fields of ``model``."""
    if isinstance(value, list):
        return next((found for each in value if (found := _holding(each, model))), None)
    if not isinstance(value, dict):
        return None
    if set(value) == {field.alias for field in model.model_fields.values()}:
        return value
    return _holding(list(value.values()), model)
