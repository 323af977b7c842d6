"""Ending a live session at the broker: whoever connects under a name takes its session over.

The broker does not look at its revocation list again for a connection that stands. So the gateway,
which holds the terminal CA, makes itself a certificate of the retired terminal's name for one
minute, connects once, and stays a moment: if the retired one is let in again, it takes the session
back, and that is seen here.
"""

from __future__ import annotations

import asyncio
import secrets
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from contract.certificates import spki
from contract.ids import TerminalId
from gateway.authority import Tls
from gateway.certificates.issuing import TAKEOVER_LIFE, Issuer
from gateway.certificates.revocation import SessionNotEnded
from gateway.settings import GatewaySettings
from runtime.clock import Clock
from runtime.durable import StorageError, remove, write_file
from runtime.mqtt import Broker, LinkError, MqttLink, client_context
from runtime.settings import CertificateError

# A terminal that was cut off comes back within half a second at first (runtime.supervisor).
HOLD_S: Final = 2.0
_TRIES: Final = 3


class Takeover:
    """For one event loop."""

    def __init__(
        self, settings: GatewaySettings, broker: Tls, issuer: Issuer, clock: Clock
    ) -> None:
        self._settings = settings
        self._broker = broker
        self._issuer = issuer
        self._clock = clock

    async def end(self, terminal: TerminalId) -> None:
        """Raises SessionNotEnded."""
        reason = ""
        for _ in range(_TRIES):
            try:
                if await self._hold(terminal):
                    return
                reason = "the broker lets it in again"
            except (LinkError, CertificateError, StorageError) as error:
                reason = str(error)
        raise SessionNotEnded(reason)

    async def _hold(self, terminal: TerminalId) -> bool:
        """Connects under the name; whether nobody took it back."""
        folder = self._settings.state_dir
        # Named as leftovers are, so that a start after a power cut removes them.
        stem = f".takeover-{secrets.token_hex(4)}"
        certificate, key = folder / f"{stem}.crt.tmp", folder / f"{stem}.key.tmp"
        try:
            self._make(terminal, certificate, key)
            broker = Broker(self._settings.broker_host, self._settings.broker_port, terminal)
            link = MqttLink(
                broker, lambda: client_context(self._broker.authority, certificate, key)
            )
            async with link:
                try:
                    async with asyncio.timeout(HOLD_S):
                        await link.fallen()
                except TimeoutError:
                    return True
            return False
        finally:
            for path in (certificate, key):
                if path.exists():
                    remove(path)

    def _make(self, terminal: TerminalId, certificate: Path, key: Path) -> None:
        made = ec.generate_private_key(ec.SECP256R1())
        issued = self._issuer.issue(
            terminal, spki(made.public_key()), self._clock.wall_ms(), TAKEOVER_LIFE
        )
        pem = made.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        write_file(key, pem)
        write_file(certificate, issued.certificate.public_bytes(serialization.Encoding.PEM))
