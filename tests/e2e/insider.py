"""Somebody who holds a part's own keys, and uses them for what that part would never send."""

from __future__ import annotations

import asyncio
import secrets
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from benchmarks.ward.site import SITE, Ward
from contract.directory import DirectoryChange, Entry
from contract.events import ClockTrust, Detail, Event
from contract.ids import BootId, Digest, JournalId, TerminalId, Version
from contract.journal import (
    BatchStatement,
    Receipt,
    chain_next,
    chain_start,
    join_lines,
)
from contract.signing import Envelope, SoftwareSigner, sha256
from contract.statements import Heartbeat
from contract.tap import DirectoryVersion
from contract.topics import FromTerminal, Site, ToTerminal, site_topic, terminal_topic
from contract.wire import decode_base64
from firmware_py.fetch import Gateway
from runtime.clock import SystemClock
from runtime.mqtt import Broker, Limits, Message, MqttLink, client_context

ANSWER_S = 10.0


@dataclass(frozen=True, slots=True)
class Insider:
    """A client of the broker under somebody else's certificate; that part must be off."""

    ward: Ward
    name: str
    certificate: Path
    key: Path

    @classmethod
    def gateway(cls, ward: Ward) -> Self:
        folder = ward.site.gateway
        return cls(ward, "gateway", folder / "gateway.crt.pem", folder / "gateway.key.pem")

    @classmethod
    def terminal(cls, ward: Ward, name: str) -> Self:
        folder = ward.site.terminal(TerminalId(name))
        return cls(ward, name, folder / "terminal.crt.pem", folder / "terminal.key.pem")

    def say(self, topic: str, *payloads: bytes, hear: Sequence[str] = ()) -> list[Message]:
        """Publishes, each acknowledged by the broker; with ``hear``, waits for as many answers."""
        return asyncio.run(self._say(topic, payloads, hear))

    def changes(self, after: Version) -> tuple[bytes, ...]:
        """What the gateway tells a terminal that catches up."""
        gateway = Gateway(("127.0.0.1", self.ward.https_port), self._tls, SystemClock())
        try:
            return asyncio.run(gateway.changes(after))
        finally:
            gateway.close()

    def _tls(self) -> ssl.SSLContext:
        return client_context(
            self.ward.site.gateway / "operator_ca.crt.pem", self.certificate, self.key
        )

    async def _say(
        self, topic: str, payloads: Sequence[bytes], hear: Sequence[str]
    ) -> list[Message]:
        broker = Broker("127.0.0.1", self.ward.broker.port, self.name)
        heard: list[Message] = []
        async with (
            asyncio.timeout(ANSWER_S),
            MqttLink(broker, self._tls, hear, limits=Limits(payload_bytes=1_000_000)) as link,
        ):
            for payload in payloads:
                await link.publish(topic, payload)
            while hear and len(heard) < len(payloads):
                heard += await link.take()
        return heard


class SetBack:
    """A gateway whose statements are signed by the site's own key, and older than they should be.

    What a restored disk, or a thief of the statement key, would send.
    """

    def __init__(self, ward: Ward) -> None:
        self._bus = Insider.gateway(ward)
        self._signer = SoftwareSigner.from_pem(
            (ward.site.gateway / "statement.key.pem").read_bytes()
        )

    def heartbeat(self, version: Version, head: Digest, issued_ms: int) -> bytes:
        """Names ``version`` as the newest; returns what was sent."""
        beat = Heartbeat(
            site=SITE,
            version=DirectoryVersion.of(version),
            head=head,
            checkpoint=None,
            issued_ms=issued_ms,
        )
        payload = beat.seal(self._signer).to_bytes()
        self._bus.say(site_topic(Site.HEARTBEAT), payload)
        return payload

    def change(self, version: Version, previous: Digest, *entries: Entry) -> bytes:
        """Makes ``version`` upon ``previous``; returns what was sent."""
        lines = [entry.to_bytes() for entry in entries]
        change = DirectoryChange(
            site=SITE,
            version=DirectoryVersion.of(version),
            previous=previous,
            request=None,
            issued_ms=SystemClock().wall_ms(),
            entries=tuple(sha256(line) for line in lines),
        )
        message = join_lines(change.seal(self._signer), lines)
        self.repeat(message)
        return message

    def repeat(self, message: bytes, channel: Site = Site.DIRECTORY) -> None:
        """Sends a statement as it was sent before."""
        self._bus.say(site_topic(channel), message)


class Thief:
    """Holds a terminal's two keys, and writes a journal under a second journal id."""

    def __init__(self, ward: Ward, terminal: str) -> None:
        self._bus = Insider.terminal(ward, terminal)
        self._terminal = TerminalId(terminal)
        pem = (ward.site.terminal(self._terminal) / "batch.key.pem").read_bytes()
        self.batch_key = SoftwareSigner.from_pem(pem)
        self._log_key = ward.site.gateway / "log.key.pem"
        self._clock = SystemClock()
        self.journal = JournalId(secrets.token_hex(16))
        self._events: list[bytes] = []
        self.chain = chain_start(self.journal)

    @property
    def next_sequence(self) -> int:
        return len(self._events)

    def write(self, detail: Detail) -> bytes:
        """One more event; its bytes."""
        event = Event(
            terminal=self._terminal,
            journal=self.journal,
            sequence=self.next_sequence,
            boot=BootId(self._clock.boot_id.replace("-", "")),
            monotonic_ms=self._clock.monotonic_ns() // 1_000_000,
            wall_ms=self._clock.wall_ms(),
            clock=ClockTrust.SITE,
            salt=secrets.token_hex(16),
            detail=detail,
        ).to_bytes()
        self._events.append(event)
        self.chain = chain_next(self.chain, sha256(event))
        return event

    def deliver(self) -> Receipt:
        """All of it as one batch, over the broker; the gateway's signed receipt."""
        digests = tuple(sha256(event) for event in self._events)
        batch = BatchStatement(
            terminal=self._terminal,
            journal=self.journal,
            first=0,
            previous=chain_start(self.journal),
            events=digests,
            holds=None,
        )
        message = join_lines(batch.seal(self.batch_key), self._events)
        (answer,) = self._bus.say(
            terminal_topic(self._terminal, FromTerminal.AUDIT),
            message,
            hear=[terminal_topic(self._terminal, ToTerminal.RECEIPT)],
        )
        signer = SoftwareSigner.from_pem(self._log_key.read_bytes())
        return Receipt.open(Envelope.from_bytes(answer.payload), signer.public)


def head_of(message: bytes) -> tuple[Version, Digest]:
    """The version that a change message makes, and the digest by which the next one names it."""
    envelope = Envelope.from_bytes(message.partition(b"\n")[0])
    change = DirectoryChange.from_bytes(decode_base64(envelope.payload))
    return change.version.value, envelope.digest
