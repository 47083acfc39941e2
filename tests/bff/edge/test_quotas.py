"""How often a user or an address may ask, and how often at once."""

import pytest

from bff.edge.quotas import Quotas
from bff.plans import Quota, Refused
from bff.settings import Limits
from tests.bff.asking import caller

TWO_AT_ONCE = Quota("chat_per_minute", by="user", at_once=2)
BY_ADDRESS = Quota("provision_per_minute", by="address")


def test_places_are_each_users_own():
    quotas = Quotas(Limits())
    with quotas.place(TWO_AT_ONCE, caller("ada")), quotas.place(TWO_AT_ONCE, caller("ada")):
        with pytest.raises(Refused) as caught, quotas.place(TWO_AT_ONCE, caller("ada")):
            pass
        assert (caught.value.status, caught.value.retry_after) == (429, 1)
        with quotas.place(TWO_AT_ONCE, caller("bob")):
            pass
    with quotas.place(TWO_AT_ONCE, caller("ada")):
        pass
    assert not quotas._under_way


def test_a_place_is_given_back_whatever_happens():
    quotas = Quotas(Limits())
    for _ in range(5):
        with pytest.raises(KeyError), quotas.place(TWO_AT_ONCE, caller("ada")):
            raise KeyError
    assert not quotas._under_way


@pytest.mark.parametrize("quota", [None, BY_ADDRESS])
def test_most_operations_have_as_many_places_as_it_takes(quota):
    quotas = Quotas(Limits())
    with quotas.place(quota, caller("ada")), quotas.place(quota, caller("ada")):
        pass


async def test_addresses_are_counted_apart():
    quotas = Quotas(Limits(provision_per_minute=1))
    await quotas.take(BY_ADDRESS, caller("ada"), {"client": ("203.0.113.7", 1)})
    await quotas.take(BY_ADDRESS, caller("ada"), {"client": ("203.0.113.8", 1)})
    with pytest.raises(Refused) as caught:
        await quotas.take(BY_ADDRESS, caller("bob"), {"client": ("203.0.113.7", 2)})
    assert (caught.value.status, caught.value.error) == (429, "Too many requests")


async def test_what_comes_from_nowhere_is_counted_together():
    quotas = Quotas(Limits(provision_per_minute=1))
    await quotas.take(BY_ADDRESS, caller("ada"), {})
    with pytest.raises(Refused):
        await quotas.take(BY_ADDRESS, caller("bob"), {"client": None})
