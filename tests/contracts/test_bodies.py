"""What holds for every request body, and what is said about one that is refused."""

import pytest
from pydantic import ValidationError

from contracts._base import Body
from contracts._problems import problem
from contracts.agents import ConfigBody, VerifyBody
from contracts.interaction import ChatBody, CreateSessionBody, SetCredentialBody, TopicMessageBody, UpdateSkillBody
from contracts.provisioning import ChannelsBody, ProvisionAgentBody
from tests.contracts.bodies import accepted, refusal

SECRET = "sk-live-0123456789"
GOOD = {
    ProvisionAgentBody: {"name": "Scout"},
    ChannelsBody: {"telegramToken": "123:abc"},
    VerifyBody: {"verificationType": "eas", "attestationUid": "0x123"},
    ChatBody: {"message": "Hello!"},
    CreateSessionBody: {},
    UpdateSkillBody: {"skillId": "browser", "enabled": True},
    SetCredentialBody: {"key": "anthropic", "value": SECRET},
    TopicMessageBody: {"message": "Hello!"},
}
HOSTILE = {
    "a megabyte": SECRET * 70_000,
    "a list": [SECRET],
    "an object": {SECRET: SECRET},
    "a NUL": f"{SECRET}\0",
    "half a character": f"{SECRET}\ud800",
}
FIELDS = [(model, field.alias) for model in GOOD for field in model.model_fields.values()]


def names(models):
    return pytest.mark.parametrize("model", models, ids=lambda model: model.__name__)


@names([*GOOD, ConfigBody])
@pytest.mark.parametrize("body", [None, [], [{}], "text", "", 5, 0.5, True])
def test_a_body_is_an_object(model, body):
    assert refusal(model, body) == "Request body must be a JSON object"


@names(GOOD)
def test_unknown_fields_are_ignored(model):
    more = {**GOOD[model], "userId": "user_eve", "action": "chat", "user_id": None, "__class__": {}}
    assert accepted(model, more) == accepted(model, GOOD[model])


@pytest.mark.parametrize(("model", "name"), FIELDS)
@pytest.mark.parametrize("blank", [None, "", " \t\n", "\u2003"])
def test_null_and_blank_text_count_as_not_given(model, name, blank):
    without = {key: value for key, value in GOOD[model].items() if key != name}
    assert outcome(model, {**GOOD[model], name: blank}) == outcome(model, without)


@pytest.mark.parametrize(("model", "name"), FIELDS)
def test_fields_have_their_documented_names_alone(model, name):
    python_name = "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name)
    if python_name == name:
        return
    without = {key: value for key, value in GOOD[model].items() if key != name}
    given = GOOD[model].get(name, "text")
    assert outcome(model, {**without, python_name: given}) == outcome(model, without)


@pytest.mark.parametrize(("model", "name"), FIELDS)
@pytest.mark.parametrize("value", HOSTILE.values(), ids=HOSTILE)
def test_a_refusal_names_the_field_and_never_what_was_sent(model, name, value):
    if isinstance(outcome(model, {**GOOD[model], name: value}), Body):
        assert (model, name) in {
            (ProvisionAgentBody, "config"),
            (ChatBody, "message"),
            (TopicMessageBody, "message"),
        }
        return
    said = refusal(model, {**GOOD[model], name: value})
    assert SECRET not in said
    assert len(said) < 100
    assert said.startswith(f"{name} ") or said == "Invalid verification type"


@names([*GOOD, ConfigBody])
def test_what_was_sent_is_never_shown(model):
    body = accepted(model, GOOD.get(model, {"token": SECRET}))
    assert str(body) == ""
    assert repr(body) == f"{model.__name__}()"


@names(GOOD)
def test_the_input_is_not_part_of_an_error(model):
    with pytest.raises(ValidationError) as refused:
        accepted(model, [SECRET])
    assert SECRET not in str(refused.value)


def test_the_first_of_several_problems_is_told():
    assert refusal(ProvisionAgentBody, {"model": 1, "tier": 2}) == "Agent name is required"
    assert refusal(UpdateSkillBody, {"skillId": 1, "enabled": 2}) == "skillId must be a string"


def outcome(model, body):
    """Return the accepted body or the message that refuses it."""
    try:
        return accepted(model, body)
    except ValidationError as error:
        return problem(error)
