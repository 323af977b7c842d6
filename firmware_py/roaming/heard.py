"""What other terminals say on their own topics, verified by what is held here (DESIGN §5, §6).

- The broker takes a topic's name from a certificate; the record itself names its terminal, and the
  card has signed that. Both must agree, and the register must have that terminal.
- The card's signature is checked by the key that this terminal's own directory lists.
- The heartbeat beside a record must be the one that the record names, and signed by the site. One
  under keys that are not held proves nothing here, and is as none.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from contract.directory import Credential, Entitlement, Slot, Status
from contract.events import CardRecorded, Event
from contract.ids import Digest, Guid, TerminalId
from contract.moving import MoveReason
from contract.signing import Envelope, SignatureRefused, sha256
from contract.statements import Heartbeat
from contract.tap import MoveRecord, MoveRequest, PinProof, PinRecord, TapRecord, verify_card
from contract.wire import WireError, decode_base64
from firmware_py.roaming.claims import Claim, TapTime

if TYPE_CHECKING:
    from collections.abc import Callable

    from contract.ids import HolderId
    from firmware_py.trust.custody import Custody


class Refused(Exception):
    """Not believed, and why."""

    def __init__(self, reason: MoveReason, words: str = "") -> None:
        self.reason = reason
        super().__init__(f"{reason}: {words}" if words else str(reason))


@dataclass(frozen=True, slots=True)
class Heard:
    """A request of somebody who has a session here."""

    claim: Claim
    request: MoveRequest = field(repr=False)
    guid: Guid
    in_use: bool
    """Her card is in use, as far as is known here: leaving asks for no right, taking along does."""


@dataclass(frozen=True, slots=True)
class Proved:
    """A PIN that was proved at another terminal."""

    terminal: TerminalId
    record: Digest
    guid: Guid
    credential: Credential
    holder: HolderId
    beat_ms: int
    """Site time at which it was certainly not proved yet."""


def open_request(
    data: bytes,
    terminal: TerminalId,
    custody: Custody,
    is_here: Callable[[HolderId], bool],
) -> Heard | None:
    """Null where it is about nobody who has a session here: then nothing is verified.

    Raises Refused.
    """
    try:
        request = MoveRequest.from_bytes(data)
        line = decode_base64(request.record)
        event = Event.from_bytes(line)
        key = decode_base64(request.key)
    except WireError as error:
        raise Refused(MoveReason.MALFORMED, str(error)) from error
    record = event.detail.record if isinstance(event.detail, CardRecorded) else None
    if not isinstance(record, TapRecord | MoveRecord) or record.seal != sha256(key):
        raise Refused(MoveReason.NOT_BELIEVED, "no tap that names this key")
    card = custody.entitlement(record.guid)
    if card is None or not is_here(card.holder):
        return None
    require_terminal(event, terminal, custody)
    if card.status is Status.LOST:
        raise Refused(MoveReason.CARD_LOST)
    require_signature(card, Slot.CARD_AUTHENTICATION, line, request.signature)
    beat_ms = beat_of(request.heartbeat, record.heartbeat, custody)
    time = TapTime(beat_ms, event.wall_ms, event.clock, sha256(line))
    now_ms = custody.freshness().now_ms
    valid = card.not_before_ms <= now_ms < card.not_after_ms
    in_use = card.status is Status.ACTIVE and valid
    return Heard(Claim(terminal, card.holder, time), request, card.guid, in_use)


def open_pin(data: bytes, terminal: TerminalId, custody: Custody) -> Proved | None:
    """Null where no grace can come of it here: another ward's, or nobody knows when.

    Whether the ward's policy has grace count beyond one terminal, the caller has asked. Raises
    Refused.
    """
    try:
        proof = PinProof.from_bytes(data)
        line = decode_base64(proof.record)
        event = Event.from_bytes(line)
    except WireError as error:
        raise Refused(MoveReason.MALFORMED, str(error)) from error
    record = event.detail.record if isinstance(event.detail, CardRecorded) else None
    if not isinstance(record, PinRecord):
        raise Refused(MoveReason.NOT_BELIEVED, "no PIN record")
    card = custody.entitlement(record.guid)
    if card is None or card.status is not Status.ACTIVE:
        return None
    require_terminal(event, terminal, custody)
    here, there = custody.place().terminal, custody.peer(terminal)
    if here is None or there is None or here.ward != there.ward:
        return None
    credential = require_signature(card, Slot.PIV_AUTHENTICATION, line, proof.signature)
    beat_ms = beat_of(proof.heartbeat, record.heartbeat, custody)
    if beat_ms is None or not credential.pin_gated:
        return None
    return Proved(terminal, sha256(line), card.guid, credential, card.holder, beat_ms)


def require_terminal(event: Event, terminal: TerminalId, custody: Custody) -> None:
    """It is that terminal's own record, and the register has it. Raises Refused."""
    if event.terminal != terminal:
        raise Refused(MoveReason.NOT_BELIEVED, "another terminal's record")
    if custody.peer(terminal) is None:
        raise Refused(MoveReason.TERMINAL_UNKNOWN)


def require_signature(card: Entitlement, slot: Slot, line: bytes, signature: str) -> Credential:
    """The key of this card under which the signature over a record holds. Raises Refused."""
    credential = card.credential(slot)
    if credential is None:
        raise Refused(MoveReason.NOT_BELIEVED, "the card has no such key")
    try:
        verify_card(credential.verify_key(), line, decode_base64(signature))
    except (SignatureRefused, WireError) as error:
        raise Refused(MoveReason.NOT_BELIEVED, str(error)) from error
    return credential


def beat_of(beside: str | None, named: Digest | None, custody: Custody) -> int | None:
    """When the heartbeat that a record names was issued; null where that is not known.

    Raises Refused.
    """
    if beside is None or named is None:
        return None
    try:
        envelope = Envelope.from_bytes(decode_base64(beside))
    except WireError as error:
        raise Refused(MoveReason.MALFORMED, str(error)) from error
    if envelope.digest != named:
        raise Refused(MoveReason.NOT_BELIEVED, "another heartbeat than the record names")
    for keys in (custody.kept.keys, custody.kept.before):
        if keys is None or envelope.key_id != keys.statement_key.key_id:
            continue
        try:
            beat = Heartbeat.open(envelope, keys.statement_key)
        except (SignatureRefused, WireError) as error:
            raise Refused(MoveReason.NOT_BELIEVED, str(error)) from error
        return beat.issued_ms if beat.site == keys.site else None
    return None
