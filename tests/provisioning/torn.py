"""A desk at which cards are torn away, and what a card may be afterwards."""

from __future__ import annotations

from dataclasses import dataclass, field

from contract.certificates import spki
from contract.ids import Guid
from contract.wire import encode_base64
from hardware.apdu import CardChannel, CardTorn
from hardware.pivdata import Algorithm
from hardware.virtual.applet import AS_THE_STANDARD_SAYS, Quirks
from hardware.virtual.behaviour import Behaviour
from hardware.virtual.card import DEFAULT_MANAGEMENT_KEY, DEFAULT_PIN, DEFAULT_PUK, Card, padded
from hardware.virtual.powered import PoweredCard
from provisioning.cards.desk import Desk
from provisioning.cards.journal import Stage
from provisioning.site.keys import read_p256

HOLDER, PIN = "h-amal", "274913"


@dataclass
class Tearing:
    """A channel that ends at its `at`-th exchange: before the card has the command, or after."""

    channel: CardChannel
    at: int | None = None
    executed: bool = True
    count: int = field(default=0, init=False)

    def transmit(self, apdu: bytes) -> bytes:
        self.count += 1
        if self.count == self.at and not self.executed:
            raise CardTorn("torn before the card had the command")
        answer = self.channel.transmit(apdu)
        if self.count == self.at:
            raise CardTorn("torn before the answer was here")
        return answer


def held(card: Card, quirks: Quirks = AS_THE_STANDARD_SAYS) -> PoweredCard:
    """The card put into the reader once more: powered anew."""
    return PoweredCard(card, Behaviour(quirks=quirks))


def expect_whole(desk: Desk, card: Card, pin: str = PIN, stage: Stage = Stage.MADE) -> None:
    """The card is issued in every respect, and nothing of it is locked."""
    assert card.guid is not None
    record = desk.book.recall(Guid(card.guid.hex()))
    assert record is not None
    assert record.stage is stage
    assert record.doubt is None
    assert record.puk is not None
    for key in (desk.folder.authority / "puk.key.pem", desk.folder.gateway / "puk.key.pem"):
        assert record.puk.open(read_p256(key)) == card.puk.value
    own = desk.keys.master.management_key(record.guid, Algorithm(card.management_algorithm))
    assert own.value == card.management_key
    assert card.pin.value == padded(pin.encode())
    assert (card.pin.left, card.puk.left) == (3, 3)
    assert {c.slot: c.key for c in record.credentials} == {
        f"{slot:02X}": encode_base64(spki(key.public)) for slot, key in card.keys.items()
    }
    assert {c.slot: c.pin_gated for c in record.credentials} == {"9E": False, "9A": True}


def expect_blank(card: Card) -> None:
    """As it left the factory, but for keys that nobody can use a certificate of."""
    assert card.guid is None
    assert card.objects == {}
    assert card.management_key == DEFAULT_MANAGEMENT_KEY
    assert card.pin.value == padded(DEFAULT_PIN)
    assert card.puk.value == padded(DEFAULT_PUK)
    assert (card.pin.left, card.puk.left) == (3, 3)


def expect_not_locked(card: Card) -> None:
    """At every moment in between."""
    assert card.puk.left > 0
