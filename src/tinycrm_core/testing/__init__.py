"""What every backend has to do, as tests: subclass `StoreContract` and give it a `crm` fixture.

    class TestMyStore(StoreContract):
        @pytest.fixture
        def crm(self):
            return TinyCRM.over(MyStore(), account=str(uuid4()))

The fixture returns a client of an account that holds nothing yet. Needs pytest.

What carries events to a store has `TransportContract`, with one more fixture, `reporting`: a client
bound to the product `shop`, whose events end in the account that `crm` reads.
"""

from tinycrm_core.testing.people import ALICE, BOB, START, day, exactly, on, person
from tinycrm_core.testing.store import StoreContract
from tinycrm_core.testing.transport import TransportContract

__all__ = [
    "ALICE",
    "BOB",
    "START",
    "StoreContract",
    "TransportContract",
    "day",
    "exactly",
    "on",
    "person",
]
