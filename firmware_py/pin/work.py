"""What is asked of a card that gets another PIN by its present one (SP 800-73-4 part 2 §3.2.2).

Seven exchanges: SELECT, CHUID, 9E as before any PIN (`card.tap.know`), the tries left, then CHANGE
REFERENCE DATA; VERIFY with the new PIN and 9A prove that the card took it. The record that 9A signs
is in the journal before the card is told anything: what cannot be written down is not done.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from contract.directory import Entitlement
from firmware_py.card.tap import (
    OPEN_SCREEN_KEEPS,
    CardAnswer,
    MonotonicNs,
    Question,
    keep_tries,
    know,
    prove_with_9a,
)
from hardware.apdu import HardwareError
from hardware.piv import Pin, PinBlocked, PinNotTaken, PivClient, WrongPin
from hardware.pivdata import Reference
from hardware.readers import CardConnection
from hardware.unblock import change_secret


class NotWritten(HardwareError):
    """The journal took no record of it: the card was told nothing."""


@dataclass(slots=True)
class PinChange:
    """The work, and how far it came: to be looked at when the visit has ended."""

    question: Question
    old: Pin
    new: Pin
    owner: Entitlement
    monotonic_ns: MonotonicNs = field(repr=False)
    told: bool = False
    """The card was told to take the new PIN, and has not refused it."""

    def __call__(self, connection: CardConnection) -> CardAnswer:
        """Raises FewTries, HardwareError; with `told` nobody knows which PIN the card has."""
        piv = PivClient(connection, self.monotonic_ns)
        guid = know(piv, self.owner)
        keep_tries(piv, OPEN_SCREEN_KEEPS)
        challenge = self.question.ask(guid)
        if challenge is None:
            raise NotWritten("no record of the change")
        self.told = True
        try:
            change_secret(piv, Reference.PIN, self.old, self.new)
        except (WrongPin, PinBlocked, PinNotTaken):
            self.told = False
            raise
        piv.verify_pin(self.new)
        signature = prove_with_9a(piv, challenge)
        return CardAnswer(guid, signature, piv.exchanges, connection.connect_ns + piv.card_ns)
