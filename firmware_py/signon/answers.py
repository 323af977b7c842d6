"""A card's answer, judged: what one tap came to, under the keys that its entitlement lists."""

from __future__ import annotations

import logging
from typing import Final

from contract.signing import SignatureRefused
from firmware_py.card.records import SignedRecord
from firmware_py.card.tap import CardAnswer
from firmware_py.card.visits import Visit
from firmware_py.signon.pad import Tapped
from hardware.apdu import HardwareError

LOG: Final = logging.getLogger("tapover.signon")


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
