"""The bytes a card signs: the challenge is the journal (DESIGN §4).

A card record is the detail of an ordinary journal event (`contract.events`). The card signs
SHA-256 over `DOMAIN` and that event's exact bytes, so anyone with the event, the signature and
the cardholder's public key checks it with standard tools: ECDSA or RSASSA-PKCS1-v1_5 with SHA-256
over `DOMAIN + event`.

What binds what: the GUID names the card, `journal`, `sequence` and `previous` fix the place in
one terminal's history, `heartbeat` proves *not before*, 32 random bytes make it unique.
"""

from __future__ import annotations

import hashlib
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from contract.ids import DigestField, GuidField, Nonce, Version
from contract.signing import Algorithm, SignatureRefused, VerifyKey
from contract.wire import Base64, Count, Part, Record

DOMAIN = b"tapover:card:v1\n"

# An event of 4 KiB, an RSA-2048 signature, a key and a heartbeat's envelope, in base64.
MAX_SIGNED_BYTES = 12 * 1024
_REQUEST = b'{"type":"tapover/move-request/v1"'


class DirectoryVersion(Part):
    """Which directory a terminal judged by; 0.0 before it has any."""

    epoch: Count
    n: Count

    @property
    def value(self) -> Version:
        return Version(self.epoch, self.n)

    @classmethod
    def of(cls, version: Version) -> DirectoryVersion:
        return cls(epoch=version.epoch, n=version.n)


class _CardRecord(Part):
    guid: GuidField
    previous: DigestField
    """The journal's chain value before this event."""
    directory: DirectoryVersion
    heartbeat: DigestField | None
    """Digest of the newest verified heartbeat's envelope; null before the first of this journal."""
    nonce: Nonce


class TapRecord(_CardRecord):
    """Signed with 9E: this card was reachable here."""

    purpose: Literal["tap"] = "tap"
    seal: DigestField | None = None
    """SHA-256 of a fresh P-256 SubjectPublicKeyInfo.

    Another terminal may seal a parked session's state to it.
    """


class PinRecord(_CardRecord):
    """Signed with 9A after VERIFY: the holder proved the PIN here."""

    purpose: Literal["pin"] = "pin"


class CountersignRecord(_CardRecord):
    """Signed by a second person's card under a text that the kiosk showed."""

    purpose: Literal["countersign"] = "countersign"
    text: DigestField
    document: DigestField


class DowntimeRecord(_CardRecord):
    """Signed with 9A after VERIFY: the holder declares downtime, or that it is over.

    It serves for nothing else, and nothing else serves for it.
    """

    purpose: Literal["downtime"] = "downtime"
    text: DigestField
    """Of the text that the kiosk showed (`contract.emergency.DowntimeTerms.words`)."""
    terms: DigestField
    """Of the terms' bytes."""


class MoveRecord(_CardRecord):
    """Asks another terminal for a parked session outside of a sign-on."""

    purpose: Literal["move"] = "move"
    seal: DigestField


CardRecord = Annotated[
    TapRecord | PinRecord | CountersignRecord | DowntimeRecord | MoveRecord,
    Field(discriminator="purpose"),
]


class PinProof(Record):
    """Published by a terminal under its own `pin` topic.

    Others derive grace from it, none is ever granted (DESIGN §6).
    """

    CAP: ClassVar[int] = MAX_SIGNED_BYTES

    type: Literal["tapover/pin-proof/v1"] = "tapover/pin-proof/v1"
    record: Base64
    """The pin event's exact bytes."""
    signature: Base64
    """By the card's 9A key."""
    heartbeat: Base64 | None = None
    """The envelope of the heartbeat that the record names: the PIN was not proved before it."""


class MoveRequest(Record):
    """A tap or move event with the card's signature and the fresh key named by its `seal`."""

    CAP: ClassVar[int] = MAX_SIGNED_BYTES

    type: Literal["tapover/move-request/v1"] = "tapover/move-request/v1"
    record: Base64
    signature: Base64
    key: Base64
    """DER SubjectPublicKeyInfo, P-256; its SHA-256 is the record's `seal`."""
    heartbeat: Base64 | None = None
    """The envelope of the heartbeat that the record names: the tap was not before it."""


def is_move_request(message: bytes) -> bool:
    """Whether a message of a `move` topic is a request; else it is a statement in an envelope."""
    return message.startswith(_REQUEST)


def card_message(event: bytes) -> bytes:
    """What the card's key signs (with SHA-256) for a card event."""
    return DOMAIN + event


def card_digest(event: bytes) -> bytes:
    """The 32 bytes that go to the card for a card event."""
    return hashlib.sha256(card_message(event)).digest()


def verify_card(key: VerifyKey, event: bytes, signature: bytes) -> None:
    """Raises SignatureRefused unless `signature` is the card key's over this card event."""
    if key.algorithm is Algorithm.ED25519:
        raise SignatureRefused("not a card's kind of key")
    key.verify(card_message(event), signature)
