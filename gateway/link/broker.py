"""The gateway's connection to the broker: one session after another, under a supervisor.

What terminals say goes to ingest and fleet; what the gateway says, the publisher sends while the
session stands.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Final

from contract.topics import GATEWAY, FromTerminal, TerminalTopic, any_terminal, parse_topic
from contract.wire import WireError
from gateway.authority import Tls
from gateway.link.fleet import Fleet
from gateway.link.ingest import Ingest
from gateway.link.publisher import LARGEST_BYTES, Publisher
from gateway.settings import GatewaySettings
from runtime.logs import Trouble
from runtime.mqtt import Broker, Limits, Message, MqttLink, client_context

_log: Final = logging.getLogger(__name__)
# 2,000 ordinary batches of 16 KiB; what is larger than the largest batch is not looked at.
LIMITS: Final = Limits(
    payload_bytes=LARGEST_BYTES,
    inbox_messages=2_000,
    inbox_bytes=64 * 1024 * 1024,
)


class BrokerSession:
    """A supervisor's session."""

    def __init__(
        self,
        settings: GatewaySettings,
        tls: Tls,
        ingest: Ingest,
        fleet: Fleet,
        publisher: Publisher,
    ) -> None:
        self._broker = Broker(settings.broker_host, settings.broker_port, GATEWAY)
        self._tls = tls
        self._ingest = ingest
        self._fleet = fleet
        self._publisher = publisher
        self._strange = Trouble(_log, "reading a topic")

    async def run(self, stands: Callable[[], None]) -> None:
        """One connection, until it falls. Raises LinkDown, CertificateError."""
        tls = self._tls
        link = MqttLink(
            self._broker,
            lambda: client_context(tls.authority, tls.certificate, tls.key),
            subscribe=[any_terminal(FromTerminal.AUDIT), any_terminal(FromTerminal.STATUS)],
            limits=LIMITS,
        )
        async with link:
            stands()
            self._publisher.attach(link)
            try:
                async for message in link.messages():
                    await self._take(message)
            finally:
                self._publisher.detach()

    async def _take(self, message: Message) -> None:
        try:
            topic = parse_topic(message.topic)
        except WireError as error:
            self._strange.failed(str(error))
            return
        match topic:
            case TerminalTopic(terminal, FromTerminal.AUDIT):
                await self._ingest.offer(terminal, message.payload)
            case TerminalTopic(terminal, FromTerminal.STATUS):
                self._fleet.take(terminal, message.payload)
            case _:
                pass  # nothing else is subscribed to
