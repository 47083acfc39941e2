"""Secrets at rest: who can open what, and that nothing which was touched is taken."""

import base64
import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bff.vault import Unsealable, Vault

OLD, NEW = bytes(range(32)), bytes(range(32, 64))
VALUE = "sk-hunter2"


def key_id(key):
    return hashlib.sha256(key).hexdigest()[:8]


@pytest.fixture
def vault():
    return Vault([NEW])


@pytest.fixture
def sealed(vault):
    return vault.seal("ada", "openai", VALUE)


def refuses(vault, user_id, name, sealed):
    with pytest.raises(Unsealable) as caught:
        vault.open(user_id, name, sealed)
    assert (str(caught.value), repr(caught.value)) == ("", "Unsealable()")
    assert caught.value.__suppress_context__
    return True


@given(st.text(), st.text(), st.text())
def test_what_was_sealed_is_opened(user_id, name, value):
    vault = Vault([NEW])
    assert vault.open(user_id, name, vault.seal(user_id, name, value)) == value


def test_how_it_is_written(sealed):
    version, name_of_key, data = sealed.split(".")
    assert (version, name_of_key) == ("v1", key_id(NEW))
    assert len(base64.urlsafe_b64decode(data)) == 12 + len(VALUE) + 16
    assert VALUE not in sealed


def test_what_was_written_once_can_be_read_for_ever():
    written = "v1.72dbb733.AAECAwQFBgcICQoLLzlwzz9bn4nOy4yAy1QiNq0cyQCNfjyGrJI="
    assert Vault([NEW]).open("ada", "openai", written) == VALUE


def test_no_two_are_alike(vault):
    sealed = {vault.seal("ada", "openai", VALUE) for _ in range(100)}
    assert len({text.split(".")[2][:16] for text in sealed}) == 100


@pytest.mark.parametrize(
    ("user_id", "name"),
    [
        ("bob", "openai"),
        ("ada", "anthropic"),
        ("adao", "penai"),
        ("ad", "aopenai"),
        ("", "adaopenai"),
        ("adaopenai", ""),
        ("ada\0", "openai"),
        ("Ada", "openai"),
        ("openai", "ada"),
        ("3:adaopenai", ""),
    ],
)
def test_a_row_that_was_copied_elsewhere_does_not_open(vault, sealed, user_id, name):
    assert refuses(vault, user_id, name, sealed)


@given(st.tuples(st.text(), st.text()), st.tuples(st.text(), st.text()))
def test_nobody_elses_ever_opens(one, other):
    vault = Vault([NEW])
    assert one == other or refuses(vault, *other, vault.seal(*one, VALUE))


def test_no_byte_may_change(vault, sealed):
    for n, character in enumerate(sealed):
        for other in {"A", "b", "-", ".", "=", "\n", "\0", "\u00e9"} - {character}:
            assert refuses(vault, "ada", "openai", sealed[:n] + other + sealed[n + 1 :])


def test_nothing_may_be_added_or_missing(vault, sealed):
    for n in range(len(sealed)):
        assert refuses(vault, "ada", "openai", sealed[:n])
        assert refuses(vault, "ada", "openai", sealed[n + 1 :])
        for more in ("A", "!", " ", "\n", "=", "."):
            assert refuses(vault, "ada", "openai", sealed[:n] + more + sealed[n:])
    for more in ("A", "!", "\n", "=", "====", "."):
        assert refuses(vault, "ada", "openai", sealed + more)


@pytest.mark.parametrize(
    "text",
    [
        "",
        ".",
        "..",
        "v1",
        f"v1.{key_id(NEW)}",
        f"v1.{key_id(NEW)}.",
        f"v1.{key_id(NEW)}.AAAA",
        f"v1.{key_id(NEW)}.AAAAAAAAAAAAAAAA",
        VALUE,
        "\ud800",
        "A" * 1_000_000,
    ],
    ids=lambda text: ascii(text[:30]),
)
def test_what_was_never_sealed(vault, text):
    assert refuses(vault, "ada", "openai", text)


class TestKeys:
    def test_one_that_is_not_known(self, sealed):
        assert refuses(Vault([OLD]), "ada", "openai", sealed)

    def test_one_under_the_name_of_another(self, vault):
        sealed = Vault([OLD]).seal("ada", "openai", VALUE)
        assert refuses(vault, "ada", "openai", sealed.replace(key_id(OLD), key_id(NEW)))
        assert refuses(Vault([NEW, OLD]), "ada", "openai", sealed.replace(key_id(OLD), key_id(NEW)))

    def test_a_new_one_seals_and_the_old_one_still_opens(self):
        before, both = Vault([OLD]), Vault([NEW, OLD])
        assert both.open("ada", "openai", before.seal("ada", "openai", VALUE)) == VALUE
        assert Vault([NEW]).open("ada", "openai", both.seal("ada", "openai", VALUE)) == VALUE

    @pytest.mark.parametrize("keys", [[], [b""], [bytes(16)], [bytes(31)], [bytes(33)], [NEW, bytes(24)]], ids=len)
    def test_what_is_no_key(self, keys):
        with pytest.raises(ValueError, match=r"^the vault needs keys of 32 bytes$"):
            Vault(keys)

    def test_none_shows(self, vault):
        assert "hunter2" not in repr(vault)
        assert NEW.hex() not in repr(vars(vault))
        assert str(NEW) not in repr(vars(vault))


class TestBytes:
    """What is bound to any bytes, as answers to their keys."""

    def refuses(self, vault, sealed, bound_to=b"key"):
        with pytest.raises(Unsealable) as caught:
            vault.open_bytes(sealed, bound_to)
        assert (str(caught.value), repr(caught.value)) == ("", "Unsealable()")
        assert caught.value.__suppress_context__
        return True

    @given(st.binary(), st.binary())
    def test_what_was_sealed_is_opened(self, data, bound_to):
        vault = Vault([NEW])
        assert vault.open_bytes(vault.seal_bytes(data, bound_to), bound_to) == data

    def test_how_it_is_written(self, vault):
        sealed = vault.seal_bytes(b"hunter2", b"key")
        assert sealed.startswith(f"v1.{key_id(NEW)}".encode())
        assert len(sealed) == 11 + 12 + len("hunter2") + 16
        assert b"hunter2" not in sealed
        assert b"key" not in sealed

    def test_what_was_written_once_can_be_read_for_ever(self, vault):
        nonce_and_ciphertext = "000102030405060708090a0b342733d32f47d95b269ba8edf6f0cbf4962fc607e1eb19"
        assert vault.open_bytes(b"v1.72dbb733" + bytes.fromhex(nonce_and_ciphertext), b"key") == b"hunter2"

    def test_no_two_are_alike(self, vault):
        assert len({vault.seal_bytes(b"hunter2", b"key")[11:23] for _ in range(100)}) == 100

    @given(st.binary(), st.binary())
    def test_it_opens_as_nothing_else(self, one, other):
        vault = Vault([NEW])
        assert one == other or self.refuses(vault, vault.seal_bytes(b"hunter2", one), other)

    def test_no_bit_may_change(self, vault):
        sealed = vault.seal_bytes(b"hunter2", b"key")
        for n in range(len(sealed) * 8):
            changed = bytearray(sealed)
            changed[n // 8] ^= 1 << n % 8
            assert self.refuses(vault, bytes(changed))

    def test_nothing_may_be_added_or_missing(self, vault):
        sealed = vault.seal_bytes(b"hunter2", b"key")
        for n in range(len(sealed)):
            assert self.refuses(vault, sealed[:n])
            assert self.refuses(vault, sealed[n + 1 :])
            assert self.refuses(vault, sealed[:n] + b"\0" + sealed[n:])
        assert self.refuses(vault, sealed + b"\0")
        assert self.refuses(vault, b"hunter2")

    def test_a_new_key_seals_and_the_old_one_still_opens(self):
        before, both = Vault([OLD]), Vault([NEW, OLD])
        assert both.open_bytes(before.seal_bytes(b"hunter2", b"key"), b"key") == b"hunter2"
        assert Vault([NEW]).open_bytes(both.seal_bytes(b"hunter2", b"key"), b"key") == b"hunter2"

    def test_a_key_that_is_not_known(self, vault):
        sealed = Vault([OLD]).seal_bytes(b"hunter2", b"key")
        assert self.refuses(vault, sealed)
        assert self.refuses(Vault([NEW, OLD]), sealed.replace(key_id(OLD).encode(), key_id(NEW).encode()))

    def test_a_credential_is_no_bytes_and_bytes_are_no_credential(self, vault):
        prefix, data = vault.seal("ada", "openai", VALUE).rsplit(".", 1)
        assert self.refuses(vault, prefix.encode() + base64.urlsafe_b64decode(data), b"3:adaopenai")
        sealed = vault.seal_bytes(b"hunter2", b"3:adaopenai")
        text = base64.urlsafe_b64encode(sealed[11:]).decode()
        assert refuses(vault, "ada", "openai", f"{sealed[:11].decode()}.{text}")
