"""The vectors of 03:00: a spare, its assignment, a PUK asked for, released and reported."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from cryptography.hazmat.primitives.asymmetric import ec

from contract import events, help, puk, tap  # noqa: A004 - the contract's word
from contract.certificates import spki
from contract.directory import Credential, Name, Position, Slot, Spare, Status
from contract.helping import HelpGiven, HelpJudged, HelpReason
from contract.ids import (
    Digest,
    Guid,
    HolderId,
    OperatorId,
    PositionId,
    SiteId,
    TerminalId,
    WardId,
)
from contract.journal import join_lines
from contract.policy import Countersigned, Policy
from contract.signing import Algorithm, Envelope, Signer, sha256
from contract.tap import DirectoryVersion
from contract.wire import encode_base64

SITE, INES, BAY, WARD = (
    SiteId("st-elsewhere"),
    OperatorId("ines"),
    TerminalId("bay-1"),
    WardId("ed"),
)
NOW: Final = 1_767_225_600_000
SPARE, CARD, LEAD = Guid("5b" * 16), Guid("6a" * 16), Guid("7c" * 16)
KEY: Final = ec.derive_private_key(19, ec.SECP256R1())
GUEST_POSITION: Final = Position(id=PositionId("ed-guest"), role="R8001", name="Guest nurse")


def vectors(
    operator: Signer,
    batch: Signer,
    statement: Signer,
    cards: tuple[Signer, Signer],
    version: DirectoryVersion,
    event: Callable[[int, events.Detail], bytes],
) -> dict[str, bytes]:
    """`cards` sign as 9E and 9A."""
    made: dict[str, bytes] = {"spare": _spare(cards).to_bytes()}
    made["policy-countersigned"] = Policy(
        ward=WARD, salt="5a" * 16, countersigned=Countersigned(roles=("R8001",), limit_s=1800)
    ).to_bytes()
    made |= _assignment(batch, cards[1], version, event)
    made |= _puk(batch, statement, cards, version, event)
    escrow = b"{}"
    made["escrows"] = (
        puk.Escrows(
            site=SITE,
            operator=INES,
            nonce="0e" * 32,
            issued_ms=NOW,
            authority=encode_base64(spki(KEY.public_key())),
            escrows=(sha256(escrow),),
        )
        .seal(operator)
        .to_bytes()
    )
    return made


def _spare(cards: tuple[Signer, Signer]) -> Spare:
    keys = zip((Slot.CARD_AUTHENTICATION, Slot.PIV_AUTHENTICATION), cards, strict=True)
    credentials = tuple(
        Credential(
            slot=slot,
            algorithm=Algorithm.P256,
            key=card.public.to_base64(),
            pin_gated=slot is Slot.PIV_AUTHENTICATION,
        )
        for slot, card in keys
    )
    return Spare(
        guid=SPARE,
        credentials=credentials,
        wards=(WARD,),
        guest=GUEST_POSITION,
        status=Status.ACTIVE,
        not_after_ms=NOW + 1000,
        salt="5a" * 16,
    )


def _countersign(
    card: Signer,
    words: str,
    document: bytes,
    version: DirectoryVersion,
    event: Callable[[int, events.Detail], bytes],
) -> help.Signed:
    record = tap.CountersignRecord(
        guid=LEAD,
        previous=Digest("c0" * 32),
        directory=version,
        heartbeat=None,
        nonce="4e" * 32,
        text=Digest(help.text_digest(words)),
        document=sha256(document),
    )
    data = event(7, events.CardRecorded(record=record))
    signature = card.sign(tap.card_message(data))
    return help.Signed(record=encode_base64(data), signature=encode_base64(signature))


def _assignment(
    batch: Signer,
    card: Signer,
    version: DirectoryVersion,
    event: Callable[[int, events.Detail], bytes],
) -> dict[str, bytes]:
    amal = Name(full="Amal Haddad", short="Amal H.", initials="AH")
    people: dict[str, help.Named | help.Guest] = {
        "named": help.Named(holder=HolderId("h-amal"), guid=CARD, lost=True),
        "guest": help.Guest(name=amal, number="12A3456E"),
    }
    terms = {kind: _terms(person) for kind, person in people.items()}
    made = {f"spare-terms-{kind}": one.to_bytes() for kind, one in terms.items()}
    sealed: dict[str, Envelope] = {}
    for kind, one in terms.items():
        line = one.to_bytes()
        proof = _countersign(card, one.words(), line, version, event)
        assignment = help.SpareAssignment(site=SITE, terminal=BAY, terms=sha256(line), proof=proof)
        sealed[kind] = assignment.seal(batch)
        made[f"spare-assignment-{kind}"] = sealed[kind].to_bytes()
    guest = sealed["guest"]
    made["assignment-message"] = join_lines(guest, [made["spare-terms-guest"]])
    made["help-answer"] = help.HelpAnswer(reason=HelpReason.GRANTED, directory=version).to_bytes()
    given = HelpGiven(
        what="spare",
        subject=guest.digest,
        record=7,
        guid=SPARE,
        holder=terms["guest"].holder,
        until_ms=terms["guest"].until_ms,
        online=False,
    )
    judged = HelpJudged(
        what="spare",
        priority="high",
        subject=guest.digest,
        terminal=BAY,
        reason=HelpReason.LATER,
        guid=SPARE,
        colleague=HolderId("h-elena"),
    )
    return {**made, "event-help-given": event(8, given), "event-help-judged": event(9, judged)}


def _terms(person: help.Named | help.Guest) -> help.SpareTerms:
    return help.SpareTerms(
        site=SITE,
        terminal=BAY,
        ward=WARD,
        spare=SPARE,
        person=person,
        begins_ms=NOW,
        until_ms=NOW + help.ASSIGNMENT_MS,
        nonce="0e" * 32,
    )


def _puk(
    batch: Signer,
    statement: Signer,
    cards: tuple[Signer, Signer],
    version: DirectoryVersion,
    event: Callable[[int, events.Detail], bytes],
) -> dict[str, bytes]:
    key = spki(KEY.public_key())
    tapped = tap.TapRecord(
        guid=CARD,
        previous=Digest("c0" * 32),
        directory=version,
        heartbeat=None,
        nonce="4e" * 32,
        seal=sha256(key),
    )
    data = event(6, events.CardRecorded(record=tapped))
    signature = encode_base64(cards[0].sign(tap.card_message(data)))
    terms = puk.PukTerms(
        site=SITE,
        terminal=BAY,
        ward=WARD,
        guid=CARD,
        tap=sha256(data),
        key=sha256(key),
        nonce="0e" * 32,
    )
    line = terms.to_bytes()
    request: Envelope = puk.PukRequest(
        site=SITE,
        terminal=BAY,
        terms=encode_base64(line),
        tap=help.Signed(record=encode_base64(data), signature=signature),
        proof=_countersign(cards[1], terms.words(), line, version, event),
        key=encode_base64(key),
    ).seal(batch)
    release = puk.PukRelease(
        site=SITE,
        request=request.digest,
        guid=CARD,
        generation=2,
        sealed=encode_base64(b"an encapsulated key and a ciphertext"),
        escrow=sha256(b"{}"),
    ).seal(statement)
    report = puk.PukReport(
        site=SITE, terminal=BAY, request=request.digest, guid=CARD, result=puk.PukResult.REPLACED
    ).seal(batch)
    return {
        "puk-terms": line,
        "puk-request": request.to_bytes(),
        "puk-release": release.to_bytes(),
        "puk-report": report.to_bytes(),
    }
