"""The pretend model's replies fit the message."""

import pytest

from demo.replies import reply


@pytest.mark.parametrize(
    ("message", "earlier", "expected"),
    [
        ("Hello there", [], "Hi! How can I help?"),
        ("hi", ["hi"], "Hello again! What next?"),
        ("history is long.", [], 'Noted, as number 1 of this conversation: "history is long."'),
        ("What is 12 * 7?", [], "12 * 7 is 84."),
        ("1-999999999", [], "1 - 999999999 is -999999998."),
        ("Thanks a lot", ["x"], "You are welcome."),
        ("What did I say?", ["one", "two"], 'You said: "two"'),
        ("what did I just say", [], "You have not said anything before."),
        ("Will it rain?", [], 'There is no real model behind me, so I cannot tell: "Will it rain?"'),
        ("Buy milk", ["a", "b"], 'Noted, as number 3 of this conversation: "Buy milk"'),
        ("x" * 1000, [], f'Noted, as number 1 of this conversation: "{"x" * 120}..."'),
    ],
)
def test_a_reply(message, earlier, expected):
    assert reply(message, earlier) == expected
