"""What a pretend model says: something that fits the message, and the same each time."""

import operator
import re
from collections.abc import Callable, Sequence

_MOST_QUOTED = 120
_SUM = re.compile(r"(\d{1,9})\s*([-+*])\s*(\d{1,9})")
_OPERATORS: dict[str, Callable[[int, int], int]] = {"+": operator.add, "-": operator.sub, "*": operator.mul}
_GREETING = re.compile(r"(hi|hello|hey|good (morning|evening))\b", re.IGNORECASE)
_THANKS = re.compile(r"\b(thanks|thank you)\b", re.IGNORECASE)
_RECALL = re.compile(r"\bwhat did i (just )?say\b", re.IGNORECASE)


def reply(message: str, earlier: Sequence[str]) -> str:
    """Return the reply to ``message``; ``earlier`` is what the same user has said before in the conversation."""
    if _RECALL.search(message):
        return f"You said: {_quoted(earlier[-1])}" if earlier else "You have not said anything before."
    if found := _SUM.search(message):
        left, sign, right = found.groups()
        return f"{left} {sign} {right} is {_OPERATORS[sign](int(left), int(right))}."
    if _GREETING.match(message):
        return "Hello again! What next?" if earlier else "Hi! How can I help?"
    if _THANKS.search(message):
        return "You are welcome."
    if message.rstrip().endswith("?"):
        return f"There is no real model behind me, so I cannot tell: {_quoted(message)}"
    return f"Noted, as number {len(earlier) + 1} of this conversation: {_quoted(message)}"


def _quoted(text: str) -> str:
    return f'"{text}"' if len(text) <= _MOST_QUOTED else f'"{text[:_MOST_QUOTED]}..."'
