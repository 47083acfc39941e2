"""``POST /api/agents/deploy`` of the pretend gateway."""

import hashlib
from typing import Any, Literal

import msgspec
from starlette.types import Receive, Scope, Send

from demo.asgi import TEXT_TYPE, Answer, header, json_answer, whole_body
from demo.people import INTERNAL_KEY

UNAUTHORIZED = json_answer({"error": "Unauthorized"}, 401)
ONLY_POST = Answer(405, TEXT_TYPE, b"Method Not Allowed", allow="POST")


class Order(msgspec.Struct, rename="camel"):
    """What is to be deployed."""

    type: Literal["deploy_agent"]
    agent_id: str
    user_id: str
    name: str
    model: str
    config: dict[str, Any]
    skills: list[str]
    timestamp: str


async def deploy(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer with the id of the agent's gateway, the same for the same agent, to who knows the internal key."""
    if scope["method"] != "POST":
        answer = ONLY_POST
    elif header(scope, b"x-internal-key") != INTERNAL_KEY.encode():
        answer = UNAUTHORIZED
    else:
        answer = _deploy(await whole_body(receive))
    await answer(scope, receive, send)


def _deploy(body: bytes) -> Answer:
    try:
        order = msgspec.json.decode(body, type=Order)
    except msgspec.DecodeError as error:
        return json_answer({"error": str(error)}, 400)
    return json_answer({"gatewayId": f"gw_{hashlib.sha256(order.agent_id.encode()).hexdigest()[:16]}"})
