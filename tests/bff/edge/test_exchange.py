"""What is read of a request: its id, and its parameters."""

import pytest

from bff.edge.exchange import Exchange
from bff.edge.plan_endpoint import bounded, parameters


def request_id(given):
    return Exchange.of([(b"x-request-id", given)]).request_id


@pytest.mark.parametrize(
    "given", [b"a", b"abc-123", b"A.b_c~d", b"0" * 128, b"6f2b1f60-2d3c-4a3a-9c51-0d9a7f1f9f11"]
)
def test_a_sane_request_id_is_taken(given):
    assert request_id(given) == given


@pytest.mark.parametrize(
    "given",
    [
        b"",
        b" ",
        b"a b",
        b"a\nb",
        b"a\n",
        b"a\r\nx: y",
        b"0" * 129,
        b"\xff",
        "é".encode(),
        b"{}",
        b"<b>",
        b"a/b",
        b'"',
    ],
)
def test_any_other_is_replaced(given):
    made = request_id(given)
    assert len(made) == 32
    assert int(made, 16) >= 0
    assert made != request_id(given)


def test_without_one_it_is_made():
    assert len(Exchange.of([]).request_id) == 32


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        (b"", {}),
        (b"a=1&b=2", {"a": "1", "b": "2"}),
        (b"a=1&a=2&a=3", {"a": "1"}),
        (b"a=&a=2", {"a": ""}),
        (b"a", {"a": ""}),
        (b"=1", {"": "1"}),
        (b"&&a=1&", {"a": "1"}),
        (b"a=1;b=2", {"a": "1;b=2"}),
        (b"a=x+y%20z%2B", {"a": "x y z+"}),
        (b"a=%C3%BC", {"a": "ü"}),
        (b"a=%FF%C3", {"a": "\ufffd\ufffd"}),
        (b"a=%", {"a": "%"}),
        (b"a=%zz", {"a": "%zz"}),
        (b"a=%00", {"a": "\0"}),
        (b"a[]=1", {"a[]": "1"}),
    ],
)
def test_parameters(query, expected):
    assert parameters(query) == expected


def test_bytes_beyond_ascii_do_not_fail_it():
    assert parameters(b"a=1&b=\xff\xfe")["a"] == "1"


def test_an_oversized_query_has_no_parameters():
    assert parameters(bounded(b"a=1&".ljust(2048, b"x")))["a"] == "1"
    assert parameters(bounded(b"a=1&".ljust(2049, b"x"))) == {}
    assert parameters(bounded(b"&".join(b"f%d=1" % number for number in range(10_000)))) == {}


def test_as_many_fields_as_fit():
    assert parameters(b"a=1" + b"&" * 2000) == {"a": "1"}
    assert len(parameters(b"&".join(b"%x" % number for number in range(400)))) == 400
