"""A broker with its authorities, and links to it: what tests of the wire start from."""

from __future__ import annotations

import ssl
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from benchmarks.ward.mosquitto import BrokerFiles, Mosquitto
from benchmarks.ward.ports import PortBlock
from runtime.mqtt import Broker, Limits, MqttLink, Protocol, Will, client_context
from tests.ward.pki import Authority, Issued

T7: Final = "ward-a-t7"
T8: Final = "ward-a-t8"


class BrokerSite:
    """Two authorities, as DESIGN has them, and a broker that knows both ends."""

    def __init__(self, ports: PortBlock, folder: Path) -> None:
        self.folder = folder
        self.terminals, self.operators = Authority("terminals"), Authority("operators")
        (folder / "operators.pem").write_bytes(self.operators.certificate)
        server = self.operators.server()
        files = BrokerFiles(
            server.certificate, server.key, self.terminals.certificate, self.terminals.crl()
        )
        self.mosquitto = Mosquitto(ports, files)

    def context(self, issued: Issued, name: str) -> ssl.SSLContext:
        return client_context(self.folder / "operators.pem", *issued.write(self.folder, name))

    def link(
        self,
        name: str,
        subscribe: Sequence[str] = (),
        *,
        issued: Issued | None = None,
        will: Will | None = None,
        limits: Limits | None = None,
        protocol: Protocol = Protocol.V5,
        port: int | None = None,
        patience_s: float = 5.0,
    ) -> MqttLink:
        owned = issued or self.terminals.client(name)
        broker = Broker(
            "127.0.0.1",
            port or self.mosquitto.port,
            name,
            keepalive_s=5,
            connect_timeout_s=patience_s,
            ack_timeout_s=patience_s,
            protocol=protocol,
        )
        return MqttLink(broker, lambda: self.context(owned, name), subscribe, will, limits)
