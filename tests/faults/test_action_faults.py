"""Every fault of every HTTP upstream of the actions: asked at most once, and the caller learns what is known.

The actions of one upstream are asked at once, so that each fault is put to all of them in the time of one.
"""

import pytest

from bff.plans import AnyAction
from tests.faults.documented import MAY_BE_MISSING, NO_AGENT, failed
from tests.faults.questions import BODIES, WRITES
from tests.faults.rig import PATIENCE, Answer, Rig, facing, rig, until
from tests.faults.table import ALL, SLACK, UNKNOWN, echoes

CASES = [
    pytest.param(upstream, fault, id=f"{upstream}-{fault}") for upstream in ("gateway", "backend") for fault in ALL
]

# A chat's answer has numbers and lists, and the changed configuration holds a number; the others have neither.
HAVE_NUMBERS = {"agent.chat", "chat.send", "agents.config.update"}
HAVE_LISTS = {"agent.chat", "chat.send"}
ANYTHING = ("agents.config.update", "wrong_types")

# Of the other answers so little is read that the bomb is too large before it is anything else.
READS_MUCH = {"agents.config.update", "agent.chat", "chat.send"}


def asking(upstream: str) -> list[AnyAction]:
    return [action for action in WRITES if upstream in action.asks]


def test_every_action_is_asked_under_faults() -> None:
    asked = {action.name for upstream in ("gateway", "backend") for action in asking(upstream)}
    assert {action.name for action in WRITES} - asked == {
        "agent.create-session",
        "agent.update-skill",
        "agent.set-credential",
    }


def test_every_action_with_a_body_has_one() -> None:
    assert BODIES.keys() == {action.name for action in WRITES if action.body is not None}


@pytest.mark.usefixtures("in_a_hurry")
@pytest.mark.parametrize(("upstream", "fault"), CASES)
async def test_fault(upstream: str, fault: str, own_sqlite_url: str) -> None:
    actions = asking(upstream)
    async with rig(own_sqlite_url, facing(upstream, fault)) as the:
        done = await the.ask_all(actions)
        once = the.heard(upstream)
        assert {name: answer.status for name, answer in done.items()} == {
            action.name: action.status for action in actions
        }
        await the.misbehave(upstream, ALL[fault][0])
        answers = await the.ask_all(actions)

        heard = the.heard(upstream) - once
        assert heard.keys() == (set() if fault == "refuse" else once.keys())
        assert heard <= once  # less where a token that was just refused is not shown again
        for action in actions:
            assert_documented(action, upstream, fault, answers[action.name])

        await the.misbehave(upstream, None)
        await until(lambda: work_again(the, actions))


async def work_again(the: Rig, actions: list[AnyAction]) -> bool:
    again = await the.ask_all(actions)
    return all(answer.is_complete for answer in again.values())


def assert_documented(action: AnyAction, upstream: str, fault: str, answer: Answer) -> None:
    assert answer.seconds < PATIENCE + SLACK
    if _is_harmless(action, fault):
        assert answer.status == action.status
        action.answer.model_validate(answer.body)
        return
    assert not echoes(answer.content), action.name
    reason, unknown = _reason(action, fault), fault in UNKNOWN
    if fault == "404" and action.name in MAY_BE_MISSING:
        assert (answer.status, answer.body) == NO_AGENT
    else:
        assert (answer.status, answer.body) == failed(action.name, upstream, unknown=unknown), action.name
    told = ";outcome=unknown" if unknown else ""
    assert answer.headers["bff-degraded"] == f"{upstream};reason={reason}{told}", action.name


def _is_harmless(action: AnyAction, fault: str) -> bool:
    if fault == "nan":
        return action.name not in HAVE_NUMBERS
    return (fault == "nulls" and action.name not in HAVE_LISTS) or (action.name, fault) == ANYTHING


def _reason(action: AnyAction, fault: str) -> str:
    if fault == "gzip_bomb" and action.name not in READS_MUCH:
        return "too_large"
    return ALL[fault][1]


@pytest.mark.usefixtures("in_a_hurry")
@pytest.mark.parametrize("fault", ALL)
async def test_a_chat_does_without_the_sessions(fault: str, own_sqlite_url: str) -> None:
    chat = next(action for action in WRITES if action.name == "agent.chat")
    async with rig(own_sqlite_url, facing("sessions", fault)) as the:
        await the.misbehave("sessions", ALL[fault][0])
        answer = await the.ask(chat)

        assert answer.is_complete
        assert answer.body["sessionId"].startswith("sess_")
        assert answer.body["reply"] == "2 + 3 is 5."
        assert the.heard("gateway") == {"POST /v1/chat/completions": 1}
