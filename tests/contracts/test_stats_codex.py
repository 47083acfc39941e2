"""Documents 001 and 003: each example is what its model writes, field by field and in its order."""

import json

import pytest
from pydantic import ValidationError

from contracts.codex import Error, Models, Overview
from contracts.stats import UsageStats

STATS = {
    "conversationCount": 150,
    "messageCount": 1200,
    "toolCalls": 300,
    "totalTokens": 50000,
    "inputTokens": 30000,
    "outputTokens": 20000,
    "uniqueUsers": 25,
    "uniqueAgents": 8,
    "totalFeedback": 80,
    "totalHelpful": 65,
    "totalNotHelpful": 15,
    "kbFileCount": 42,
    "kbCount": 5,
    "kbExtractTotalTokens": 90000,
    "kbExtractInputTokens": 80000,
    "kbExtractOutputTokens": 10000,
}
OVERVIEW = {
    "accountCounts": {
        "total": 5,
        "active": 3,
        "paused": 1,
        "rateLimited": 0,
        "quotaExceeded": 1,
        "deactivated": 0,
    },
    "usageSummary": {"totalTokens": 125000, "totalCost": 2.45, "inputTokens": 75000, "outputTokens": 50000},
    "requestCount": 342,
    "errorRate": 2.3,
}
MODELS = {
    "models": [
        {"id": "gpt-5.3-codex", "name": "GPT-5.3 Codex"},
        {"id": "gpt-5.3-codex-spark", "name": "GPT-5.3 Codex Spark"},
        {"id": "gpt-4o-mini", "name": "GPT-4o Mini"},
        {"id": "o3-pro", "name": "o3 Pro"},
    ]
}
ERROR = {"error": {"code": "totp_required", "message": "TOTP verification is required for dashboard access"}}
EXAMPLES = [(UsageStats, STATS), (Overview, OVERVIEW), (Models, MODELS), (Models, {"models": []}), (Error, ERROR)]


@pytest.mark.parametrize(("model", "example"), EXAMPLES)
def test_an_example_is_what_the_model_writes(model, example):
    written = model.model_validate(example, strict=True).model_dump_json()
    assert json.loads(written) == example
    assert written == json.dumps(example, separators=(",", ":"))


@pytest.mark.parametrize("name", STATS)
@pytest.mark.parametrize("value", [None, 1.5, "1", True])
def test_every_statistic_is_an_integer(name, value):
    with pytest.raises(ValidationError):
        UsageStats.model_validate(STATS | {name: value}, strict=True)


@pytest.mark.parametrize(("model", "example"), [(UsageStats, STATS), (Overview, OVERVIEW), (Error, ERROR)])
def test_no_field_may_be_left_out(model, example):
    for name in example:
        with pytest.raises(ValidationError):
            model.model_validate({key: value for key, value in example.items() if key != name})
