"""The staff of a ward in a box: named people with cards made through PC/SC at a desk.

Every name, card and PIN here is made up for the demo and the tests.
"""

from __future__ import annotations

import queue
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from benchmarks.ward.pcscd import Pcscd, VirtualReader
from benchmarks.ward.ports import PortBlock
from contract.certificates import spki
from contract.directory import Credential, Entitlement, Name, Position, Slot
from contract.ids import Guid, HolderId, PositionId
from contract.signing import Algorithm, CardAlgorithm
from contract.wire import encode_base64
from hardware.apdu import CardGone
from hardware.piv import Pin
from hardware.virtual.card import Card
from hardware.virtual.control import CardBox
from hardware.virtual.names import Algorithm as KeyAlgorithm
from hardware.virtual.names import Slot as CardSlot
from hardware.virtual.sample import SIGN_ON_SLOTS, personalised
from provisioning.cards.making import issue_card
from provisioning.cards.readers import with_card_in
from provisioning.directory.entries import Holder, IssuedCard, entitle
from provisioning.site.folder import SiteFolder
from runtime.clock import SystemClock

_SEEN_S, _LOOK_S = 5.0, 0.005
_ON_CARD: Final[dict[CardAlgorithm, KeyAlgorithm]] = {
    Algorithm.P256: KeyAlgorithm.ECC_P256,
    Algorithm.RSA2048: KeyAlgorithm.RSA_2048,
}

NURSE: Final = Position(id=PositionId("ed-nurse"), role="R8001", name="Nurse", areas=())
DOCTOR: Final = Position(id=PositionId("ed-doctor"), role="R8000", name="Doctor", areas=())
LEAD: Final = Position(id=PositionId("ed-lead"), role="R8001L", name="Nurse in charge", areas=())


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody of the made-up ward."""

    holder: Holder
    pin: str
    faults: tuple[str, ...] = ()
    """What is wrong with the card already when it is made (`hardware.virtual.faults`)."""


def person(
    id_: str, full: str, pin: str, *positions: Position, faults: tuple[str, ...] = ()
) -> Person:
    """A member of staff; initials and short name follow from the full one."""
    first, *rest = full.split()
    name = Name(full=full, short=f"{first} {rest[-1][0]}.", initials=f"{first[0]}{rest[-1][0]}")
    return Person(Holder(HolderId(id_), name, positions), pin, faults)


STAFF: Final = (
    person("h-amal", "Amal Haddad", "274913", NURSE),
    person("h-bronwen", "Bronwen Pugh", "806152", NURSE),
    person("h-chidi", "Chidi Okafor", "391746", DOCTOR),
    person("h-dafydd", "Dafydd Rees", "518203", NURSE),
    person("h-elena", "Elena Marchetti", "640917", LEAD),
)


@dataclass(frozen=True, slots=True)
class Member:
    """A person with the card that was made for her."""

    person: Person
    card: Path
    entitlement: Entitlement

    @property
    def pin(self) -> str:
        """What she alone knows."""
        return self.person.pin

    @property
    def shown(self) -> str:
        """Her name as the ward's glass shows it."""
        return self.entitlement.name.short


def hired(
    folder: Path, somebody: Person, now_ms: int, algorithm: CardAlgorithm = Algorithm.P256
) -> Member:
    """A member with a card that was not made at a desk: for a ward that needs many, or odd ones.

    Its certificates are for foreign software, like those of a card of ours.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{somebody.holder.id}.json"
    card = personalised(
        pin=somebody.pin.encode(), algorithm=_ON_CARD[algorithm], certificates=True, path=path
    )
    credentials = tuple(
        Credential(
            slot=Slot(f"{slot:02X}"),
            algorithm=algorithm,
            key=encode_base64(spki(card.keys[slot].public)),
            pin_gated=slot is CardSlot.AUTHENTICATION,
        )
        for slot in SIGN_ON_SLOTS
    )
    guid = Guid((card.guid or b"").hex())
    entitlement = entitle(IssuedCard(guid, credentials), somebody.holder, now_ms)
    return Member(somebody, path, entitlement)


class Desk:
    """Where cards are made: two readers of its own, and blank cards. A context manager."""

    def __init__(self, folder: Path, site: SiteFolder, box: CardBox, ports: PortBlock) -> None:
        self._folder = folder
        self._site = site
        self._box = box
        self._pcscd = Pcscd(ports, ("Desk",))
        self._free: queue.SimpleQueue[VirtualReader] = queue.SimpleQueue()
        for reader in self._pcscd.readers:
            self._free.put(reader)
        self._clock = SystemClock()

    def __enter__(self) -> Self:
        self._pcscd.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._pcscd.close()

    def issue(self, staff: Sequence[Person]) -> list[Member]:
        """Personalises a blank card for each: one is made while the next is being noticed."""
        self._folder.mkdir(parents=True, exist_ok=True)
        self._pcscd.use_here()
        with ThreadPoolExecutor(len(self._pcscd.readers)) as makers:
            return list(makers.map(self._issue, staff))

    def _issue(self, somebody: Person) -> Member:
        reader = self._free.get()
        try:
            return self._issue_in(reader, somebody)
        finally:
            self._free.put(reader)

    def _issue_in(self, reader: VirtualReader, somebody: Person) -> Member:
        path = self._folder / f"{somebody.holder.id}.json"
        Card.create(path)
        self._box.insert(reader.port, path, faults=somebody.faults)
        self._box.wait(path, 5.0, powered=True)
        try:
            self._wait_seen(reader.name)
            issued = with_card_in(
                reader.name,
                lambda channel: issue_card(
                    channel, self._site, somebody.holder.id, Pin(somebody.pin), self._clock
                ),
                self._clock,
            )
        finally:
            self._box.remove(reader.port)
        entitlement = entitle(issued, somebody.holder, self._clock.wall_ms())
        return Member(somebody, path, entitlement)

    def _wait_seen(self, reader: str) -> None:
        """Returns when clients may connect: pcscd gives power a moment earlier. Raises CardGone."""
        deadline = time.monotonic() + _SEEN_S
        while True:
            try:
                with_card_in(reader, lambda _card: None, self._clock)
            except CardGone:
                if time.monotonic() > deadline:
                    raise
                time.sleep(_LOOK_S)
            else:
                return
