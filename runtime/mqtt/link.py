"""The link: one connection, by aiomqtt. It is opened, falls once, and is replaced by the next."""

from __future__ import annotations

import asyncio
import logging
import math
import socket
import ssl
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from types import TracebackType
from typing import Any, Final, Self

import aiomqtt
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from runtime.logs import Trouble
from runtime.mqtt.port import (
    Broker,
    Limits,
    LinkDown,
    Message,
    PayloadTooLarge,
    Protocol,
    Unacknowledged,
    Will,
)
from runtime.mqtt.tls import Line

_log: Final = logging.getLogger(__name__)
_library_log: Final = logging.getLogger(f"{__name__}.library")
_library_log.setLevel(logging.CRITICAL)  # we say ourselves what went wrong, once

_HEADER_ROOM: Final = 1_024  # bytes of a packet besides its payload: topic and properties
_REFUSED: Final = 0x80  # reason codes from here on are failures (MQTT 5, section 2.4)
_FAREWELL_S: Final = 1.0  # a broker that does not take our goodbye is left without


class MqttLink:
    """One connection: an async context manager that is entered once.

    ``tls`` is called for the connection, so that a renewed certificate is used by the next link.
    """

    def __init__(
        self,
        broker: Broker,
        tls: Callable[[], ssl.SSLContext],
        subscribe: Sequence[str] = (),
        will: Will | None = None,
        limits: Limits | None = None,
    ) -> None:
        """Prepare; ``subscribe`` lists topic filters, taken at QoS 1."""
        self._broker = broker
        self._tls = tls
        self._subscribe = tuple(subscribe)
        self._will = will
        self._limits = limits or Limits()
        self._inbox: deque[Message] = deque()
        self._inbox_bytes = 0
        self._news = asyncio.Event()
        self._discarding = Trouble(_log, "holding what the broker sends")
        self._discarded = 0
        self._client: aiomqtt.Client | None = None
        self._watcher: asyncio.Task[None] | None = None
        self._down: asyncio.Future[LinkDown] = asyncio.get_running_loop().create_future()

    @property
    def discarded(self) -> int:
        """Messages that were too large, or came while the inbox was full."""
        return self._discarded

    async def __aenter__(self) -> Self:
        """Connect and subscribe. Raises LinkDown, or CertificateError from ``tls``."""
        broker, context = self._broker, self._tls()
        line = Line(asyncio.get_running_loop(), context)
        client = self._make_client(context)
        entering = asyncio.create_task(client.__aenter__())
        try:
            async with asyncio.timeout(broker.connect_timeout_s):
                await _either(entering, line.ended)
                if entering.done():
                    entering.result()
                line.still_there()
                self._watcher = asyncio.create_task(self._watch(client, line))
                await self._subscribe_all(client)
        except TimeoutError as error:
            await self._abandon(entering, line)
            raise LinkDown(f"no answer within {broker.connect_timeout_s:g} s") from error
        except aiomqtt.MqttError as error:
            reason = line.reason or str(error)
            await self._abandon(entering, line)
            raise LinkDown(reason) from error
        except BaseException:
            await self._abandon(entering, line)
            raise
        self._client = client
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Say goodbye, so that the will is not sent, and close."""
        client, watcher = self._client, self._watcher
        if client is None or watcher is None:
            return
        try:
            async with asyncio.timeout(_FAREWELL_S):
                await client.__aexit__(None, None, None)
        except (aiomqtt.MqttError, TimeoutError) as reason:
            _log.debug("no goodbye", extra={"reason": str(reason)})
        finally:
            await _cancelled(watcher)

    async def publish(
        self, topic: str, payload: bytes, *, qos: int = 1, retain: bool = False
    ) -> None:
        """Send; at QoS 1 return at the broker's PUBACK, at QoS 0 when it is written.

        Raises LinkDown, Unacknowledged or PayloadTooLarge. A broker that refuses the topic by its
        ACL looks like one that accepted.
        """
        client = self._standing()
        if len(payload) > self._limits.payload_bytes:
            raise PayloadTooLarge(f"{len(payload)} bytes for {topic} are too many")
        sending = asyncio.create_task(client.publish(topic, payload, qos, retain, timeout=math.inf))
        try:
            await _either(sending, self._down, self._broker.ack_timeout_s)
        finally:
            if not sending.done():
                await _cancelled(sending)
        if not sending.cancelled():
            try:
                return sending.result()
            except aiomqtt.MqttError as error:
                if not self._down.done():
                    raise LinkDown(f"cannot publish: {error}") from error
        if self._down.done():
            raise self._down.result()
        raise Unacknowledged(f"no PUBACK for {topic} within {self._broker.ack_timeout_s:g} s")

    async def take(self) -> list[Message]:
        """All that has arrived, in order: at least one message. Raises LinkDown after the last."""
        while not self._inbox:
            self._standing()
            self._news.clear()
            await self._news.wait()
        taken = list(self._inbox)
        self._inbox.clear()
        self._inbox_bytes = 0
        return taken

    async def messages(self) -> AsyncIterator[Message]:
        """One message after the other. Raises LinkDown after the last."""
        while True:
            for message in await self.take():
                yield message

    async def fallen(self) -> LinkDown:
        """Wait for the end of the connection; its reason."""
        return await asyncio.shield(self._down)

    def _standing(self) -> aiomqtt.Client:
        if self._down.done():
            raise self._down.result()
        if self._client is None:
            raise LinkDown("not connected")
        return self._client

    def _make_client(self, context: ssl.SSLContext) -> aiomqtt.Client:
        broker, limits, receive = self._broker, self._limits, self._receive

        class Inlet(asyncio.Queue[aiomqtt.Message]):
            """Hands each message over at once: the library's way costs a task a message."""

            def put_nowait(self, item: aiomqtt.Message) -> None:
                receive(item)

        five = broker.protocol is Protocol.V5
        properties = None
        if five:
            properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
            properties.MaximumPacketSize = limits.payload_bytes + _HEADER_ROOM
        will = self._will
        client = aiomqtt.Client(
            broker.host,
            broker.port,
            identifier=broker.client_id,
            protocol=aiomqtt.ProtocolVersion(broker.protocol),
            clean_session=None if five else True,
            properties=properties,
            keepalive=broker.keepalive_s,
            timeout=broker.connect_timeout_s,
            tls_context=context,
            queue_type=Inlet,
            logger=_library_log,
            max_queued_outgoing_messages=limits.outbox_messages,
            max_inflight_messages=limits.in_flight,
            socket_options=[
                (socket.IPPROTO_TCP, socket.TCP_NODELAY, 1),
                # A write that nobody confirms ends the connection as soon as silence would.
                (socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, broker.keepalive_s * 2_000),
            ],
            will=None
            if will is None
            else aiomqtt.Will(will.topic, will.payload, qos=1, retain=will.retain),
        )
        client.pending_calls_threshold = limits.outbox_messages  # above it, it logs each call
        return client

    async def _subscribe_all(self, client: aiomqtt.Client) -> None:
        if not self._subscribe:
            return
        answers = await client.subscribe([(topic, 1) for topic in self._subscribe])
        # Objects with a value in MQTT 5, plain numbers in 3.1.1, by the library's signature.
        codes = [each if isinstance(each, int) else each.value for each in answers]
        for topic, code in zip(self._subscribe, codes, strict=True):
            if code >= _REFUSED:
                raise LinkDown(f"the broker refuses the subscription to {topic}")

    def _receive(self, item: aiomqtt.Message) -> None:
        payload, limits = bytes(item.payload), self._limits
        if len(payload) > limits.payload_bytes:
            self._discard(f"{len(payload)} bytes on {item.topic.value} are too many")
        elif (
            len(self._inbox) >= limits.inbox_messages
            or self._inbox_bytes + len(payload) > limits.inbox_bytes
        ):
            self._discard("the inbox is full")
        else:
            self._inbox.append(Message(item.topic.value, payload, item.retain))
            self._inbox_bytes += len(payload)
            self._news.set()

    def _discard(self, reason: str) -> None:
        self._discarded += 1
        self._discarding.failed(reason)

    async def _watch(self, client: aiomqtt.Client, line: Line) -> None:
        """Learn of the end, however it shows first, and tell everybody who waits."""
        reading = asyncio.create_task(_until_disconnected(client))
        try:
            await _either(reading, line.ended)
            # The library learns its reason in the moment in which it closes the socket.
            await asyncio.wait({reading}, timeout=_FAREWELL_S)
            said = reading.result() if reading.done() else ""
            line.cut(said or "the connection is lost")
            self._down.set_result(LinkDown(line.reason))
        finally:
            await _cancelled(reading)
            if not self._down.done():
                self._down.set_result(LinkDown("closed by us"))
            self._news.set()

    async def _abandon(self, entering: asyncio.Task[Any], line: Line) -> None:
        line.cut("given up")
        await _cancelled(entering)
        if self._watcher is not None:
            await _cancelled(self._watcher)


async def _either(
    one: asyncio.Future[Any], other: asyncio.Future[Any], timeout_s: float | None = None
) -> None:
    await asyncio.wait({one, other}, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)


async def _until_disconnected(client: aiomqtt.Client) -> str:
    try:
        async for _ in client.messages:
            pass  # nothing comes this way: see Inlet
    except aiomqtt.MqttError as error:
        said = str(error.__cause__ or error)
        # The library's words for a socket that just ended.
        return "" if "Unspecified error" in said else said
    return ""


async def _cancelled(task: asyncio.Task[Any]) -> None:
    task.cancel()
    await asyncio.wait({task})
    if not task.cancelled():
        task.exception()  # seen: whoever cancels has a reason of his own to tell
