"""Downtime as another terminal says it, checked by what is held here (DESIGN §5, ADR 0025).

- The topic, the terms and each record name the same terminal, and the register has it in this ward.
- Each record says downtime, and names these terms and the text that stands for them. No other
  signature of a card's serves: who signs on, or countersigns, declares nothing.
- Two different people of the roles that this ward's policy names declare it, one ends it; each by
  the 9A key that the directory held here lists, and that needs a PIN.
- A record names a heartbeat: it was not signed before it. What was signed while the site could
  still be heard here, longer ago than the ward's limit, was kept for another day.

What is said of other wards, or by cards that declare nothing here, is as if nobody had said it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from contract.declaring import DowntimeSaid
from contract.directory import Slot
from contract.emergency import DowntimeTerms, HeardDeclarer
from contract.events import CardRecorded, Event
from contract.moving import MoveReason
from contract.signing import sha256
from contract.tap import DowntimeRecord
from contract.wire import WireError, decode_base64
from firmware_py.emergency.declarers import why_not
from firmware_py.roaming.heard import Refused, beat_of, require_signature, require_terminal

if TYPE_CHECKING:
    from contract.declaring import SignedDowntime
    from contract.ids import TerminalId
    from contract.policy import Downtime
    from firmware_py.trust.custody import Custody

TERMS_MAX: Final = 2048
"""In base64, beside two declarers, they fit an event of this journal, whatever the names."""


@dataclass(frozen=True, slots=True)
class Said:
    """Read, and nothing of it believed yet."""

    message: DowntimeSaid
    terms: DowntimeTerms
    line: bytes
    """The terms' bytes."""


@dataclass(frozen=True, slots=True)
class Believed:
    """By whom it is, as the directory held here has them."""

    by: tuple[HeardDeclarer, ...]
    initials: tuple[str, ...]
    beat_ms: int | None
    """Site time at which it was certainly not signed yet; null where that is not known."""


def read(data: bytes) -> Said:
    """Raises Refused."""
    try:
        message = DowntimeSaid.from_bytes(data)
        line = decode_base64(message.terms)
        return Said(message, DowntimeTerms.from_bytes(line), line)
    except WireError as error:
        raise Refused(MoveReason.MALFORMED, str(error)) from error


def believe(
    said: Said, terminal: TerminalId, custody: Custody, policy: Downtime
) -> Believed | None:
    """Null where it is of another ward, or by whom nothing is declared here. Raises Refused."""
    terms = said.terms
    if len(said.line) > TERMS_MAX:
        raise Refused(MoveReason.MALFORMED, f"terms of more than {TERMS_MAX} bytes")
    here, there = custody.place().terminal, custody.peer(terminal)
    if there is None:
        raise Refused(MoveReason.TERMINAL_UNKNOWN)
    if here is None or here.ward != there.ward:
        return None
    named = (terms.site, terms.terminal, terms.ward)
    if named != (custody.kept.keys.site, terminal, here.ward):
        raise Refused(MoveReason.NOT_BELIEVED, "of another site, terminal or ward")
    if len(said.message.by) != (1 if terms.ends else 2):
        raise Refused(MoveReason.NOT_BELIEVED, "by too few, or too many")
    found = [_declarer(one, said, terminal, custody, policy) for one in said.message.by]
    by = [one for one in found if one is not None]
    if len(by) < len(found):
        return None
    if len({declarer.holder for declarer, _, _ in by}) < len(by):
        raise Refused(MoveReason.NOT_BELIEVED, "one person twice")
    beats = [beat_ms for _, _, beat_ms in by if beat_ms is not None]
    return Believed(
        by=tuple(declarer for declarer, _, _ in by),
        initials=tuple(initials for _, initials, _ in by),
        beat_ms=min(beats) if len(beats) == len(by) else None,
    )


def _declarer(
    one: SignedDowntime, said: Said, terminal: TerminalId, custody: Custody, policy: Downtime
) -> tuple[HeardDeclarer, str, int | None] | None:
    """One of them, with her initials. Raises Refused."""
    try:
        line = decode_base64(one.record)
        event = Event.from_bytes(line)
    except WireError as error:
        raise Refused(MoveReason.MALFORMED, str(error)) from error
    record = event.detail.record if isinstance(event.detail, CardRecorded) else None
    text = sha256(said.terms.words().encode())
    if not isinstance(record, DowntimeRecord):
        raise Refused(MoveReason.NOT_BELIEVED, "no downtime record")
    if (record.terms, record.text) != (sha256(said.line), text):
        raise Refused(MoveReason.NOT_BELIEVED, "of other terms")
    require_terminal(event, terminal, custody)
    card = custody.entitlement(record.guid)
    if card is None or why_not(card, policy, custody) is not None:
        return None
    credential = require_signature(card, Slot.PIV_AUTHENTICATION, line, one.signature)
    declarer = HeardDeclarer(
        holder=card.holder,
        guid=card.guid,
        key=credential.verify_key().key_id,
        record=sha256(line),
    )
    return declarer, card.name.initials, beat_of(one.heartbeat, record.heartbeat, custody)
