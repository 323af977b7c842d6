"""What the journal is told of a card: the record that it signs, and the outcome that came of it.

A card record names its place in the chain, the directory version and the newest heartbeat, which is
itself journalled once, just before its first use, in the same commit (DESIGN §4).
"""

from __future__ import annotations

import secrets
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Final, Protocol

from contract.directory import Credential, Entitlement
from contract.events import (
    CardOutcome,
    CardRecorded,
    ClockTrust,
    Detail,
    HeartbeatHeld,
    OutcomeResult,
    Reason,
)
from contract.ids import Digest, Guid, JournalId, KeyId, Version
from contract.signing import Envelope, SignatureRefused
from contract.tap import (
    CountersignRecord,
    DirectoryVersion,
    DowntimeRecord,
    PinRecord,
    TapRecord,
    verify_card,
)
from contract.wire import encode_base64
from firmware_py.evidence.journal import Journal, Written
from firmware_py.evidence.journal import Place as ChainPlace
from firmware_py.sessions.values import Session
from firmware_py.trust.here import Place
from firmware_py.trust.sitetime import Freshness, Moment

# Of the newest records: a PIN is typed for a minute at most, and few cards are held meanwhile.
MAX_NAMED: Final = 16

Signable = TapRecord | PinRecord | CountersignRecord | DowntimeRecord


class Rights(Protocol):
    """What the terminal may believe at this moment (``custody.Custody``)."""

    @property
    def version(self) -> Version:
        """Of the directory held; 0.0 when none is."""
        ...

    @property
    def heartbeat(self) -> Envelope | None:
        """The newest verified one."""
        ...

    def entitlement(self, guid: Guid) -> Entitlement | None:
        """Of a card; null when the directory does not know it."""
        ...

    def place(self) -> Place:
        """This terminal in the register, and its ward's policy."""
        ...

    def freshness(self) -> Freshness:
        """How much is known of the present."""
        ...

    def moment(self) -> Moment:
        """Now, in this boot's own time."""
        ...


@dataclass(frozen=True, slots=True)
class SignedRecord:
    """A card record with the card's answer to it, judged under ``key``."""

    sequence: int
    event: bytes = field(repr=False)
    credential: Credential
    signature: bytes = field(repr=False)
    key: KeyId
    """By which it was checked."""
    holds: bool

    @classmethod
    def judge(cls, record: Written, credential: Credential, signature: bytes) -> SignedRecord:
        """Check the signature with the entitlement's key. Raises SignatureRefused for no key."""
        key = credential.verify_key()
        try:
            verify_card(key, record.data, signature)
        except SignatureRefused:
            holds = False
        else:
            holds = True
        return cls(record.sequence, record.data, credential, signature, key.key_id, holds)


class Evidence:
    """Writes card records, and makes outcomes. Belongs to the consumer."""

    def __init__(self, journal: Journal, rights: Rights) -> None:
        self._journal = journal
        self._rights = rights
        self._held: tuple[JournalId, Digest] | None = None
        self._named: deque[Envelope] = deque(maxlen=MAX_NAMED)

    def record_tap(self, guid: Guid, seal: Digest | None = None) -> Written:
        """Append what 9E is to sign; its flush begins at once. Raises JournalFailed."""
        return self._record(guid, partial(TapRecord, seal=seal))

    def record_pin(self, guid: Guid) -> Written:
        """Append what 9A is to sign. Raises JournalFailed."""
        return self._record(guid, PinRecord)

    def record_countersign(self, guid: Guid, text: Digest, document: Digest) -> Written:
        """Append what a colleague's 9A is to sign, after her PIN. Raises JournalFailed."""
        return self._record(guid, partial(CountersignRecord, text=text, document=document))

    def name_heartbeat(self, known: Envelope | None = None) -> Envelope | None:
        """The newest one, for a record that is made now; `known` where there is none."""
        heartbeat = self._rights.heartbeat or known
        if heartbeat is not None and (not self._named or self._named[-1] != heartbeat):
            self._named.append(heartbeat)
        return heartbeat

    def record_downtime(
        self, guid: Guid, text: Digest, terms: Digest, known: Envelope | None
    ) -> Written:
        """Append what a declarer's 9A is to sign, after her PIN. Raises JournalFailed.

        It names the heartbeat `known` from before this run where none was heard in it.
        """
        return self._record(guid, partial(DowntimeRecord, text=text, terms=terms), known)

    def heartbeat_named_in(self, record: bytes) -> Envelope | None:
        """The heartbeat that one of the newest records names, for whoever must believe it."""
        named = (one for one in reversed(self._named) if one.digest.encode() in record)
        return next(named, None)

    def forget_heartbeat(self) -> None:
        """The journal was opened anew: what it holds is not known here."""
        self._held = None

    def _record(
        self, guid: Guid, kind: Callable[..., Signable], known: Envelope | None = None
    ) -> Written:
        heartbeat = self.name_heartbeat(known)
        directory = DirectoryVersion.of(self._rights.version)
        nonce = secrets.token_hex(32)

        def make(place: ChainPlace) -> Detail:
            named = heartbeat.digest if heartbeat else None
            return CardRecorded(
                record=kind(
                    guid=guid,
                    previous=place.chain,
                    directory=directory,
                    heartbeat=named,
                    nonce=nonce,
                )
            )

        if heartbeat is None or self._held == (self._journal.id, heartbeat.digest):
            return self._journal.append(make, more=True)
        first_use = HeartbeatHeld(envelope=encode_base64(heartbeat.to_bytes()))
        written = self._journal.append(first_use, make, more=True)
        self._held = (self._journal.id, heartbeat.digest)
        return written


def outcome(
    result: OutcomeResult,
    reason: Reason,
    guid: Guid | None,
    clock: ClockTrust,
    *,
    signed: SignedRecord | None = None,
    record: int | None = None,
    entitlement: Entitlement | None = None,
    session: Session | None = None,
    pin_record: int | None = None,
    attempts: int | None = None,
    shared: bool = False,
) -> CardOutcome:
    """What came of a card. ``record`` stands where a record was written and never signed.

    A signature that does not hold stands there for what it is, or not at all (docs/evidence.md §7).
    """
    if signed is not None and not signed.holds and reason is not Reason.CARD_KEY_WRONG:
        record, signed = signed.sequence, None
    return CardOutcome(
        record=signed.sequence if signed else record,
        guid=guid,
        result=result,
        reason=reason,
        key=signed.key if signed else None,
        algorithm=signed.credential.algorithm if signed else None,
        signature=encode_base64(signed.signature) if signed else None,
        holder=entitlement.holder if entitlement else None,
        position=session.position if session else None,
        session=session.id if session else None,
        pin_record=pin_record,
        clock=clock,
        attempts=attempts,
        shared=shared,
    )
