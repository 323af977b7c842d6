"""A statement that a ward may go on without its gateway: a leaf of the log before anybody has it.

Whoever holds the folder of state appends it. While a gateway serves that is the gateway, which is
asked at a socket in that folder: the folder is its user's alone, and so is the socket; nobody but
that user and root is answered. One question a connection, one line each way.
"""

from __future__ import annotations

import asyncio
import logging
import os
import secrets
import socket
import struct
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar, Final, Literal

from contract.emergency import DowntimeStated, DowntimeStatement
from contract.ids import WardId, WardIdField
from contract.policy import DOWNTIME_CEILING_S
from contract.signing import Envelope
from contract.wire import Count, Record, WireError
from gateway.authority import Authority
from gateway.evidence.journal import Moment
from gateway.evidence.keeping import Evidence
from gateway.store import StoreFailed
from gateway.tiles import TileMissing
from runtime.clock import Clock
from runtime.settings import StartError

_log: Final = logging.getLogger(__name__)
SOCKET_FILE: Final = "gateway.sock"
MOST_MINUTES: Final = DOWNTIME_CEILING_S // 60
_MINUTE_MS: Final = 60_000
# A statement's envelope is under a kilobyte, and so is whatever is said instead.
LINE_CAP: Final = 8 * 1024
ASKED_S: Final = 5.0
"""Who connects has its question ready."""
ANSWER_S: Final = 60.0
"""Of a gateway that is busy: a commit may wait behind a large change of the directory."""
_CREDENTIALS: Final = struct.Struct("3i")
_OWN_MODE: Final = 0o600
_OTHER_USER: Final = "only the gateway's own user and root are answered: ask as one of them"


class NotStated(Exception):
    """Nothing was stated; the message says why."""


class Order(Record):
    """What is asked at the socket."""

    CAP: ClassVar[int] = 1024

    type: Literal["tapover/downtime-order/v1"] = "tapover/downtime-order/v1"
    ward: WardIdField
    minutes: Count


class _Refusal(Record):
    CAP: ClassVar[int] = LINE_CAP

    type: Literal["tapover/not-stated/v1"] = "tapover/not-stated/v1"
    words: str


def state(
    evidence: Evidence, known: Authority, order: Order, account: int, now: Moment
) -> Envelope:
    """The statement, valid from now, with the event that it was made; both are in the log.

    `account` is the machine's number of who asked. Blocks. Raises NotStated.
    """
    if not 1 <= order.minutes <= MOST_MINUTES:
        raise NotStated(f"downtime is stated for 1 to {MOST_MINUTES} minutes")
    statement = DowntimeStatement(
        site=known.site,
        ward=WardId(order.ward),
        begins_ms=now.wall_ms,
        until_ms=now.wall_ms + order.minutes * _MINUTE_MS,
        nonce=secrets.token_hex(32),
    )
    envelope = statement.seal(known.statement)
    stated = DowntimeStated(
        subject=envelope.digest, ward=order.ward, minutes=order.minutes, account=account
    )
    try:
        with evidence.log.appending() as work:
            work.add_statement(envelope)
            evidence.write_own(work, [stated], now)
    except (StoreFailed, TileMissing) as error:
        raise NotStated(f"the log did not take it: {error}") from error
    _log.warning("downtime is stated", extra={"ward": order.ward, "account": account})
    return envelope


class Door:
    """The running gateway's side. `run` is its part's task."""

    def __init__(self, folder: Path, evidence: Evidence, known: Authority, clock: Clock) -> None:
        """Listens; nobody is answered yet. Raises StartError."""
        try:
            self._bound = _listening(folder)
        except OSError as error:
            raise StartError(f"`state_dir`: {SOCKET_FILE}: {error}") from error
        self._folder = folder
        self._evidence = evidence
        self._known = known
        self._clock = clock

    async def run(self) -> None:
        """Until cancelled; then the socket is taken away."""
        try:
            async with await asyncio.start_unix_server(
                self._serve, sock=self._bound, limit=LINE_CAP
            ) as server:
                await server.serve_forever()
        finally:
            (self._folder / SOCKET_FILE).unlink(missing_ok=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            writer.write(await self._answer(reader, writer) + b"\n")
            await writer.drain()
        except (OSError, ValueError, TimeoutError) as error:
            _log.info("nobody was answered", extra={"why": type(error).__name__})
        finally:
            writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
        account = _account_of(writer.get_extra_info("socket"))
        # Read in any case: closed over an unread question, the answer would not arrive.
        async with asyncio.timeout(ASKED_S):
            line = await reader.readline()
        if account not in (0, os.geteuid()):
            return _Refusal(words=_OTHER_USER).to_bytes()
        try:
            order = Order.from_bytes(line.rstrip(b"\n"))
            envelope = await asyncio.to_thread(
                state, self._evidence, self._known, order, account, Moment.of(self._clock)
            )
        except (WireError, NotStated) as error:
            return _Refusal(words=str(error)).to_bytes()
        return envelope.to_bytes()


def ask(folder: Path, order: Order) -> Envelope:
    """The statement of the gateway that serves from this folder. Blocks. Raises NotStated."""
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as asking:
            asking.settimeout(ANSWER_S)
            _at(folder, asking.connect)
            asking.sendall(order.to_bytes() + b"\n")
            line = _line(asking)
    except OSError as error:
        raise NotStated(f"the gateway that serves does not answer ({error}): ask again") from error
    try:
        if line.startswith(b'{"payloadType"'):
            return Envelope.from_bytes(line)
        raise NotStated(_Refusal.from_bytes(line).words)
    except WireError as error:
        raise NotStated(f"the gateway that serves answers otherwise: {error}") from error


def _line(asking: socket.socket) -> bytes:
    answer = b""
    while not answer.endswith(b"\n") and len(answer) <= LINE_CAP:
        piece = asking.recv(LINE_CAP)
        if not piece:
            break
        answer += piece
    return answer.rstrip(b"\n")


def _listening(folder: Path) -> socket.socket:
    """We hold the folder's lock: a socket that lies there is nobody's. Raises OSError."""
    bound = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        (folder / SOCKET_FILE).unlink(missing_ok=True)
        _at(folder, bound.bind)
        (folder / SOCKET_FILE).chmod(_OWN_MODE)
        bound.listen()
    except OSError:
        bound.close()
        raise
    return bound


def _at(folder: Path, act: Callable[[str], None]) -> None:
    """By way of the folder's descriptor: a socket's whole path may have 107 bytes alone."""
    at = os.open(folder, os.O_PATH | os.O_DIRECTORY)
    try:
        act(f"/proc/self/fd/{at}/{SOCKET_FILE}")
    finally:
        os.close(at)


def _account_of(peer: socket.socket) -> int:
    data = peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    _, uid, _ = _CREDENTIALS.unpack(data)
    return int(uid)
