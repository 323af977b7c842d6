"""A card's PIN set by its PUK, and the PUK replaced (SP 800-73-4 part 2 §3.2.2, §3.2.3)."""

from __future__ import annotations

from hardware.apdu import CommandApdu
from hardware.piv import Pin, PivClient, expect_secret_taken
from hardware.pivdata import Reference


def set_pin_by_puk(client: PivClient, puk: Pin, new: Pin) -> None:
    """RESET RETRY COUNTER. Raises WrongPin, PinBlocked or PinNotTaken, of the PUK."""
    command = CommandApdu(0x00, 0x2C, 0x00, Reference.PIN, puk.padded() + new.padded())
    expect_secret_taken(client.exchanger.send(command).sw, "RESET RETRY COUNTER")


def change_secret(client: PivClient, reference: Reference, old: Pin, new: Pin) -> None:
    """CHANGE REFERENCE DATA for PIN or PUK. Raises as `set_pin_by_puk`, of `reference`."""
    command = CommandApdu(0x00, 0x24, 0x00, reference, old.padded() + new.padded())
    what = f"CHANGE REFERENCE DATA {reference.name}"
    expect_secret_taken(client.exchanger.send(command).sw, what)
