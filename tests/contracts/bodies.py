"""How a request body is taken, as the edge takes it."""

from typing import TypeVar

import pytest
from pydantic import ValidationError

from contracts._base import Body
from contracts._problems import problem

B = TypeVar("B", bound=Body)


def accepted(model: type[B], body: object) -> B:
    """Return the body as the model takes it. Raises ValidationError."""
    return model.model_validate(body, strict=True)


def refusal(model: type[Body], body: object) -> str:
    """Return the message with which the body is refused."""
    with pytest.raises(ValidationError) as refused:
        accepted(model, body)
    return problem(refused.value)
