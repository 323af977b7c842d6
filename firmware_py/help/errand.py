"""What somebody is being helped with, step by step: values, and the words for the glass."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from cryptography.hazmat.primitives.asymmetric import ec

from contract.directory import Entitlement
from contract.help import Guest, Named, Signed, SpareTerms
from contract.ids import Digest, Guid
from contract.puk import PukTerms
from contract.wire import encode_base64
from firmware_py.card.records import SignedRecord
from firmware_py.help.commands import SpareWanted
from firmware_py.signon.pad import Tapped
from firmware_py.trust.people import Found

ERRAND_S: Final = 180
"""From one step to the next; then the terminal is everybody's again."""


class Step(StrEnum):
    """What is waited for."""

    PERSON = "person"
    """Somebody says who needs a spare; no card is ours."""
    LOOKING = "looking"
    """The directory is read for her card."""
    CARD = "card"
    """The spare, or the card whose PIN is blocked."""
    COLLEAGUE = "colleague"
    """The countersigning card."""
    PIN = "pin"
    """... and its PIN."""
    GATEWAY = "gateway"
    NEW_PIN = "new-pin"
    """The blocked card in the slot, and what its PIN is to be."""


SAY: Final = {
    ("spare", Step.PERSON): "Who needs a card for tonight?",
    ("spare", Step.CARD): "Hold the spare card against a reader.",
    ("spare", Step.COLLEAGUE): "Now the ward lead's card.",
    ("puk", Step.CARD): "Hold the card whose PIN is blocked against a reader.",
    ("puk", Step.COLLEAGUE): "Now a colleague's card.",
    ("spare", Step.PIN): "Ward lead: card in the slot, and your PIN.",
    ("puk", Step.PIN): "Colleague: card in the slot, and your PIN.",
    ("spare", Step.GATEWAY): "One moment.",
    ("puk", Step.GATEWAY): "One moment.",
    ("puk", Step.NEW_PIN): "Put the blocked card in the slot and enter a new PIN.",
}
GIVEN: Final = "The spare is ready. Tap it."
GIVEN_HERE: Final = "The spare is ready on this ward, until the network is back. Tap it."
NEW_PIN_SET: Final = "The new PIN is set. Tap your card."
NOT_SET: Final = "The PIN was not set. Begin again."
NOBODY: Final = "Nobody of that name has a card here."
NOT_GIVEN: Final = "This cannot be done here. Ask the helpdesk."


@dataclass(slots=True)
class Errand:
    """One at a time at a terminal. `repr` shows no secret."""

    what: str
    step: Step
    until_ns: int
    person: Named | Guest | None = None
    minutes: int = 0
    whom: SpareWanted | None = None
    """Who is looked up, as it was said."""
    card: Entitlement | None = None
    """The blocked one."""
    spare: Guid | None = None
    tap: SignedRecord | None = None
    tapped: Tapped | None = None
    colleague: Entitlement | None = None
    colleague_tap: Tapped | None = None
    terms: SpareTerms | PukTerms | None = None
    line: bytes = b""
    key: ec.EllipticCurvePrivateKey | None = field(default=None, repr=False)
    request: Digest | None = None
    puks: tuple[bytes, list[bytes]] | None = field(default=None, repr=False)
    record: int = 0
    """Sequence of the countersign."""
    said: str = ""
    """Newest sentence for whoever is helped."""
    text: str = ""
    """By which a person is searched for, and who may be meant; null: not known yet."""
    found: Found | None = None
    attempts: int | None = None
    """The colleague's, once her card has said."""


def proof_of(signed: SignedRecord) -> Signed:
    return Signed(record=encode_base64(signed.event), signature=encode_base64(signed.signature))
