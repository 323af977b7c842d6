"""Revocation: the list in the broker's `crlfile`, renewed long before it ends, and sessions ended.

- A list is signed daily for a month. When certificates were revoked it is signed at once.
- The broker reads it on SIGHUP alone, and live sessions go on: so a session of a retired terminal
  is then taken over (`gateway.certificates.takeover`).
- What is still to be done stands in the database, so a restart goes on with it. What cannot be
  done is an alarm in the gateway's own journal, and stands in its health.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from contract.directory import Entry, EntryKind, Removed, Terminal, TerminalState
from contract.enrolment import TerminalRetired
from contract.events import Alarm, AlarmCode, Detail
from contract.ids import TerminalId
from gateway.certificates.issuing import CRL_LIFE, Issuer
from gateway.evidence.journal import Moment
from gateway.evidence.keeping import Evidence
from gateway.store import CrlRow, Store, StoreFailed, Transaction
from runtime.clock import Clock
from runtime.durable import NotThere, StorageError, read_capped, write_file
from runtime.logs import Trouble

_log: Final = logging.getLogger(__name__)
_NS: Final = 1_000_000_000
RENEW_MS: Final = 24 * 3600 * 1000
_LOOK_S: Final = 600
# After a failure: soon, since a retired terminal may still be let in.
_RETRY_S: Final = 15
# One alarm of a kind in this time.
_ALARM_EVERY_MS: Final = 3600 * 1000
# A list of every terminal of a large site, revoked: some 40 bytes each.
_CRL_CAP: Final = 4 * 1024 * 1024
_PID_CAP: Final = 32
# A ward that is closed: forty terminals go at once, each watched for two seconds.
_TOGETHER: Final = 16

EndSession = Callable[[TerminalId], Awaitable[None]]


class SignalFailed(Exception):
    """The broker was not told to read its list again. Says why."""


class SessionNotEnded(Exception):
    """A retired terminal may still be connected. Says why."""


@dataclass(frozen=True, slots=True)
class RevocationHealth:
    """`trouble` is empty when the broker has the newest list."""

    until_ms: int
    trouble: str


def withdraw_terminals(tx: Transaction, entries: Iterable[Entry], now: Moment) -> list[Detail]:
    """A retired or removed terminal: its certificates are revoked, its open tokens end."""
    told: list[Detail] = []
    for entry in entries:
        match entry:
            case Terminal(state=TerminalState.RETIRED):
                name = entry.terminal
            case Removed(kind=EntryKind.TERMINAL):
                name = TerminalId(entry.id)
            case _:
                continue
        tx.enrolment.forget_tokens(name)
        count = tx.enrolment.revoke(name, now.wall_ms, ended=False)
        told.append(TerminalRetired(terminal=name, step="revoked", certificates=count))
    return told


class Revocations:
    """Lives in the event loop; the list is made in a worker thread."""

    def __init__(
        self,
        store: Store,
        evidence: Evidence,
        issuer: Issuer,
        crl_file: Path,
        broker_pid_file: Path | None,
        end_session: EndSession,
        clock: Clock,
    ) -> None:
        self._store = store
        self._evidence = evidence
        self._issuer = issuer
        self._crl_file = crl_file
        self._pid_file = broker_pid_file
        self._end_session = end_session
        self._clock = clock
        self._news = asyncio.Event()
        self._together = asyncio.Semaphore(_TOGETHER)
        self._trouble = Trouble(_log, "renewing the revocation list")
        self._health = RevocationHealth(0, "not looked at yet")
        self._alarm_due_ms: dict[AlarmCode, int] = {}
        self._is_told = False

    @property
    def health(self) -> RevocationHealth:
        return self._health

    def wake(self) -> None:
        """Something may have been revoked."""
        self._news.set()

    async def run(self) -> None:
        """For ever."""
        while True:
            self._news.clear()
            wait_s = _LOOK_S if await self._once() else _RETRY_S
            sleeping = asyncio.create_task(
                self._clock.sleep_until(self._clock.monotonic_ns() + wait_s * _NS)
            )
            woken = asyncio.create_task(self._news.wait())
            try:
                await asyncio.wait({sleeping, woken}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                sleeping.cancel()
                woken.cancel()

    async def _once(self) -> bool:
        """Whether everything is as it should be."""
        try:
            to_end = await asyncio.to_thread(self.renew)
        except (StoreFailed, StorageError, SignalFailed) as error:
            await self._failed(AlarmCode.CRL_NOT_RENEWED, str(error))
            return False
        failures = [why for why in await asyncio.gather(*map(self._end, to_end)) if why]
        if failures:
            await self._failed(AlarmCode.SESSION_NOT_ENDED, "; ".join(failures))
            return False
        self._trouble.over()
        self._health = RevocationHealth(self._health.until_ms, "")
        return True

    async def _end(self, terminal: TerminalId) -> str:
        """Ends a session, and writes that down; why not, where it could not be done."""
        async with self._together:
            try:
                await self._end_session(terminal)
                await asyncio.to_thread(self._ended, terminal)
            except (SessionNotEnded, StoreFailed) as error:
                return f"{terminal}: {error}"
        return ""

    def renew(self) -> list[TerminalId]:
        """Signs, writes and tells where that is due; the terminals whose sessions are to be ended.

        Raises StoreFailed, StorageError, SignalFailed.
        """
        now_ms = self._clock.wall_ms()
        on_disk = self._read_file()
        with self._store.read() as tx:
            newest = tx.enrolment.newest_crl()
            serials = tx.enrolment.revoked_serials(now_ms)
            to_end = tx.enrolment.sessions_to_end()
        if newest is None or self._is_due(newest, serials, now_ms):
            newest = self._sign(newest, on_disk, serials, now_ms)
        if newest.pem not in on_disk:
            self._is_told = False
            write_file(self._crl_file, newest.pem + _others(on_disk, self._issuer), 0o644)
        if not self._is_told:
            self._tell_broker()
            self._is_told = True
        until_ms = newest.issued_ms + int(CRL_LIFE.total_seconds() * 1000)
        self._health = RevocationHealth(until_ms, self._health.trouble)
        return to_end

    def _is_due(self, newest: CrlRow, serials: list[int], now_ms: int) -> bool:
        listed = x509.load_pem_x509_crl(newest.pem)
        fresh = newest.issued_ms <= now_ms < newest.issued_ms + RENEW_MS
        ours = listed.issuer == self._issuer.certificate.subject
        # What ended is left out at the next day's renewal.
        return not (fresh and ours and {each.serial_number for each in listed} >= set(serials))

    def _sign(
        self, newest: CrlRow | None, on_disk: bytes, serials: list[int], now_ms: int
    ) -> CrlRow:
        """A list of a higher number than any before it."""
        before = [newest.number] if newest else []
        before += [_number(crl) for crl in _lists(on_disk)]
        number = max(before, default=0) + 1
        pem = self._issuer.revocation_list(serials, number, now_ms)
        row = CrlRow(number, now_ms, pem)
        with self._store.write() as tx:
            tx.enrolment.put_crl(row)
        return row

    def _read_file(self) -> bytes:
        try:
            return read_capped(self._crl_file, _CRL_CAP)
        except NotThere:
            return b""

    def _tell_broker(self) -> None:
        if self._pid_file is None:
            return
        try:
            text = read_capped(self._pid_file, _PID_CAP).strip()
            if not text.isdigit() or int(text) <= 1:
                raise SignalFailed(f"{self._pid_file}: holds no process number")
            os.kill(int(text), signal.SIGHUP)
        except StorageError as error:
            raise SignalFailed(f"{error}; does the broker run?") from error
        except OSError as error:
            raise SignalFailed(f"no signal to the broker: {error.strerror}") from error

    def _ended(self, terminal: TerminalId) -> None:
        now = Moment.of(self._clock)
        with self._evidence.log.appending() as work:
            work.tx.enrolment.session_ended(terminal, now.wall_ms)
            told = TerminalRetired(terminal=terminal, step="session-ended")
            self._evidence.write_own(work, [told], now)

    async def _failed(self, code: AlarmCode, why: str) -> None:
        self._trouble.failed(why)
        self._health = RevocationHealth(self._health.until_ms, why)
        now = Moment.of(self._clock)
        if self._alarm_due_ms.get(code, 0) > now.monotonic_ms:
            return
        try:
            await asyncio.to_thread(self._write_alarm, Alarm(code=code), now)
        except StoreFailed as error:
            _log.warning("an alarm was not written", extra={"reason": str(error)})
        else:
            self._alarm_due_ms[code] = now.monotonic_ms + _ALARM_EVERY_MS

    def _write_alarm(self, alarm: Alarm, now: Moment) -> None:
        with self._evidence.log.appending() as work:
            self._evidence.write_own(work, [alarm], now)


def _lists(pem: bytes) -> list[x509.CertificateRevocationList]:
    """Those in a file; none in one that holds something else: it is written anew."""
    end = b"-----END X509 CRL-----"
    found = []
    for part in pem.split(end)[:-1]:
        try:
            found.append(x509.load_pem_x509_crl(part.lstrip() + end))
        except ValueError:
            _log.warning("the revocation file holds something else", extra={"bytes": len(part)})
    return found


def _number(crl: x509.CertificateRevocationList) -> int:
    try:
        return crl.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number
    except x509.ExtensionNotFound:
        return 0


def _others(on_disk: bytes, issuer: Issuer) -> bytes:
    """Lists of another CA: the one that a rotation replaces."""
    issuers = [issuer, *([issuer.before] if issuer.before else [])]
    ours = {each.certificate.subject for each in issuers}
    kept = [crl for crl in _lists(on_disk) if crl.issuer not in ours]
    return b"".join(crl.public_bytes(Encoding.PEM) for crl in kept)
