"""What any card could do here: would a tap work, would a PIN, and over which interface.

Nothing is written and no PIN is asked for. What the card itself shows and answers is told, not what
its certificates promise.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from contract.directory import Credential, Slot
from contract.ids import Guid
from hardware.apdu import CardChannel, CardError, CardMisbehaved
from hardware.piv import NotAllowed, PivClient
from hardware.pivdata import KeySlot, UnusableCard
from hardware.readers import Interface
from provisioning.cards.enrol import look
from provisioning.cards.proof import CARD_ALGORITHM, expect_signature
from provisioning.errors import CardUnfit


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether something works with this card, and why. `works` None: not to be seen from here."""

    works: bool | None
    why: str

    @property
    def words(self) -> str:
        """As a person is told."""
        said = {True: "yes", False: "no", None: "not known"}[self.works]
        return f"{said}: {self.why}"


@dataclass(frozen=True, slots=True)
class CardReport:
    """A card in a reader."""

    interface: Interface
    guid: Guid | None
    keys: dict[str, str]
    """Algorithm by slot, as the certificates name them."""
    pin_tries: int | None
    tap: Verdict
    pin: Verdict
    """Over the interface that it is held to now."""
    pin_by_tap: Verdict
    """Without contact."""

    def to_json(self) -> dict[str, Any]:
        """For `--json`."""
        return {**asdict(self), "interface": self.interface.value}

    @property
    def text(self) -> str:
        """As a table for a person."""
        rows = {
            "interface": self.interface.value,
            "GUID": self.guid or "none",
            "keys": ", ".join(f"{slot} {kind}" for slot, kind in self.keys.items()) or "none",
            "PIN tries left": "not told" if self.pin_tries is None else str(self.pin_tries),
            "tap": self.tap.words,
            f"PIN, {self.interface.value}": self.pin.words,
            "PIN by tap": self.pin_by_tap.words,
        }
        width = max(len(name) for name in rows)
        return "\n".join(f"{name:<{width}}  {value}" for name, value in rows.items())


def inspect_card(
    channel: CardChannel, interface: Interface, monotonic_ns: Callable[[], int]
) -> CardReport:
    """Looks at the card, and has 9E sign once. Raises CardTransportError alone."""
    client = PivClient(channel, monotonic_ns)
    try:
        found = look(client)
    except (CardUnfit, UnusableCard, CardMisbehaved, CardError) as error:
        return _useless(interface, str(error), guid=_guid(client), tries=_tries(client))
    tries = _tries(client)
    by_slot = {one.slot: one for one in found.credentials}
    pin = _pin(client, by_slot.get(Slot.PIV_AUTHENTICATION), tries, interface)
    return CardReport(
        interface=interface,
        guid=found.guid,
        keys={one.slot.value: one.algorithm.value for one in found.credentials},
        pin_tries=tries,
        tap=_tap(client, by_slot.get(Slot.CARD_AUTHENTICATION)),
        pin=pin,
        pin_by_tap=pin if interface is Interface.CONTACTLESS else _ELSEWHERE,
    )


_ELSEWHERE = Verdict(None, "hold it to a contactless reader to see")


def _useless(
    interface: Interface, why: str, guid: Guid | None = None, tries: int | None = None
) -> CardReport:
    no = Verdict(works=False, why=why)
    return CardReport(interface, guid, {}, tries, no, no, no)


def _tap(client: PivClient, credential: Credential | None) -> Verdict:
    if credential is None:
        return Verdict(works=False, why="it has no usable key in 9E")
    try:
        expect_signature(client, credential)
    except CardUnfit as error:
        return Verdict(works=False, why=str(error))
    except (CardError, CardMisbehaved) as error:
        return Verdict(works=False, why=f"9E does not sign: {error}")
    return Verdict(works=True, why=f"9E signs ({credential.algorithm})")


def _pin(
    client: PivClient, credential: Credential | None, tries: int | None, interface: Interface
) -> Verdict:
    if tries is None:
        return Verdict(works=False, why=f"it takes no PIN over {interface.value}")
    if credential is None:
        return Verdict(works=False, why="it shows no usable key in 9A here")
    if tries == 0:
        return Verdict(works=False, why="its PIN is blocked")
    algorithm = CARD_ALGORITHM[credential.algorithm]
    try:
        client.sign(KeySlot.AUTHENTICATION, algorithm, secrets.token_bytes(32))
    except NotAllowed:
        return Verdict(works=True, why=f"9A waits for the PIN ({credential.algorithm})")
    except (CardError, CardMisbehaved) as error:
        return Verdict(works=False, why=f"9A does not sign: {error}")
    return Verdict(works=False, why="9A signs without a PIN, so a PIN proves nothing")


def _tries(client: PivClient) -> int | None:
    try:
        left = client.pin_attempts()
        if left is None:  # verified already: a card on which a PIN outlives the reset
            client.forget_pin()
            left = client.pin_attempts()
        return left
    except (CardError, CardMisbehaved):
        return None


def _guid(client: PivClient) -> Guid | None:
    try:
        return Guid(client.read_guid().hex())
    except (CardError, CardMisbehaved, UnusableCard):
        return None
