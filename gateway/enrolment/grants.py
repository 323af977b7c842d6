"""Operators' part in enrolment: grants, the devices that wait, and the word on one of them.

Every act is a statement signed by the operator, a leaf of the log, and carried out in the same
transaction; a refusal is an event first (`Directory.denying`).
"""

from __future__ import annotations

from dataclasses import dataclass

from contract.administration import Approval, Decision
from contract.directory import EntryKind
from contract.enrolment import EnrolmentRefused, Grant
from contract.governing import Denial
from contract.ids import TerminalId
from contract.signing import Envelope, SignatureRefused
from contract.topics import GATEWAY, RESERVED
from contract.wire import WireError
from gateway.authority import Authority
from gateway.directory.requests import Operator, RequestRefused, require_own
from gateway.directory.source import Directory, digest_of
from gateway.directory.waiting import NothingWaits
from gateway.enrolment.admission import Answer, Enrolments, Wanted
from gateway.enrolment.pending import PendingOrders, Waiting
from gateway.evidence.journal import Moment
from gateway.evidence.keeping import Evidence
from gateway.evidence.log import Appending
from gateway.store import CertificateRow, Store, TokenRow

# Clocks of a desk and of the gateway may differ; a grant of yesterday sent again is no new one.
_CLOCK_SLACK_MS = 5 * 60 * 1000


@dataclass(frozen=True, slots=True)
class TerminalFile:
    """Everything that is kept of a terminal besides its status."""

    entry: bytes | None
    certificates: list[CertificateRow]
    tokens: list[TokenRow]
    late_batches: int


class Grants:
    """Methods block: call them in a worker thread."""

    def __init__(
        self,
        store: Store,
        evidence: Evidence,
        directory: Directory,
        authority: Authority,
        enrolments: Enrolments,
        pending: PendingOrders,
    ) -> None:
        self._store = store
        self._evidence = evidence
        self._directory = directory
        self._authority = authority
        self._enrolments = enrolments
        self._pending = pending

    def grant(self, message: bytes, operator: Operator, now: Moment) -> Grant:
        """Keeps the tokens' digests; the same grant again changes nothing.

        Raises RequestRefused, StoreFailed.
        """
        with self._directory.denying(digest_of(message), operator, now):
            envelope, grant = self._open(message, operator, now)
        with self._directory.turn(), self._evidence.log.appending() as work:
            if not work.tx.enrolment.granted_by(envelope.digest):
                work.add_statement(envelope)
                work.tx.enrolment.add_tokens(
                    TokenRow(
                        digest=one.token,
                        terminal=one.terminal,
                        ward=one.ward,
                        granted=envelope.digest,
                        granted_ms=min(now.wall_ms, grant.issued_ms),
                        until_ms=grant.until_ms,
                    )
                    for one in grant.terminals
                )
        return grant

    def waiting(self, now: Moment) -> list[Waiting]:
        """Devices that an operator may decide on, the oldest first."""
        return self._pending.all(now.wall_ms)

    def decide(
        self, code: str, message: bytes, operator: Operator, now: Moment
    ) -> tuple[Waiting, Answer | None]:
        """Lets a device in, or turns it away. Raises RequestRefused, StoreFailed."""
        with self._directory.denying(digest_of(message), operator, now):
            found = self._pending.find(code, now.wall_ms)
            if found is None:
                raise NothingWaits("no device waits under these letters (any more)")
            envelope, approval = self._open_approval(message, operator, now)
            if approval.subject != found.order.envelope.digest:
                raise RequestRefused("the word is on another device's request", Denial.UNKNOWN)
        answer = self._let_in(found, envelope, approval, now)
        if answer is None:
            self._pending.refuse(code)
        else:
            self._pending.done(code)
        return found, answer

    def show(self, terminal: TerminalId) -> TerminalFile:
        """Raises StoreFailed."""
        key = (EntryKind.TERMINAL, str(terminal))
        with self._store.read() as tx:
            return TerminalFile(
                entry=tx.directory.entries({key}).get(key),
                certificates=tx.enrolment.certificates_of(terminal),
                tokens=tx.enrolment.tokens_of(terminal),
                late_batches=len(tx.enrolment.late_of(terminal)),
            )

    # --- inside ------------------------------------------------------------------------------

    def _let_in(
        self, found: Waiting, envelope: Envelope, approval: Approval, now: Moment
    ) -> Answer | None:
        def add_leaf(work: Appending) -> None:
            work.add_statement(envelope)

        if approval.decision is Decision.REFUSE:
            with self._evidence.log.appending() as work:
                add_leaf(work)
            return None
        try:
            return self._enrolments.by_approval(
                Wanted.of(found.order), envelope.digest, now, add_leaf
            )
        except EnrolmentRefused as error:
            raise RequestRefused(error.words) from error

    def _open(self, message: bytes, operator: Operator, now: Moment) -> tuple[Envelope, Grant]:
        envelope = _envelope(message)
        try:
            grant = Grant.open(envelope, operator.key)
        except (SignatureRefused, WireError) as error:
            raise RequestRefused(str(error), Denial.NOT_BELIEVED) from error
        require_own(grant.site, grant.operator, self._authority.site, operator)
        if not grant.issued_ms - _CLOCK_SLACK_MS <= now.wall_ms < grant.until_ms:
            raise RequestRefused("the grant's time is over, or the desk's clock is wrong")
        if any(one.terminal in (GATEWAY, RESERVED) for one in grant.terminals):
            raise RequestRefused("no terminal may bear a reserved name")
        return envelope, grant

    def _open_approval(
        self, message: bytes, operator: Operator, now: Moment
    ) -> tuple[Envelope, Approval]:
        envelope = _envelope(message)
        try:
            approval = Approval.open(envelope, operator.key)
        except (SignatureRefused, WireError) as error:
            raise RequestRefused(str(error), Denial.NOT_BELIEVED) from error
        require_own(approval.site, approval.operator, self._authority.site, operator)
        if not approval.issued_ms - _CLOCK_SLACK_MS <= now.wall_ms < approval.until_ms:
            raise RequestRefused("the approval's time is over, or the desk's clock is wrong")
        return envelope, approval


def _envelope(message: bytes) -> Envelope:
    try:
        return Envelope.from_bytes(message)
    except WireError as error:
        raise RequestRefused(str(error), Denial.MALFORMED) from error
