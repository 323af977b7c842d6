"""What a link is asked and answers: the values and the errors of `runtime.mqtt`."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum


class LinkError(Exception):
    """The link did not do as asked."""


class LinkDown(LinkError):
    """There is no connection (any more). ``reason`` is for the log."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(reason)


class Unacknowledged(LinkError):
    """The broker has not acknowledged in time; whether it took the message is not known."""


class PayloadTooLarge(LinkError):
    """Longer than this link's cap: not sent."""


class Protocol(IntEnum):
    """Of MQTT; the values are those of the CONNECT packet."""

    V3_1_1 = 4
    V5 = 5


@dataclass(frozen=True, slots=True)
class Message:
    """What the broker delivered; ``payload`` is a peer's bytes, of at most the link's cap."""

    topic: str
    payload: bytes
    retain: bool


@dataclass(frozen=True, slots=True)
class Will:
    """What the broker publishes, at QoS 1, if we leave without goodbye."""

    topic: str
    payload: bytes
    retain: bool = True


@dataclass(frozen=True, slots=True)
class Broker:
    """Where and how to connect. The certificate's name must be ``host`` (or its IP address)."""

    host: str
    port: int
    client_id: str
    keepalive_s: int = 10
    connect_timeout_s: float = 5.0
    ack_timeout_s: float = 10.0
    protocol: Protocol = Protocol.V5


@dataclass(frozen=True, slots=True)
class Limits:
    """What a link holds in memory at most, and what it takes or sends at once."""

    payload_bytes: int = 256 * 1024
    inbox_messages: int = 2_000
    inbox_bytes: int = 16 * 1024 * 1024
    outbox_messages: int = 1_000
    in_flight: int = 64
