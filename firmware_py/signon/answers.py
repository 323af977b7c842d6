"""A card's question and its answer: what it is to sign, and what came of that, judged."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Final

from contract.directory import Entitlement
from contract.events import Reason
from contract.signing import SignatureRefused
from contract.tap import card_digest
from firmware_py.card.records import SignedRecord
from firmware_py.card.tap import CardAnswer, Challenge
from firmware_py.card.visits import Visit
from firmware_py.evidence.journal import JournalFailed, Written
from firmware_py.items import CardAsks
from firmware_py.signon.outcomes import Outcomes
from firmware_py.signon.pad import Tapped
from firmware_py.signon.tries import NotGiven, judge_try
from hardware.apdu import HardwareError

LOG: Final = logging.getLogger("tapover.signon")


def have_signed(item: CardAsks, visit: Visit, record: Callable[[], Written]) -> None:
    """Append the record that this visit's card is to sign, and hand its digest down.

    Nothing is signed by a card of which no key is known (`visit.credential`), nor where the journal
    takes no record: then `visit.failed` says so.
    """
    if visit.credential is None:
        item.question.answer(None)
        return
    try:
        visit.record = record()
    except JournalFailed:
        visit.failed = Reason.JOURNAL_FAILED
        item.question.answer(None)
        return
    digest = card_digest(visit.record.data)
    item.question.answer(Challenge(visit.credential.algorithm, digest))


def as_tapped(visit: Visit, end: CardAnswer | HardwareError) -> Tapped:
    answer = end if isinstance(end, CardAnswer) else None
    return Tapped(
        guid=answer.guid if answer else visit.guid,
        reader=visit.reader,
        interface=visit.interface,
        seen_ns=visit.seen_ns,
        card_ns=answer.card_ns if answer else 0,
        exchanges=answer.exchanges if answer else 0,
        entitlement=visit.entitlement,
        signed=as_judged(visit, answer) if answer else None,
        record=visit.record.sequence if visit.record else None,
    )


def as_judged(visit: Visit, answer: CardAnswer) -> SignedRecord | None:
    """Null where nothing was signed, or by a key that is none."""
    if visit.record is None or visit.credential is None or answer.signature is None:
        return None
    try:
        return SignedRecord.judge(visit.record, visit.credential, answer.signature)
    except SignatureRefused:
        LOG.warning("an entitlement's key is of no use", extra={"guid": answer.guid})
        return None


def why_unsigned(visit: Visit, signed: SignedRecord | None) -> Reason | None:
    """Why a card that answered has proved nothing by signing; null where that is no matter."""
    forged = signed is not None and not signed.holds
    return Reason.CARD_KEY_WRONG if forged else visit.failed


def came_too_late(
    outcomes: Outcomes, owner: Entitlement, visit: Visit, end: CardAnswer | HardwareError
) -> None:
    """The pad of this PIN has gone: the journal alone hears what its card has answered.

    Raises JournalFailed.
    """
    tried = judge_try(end) if isinstance(end, HardwareError) else None
    if isinstance(tried, NotGiven):
        return
    signed = as_judged(visit, end) if isinstance(end, CardAnswer) else None
    record = visit.record.sequence if visit.record else None
    reason = tried.reason if tried else why_unsigned(visit, signed) or Reason.PIN_ABANDONED
    attempts = tried.attempts if tried else None
    outcomes.too_late(owner, reason, signed, record, attempts)
