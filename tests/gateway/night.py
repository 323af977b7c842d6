"""People, cards and a terminal at 03:00, all in software: what they would really have signed."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.asymmetric import ec

from contract.certificates import spki
from contract.directory import Credential, Entitlement, Name, Position, Slot, Spare, Status
from contract.events import CardRecorded, ClockTrust, Event
from contract.help import ASSIGNMENT_MS, Guest, Named, Signed, SpareAssignment, SpareTerms
from contract.help import text_digest as digest_of_text
from contract.ids import BootId, Digest, Guid, HolderId, JournalId, PositionId, TerminalId, WardId
from contract.journal import join_lines
from contract.puk import PukRequest, PukTerms
from contract.signing import Algorithm, Envelope, SoftwareSigner, sha256
from contract.tap import CardRecord, CountersignRecord, DirectoryVersion, TapRecord, card_message
from contract.wire import decode_base64, encode_base64
from tests.gateway.identities import SITE

ED = WardId("ed")
BAY = TerminalId("bay-1")
NURSE = Position(id=PositionId("ed-nurse"), role="R8001", name="Nurse")
LEAD = Position(id=PositionId("ed-lead"), role="R8001L", name="Lead")
ELSEWHERE = Position(id=PositionId("icu-lead"), role="R8001L", name="Lead", areas=(WardId("icu"),))
SALT = "5a" * 16


def key() -> SoftwareSigner:
    return SoftwareSigner(ec.generate_private_key(ec.SECP256R1()))


@dataclass
class Card:
    """Somebody's card, or nobody's."""

    holder: str = "h-nobody"
    positions: tuple[Position, ...] = (NURSE,)
    gated: bool = True
    guid: Guid = field(default_factory=lambda: Guid(secrets.token_hex(16)))
    tap: SoftwareSigner = field(default_factory=key)
    pin: SoftwareSigner = field(default_factory=key)

    @property
    def credentials(self) -> tuple[Credential, ...]:
        return tuple(
            Credential(
                slot=slot,
                algorithm=Algorithm.P256,
                key=signer.public.to_base64(),
                pin_gated=self.gated and slot is Slot.PIV_AUTHENTICATION,
            )
            for slot, signer in (
                (Slot.CARD_AUTHENTICATION, self.tap),
                (Slot.PIV_AUTHENTICATION, self.pin),
            )
        )

    @property
    def entitlement(self) -> Entitlement:
        return Entitlement(
            guid=self.guid,
            holder=HolderId(self.holder),
            name=Name(full=f"Somebody {self.holder}", short="Somebody", initials="S"),
            credentials=self.credentials,
            positions=self.positions,
            status=Status.ACTIVE,
            not_before_ms=0,
            not_after_ms=2**50,
            salt=SALT,
        )

    @property
    def spare(self) -> Spare:
        return Spare(
            guid=self.guid,
            credentials=self.credentials,
            wards=(ED,),
            guest=NURSE,
            status=Status.ACTIVE,
            not_after_ms=2**50,
            salt=SALT,
        )

    @property
    def named(self) -> Named:
        return Named(holder=HolderId(self.holder), guid=self.guid)


def signed(
    signer: SoftwareSigner, record: CardRecord, now_ms: int, terminal: TerminalId = BAY
) -> Signed:
    event = Event(
        terminal=terminal,
        journal=JournalId("10" * 16),
        sequence=7,
        boot=BootId("b0" * 16),
        monotonic_ms=1,
        wall_ms=now_ms,
        clock=ClockTrust.SITE,
        salt=SALT,
        detail=CardRecorded(record=record),
    ).to_bytes()
    return Signed(
        record=encode_base64(event), signature=encode_base64(signer.sign(card_message(event)))
    )


def countersign(
    colleague: Card,
    words: str,
    line: bytes,
    now_ms: int,
    signer: SoftwareSigner | None = None,
) -> Signed:
    record = CountersignRecord(
        guid=colleague.guid,
        previous=Digest("c0" * 32),
        directory=DirectoryVersion(epoch=1, n=1),
        heartbeat=None,
        nonce=secrets.token_hex(32),
        text=Digest(digest_of_text(words)),
        document=sha256(line),
    )
    return signed(signer or colleague.pin, record, now_ms)


def terms(
    spare: Card,
    person: Named | Guest,
    begins_ms: int,
    ward: WardId = ED,
    length_ms: int = ASSIGNMENT_MS,
) -> SpareTerms:
    return SpareTerms(
        site=SITE,
        terminal=BAY,
        ward=ward,
        spare=spare.guid,
        person=person,
        begins_ms=begins_ms,
        until_ms=begins_ms + length_ms,
        nonce=secrets.token_hex(32),
    )


def assignment(
    batch: SoftwareSigner, wanted: SpareTerms, lead: Card, proof: Signed | None = None
) -> bytes:
    line = wanted.to_bytes()
    proof = proof or countersign(lead, wanted.words(), line, wanted.begins_ms)
    said = SpareAssignment(site=SITE, terminal=BAY, terms=sha256(line), proof=proof)
    return join_lines(said.seal(batch), [line])


@dataclass
class Blocked:
    """A blocked card at a terminal, whose key the release is to be sealed to."""

    card: Card
    colleague: Card
    batch: SoftwareSigner
    key: ec.EllipticCurvePrivateKey = field(
        default_factory=lambda: ec.generate_private_key(ec.SECP256R1())
    )

    def request(self, now_ms: int, seal: bytes | None = None) -> Envelope:
        public = spki(self.key.public_key())
        tap = signed(
            self.card.tap,
            TapRecord(
                guid=self.card.guid,
                previous=Digest("c0" * 32),
                directory=DirectoryVersion(epoch=1, n=1),
                heartbeat=None,
                nonce=secrets.token_hex(32),
                seal=sha256(seal or public),
            ),
            now_ms,
        )
        wanted = PukTerms(
            site=SITE,
            terminal=BAY,
            ward=ED,
            guid=self.card.guid,
            tap=sha256(decode_base64(tap.record)),
            key=sha256(public),
            nonce=secrets.token_hex(32),
        )
        line = wanted.to_bytes()
        return self.sealed(line, tap, countersign(self.colleague, wanted.words(), line, now_ms))

    def sealed(self, line: bytes, tap: Signed, proof: Signed) -> Envelope:
        return PukRequest(
            site=SITE,
            terminal=BAY,
            terms=encode_base64(line),
            tap=tap,
            proof=proof,
            key=encode_base64(spki(self.key.public_key())),
        ).seal(self.batch)
