"""A card record that no journal holds: what a card signs while none can be written (DESIGN §7).

It is an event like any other, at the beginning of a journal that never was. So the card's signature
proves the same of it as ever (which card, where, when, by which directory), except its place among
others. It travels inside the break-glass event that rests on it.
"""

from __future__ import annotations

import asyncio
import secrets
from typing import Final

from contract.emergency import CardProof
from contract.events import CardRecorded, Event
from contract.ids import Digest, Guid, JournalId, TerminalId
from contract.journal import chain_start
from contract.signing import Envelope
from contract.tap import DirectoryVersion, TapRecord
from contract.wire import encode_base64
from firmware_py.card.records import SignedRecord
from firmware_py.evidence.journal import Written
from firmware_py.trust.custody import Custody

_FIRST: Final = 0


def detached_record(
    custody: Custody,
    terminal: TerminalId,
    guid: Guid,
    heartbeat: Envelope | None,
    seal: Digest | None,
) -> Written:
    """For one tap; on no disk, and `durable` is never done. `seal` as in any tap's record."""
    journal, stamp = JournalId(secrets.token_hex(16)), custody.stamp()
    record = TapRecord(
        guid=guid,
        previous=chain_start(journal),
        directory=DirectoryVersion.of(custody.version),
        heartbeat=heartbeat.digest if heartbeat else None,
        nonce=secrets.token_hex(32),
        seal=seal,
    )
    event = Event(
        terminal=terminal,
        journal=journal,
        sequence=_FIRST,
        boot=stamp.boot,
        monotonic_ms=stamp.monotonic_ms,
        wall_ms=stamp.wall_ms,
        clock=stamp.clock,
        salt=secrets.token_hex(16),
        detail=CardRecorded(record=record),
    )
    return Written((event.to_bytes(),), _FIRST, asyncio.get_running_loop().create_future())


def card_proof(signed: SignedRecord) -> CardProof:
    """As it stands in a break-glass event."""
    return CardProof(
        event=encode_base64(signed.event),
        key=signed.key,
        algorithm=signed.credential.algorithm,
        signature=encode_base64(signed.signature),
    )
