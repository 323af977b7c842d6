"""Enrolment at the gateway: who gets a certificate, and on whose word.

- A grant, an approval, a device's request and the certificate that came of it are leaves.
- Token used, certificate kept, register changed, leaves and event are one transaction: a full disk
  or a power cut leaves all of it or nothing.
- The same keys asked again (an answer was lost) get the same answer. Other keys under a used token
  are refused, and an alarm.
- Who enrols anew replaces whoever bore the name: earlier certificates are revoked with it.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from contract.certificates import common_name, spki
from contract.directory import EntryKind, Terminal, TerminalState, parse_entry
from contract.enrolment import (
    CheckedOrder,
    EnrolmentRefused,
    Issued,
    Refusal,
    TerminalEnrolled,
    token_digest,
)
from contract.events import Alarm, AlarmCode
from contract.ids import Digest, TerminalId, WardId
from contract.signing import sha256
from contract.statements import Enrolment
from contract.tap import DirectoryVersion
from contract.wire import encode_base64
from gateway.authority import Authority
from gateway.certificates.issuing import Issuer, Made
from gateway.directory.register import Register
from gateway.directory.source import Applied, Directory, Head
from gateway.evidence.journal import Moment
from gateway.evidence.keeping import Evidence
from gateway.evidence.log import Appending
from gateway.store import CertificateRow, Store, TokenRow, Transaction

# One alarm a token in this time: its holder must not fill the journal.
_ALARM_EVERY_MS: Final = 60_000
_MOST_ALARMED: Final = 1_000
# With less life left it is no answer: at two thirds of its life a certificate is renewed.
_LEAST_LEFT_MS: Final = 20 * 24 * 3600 * 1000


@dataclass(frozen=True, slots=True)
class Wanted:
    """A certificate for these keys. `order` is None for a plain EST client, which has one key."""

    terminal: TerminalId
    key: bytes
    batch_key: bytes
    order: CheckedOrder | None

    @classmethod
    def of(cls, order: CheckedOrder) -> Wanted:
        return cls(order.request.terminal, order.key, order.batch_key, order)

    @classmethod
    def plain(cls, terminal: TerminalId, key: bytes) -> Wanted:
        return cls(terminal, key, key, None)


@dataclass(frozen=True, slots=True)
class Answer:
    """What was issued, and the change that it made, if any, to be published."""

    certificate: bytes
    issued: Issued
    applied: Applied | None = None
    revoked: int = 0


@dataclass(frozen=True, slots=True)
class Word:
    """On whose word: `digest` names the grant or approval."""

    by: Literal["token", "approval", "renewal"]
    digest: Digest | None
    ward: WardId | None


class Enrolments:
    """Methods block: call them in a worker thread."""

    def __init__(
        self,
        store: Store,
        evidence: Evidence,
        directory: Directory,
        register: Register,
        authority: Authority,
        issuer: Issuer,
    ) -> None:
        self._store = store
        self._evidence = evidence
        self._directory = directory
        self._register = register
        self._authority = authority
        self._issuer = issuer
        self._alarmed: dict[Digest, int] = {}

    @property
    def ca(self) -> x509.Certificate:
        return self._issuer.certificate

    def by_token(self, wanted: Wanted, name: str, token: str, now: Moment) -> Answer:
        """A first certificate on a one-time token. Raises EnrolmentRefused, StoreFailed."""
        digest = token_digest(token)
        if name != wanted.terminal:
            raise EnrolmentRefused(Refusal.NAME_MISMATCH, "the request names another terminal")
        with self._store.read() as tx:
            row = self._usable(tx, digest, wanted, now)
            answered = self._answered(tx, wanted, now)
        if answered is not None:
            return answered
        if row.used_ms is not None:
            self._second_use(row, now)
        word = Word("token", row.granted, row.ward)

        def claim(work: Appending) -> None:
            if not work.tx.enrolment.use_token(digest, now.wall_ms):
                raise _Taken

        try:
            return self._enrol(wanted, word, now, claim)
        except _Taken:
            return self._after_race(wanted, row, now)

    def known(self, wanted: Wanted, now: Moment) -> Answer | None:
        """What these keys were answered with. Raises EnrolmentRefused for a name of nobody."""
        with self._store.read() as tx:
            answered = self._answered(tx, wanted, now)
            if answered is None:
                self.ward_of(tx, wanted.terminal)
            return answered

    def by_approval(
        self, wanted: Wanted, approval: Digest, now: Moment, claim: Callable[[Appending], None]
    ) -> Answer:
        """A certificate on an operator's word, whose leaf `claim` adds.

        Raises EnrolmentRefused, StoreFailed.
        """
        with self._store.read() as tx:
            ward = self.ward_of(tx, wanted.terminal)
        return self._enrol(wanted, Word("approval", approval, ward), now, claim)

    def renew(self, wanted: Wanted, shown: x509.Certificate, now: Moment) -> Answer:
        """A new certificate for who shows one that serves. Raises EnrolmentRefused, StoreFailed."""
        self.meet(shown, now)
        registered = self._register.find(wanted.terminal)
        if registered is None:
            raise EnrolmentRefused(Refusal.TERMINAL_UNKNOWN, "the register does not know it")
        if registered.state is not TerminalState.ACTIVE:
            raise EnrolmentRefused(Refusal.TERMINAL_RETIRED, "the terminal is retired")
        if wanted.order is not None and wanted.batch_key != registered.key.spki:
            raise EnrolmentRefused(Refusal.KEY_REFUSED, "the register holds another batch key")
        held = Wanted(wanted.terminal, wanted.key, registered.key.spki, wanted.order)
        with self._store.read() as tx:
            answered = self._answered(tx, held, now)
        return answered or self._enrol(held, Word("renewal", None, None), now, lambda _: None)

    def meet(self, shown: x509.Certificate, now: Moment) -> None:
        """Remembers a certificate that was not issued here, so that retiring revokes it too.

        Raises EnrolmentRefused for a revoked one, StoreFailed.
        """
        with self._store.read() as tx:
            row = tx.enrolment.certificate(shown.serial_number)
        if row is not None and row.revoked_ms is not None:
            raise EnrolmentRefused(Refusal.CERTIFICATE_REFUSED, "this certificate was revoked")
        if row is None:
            with self._store.write() as tx:
                if tx.enrolment.certificate(shown.serial_number) is None:
                    tx.enrolment.add_certificate(_row_of(shown, now))

    def ward_of(self, tx: Transaction, terminal: TerminalId) -> WardId:
        """Where a terminal that was granted or registered stands. Raises EnrolmentRefused."""
        registered = self._register.find(terminal)
        tokens = tx.enrolment.tokens_of(terminal)
        if registered is not None and registered.state is TerminalState.ACTIVE:
            assert registered.ward is not None  # noqa: S101 - the gateway itself alone has none
            return registered.ward
        if registered is not None and not any(token.used_ms is None for token in tokens):
            raise EnrolmentRefused(Refusal.TERMINAL_RETIRED, "the terminal is retired")
        if not tokens:
            raise EnrolmentRefused(Refusal.TERMINAL_UNKNOWN, "nobody granted this terminal")
        return tokens[0].ward

    # --- inside ------------------------------------------------------------------------------

    def _usable(self, tx: Transaction, digest: Digest, wanted: Wanted, now: Moment) -> TokenRow:
        row = tx.enrolment.token(digest)
        if row is None:
            raise EnrolmentRefused(Refusal.TOKEN_UNKNOWN, "no such token was granted")
        if row.terminal != wanted.terminal:
            raise EnrolmentRefused(Refusal.NAME_MISMATCH, "the token is another terminal's")
        if row.used_ms is None and not row.granted_ms <= now.wall_ms < row.until_ms:
            raise EnrolmentRefused(Refusal.TOKEN_EXPIRED, "the token's time is over")
        return row

    def _answered(self, tx: Transaction, wanted: Wanted, now: Moment) -> Answer | None:
        keys = sha256(wanted.key), sha256(wanted.batch_key)
        row = tx.enrolment.issued_for(wanted.terminal, *keys, now.wall_ms)
        registered = self._register.find(wanted.terminal)
        if row is None or registered is None or registered.key.spki != wanted.batch_key:
            return None
        if row.until_ms - now.wall_ms < _LEAST_LEFT_MS:
            return None
        return Answer(row.certificate, self._issued(row.certificate))

    def _issued(self, certificate: bytes) -> Issued:
        version = DirectoryVersion.of(self._directory.head.version)
        return Issued(certificate=encode_base64(certificate), directory=version)

    def _after_race(self, wanted: Wanted, row: TokenRow, now: Moment) -> Answer:
        """Another request was quicker by this token: with the same keys, or with others."""
        with self._store.read() as tx:
            answered = self._answered(tx, wanted, now)
        return answered or self._second_use(row, now)

    def _second_use(self, row: TokenRow, now: Moment) -> Answer:
        due_ms = self._alarmed.get(row.digest, 0)
        if due_ms <= now.monotonic_ms:
            if len(self._alarmed) >= _MOST_ALARMED:
                self._alarmed.clear()
            self._alarmed[row.digest] = now.monotonic_ms + _ALARM_EVERY_MS
            with self._evidence.log.appending() as work:
                alarm = Alarm(code=AlarmCode.TOKEN_REUSED, subject=row.digest)
                self._evidence.write_own(work, [alarm], now)
        raise EnrolmentRefused(Refusal.TOKEN_USED, "this token was used already; it is an alarm")

    def _enrol(
        self, wanted: Wanted, word: Word, now: Moment, claim: Callable[[Appending], None]
    ) -> Answer:
        """Everything in one transaction; what it raises leaves nothing."""
        made = self._issuer.issue(wanted.terminal, wanted.key, now.wall_ms)
        change: tuple[Applied, Head] | None = None
        with self._directory.turn():
            with self._evidence.log.appending() as work:
                claim(work)
                revoked = self._keep(work, wanted, word, made, now)
                event = self._add_leaves(work, wanted, word, made.der, now)
                entry = self._register_change(work.tx, wanted, word)
                if entry is None:
                    self._evidence.write_own(work, [event], now)
                else:
                    change = self._directory.enact(work, entry, [event], now)
            if entry is not None and change is not None:
                self._directory.moved(change[1], [entry])
        applied = change[0] if change else None
        return Answer(made.der, self._issued(made.der), applied, revoked)

    def _keep(self, work: Appending, wanted: Wanted, word: Word, made: Made, now: Moment) -> int:
        """The certificate's row; who enrols anew replaces those before. Returns how many."""
        rows = work.tx.enrolment
        revoked = 0
        if word.by != "renewal":
            # The broker drops an older session itself when the newcomer takes the name.
            revoked = rows.revoke(wanted.terminal, now.wall_ms, ended=True)
        rows.add_certificate(
            CertificateRow(
                serial=made.serial,
                terminal=wanted.terminal,
                key=sha256(wanted.key),
                batch=sha256(wanted.batch_key),
                issued_ms=made.issued_ms,
                until_ms=made.until_ms,
                certificate=made.der,
            )
        )
        return revoked

    def _add_leaves(
        self, work: Appending, wanted: Wanted, word: Word, der: bytes, now: Moment
    ) -> TerminalEnrolled:
        request = None
        if wanted.order is not None:
            request = wanted.order.envelope.digest
            work.add_statement(wanted.order.envelope)
        enrolment = Enrolment(
            site=self._authority.site,
            terminal=wanted.terminal,
            certificate=encode_base64(der),
            batch_key=encode_base64(wanted.batch_key),
            issued_ms=now.wall_ms,
        ).seal(self._authority.statement)
        work.add_statement(enrolment)
        return TerminalEnrolled(
            terminal=wanted.terminal,
            by=word.by,
            enrolment=enrolment.digest,
            request=request,
            word=word.digest,
        )

    def _register_change(self, tx: Transaction, wanted: Wanted, word: Word) -> Terminal | None:
        """The entry that the register needs; None where it stands already."""
        if word.ward is None:
            return None
        key = (EntryKind.TERMINAL, str(wanted.terminal))
        line = tx.directory.entries({key}).get(key)
        fresh = Terminal(
            terminal=wanted.terminal,
            ward=word.ward,
            batch_key=encode_base64(wanted.batch_key),
            state=TerminalState.ACTIVE,
            salt=secrets.token_hex(16),
        )
        if line is not None:
            standing = parse_entry(line)
            assert isinstance(standing, Terminal)  # noqa: S101 - it stands under that kind
            if standing == fresh.model_copy(update={"salt": standing.salt}):
                return None
        return fresh


class _Taken(Exception):
    """The token was used between the look and the transaction."""


def _row_of(shown: x509.Certificate, now: Moment) -> CertificateRow:
    return CertificateRow(
        serial=shown.serial_number,
        terminal=TerminalId(common_name(shown)),
        key=sha256(spki(shown.public_key())),
        batch=Digest(""),
        issued_ms=now.wall_ms,
        until_ms=int(shown.not_valid_after_utc.timestamp()) * 1000,
        certificate=shown.public_bytes(Encoding.DER),
    )
