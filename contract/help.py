"""03:00: a spare card for a named person, for a night (DESIGN §6, FIELD 10).

- *Terms* say what is wanted, in fields; `words` is the one text that the kiosk shows of them. A
  colleague's card countersigns under both: a `CountersignRecord` with the digests of the text and
  of the terms, signed by 9A after VERIFY (`contract.tap`).
- An *assignment* is the terminal's statement of terms and countersign. Its envelope is a leaf; the
  terms, which may hold a name, travel behind it as a body.
- Who countersigns, and what a spare then is, `contract.witness` says; a PUK is `contract.puk`.
"""

from __future__ import annotations

import hashlib
from typing import Annotated, ClassVar, Final, Literal

from pydantic import Field, model_validator

from contract.directory import Name
from contract.helping import HelpReason
from contract.ids import (
    DigestField,
    GuidField,
    HolderId,
    HolderIdField,
    Nonce,
    SiteIdField,
    TerminalIdField,
    WardIdField,
)
from contract.signing import PayloadType, Statement, sha256
from contract.tap import DirectoryVersion
from contract.wire import Base64, Part, Record, UnixMs, WireError

ASSIGNMENT_MS: Final = 12 * 3600 * 1000
"""A night, and the handover after it: nobody works longer on a card that is not hers."""

# Two envelopes of 5 KiB at most and one set of terms; a broker's packet is far larger.
MAX_HELP_BYTES: Final = 16 * 1024
_GUEST_DOMAIN: Final = b"tapover:guest:v1\n"


class HelpRefused(Exception):
    """Help is not given. `words` are for the log, never for the glass."""

    def __init__(self, reason: HelpReason, words: str = "") -> None:
        self.reason = reason
        super().__init__(f"{reason}: {words}" if words else str(reason))


class Signed(Part):
    """A card's record with its signature."""

    record: Base64
    """The event's exact bytes."""
    signature: Base64


class Named(Part):
    """Somebody of the directory, by a card of hers."""

    kind: Literal["named"] = "named"
    holder: HolderIdField
    guid: GuidField
    lost: bool = False
    """That card is lost: it is suspended with the assignment."""


class Guest(Part):
    """Somebody who is not in the directory: an agency nurse, a doctor from next door."""

    kind: Literal["guest"] = "guest"
    name: Name
    number: Annotated[str, Field(pattern=r"^[A-Z0-9][A-Z0-9-]{2,23}$")]
    """The professional number (NMC, GMC …)."""

    @property
    def holder(self) -> HolderId:
        """The id under which the log has her: the same number is the same person."""
        return HolderId(f"guest-{sha256(_GUEST_DOMAIN + self.number.encode())[:32]}")


class SpareTerms(Record):
    """Which spare, to whom, where, until when. `nonce` makes them unique, and hard to guess."""

    CAP: ClassVar[int] = 2048

    type: Literal["tapover/spare-terms/v1"] = "tapover/spare-terms/v1"
    site: SiteIdField
    terminal: TerminalIdField
    ward: WardIdField
    spare: GuidField
    person: Annotated[Named | Guest, Field(discriminator="kind")]
    begins_ms: UnixMs
    """Site time, as the terminal knew it."""
    until_ms: UnixMs
    nonce: Nonce

    @model_validator(mode="after")
    def _bounded(self) -> SpareTerms:
        if not self.begins_ms < self.until_ms <= self.begins_ms + ASSIGNMENT_MS:
            raise ValueError("a spare is assigned for twelve hours at most")
        return self

    @property
    def holder(self) -> HolderId:
        """Whose it is to be."""
        return self.person.holder

    def words(self) -> str:
        """What the kiosk shows, and the lead agrees to."""
        who = self.person
        named = f"{who.name.full}, {who.number}" if isinstance(who, Guest) else who.holder
        minutes = (self.until_ms - self.begins_ms) // 60_000
        lost = " Her own card is lost." if isinstance(who, Named) and who.lost else ""
        return f"Spare {self.spare[:8]} to {named} on {self.ward}, {minutes} minutes.{lost}"


class SpareAssignment(Statement):
    """By the terminal's batch key; `terms` is the digest of the line behind it."""

    PAYLOAD_TYPE: ClassVar[PayloadType] = PayloadType.SPARE_ASSIGNMENT

    type: Literal["tapover/spare-assignment/v1"] = "tapover/spare-assignment/v1"
    site: SiteIdField
    terminal: TerminalIdField
    terms: DigestField
    proof: Signed
    """The lead's countersign."""


class HelpAnswer(Record):
    """The gateway's answer to an assignment or a report; believed by TLS alone.

    What an assignment gives is believed by the directory's change, never by this.
    """

    CAP: ClassVar[int] = 1024

    type: Literal["tapover/help-answer/v1"] = "tapover/help-answer/v1"
    reason: HelpReason
    directory: DirectoryVersion | None = None
    """The version that carries it out; null: nothing was changed."""


def text_digest(words: str) -> str:
    """As a countersign names the text that was shown."""
    return hashlib.sha256(words.encode()).hexdigest()


def terms_in(line: bytes) -> SpareTerms:
    """Raises HelpRefused."""
    try:
        return SpareTerms.from_bytes(line)
    except WireError as error:
        raise HelpRefused(HelpReason.MALFORMED, str(error)) from error
