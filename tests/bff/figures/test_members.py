"""Which members a metadata filter means: by key, by value, by both."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bff.figures.members import matching
from upstreams.clerk import Member

PROPERTY = settings(derandomize=True, deadline=None)
MEMBERS = tuple(
    Member(f"user_{name}", "org:member", metadata)
    for name, metadata in {
        "ada": {"team": "red", "level": 3, "remote": True, "manager": None},
        "bob": {"team": "blue", "level": "3", "remote": False},
        "cyd": {"color": "red", "level": 3.0, "remote": "true"},
        "dan": {"level": 1, "teams": ["red"], "profile": {"team": "red"}, "manager": "null"},
        "eve": {},
    }.items()
)


def names(key=None, value=None):
    return [user.removeprefix("user_") for user in matching(MEMBERS, key, value)]


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        (None, None, ["ada", "bob", "cyd", "dan", "eve"]),
        ("team", None, ["ada", "bob"]),
        ("manager", None, ["ada", "dan"]),
        ("Team", None, []),
        ("", None, []),
        ("team.red", None, []),
        (None, "red", ["ada", "cyd"]),
        (None, "Red", []),
        (None, "", []),
        ("team", "red", ["ada"]),
        ("team", '"red"', ["ada"]),
        ("team", "r", []),
        ("color", "red", ["cyd"]),
        ("teams", "red", []),
        ("teams", '["red"]', []),
        ("profile", '{"team":"red"}', []),
        ("level", "3", ["ada", "bob", "cyd"]),
        ("level", "3.0", ["ada", "cyd"]),
        ("level", '"3"', ["bob"]),
        ("level", "1", ["dan"]),
        ("level", "true", []),
        (None, "1", ["dan"]),
        ("remote", "true", ["ada", "cyd"]),
        ("remote", "True", []),
        ("remote", "1", []),
        ("remote", "false", ["bob"]),
        ("remote", "0", []),
        ("manager", "null", ["ada", "dan"]),
        ("manager", "None", []),
        (None, "NaN", []),
        (None, "1e999", []),
        (None, "\ud800", []),
        (None, "\0", []),
        (None, "[" * 100_000, []),
        (None, "9" * 10_000, []),
        ("x" * 100_000, "red", []),
    ],
    ids=lambda part: ascii(part)[:30],
)
def test_who_is_meant(key, value, expected):
    assert names(key, value) == expected


SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.text()
    | st.floats(allow_nan=False, allow_infinity=False)
)


@PROPERTY
@given(st.dictionaries(st.text(), SCALARS, min_size=1), st.data())
def test_a_member_is_meant_by_whatever_the_metadata_holds(metadata, data):
    key, value = data.draw(st.sampled_from(sorted(metadata.items(), key=str)))
    members = [Member("user_1", "org:member", metadata)]
    for text in {json.dumps(value), value if isinstance(value, str) else json.dumps(value)}:
        assert matching(members, key, text) == matching(members, None, text) == ("user_1",)


@PROPERTY
@given(st.text(), st.text(), st.lists(st.dictionaries(st.text(), SCALARS)))
def test_a_key_and_a_value_mean_no_more_than_either(key, value, held):
    members = [Member(str(number), "org:member", metadata) for number, metadata in enumerate(held)]
    both = set(matching(members, key, value))
    assert both <= set(matching(members, key, None)) & set(matching(members, None, value))
