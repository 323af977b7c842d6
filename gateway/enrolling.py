"""What a gateway that enrols terminals has besides the others: made here, for `gateway.app`."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from socket import socket
from typing import Final

from cryptography import x509

from contract.directory import Entry, Removed, Terminal
from gateway.authority import Authority, open_context
from gateway.certificates.issuing import load_issuer
from gateway.certificates.revocation import Revocations
from gateway.certificates.takeover import Takeover
from gateway.directory.register import Register
from gateway.directory.source import Directory
from gateway.enrolment.admission import Answer, Enrolments
from gateway.enrolment.grants import Grants
from gateway.enrolment.pending import PendingOrders
from gateway.evidence.journal import Moment
from gateway.evidence.keeping import Evidence
from gateway.http import est
from gateway.http.grants import Enrolling, Ports
from gateway.http.listener import Listener
from gateway.link.publisher import Publisher
from gateway.settings import GatewaySettings
from gateway.store import Store, StoreFailed
from runtime.clock import Clock
from runtime.logs import Trouble

_log: Final = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Inner:
    """The gateway's parts that enrolment works on."""

    store: Store
    evidence: Evidence
    directory: Directory
    register: Register
    publisher: Publisher


class EnrolmentParts:
    """Listener, desk, revocation list. Make it in the running event loop."""

    def __init__(
        self,
        settings: GatewaySettings,
        clock: Clock,
        known: Authority,
        inner: Inner,
        listening: socket,
    ) -> None:
        """Raises CertificateError without the terminal CA's key."""
        store, evidence, directory = inner.store, inner.evidence, inner.directory
        register, publisher = inner.register, inner.publisher
        assert settings.crl_file is not None  # noqa: S101 - the settings say so
        self._publisher = publisher
        self._clock = clock
        self._meeting = Trouble(_log, "remembering a terminal's certificate")
        issuer = load_issuer(settings.identity_dir, known.site, known.terminals.before)
        self.enrolments = Enrolments(store, evidence, directory, register, known, issuer)
        pending = PendingOrders()
        self.revocations = Revocations(
            store,
            evidence,
            issuer,
            settings.crl_file,
            settings.broker_pid_file,
            Takeover(settings, known.broker, issuer, clock).end,
            clock,
        )
        self._loop = asyncio.get_running_loop()
        directory.listen(self._moved)
        desk = est.EnrolmentDesk(self.enrolments, pending, self.issued, known, clock)
        app = est.make_app(known, desk)
        self.listener = Listener(app, listening, open_context(known.terminals))
        grants = Grants(store, evidence, directory, known, self.enrolments, pending)
        ports = Ports(settings.enrol_port, settings.https_port, settings.broker_port)
        self.routes = Enrolling(grants, ports, self.issued)

    def issued(self, answer: Answer) -> None:
        """In the event loop: terminals hear of the newcomer, the broker of who went."""
        if answer.applied is not None:
            self._publisher.change(answer.applied)
        if answer.revoked:
            self.revocations.wake()

    def _moved(self, entries: Sequence[Entry]) -> None:
        """In any thread: somebody may have been retired."""
        if any(isinstance(entry, Terminal | Removed) for entry in entries):
            self._loop.call_soon_threadsafe(self.revocations.wake)

    def met(self, certificate: x509.Certificate) -> None:
        """A terminal shows a certificate. Raises EnrolmentRefused for a revoked one.

        That it cannot be written down keeps nobody out.
        """
        try:
            self.enrolments.meet(certificate, Moment.of(self._clock))
        except StoreFailed as error:
            self._meeting.failed(str(error))
        else:
            self._meeting.over()
