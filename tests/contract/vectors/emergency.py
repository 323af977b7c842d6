"""The vectors of break-glass and downtime."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from contract import declaring, emergency, events, tap
from contract.ids import Digest, Guid, HolderId, PositionId, SessionId, SiteId, TerminalId, WardId
from contract.policy import BreakGlass, BreakGlassState, Downtime, Policy
from contract.signing import Algorithm, Signer, sha256
from contract.tap import DirectoryVersion
from contract.wire import encode_base64

SITE, BAY, WARD = SiteId("st-elsewhere"), TerminalId("bay-1"), WardId("ed")
NOW: Final = 1_767_225_600_000
CARD, HOLDER = Guid("6a" * 16), HolderId("h-amal")


def vectors(
    batch: Signer,
    statement: Signer,
    card: Signer,
    version: DirectoryVersion,
    event: Callable[[int, events.Detail], bytes],
) -> dict[str, bytes]:
    """`card` signs as 9E."""
    opened = _opened(holder=HOLDER, guid=CARD, record=21)
    told = emergency.Emergency(site=SITE, terminal=BAY, ward=WARD, opened=opened).seal(batch)
    return {
        "emergency": told.to_bytes(),
        "policy-emergency": _policy().to_bytes(),
        "event-break-glass-opened": event(22, opened),
        "event-break-glass-nobodys": event(23, _nobodys()),
        "event-break-glass-detached": event(24, _detached(card, version, event)),
        "event-break-glass-told": event(
            25,
            emergency.BreakGlassTold(
                subject=told.digest, terminal=BAY, session=SessionId("5e" * 16)
            ),
        ),
        "event-break-glass-heard": event(26, _heard_elsewhere(opened, told.digest)),
        **_downtimes(statement, card, version, event),
    }


def _heard_elsewhere(
    opened: emergency.BreakGlassOpened, subject: Digest
) -> emergency.BreakGlassHeard:
    """As another terminal of the ward writes it down."""
    return emergency.BreakGlassHeard(
        subject=subject,
        terminal=TerminalId("bay-2"),
        session=opened.session,
        holder=opened.holder,
        guid=opened.guid,
        reason=opened.reason,
        state=opened.state,
        begins_ms=opened.begins_ms,
        kept=opened.kept,
    )


def _downtimes(
    statement: Signer,
    card: Signer,
    version: DirectoryVersion,
    event: Callable[[int, events.Detail], bytes],
) -> dict[str, bytes]:
    terms = emergency.DowntimeTerms(
        site=SITE,
        terminal=BAY,
        ward=WARD,
        begins_ms=NOW,
        limit_s=12 * 3600,
        off=("R8001L",),
        nonce="0e" * 32,
    )
    declarers = (
        emergency.Declarer(holder=HOLDER, record=31),
        emergency.Declarer(holder=HolderId("h-elena"), record=35),
    )
    declared = emergency.DowntimeDeclared(
        ward=WARD,
        by=declarers,
        terms=encode_base64(terms.to_bytes()),
        statement=None,
        limit_s=terms.limit_s,
    )
    brought = emergency.DowntimeStatement(
        site=SITE, ward=WARD, begins_ms=NOW, until_ms=NOW + 3_600_000, nonce="0e" * 32
    ).seal(statement)
    gone = emergency.DowntimeEnded(ward=WARD, why=emergency.DowntimeEnd.GATEWAY)
    record = event(35, events.CardRecorded(record=_record(version, terms)))
    heard = _heard(terms, record, card)
    return {
        "downtime-terms": terms.to_bytes(),
        "downtime": brought.to_bytes(),
        "event-downtime-declared": event(36, declared),
        "event-downtime-ended": event(37, gone),
        "event-downtime-over": event(37, _over(declarers[1])),
        "event-downtime-record": record,
        "downtime-said": _said(terms, record, card).to_bytes(),
        "event-downtime-heard": event(39, heard),
        "event-downtime-stated": event(
            38,
            emergency.DowntimeStated(subject=brought.digest, ward=WARD, minutes=60, account=997),
        ),
    }


def _record(version: DirectoryVersion, terms: emergency.DowntimeTerms) -> tap.DowntimeRecord:
    return tap.DowntimeRecord(
        guid=CARD,
        previous=Digest("c0" * 32),
        directory=version,
        heartbeat=None,
        nonce="4e" * 32,
        text=sha256(terms.words().encode()),
        terms=sha256(terms.to_bytes()),
    )


def _said(terms: emergency.DowntimeTerms, record: bytes, card: Signer) -> declaring.DowntimeSaid:
    """In form alone: both parts are the one card's."""
    one = declaring.SignedDowntime(
        record=encode_base64(record), signature=encode_base64(card.sign(tap.card_message(record)))
    )
    return declaring.DowntimeSaid(terms=encode_base64(terms.to_bytes()), by=(one, one))


def _heard(terms: emergency.DowntimeTerms, record: bytes, card: Signer) -> emergency.DowntimeHeard:
    one = emergency.HeardDeclarer(
        holder=HOLDER, guid=CARD, key=card.public.key_id, record=sha256(record)
    )
    other = one.model_copy(update={"holder": HolderId("h-elena"), "guid": Guid("6b" * 16)})
    return emergency.DowntimeHeard(
        terminal=BAY,
        ward=WARD,
        terms=encode_base64(terms.to_bytes()),
        by=(one, other),
        limit_s=12 * 3600 - 90,
    )


def _over(by: emergency.Declarer) -> emergency.DowntimeEnded:
    terms = emergency.DowntimeTerms(
        site=SITE,
        terminal=BAY,
        ward=WARD,
        begins_ms=NOW + 60_000,
        limit_s=12 * 3600,
        off=(),
        ends=True,
        nonce="0f" * 32,
    )
    return emergency.DowntimeEnded(
        ward=WARD,
        why=emergency.DowntimeEnd.DECLARED,
        by=by,
        terms=encode_base64(terms.to_bytes()),
    )


def _opened(**changes: object) -> emergency.BreakGlassOpened:
    fields: dict[str, object] = {
        "session": SessionId("5e" * 16),
        "position": PositionId("emergency"),
        "reason": "RESUS",
        "state": BreakGlassState.DIRECTORY_STALE,
        "read_only": False,
        "holder": None,
        "guid": None,
        "record": None,
        "proof": None,
        "begins_ms": NOW,
        "limit_s": 3600,
        "kept": emergency.Kept.JOURNAL,
    }
    return emergency.BreakGlassOpened.model_validate({**fields, **changes})


def _nobodys() -> emergency.BreakGlassOpened:
    return _opened(
        state=BreakGlassState.NO_CARD, colleague=HolderId("h-elena"), colleague_record=22
    )


def _detached(
    card: Signer, version: DirectoryVersion, event: Callable[[int, events.Detail], bytes]
) -> emergency.BreakGlassOpened:
    record = tap.TapRecord(
        guid=CARD, previous=Digest("c0" * 32), directory=version, heartbeat=None, nonce="4e" * 32
    )
    data = event(0, events.CardRecorded(record=record))
    proof = emergency.CardProof(
        event=encode_base64(data),
        key=card.public.key_id,
        algorithm=Algorithm.P256,
        signature=encode_base64(card.sign(tap.card_message(data))),
    )
    return _opened(
        state=BreakGlassState.JOURNAL_FAILED,
        holder=HOLDER,
        guid=CARD,
        proof=proof,
        kept=emergency.Kept.RESERVE,
    )


def _policy() -> Policy:
    return Policy(
        ward=WARD,
        salt="5a" * 16,
        break_glass=BreakGlass(
            allowed=True,
            position=PositionId("emergency"),
            reasons=("RESUS", "SYSTEM"),
            limit_s=3600,
            states=tuple(BreakGlassState),
            without_card=(BAY,),
            alone_s=300,
        ),
        downtime=Downtime(roles=("R8001L", "R8000"), off=("R8001L",), renew_s=6 * 3600),
    )
