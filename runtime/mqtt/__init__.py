"""One connection to the broker, over mutual TLS: the only importer of aiomqtt.

Kept small, since the receipts end to end carry the promise, not MQTT: a session is clean, the inbox
is bounded and discards what it cannot hold, and whoever publishes hears of the broker's PUBACK,
which is not durability. MQTT 5 by default, MQTT 3.1.1 as well; nothing here needs more than 3.1.1.
"""

from runtime.mqtt.link import MqttLink
from runtime.mqtt.port import (
    Broker,
    Limits,
    LinkDown,
    LinkError,
    Message,
    PayloadTooLarge,
    Protocol,
    Unacknowledged,
    Will,
)
from runtime.mqtt.tls import NO_CHECK_TIME, client_context

__all__ = [
    "NO_CHECK_TIME",
    "Broker",
    "Limits",
    "LinkDown",
    "LinkError",
    "Message",
    "MqttLink",
    "PayloadTooLarge",
    "Protocol",
    "Unacknowledged",
    "Will",
    "client_context",
]
