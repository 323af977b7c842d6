"""One try for a later certificate: by the key of the old one, else by an operator's word.

The new key is kept beside the old one (`terminal.next.key.pem`) before it is first spoken of, and
the certificate beside it last: the terminal itself moves both into place (`place.settle`).
"""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar, Final, Literal
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from pydantic import Field

from contract.enrolment import Issued, Order, Refusal
from contract.ids import SiteId, SiteIdField, TerminalId, TerminalIdField
from contract.wire import Base64, Part, Record, UnixMs, decode_base64
from firmware_py.enrolment import progress
from firmware_py.enrolment.desk import Away, Desk, Peer, Refused, Trouble, believing
from firmware_py.enrolment.network import look
from firmware_py.enrolment.orders import Applicant, NotOurs, certificate_of, make_order
from firmware_py.site.keystore import KeyStore
from firmware_py.site.place import BATCH_KEY, CERTIFICATE, KEY, NEXT_CERTIFICATE, NEXT_KEY
from runtime.durable import StorageError, read_capped, write_file
from runtime.mqtt import client_context
from runtime.settings import CertificateError

RENEWAL: Final = "/v1/renewal"
ENROLMENT: Final = "/v1/enrolment"
# Before an operator's word: a gateway that is away for a moment does not end the wait.
AWAY_S: Final = 15.0
MOST_AWAY: Final = 20
_PEM_CAP: Final = 64 * 1024


class Ticket(Record):
    """What the terminal says to its helper, a line on stdin."""

    CAP: ClassVar[int] = 16 * 1024

    type: Literal["tapover/ticket/v1"] = "tapover/ticket/v1"
    site: SiteIdField
    terminal: TerminalIdField
    identity: str
    operator_ca: str
    terminal_ca: Base64
    gateway_url: str
    enrol_url: str
    """Empty where it is not known."""
    now_ms: UnixMs
    clock_tells: bool
    suspect: bool
    """The link was refused: an answer that breaks off is a refusal too."""
    tpm: str = ""
    """How the TPM is reached; empty: every key is in a file."""


class Said(Part):
    """What the helper says, a line on stdout."""

    state: Literal["renewed", "code", "failed"]
    words: str = ""
    code: Annotated[str | None, Field(max_length=9)] = None
    mac: str | None = None
    addresses: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Helper:
    """One try. `say` speaks to the terminal; `wait` sleeps."""

    ticket: Ticket
    keys: KeyStore
    say: Callable[[Said], None]
    wait: Callable[[float], None] = time.sleep

    def run(self) -> None:
        """Ends with "renewed" said, or "failed"."""
        try:
            issued, applicant = self._ask()
            authority = x509.load_der_x509_certificate(decode_base64(self.ticket.terminal_ca))
            pem = certificate_of(issued, applicant, authority, self.ticket.now_ms)
            write_file(self._path(NEXT_CERTIFICATE), pem)
        except (Away, Refused, NotOurs, StorageError, CertificateError) as error:
            self.say(Said(state="failed", words=str(error)))
        else:
            self.say(Said(state="renewed"))

    def _ask(self) -> tuple[Issued, Applicant]:
        applicant = Applicant(
            SiteId(self.ticket.site),
            TerminalId(self.ticket.terminal),
            self.keys.key(self._path(NEXT_KEY)),
            self.keys.key(self._path(BATCH_KEY)),
        )
        old = self.keys.key(self._path(KEY))
        order = make_order(applicant, self.ticket.now_ms, old)
        try:
            answer = Desk(self._mutual()).order(RENEWAL, order, None)
        except (Away, Refused) as error:
            if not self._is_our_certificate(error) or not self.ticket.enrol_url:
                raise
            return self._by_operator(applicant), applicant
        if not isinstance(answer, Issued):
            raise NotOurs("a renewal that waits for somebody")
        return answer, applicant

    def _is_our_certificate(self, error: Away | Refused) -> bool:
        """Whether the old certificate is what stands between."""
        if isinstance(error, Refused):
            return error.answer.error is Refusal.CERTIFICATE_REFUSED
        broken_off = self.ticket.suspect and error.trouble is Trouble.GATEWAY and error.reached
        return error.trouble is Trouble.OURS or broken_off

    def _by_operator(self, applicant: Applicant) -> Issued:
        """Asks until somebody has let this device in. Raises Away, Refused."""
        order, code = make_order(applicant, self.ticket.now_ms), applicant.code
        network = look(urlsplit(self.ticket.enrol_url).hostname)
        desk, away = Desk(self._open()), 0
        while True:
            try:
                answer = self._once(desk, order)
            except Away:
                away += 1
                if away > MOST_AWAY:
                    raise
                self.wait(AWAY_S)
                continue
            if isinstance(answer, Issued):
                return answer
            retry_s, letters = answer
            if letters != code:
                raise NotOurs(progress.OTHER_LETTERS)
            self.say(
                Said(
                    state="code",
                    code=progress.spelled(code),
                    mac=network.mac,
                    addresses=network.addresses,
                )
            )
            away = 0
            self.wait(retry_s)

    def _once(self, desk: Desk, order: Order) -> Issued | tuple[int, str]:
        answer = desk.order(ENROLMENT, order, None)
        return answer if isinstance(answer, Issued) else (answer.retry_s, answer.code)

    def _mutual(self) -> Peer:
        authority = Path(self.ticket.operator_ca)

        def tls() -> ssl.SSLContext:
            return client_context(
                authority,
                self._path(CERTIFICATE),
                self._path(KEY),
                clock_tells=self.ticket.clock_tells,
            )

        return Peer(self.ticket.gateway_url, tls, self._floor_ms)

    def _open(self) -> Peer:
        pem = read_capped(Path(self.ticket.operator_ca), _PEM_CAP)
        der = x509.load_pem_x509_certificate(pem).public_bytes(Encoding.DER)
        tells = self.ticket.clock_tells
        return Peer(
            self.ticket.enrol_url, lambda: believing(der, clock_tells=tells), self._floor_ms
        )

    @property
    def _floor_ms(self) -> int | None:
        return None if self.ticket.clock_tells else self.ticket.now_ms

    def _path(self, name: str) -> Path:
        return Path(self.ticket.identity) / name
