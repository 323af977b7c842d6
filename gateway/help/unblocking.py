"""A blocked PIN: one card's PUK for one terminal, once, and another in its place (FIELD 11).

- Two cards ask: the holder's by a tap that seals to the terminal's fresh key, and a colleague's by
  a countersign. Neither is the other's; the colleague works on that ward, on a card of her own.
- The next PUK is sealed for safe keeping, to the gateway and the authority, before the release is
  signed. From then on the card holds one of two, and the next release names both. A report ends
  the doubt.
- A release whose candidates are two may cost a try when the card is torn away in between; so few
  go out unreported that the last of a card's three is never used up.
- The same request is answered with the same bytes; the same terms in another envelope are not.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from contract.directory import Entitlement, Slot, Status
from contract.escrow import PUK_BYTES, EscrowRefused, PukEscrow
from contract.events import CardRecorded, Event
from contract.help import MAX_HELP_BYTES, HelpRefused
from contract.helping import HelpJudged, HelpReason
from contract.ids import Digest, TerminalId, WardId
from contract.journal import join_lines
from contract.puk import PukRelease, PukReport, PukRequest, PukResult, PukTerms, seal_puks
from contract.signing import Envelope, SignatureRefused, sha256
from contract.tap import TapRecord
from contract.wire import WireError, decode_base64
from contract.witness import record_in, require_countersign, require_signature, within
from gateway.authority import Authority
from gateway.directory.register import Register
from gateway.directory.source import digest_of
from gateway.evidence.journal import Moment
from gateway.evidence.keeping import Evidence
from gateway.help.spares import card_of, require_terminal, spare_of
from gateway.store import EscrowRow, ReleaseRow, Store, Transaction
from runtime.durable import NotThere, StorageError, read_capped
from runtime.settings import CertificateError

_log: Final = logging.getLogger(__name__)
# The records are made while two people stand there, and the terminal knows site time.
FRESH_MS: Final = 3 * 60 * 1000
# Cards allow three tries. The first release without doubt costs none; of two more each at most one.
MOST_UNSETTLED: Final = 3
# The holder types her new PIN; until then, or a report, nobody else is given this card's PUK.
TURN_MS: Final = 20_000
_KEY_CAP: Final = 16 * 1024


@dataclass(frozen=True, slots=True)
class Wanted:
    """A believed request, as it says."""

    envelope: Envelope
    request: PukRequest
    terms: PukTerms
    line: bytes
    tap: Event


@dataclass(frozen=True, slots=True)
class Around:
    """What the directory says of it."""

    ward: WardId | None
    holder: Entitlement | None
    colleague: Entitlement | None
    colleague_on_spare: bool


def open_request(envelope: Envelope, known_key: object, site: str, terminal: TerminalId) -> Wanted:
    """Verify, then parse. Raises HelpRefused."""
    try:
        request = PukRequest.open(envelope, known_key)  # type: ignore[arg-type]
        line = decode_base64(request.terms)
        terms = PukTerms.from_bytes(line)
        tap = Event.from_bytes(decode_base64(request.tap.record))
    except WireError as error:
        raise HelpRefused(HelpReason.MALFORMED, str(error)) from error
    except SignatureRefused as error:
        raise HelpRefused(HelpReason.NOT_BELIEVED, str(error)) from error
    named = (request.site, terms.site, request.terminal, terms.terminal, tap.terminal)
    if named != (site, site, terminal, terminal, terminal):
        raise HelpRefused(HelpReason.NOT_BELIEVED, "of another site or terminal")
    return Wanted(envelope, request, terms, line, tap)


def require_two(wanted: Wanted, around: Around, now_ms: int) -> tuple[Entitlement, Entitlement]:
    """Holder and colleague, both here and now. Pure. Raises HelpRefused."""
    terms, request, holder = wanted.terms, wanted.request, around.holder
    if around.ward != terms.ward:
        raise HelpRefused(HelpReason.WRONG_WARD)
    if holder is None or holder.status is not Status.ACTIVE or now_ms >= holder.not_after_ms:
        raise HelpRefused(HelpReason.PERSON_UNKNOWN)
    _require_tap(wanted, holder)
    words = terms.words()
    colleague = around.colleague
    event = require_countersign(request.proof, colleague, terms.terminal, words, wanted.line)
    assert colleague is not None  # noqa: S101 - refused above
    if colleague.holder == holder.holder:
        raise HelpRefused(HelpReason.SAME_PERSON)
    if around.colleague_on_spare or not colleague.not_before_ms <= now_ms < colleague.not_after_ms:
        raise HelpRefused(HelpReason.COLLEAGUE_UNKNOWN, "a spare, or out of its time")
    if not any(within(position, terms.ward) for position in colleague.positions):
        raise HelpRefused(HelpReason.WRONG_WARD, "she does not work here")
    if any(abs(now_ms - each.wall_ms) > FRESH_MS for each in (wanted.tap, event)):
        raise HelpRefused(HelpReason.NOT_NOW)
    return holder, colleague


def _require_tap(wanted: Wanted, holder: Entitlement) -> None:
    terms, detail = wanted.terms, wanted.tap.detail
    record = detail.record if isinstance(detail, CardRecorded) else None
    if not isinstance(record, TapRecord) or record.guid != terms.guid:
        raise HelpRefused(HelpReason.NOT_BELIEVED, "no tap of that card")
    key = decode_base64(wanted.request.key)
    if not record.seal == terms.key == sha256(key):
        raise HelpRefused(HelpReason.NOT_BELIEVED, "the tap seals to another key")
    if terms.tap != sha256(decode_base64(wanted.request.tap.record)):
        raise HelpRefused(HelpReason.NOT_BELIEVED, "the terms name another tap")
    require_signature(wanted.request.tap, holder, Slot.CARD_AUTHENTICATION)


def release(row: EscrowRow, fresh: PukEscrow, request: Digest, now_ms: int) -> EscrowRow:
    """The row as it is once the release is out: the card may hold either. Raises HelpRefused."""
    if row.request is not None and now_ms < row.at_ms + TURN_MS:
        raise HelpRefused(HelpReason.ASKED_TWICE, "the one before may still be used")
    if row.unsettled >= MOST_UNSETTLED:
        raise HelpRefused(HelpReason.DOUBT)
    wanted = row.wanted or fresh
    return replace(row, wanted=wanted, unsettled=row.unsettled + 1, request=request, at_ms=now_ms)


def candidates(row: EscrowRow) -> list[PukEscrow]:
    """What the card may hold, the likelier first: a torn act mostly ends before its last step."""
    return [row.present] if row.wanted is None else [row.present, row.wanted]


def settle(row: EscrowRow, before: Sequence[PukEscrow], report: PukReport) -> EscrowRow:
    """The row after a report of its newest release. Raises HelpRefused."""
    if row.request != report.request or row.wanted is None:
        raise HelpRefused(HelpReason.NOT_NOW, "not the newest release of this card")
    match report.result:
        case PukResult.REPLACED:
            return replace(row, present=row.wanted, wanted=None, unsettled=0, request=None)
        case PukResult.KEPT if report.used < len(before):
            return replace(row, present=before[report.used], wanted=None, unsettled=0, request=None)
        case PukResult.REFUSED:
            return replace(row, unsettled=MOST_UNSETTLED, request=None)
        case _:
            raise HelpRefused(HelpReason.MALFORMED, "no such candidate")


class Unblocking:
    """Methods block: call them in a worker thread."""

    def __init__(
        self,
        store: Store,
        evidence: Evidence,
        register: Register,
        authority: Authority,
        key: ec.EllipticCurvePrivateKey | None,
    ) -> None:
        """Without `key` no PUK can be opened here."""
        self._store = store
        self._evidence = evidence
        self._register = register
        self._authority = authority
        self._key = key

    def ask(self, message: bytes, terminal: TerminalId, now: Moment) -> bytes:
        """The release's envelope, and the escrow behind it. Raises HelpRefused, StoreFailed."""
        subject = digest_of(message)
        try:
            return self._ask(message, terminal, now)
        except HelpRefused as refused:
            self._told(subject, terminal, refused, now)
            raise

    def report(self, message: bytes, terminal: TerminalId) -> None:
        """Raises HelpRefused, StoreFailed. The same report again changes nothing."""
        known = require_terminal(self._register, terminal)
        envelope = _envelope(message)
        try:
            report = PukReport.open(envelope, known.key)
        except (WireError, SignatureRefused) as error:
            raise HelpRefused(HelpReason.NOT_BELIEVED, str(error)) from error
        if (report.site, report.terminal) != (self._authority.site, terminal):
            raise HelpRefused(HelpReason.NOT_BELIEVED)
        with self._evidence.log.appending() as work:
            if work.tx.log.has_statement(envelope.digest):
                return
            released, row = work.tx.help.release(report.request), work.tx.help.escrow(report.guid)
            if released is None or row is None or released.terminal != terminal:
                raise HelpRefused(HelpReason.NOT_BELIEVED, "nothing was released for it")
            before = candidates(replace(row, wanted=row.wanted if row.unsettled > 1 else None))
            work.tx.help.put_escrow(settle(row, before, report))
            work.add_statement(envelope)

    # --- inside -------------------------------------------------------------------------------

    def _ask(self, message: bytes, terminal: TerminalId, now: Moment) -> bytes:
        known = require_terminal(self._register, terminal)
        site = self._authority.site
        wanted = open_request(_envelope(message), known.key, site, terminal)
        digest, terms = wanted.envelope.digest, sha256(wanted.line)
        with self._evidence.log.appending() as work:
            if (known_one := work.tx.help.release(digest)) is not None:
                if now.wall_ms < known_one.at_ms + TURN_MS:
                    return known_one.answer
                raise HelpRefused(HelpReason.ASKED_TWICE)
            if work.tx.help.release_by_terms(terms) is not None:
                raise HelpRefused(HelpReason.ASKED_TWICE, "the same terms")
            around = _look(work.tx, wanted, known.ward)
            _, colleague = require_two(wanted, around, now.wall_ms)
            row = work.tx.help.escrow(wanted.terms.guid)
            if row is None or self._key is None:
                raise HelpRefused(HelpReason.NO_PUK)
            after = release(row, self._fresh(row), digest, now.wall_ms)
            answer = self._sealed(wanted, row, after)
            work.tx.help.put_escrow(after)
            work.tx.help.add_release(
                ReleaseRow(digest, terms, row.guid, terminal, now.wall_ms, answer)
            )
            work.add_statement(wanted.envelope)
            work.add_statement(Envelope.from_bytes(answer.partition(b"\n")[0]))
            told = HelpJudged(
                what="puk",
                priority="routine" if after.unsettled == 1 else "high",
                subject=digest,
                terminal=terminal,
                reason=HelpReason.GRANTED,
                guid=row.guid,
                colleague=colleague.holder,
            )
            self._evidence.write_own(work, [told], now)
        return answer

    def _fresh(self, row: EscrowRow) -> PukEscrow:
        assert self._key is not None  # noqa: S101 - looked at by the caller
        puk = f"{secrets.randbelow(10**PUK_BYTES):0{PUK_BYTES}d}".encode()
        authority = serialization.load_der_public_key(row.authority)
        assert isinstance(authority, ec.EllipticCurvePublicKey)  # noqa: S101 - at the deposit
        recipients = (authority, self._key.public_key())
        return PukEscrow.seal(row.guid, row.present.generation + 1, puk, recipients)

    def _sealed(self, wanted: Wanted, before: EscrowRow, after: EscrowRow) -> bytes:
        assert self._key is not None and after.wanted is not None  # noqa: S101, PT018
        key = _p256(decode_base64(wanted.request.key))
        try:
            puks = [each.open(self._key) for each in (after.wanted, *candidates(before))]
        except EscrowRefused as error:
            raise HelpRefused(HelpReason.NO_PUK, str(error)) from error
        line = after.wanted.to_bytes()
        said = PukRelease(
            site=self._authority.site,
            request=wanted.envelope.digest,
            guid=before.guid,
            generation=after.wanted.generation,
            sealed=seal_puks(wanted.envelope.digest, before.guid, key, puks),
            escrow=sha256(line),
        )
        return join_lines(said.seal(self._authority.statement), [line])

    def _told(
        self, subject: Digest, terminal: TerminalId, refused: HelpRefused, now: Moment
    ) -> None:
        _log.warning("help refused", extra={"terminal": terminal, "why": str(refused)})
        told = HelpJudged(
            what="puk", priority="high", subject=subject, terminal=terminal, reason=refused.reason
        )
        with self._evidence.log.appending() as work:
            self._evidence.write_own(work, [told], now)


def load_key(folder: Path) -> ec.EllipticCurvePrivateKey | None:
    """The gateway's PUK key, where this site has one. Raises CertificateError."""
    path = folder / "puk.key.pem"
    try:
        key = serialization.load_pem_private_key(read_capped(path, _KEY_CAP), None)
    except NotThere:
        return None
    except (StorageError, ValueError, TypeError) as error:
        raise CertificateError(f"{path}: {error}") from error
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise CertificateError(f"{path}: is no P-256 key")
    return key


def _look(tx: Transaction, wanted: Wanted, ward: WardId | None) -> Around:
    colleague = record_in(wanted.request.proof)[1].guid
    return Around(
        ward=ward,
        holder=card_of(tx, wanted.terms.guid),
        colleague=card_of(tx, colleague),
        colleague_on_spare=spare_of(tx, colleague) is not None,
    )


def _envelope(message: bytes) -> Envelope:
    if len(message) > MAX_HELP_BYTES:
        raise HelpRefused(HelpReason.MALFORMED, "too large")
    try:
        return Envelope.from_bytes(message)
    except WireError as error:
        raise HelpRefused(HelpReason.MALFORMED, str(error)) from error


def _p256(der: bytes) -> ec.EllipticCurvePublicKey:
    try:
        key = serialization.load_der_public_key(der)
    except ValueError as error:
        raise HelpRefused(HelpReason.MALFORMED, "no key to seal to") from error
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
        raise HelpRefused(HelpReason.MALFORMED, "no P-256 key to seal to")
    return key
