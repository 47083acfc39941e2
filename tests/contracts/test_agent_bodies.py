"""The bodies under ``/api/agents`` and ``/api/provision``: what is taken, and what each bad one is told."""

import pytest

from contracts.agents import ConfigBody, VerifyBody
from contracts.provisioning import ChannelsBody, ProvisionAgentBody
from tests.contracts.bodies import accepted, refusal

NO_CHANNEL = "At least one channel token required (Telegram, WhatsApp, or Discord)"
MODELS = "model must be one of claude-opus-4-6, gpt-4, custom"
TIERS = "tier must be one of starter, pro, enterprise"
PROVIDERS = "aiProvider must be one of openrouter, gemini, groq, anthropic, openai"
PLANS = "plan must be one of free, pro, enterprise"


def test_an_agent_needs_a_name_and_nothing_else():
    body = accepted(ProvisionAgentBody, {"name": "  Scout \n"})
    assert (body.name, body.model, body.config, body.tier) == ("Scout", "claude-opus-4-6", {}, None)


def test_an_agent_is_provisioned_as_asked():
    given = {"name": "ß" * 100, "model": "custom", "config": {"a": None, "skills": ["x"]}, "tier": "enterprise"}
    assert accepted(ProvisionAgentBody, given).model_dump() == given


def test_agents_do_not_share_their_configuration():
    one, other = (accepted(ProvisionAgentBody, {"name": "Scout"}) for _ in range(2))
    assert one.config is not other.config


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({}, "Agent name is required"),
        ({"name": None}, "Agent name is required"),
        ({"name": ""}, "Agent name is required"),
        ({"name": " \u00a0\n"}, "Agent name is required"),
        ({"name": 5}, "name must be a string"),
        ({"name": ["Scout"]}, "name must be a string"),
        ({"name": "x" * 101}, "name must be at most 100 characters"),
        ({"name": "x" * 1_000_000}, "name must be at most 100 characters"),
        ({"name": "\0"}, "name must consist of printable characters"),
        ({"name": "Scout\r\nX-Role: admin"}, "name must consist of printable characters"),
        ({"name": "Scout\u202e"}, "name must consist of printable characters"),
        ({"name": "Scout", "model": "gpt-5"}, MODELS),
        ({"name": "Scout", "model": "GPT-4"}, MODELS),
        ({"name": "Scout", "model": 4}, MODELS),
        ({"name": "Scout", "model": ["custom"]}, MODELS),
        ({"name": "Scout", "tier": "free"}, TIERS),
        ({"name": "Scout", "tier": {}}, TIERS),
        ({"name": "Scout", "config": []}, "config must be a JSON object"),
        ({"name": "Scout", "config": "{}"}, "config must be a JSON object"),
    ],
)
def test_an_agent_that_cannot_be_provisioned(body, message):
    assert refusal(ProvisionAgentBody, body) == message


@pytest.mark.parametrize("config", [{}, {"a": None, "b": {"agent_id": ""}, "": [1, 2.5, True]}])
def test_a_configuration_is_any_object_as_it_is(config):
    assert accepted(ConfigBody, config).root == config


@pytest.mark.parametrize(
    "body",
    [
        {"verificationType": "eas", "attestationUid": "0x123"},
        {"verificationType": "coinbase", "signature": "0xabc"},
        {"verificationType": "webauthn", "signature": "0xabc"},
        {"verificationType": "ens", "signature": "0xabc", "walletAddress": "0xdef"},
        {
            "verificationType": "eas",
            "attestationUid": "x" * 255,
            "signature": "x" * 16_384,
            "walletAddress": "ada.eth",
        },
    ],
)
def test_a_verification_needs_what_its_type_needs(body):
    assert accepted(VerifyBody, body).model_dump(exclude_none=True) == body


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({}, "Missing required fields: verificationType"),
        ({"verificationType": None}, "Missing required fields: verificationType"),
        ({"verificationType": "world-id"}, "Invalid verification type"),
        ({"verificationType": "EAS"}, "Invalid verification type"),
        ({"verificationType": 1}, "Invalid verification type"),
        ({"verificationType": ["eas"]}, "Invalid verification type"),
        ({"verificationType": "eas"}, "Missing required fields: attestationUid"),
        ({"verificationType": "eas", "signature": "0xabc"}, "Missing required fields: attestationUid"),
        ({"verificationType": "coinbase", "signature": ""}, "Missing required fields: signature"),
        ({"verificationType": "webauthn", "signature": None}, "Missing required fields: signature"),
        ({"verificationType": "ens"}, "Missing required fields: signature, walletAddress"),
        ({"verificationType": "ens", "signature": "0xabc"}, "Missing required fields: walletAddress"),
        ({"verificationType": "ens", "walletAddress": "0xdef"}, "Missing required fields: signature"),
        ({"verificationType": "coinbase", "signature": 5}, "signature must be a string"),
        (
            {"verificationType": "coinbase", "signature": "x" * 16_385},
            "signature must be at most 16384 characters",
        ),
        (
            {"verificationType": "coinbase", "signature": "é"},
            "signature must consist of printable ASCII characters",
        ),
        (
            {"verificationType": "eas", "attestationUid": "x" * 256},
            "attestationUid must be at most 255 characters",
        ),
        (
            {"verificationType": "ens", "signature": "0x", "walletAddress": "a\nb"},
            "walletAddress must consist of printable characters",
        ),
    ],
)
def test_a_verification_that_cannot_be_tried(body, message):
    assert refusal(VerifyBody, body) == message


@pytest.mark.parametrize("channel", ["telegramToken", "whatsappToken", "discordBotToken"])
def test_one_channel_token_is_enough(channel):
    sent = accepted(ChannelsBody, {channel: "t" * 4096}).model_dump(exclude_none=True)
    assert sent == {channel: "t" * 4096, "aiProvider": "openrouter", "plan": "free"}


def test_everything_about_channels_is_passed_on_by_its_documented_name():
    given = {
        "telegramToken": "123:abc",
        "telegramUserId": "555",
        "whatsappToken": "wa",
        "whatsappPhoneNumberId": "1",
        "whatsappBusinessAccountId": "2",
        "discordBotToken": "dc",
        "discordGuildId": "3",
        "discordChannelId": "4",
        "aiProvider": "groq",
        "apiKey": "sk-1",
        "plan": "pro",
    }
    assert accepted(ChannelsBody, given).model_dump() == given


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({}, NO_CHANNEL),
        ({"telegramToken": None, "whatsappToken": "", "discordBotToken": " "}, NO_CHANNEL),
        ({"telegramUserId": "555", "apiKey": "sk-1"}, NO_CHANNEL),
        ({"telegramToken": 5}, "telegramToken must be a string"),
        ({"telegramToken": "x" * 4097}, "telegramToken must be at most 4096 characters"),
        ({"telegramToken": "a\r\nb"}, "telegramToken must consist of printable ASCII characters"),
        ({"whatsappToken": "tökén"}, "whatsappToken must consist of printable ASCII characters"),
        ({"discordBotToken": "\0"}, "discordBotToken must consist of printable ASCII characters"),
        ({"telegramToken": "t", "telegramUserId": 555}, "telegramUserId must be a string"),
        ({"telegramToken": "t", "discordGuildId": "x" * 256}, "discordGuildId must be at most 255 characters"),
        (
            {"telegramToken": "t", "discordChannelId": "\x7f"},
            "discordChannelId must consist of printable characters",
        ),
        ({"telegramToken": "t", "apiKey": "x" * 4097}, "apiKey must be at most 4096 characters"),
        ({"telegramToken": "t", "aiProvider": "mistral"}, PROVIDERS),
        ({"telegramToken": "t", "plan": "starter"}, PLANS),
        ({"telegramToken": "t", "plan": False}, PLANS),
    ],
)
def test_channels_that_cannot_be_provisioned(body, message):
    assert refusal(ChannelsBody, body) == message
