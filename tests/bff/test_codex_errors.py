"""Errors as document 003 writes them, whatever they come from."""

import pytest

from bff.edge.errors import failed_answer, unavailable
from bff.endpoints.codex import MODELS, OVERVIEW
from tests.bff.asking import failure

UPSTREAM_ERROR = b'{"error":{"code":"upstream_error","message":"codex-lb is unavailable"}}'
INTERNAL_ERROR = b'{"error":{"code":"internal_error","message":"Internal server error"}}'


@pytest.mark.parametrize("plan", [OVERVIEW, MODELS], ids=lambda plan: plan.name)
def test_each_error_has_a_code_and_a_message(plan):
    down, other = failed_answer(plan, failure("codex")), failed_answer(plan, failure("user_store"))
    assert (down.status, down.body) == (502, UPSTREAM_ERROR)
    assert (other.status, other.body) == (500, INTERNAL_ERROR)
    busy = unavailable(plan.shape)
    assert (busy.status, busy.body) == (503, b'{"error":{"code":"unavailable","message":"Service unavailable"}}')
    assert (b"retry-after", b"2") in busy.headers
