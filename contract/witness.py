"""Who may countersign at 03:00, and what an assigned spare then is. Pure; for gateway and ward.

- A countersign counts if the record is this terminal's own event, names text and document, and 9A
  of a card in use signed it, of which enrolment saw that it wants a PIN.
- A ward's lead assigns its spares: to somebody else, on her own ward, not with a spare in her hand.
- A spare gives a person of the directory her own positions, in that ward alone; a guest what the
  spare itself says. It ends with its terms, by everybody's own clock.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from contract.administration import led_by
from contract.directory import Entitlement, Name, Position, Slot, Spare, Status
from contract.events import CardRecorded, Event
from contract.help import (
    MAX_HELP_BYTES,
    Guest,
    HelpRefused,
    Signed,
    SpareAssignment,
    SpareTerms,
    terms_in,
    text_digest,
)
from contract.helping import HelpReason
from contract.ids import Digest, Guid, SiteId, TerminalId, WardId
from contract.journal import split_lines
from contract.signing import Envelope, SignatureRefused, VerifyKey, sha256
from contract.tap import CountersignRecord, verify_card
from contract.wire import WireError, decode_base64

# Clocks of a site differ by less; a terminal's own says what it says offline.
AHEAD_MS: Final = 5 * 60 * 1000


@dataclass(frozen=True, slots=True)
class Assigned:
    """An assignment whose terminal signed it; what it says of cards is not judged yet."""

    message: bytes
    envelope: Envelope
    terms: SpareTerms
    line: bytes
    proof: Signed
    colleague: Guid
    """The card that the countersign names."""

    @property
    def digest(self) -> Digest:
        return self.envelope.digest

    @property
    def order(self) -> tuple[int, Digest]:
        """The earlier by site time goes first."""
        return self.terms.begins_ms, sha256(self.line)


def open_assignment(
    message: bytes, site: SiteId, terminal: TerminalId, key: VerifyKey, *, own: bool = False
) -> Assigned:
    """Verify, then parse. `own`: out of our own keeping. Raises HelpRefused."""
    try:
        envelope, lines = split_lines(message, MAX_HELP_BYTES)
        if own:
            said = SpareAssignment.from_bytes(decode_base64(envelope.payload))
        else:
            said = SpareAssignment.open(envelope, key)
    except WireError as error:
        raise HelpRefused(HelpReason.MALFORMED, str(error)) from error
    except SignatureRefused as error:
        raise HelpRefused(HelpReason.NOT_BELIEVED, str(error)) from error
    if len(lines) != 1 or sha256(lines[0]) != said.terms:
        raise HelpRefused(HelpReason.MALFORMED, "the terms are not those that are named")
    terms = terms_in(lines[0])
    named = (said.site, terms.site, said.terminal, terms.terminal)
    if named != (site, site, terminal, terminal):
        raise HelpRefused(HelpReason.NOT_BELIEVED, "of another site or terminal")
    colleague = record_in(said.proof)[1].guid
    return Assigned(message, envelope, terms, lines[0], said.proof, colleague)


def record_in(proof: Signed) -> tuple[Event, CountersignRecord]:
    """The countersign in a proof, as it says, its signature not looked at. Raises HelpRefused."""
    try:
        event = Event.from_bytes(decode_base64(proof.record))
    except WireError as error:
        raise HelpRefused(HelpReason.MALFORMED, str(error)) from error
    detail = event.detail
    if not isinstance(detail, CardRecorded) or not isinstance(detail.record, CountersignRecord):
        raise HelpRefused(HelpReason.NOT_BELIEVED, "no countersign")
    return event, detail.record


def require_countersign(
    proof: Signed, card: Entitlement | None, terminal: TerminalId, words: str, document: bytes
) -> Event:
    """The colleague's PIN stands behind these words and terms, here. Raises HelpRefused."""
    event, record = record_in(proof)
    if card is None or card.guid != record.guid or card.status is not Status.ACTIVE:
        raise HelpRefused(HelpReason.COLLEAGUE_UNKNOWN)
    if event.terminal != terminal:
        raise HelpRefused(HelpReason.NOT_BELIEVED, "countersigned at another terminal")
    if record.document != sha256(document) or record.text != text_digest(words):
        raise HelpRefused(HelpReason.NOT_BELIEVED, "countersigned under something else")
    key = card.credential(Slot.PIV_AUTHENTICATION)
    if key is None or not key.pin_gated:
        raise HelpRefused(HelpReason.NOT_PROVED, "9A is not known to want a PIN")
    require_signature(proof, card, Slot.PIV_AUTHENTICATION)
    return event


def require_signature(proof: Signed, card: Entitlement, slot: Slot) -> None:
    """The card's key of `slot` signed the record. Raises HelpRefused."""
    credential = card.credential(slot)
    if credential is None:
        raise HelpRefused(HelpReason.NOT_PROVED, "the card has no such key")
    try:
        verify_card(
            credential.verify_key(), decode_base64(proof.record), decode_base64(proof.signature)
        )
    except (SignatureRefused, WireError) as error:
        raise HelpRefused(HelpReason.NOT_PROVED, str(error)) from error


def require_lead(assigned: Assigned, lead: Entitlement | None, *, on_spare: bool) -> Entitlement:
    """The lead of that ward, in person, for somebody else. Raises HelpRefused."""
    terms = assigned.terms
    require_countersign(assigned.proof, lead, terms.terminal, terms.words(), assigned.line)
    assert lead is not None  # noqa: S101 - refused above
    if on_spare or not any(terms.ward in led_by(position) for position in lead.positions):
        raise HelpRefused(HelpReason.NOT_LEAD)
    if not lead.not_before_ms <= terms.begins_ms < lead.not_after_ms:
        raise HelpRefused(HelpReason.COLLEAGUE_UNKNOWN, "her card is not valid then")
    if lead.holder == terms.holder:
        raise HelpRefused(HelpReason.SAME_PERSON)
    return lead


def assign(
    terms: SpareTerms, spare: Spare | None, own: Entitlement | None, salt: str
) -> Entitlement:
    """What the spare is by these terms; `own` is the named person's card. Raises HelpRefused."""
    if spare is None or spare.status is not Status.ACTIVE or spare.guid != terms.spare:
        raise HelpRefused(HelpReason.SPARE_UNKNOWN)
    if terms.begins_ms >= spare.not_after_ms or (spare.wards and terms.ward not in spare.wards):
        raise HelpRefused(HelpReason.SPARE_UNKNOWN, "not now, or not on this ward")
    name, offered = _person(terms, spare, own)
    positions = tuple(within(position, terms.ward) for position in offered)
    held = tuple(position for position in positions if position is not None)
    if not held:
        raise HelpRefused(HelpReason.NO_POSITION)
    return Entitlement(
        guid=spare.guid,
        holder=terms.holder,
        name=name,
        credentials=spare.credentials,
        positions=held,
        status=Status.ACTIVE,
        not_before_ms=terms.begins_ms,
        not_after_ms=min(terms.until_ms, spare.not_after_ms),
        salt=salt,
    )


def _person(
    terms: SpareTerms, spare: Spare, own: Entitlement | None
) -> tuple[Name, tuple[Position, ...]]:
    """Name and positions, as the site has vouched for them. Raises HelpRefused."""
    person = terms.person
    if isinstance(person, Guest):
        if spare.guest is None:
            raise HelpRefused(HelpReason.NO_POSITION, "this spare is not for guests")
        return person.name, (spare.guest,)
    if own is None or (own.guid, own.holder) != (person.guid, person.holder):
        raise HelpRefused(HelpReason.PERSON_UNKNOWN)
    if own.status is not Status.ACTIVE or own.not_after_ms <= terms.begins_ms:
        raise HelpRefused(HelpReason.PERSON_UNKNOWN, "her own card is not in use")
    return own.name, own.positions


def within(position: Position, ward: WardId) -> Position | None:
    """The position in one ward alone; null where it may not be held there."""
    if position.areas and ward not in position.areas:
        return None
    return position.model_copy(update={"areas": (ward,)})
