"""PC/SC: the only importer of pyscard (``smartcard.scard``, no monitor classes, no caches).

Three things that pcsc-lite demands, measured on 1.9.9:

* One context a thread. A call on a context in which another thread waits can freeze every PC/SC
  call of the process, so no context is ever shared, also not to release it.
* dwEventState is fed back whole, its counter included, or a swap of two cards goes unseen.
* Removal in the middle of a command is NOT_TRANSACTED (or an empty answer) first and REMOVED_CARD
  later: at the first failure a connection is dead.

``PCSCLITE_CSOCK_NAME`` in the environment names another pcscd's socket; the library reads it.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Final, Self, TypeVar

from smartcard import scard

from hardware.apdu import (
    CardGone,
    CardMisbehaved,
    CardTorn,
    HardwareError,
    ReaderError,
    ServiceError,
)
from hardware.readers import CardConnection, ReaderEvent, ReaderName, ReaderRules
from hardware.watch import Watch
from hardware.workers import CardWorkers, Lease

T = TypeVar("T")

_PNP: Final = r"\\?PnP?\Notification"
_OK: Final = 0
_TIMEOUT: Final = 0x8010000A
_NO_READERS: Final = 0x8010002E
_NOT_TRANSACTED: Final = 0x80100016

_CULPRITS: Final[dict[int, type[HardwareError]]] = {
    0x80100003: ServiceError,  # INVALID_HANDLE: pcscd restarted and knows the context no more
    0x80100006: ServiceError,  # NO_MEMORY: pcscd has no context left to give
    0x80100013: ServiceError,  # COMM_ERROR: pcscd was killed
    0x8010001D: ServiceError,  # NO_SERVICE
    0x8010001E: ServiceError,  # SERVICE_STOPPED
    0x8010006A: ServiceError,  # SECURITY_VIOLATION: polkit refuses this user
    0x8010000F: CardMisbehaved,  # PROTO_MISMATCH: neither T=0 nor T=1
    0x80100065: CardMisbehaved,  # UNSUPPORTED_CARD
    0x8010000C: CardGone,  # NO_SMARTCARD
    _NOT_TRANSACTED: CardTorn,
    0x80100066: CardGone,  # UNRESPONSIVE_CARD
    0x80100067: CardGone,  # UNPOWERED_CARD
    0x80100068: CardGone,  # RESET_CARD: somebody else reset it
    0x80100069: CardGone,  # REMOVED_CARD
}
"""Return codes of winscard.h by culprit; every other one is the reader's."""


def _check(code: int, what: str) -> None:
    unsigned = code & 0xFFFFFFFF
    if unsigned != _OK:
        culprit = _CULPRITS.get(unsigned, ReaderError)
        raise culprit(f"{what}: {scard.SCardGetErrorMessage(code).strip()} ({unsigned:08X})")


class Context:
    """One SCARDCONTEXT, for the thread that made it."""

    def __init__(self) -> None:
        """Connect to pcscd. Raises ServiceError."""
        code, self._handle = scard.SCardEstablishContext(scard.SCARD_SCOPE_SYSTEM)
        _check(code, "connect to pcscd")
        self._list_state = 0

    def close(self) -> None:
        """Release it; a dead service has released it already."""
        scard.SCardReleaseContext(self._handle)

    def list_readers(self) -> tuple[ReaderName, ...]:
        """Names now, in pcscd's order. Raises ServiceError."""
        code, names = scard.SCardListReaders(self._handle, [])
        if code & 0xFFFFFFFF == _NO_READERS:
            return ()
        _check(code, "list readers")
        return tuple(ReaderName(name) for name in names)

    def wait_list(self, timeout_s: float) -> None:
        """Return at the next change of the list or after ``timeout_s``. Raises ServiceError."""
        seen = self._wait(_PNP, self._list_state, timeout_s)
        if seen is not None:
            self._list_state = seen[0]

    def wait_reader(
        self, reader: ReaderName, known: int, timeout_s: float
    ) -> tuple[int, bytes] | None:
        """DwEventState and ATR once they differ from ``known``; None after ``timeout_s``."""
        return self._wait(reader, known, timeout_s)

    def _wait(self, name: str, known: int, timeout_s: float) -> tuple[int, bytes] | None:
        code, states = scard.SCardGetStatusChange(
            self._handle, round(timeout_s * 1000), [(name, known)]
        )
        if code & 0xFFFFFFFF == _TIMEOUT:
            return None
        _check(code, f"watch {name}")
        _, event_state, atr = states[0]
        return event_state, bytes(atr)

    def connect(self, reader: ReaderName) -> tuple[int, int]:
        """Card handle and protocol, exclusive and freshly reset. Raises as PcscConnection."""
        protocols = scard.SCARD_PROTOCOL_T0 | scard.SCARD_PROTOCOL_T1
        code, card, _ = scard.SCardConnect(
            self._handle, reader, scard.SCARD_SHARE_EXCLUSIVE, protocols
        )
        _check(code, f"connect to the card in {reader}")
        code, protocol = scard.SCardReconnect(
            card, scard.SCARD_SHARE_EXCLUSIVE, protocols, scard.SCARD_RESET_CARD
        )
        try:
            _check(code, f"reset the card in {reader}")
        except HardwareError:
            scard.SCardDisconnect(card, scard.SCARD_RESET_CARD)
            raise
        return card, protocol


class PcscConnection:
    """Exclusive use of the card in a reader, on a context of its own."""

    def __init__(self, reader: ReaderName, lease: Lease, monotonic_ns: Callable[[], int]) -> None:
        """Take and reset the card.

        Raises CardGone, CardMisbehaved, ReaderError or ServiceError.
        """
        begin = monotonic_ns()
        self.reader = reader
        self._lease = lease
        self._failed: type[HardwareError] | None = None
        self._at_close = contextlib.ExitStack()
        self._context = Context()
        try:
            self._card, protocol = self._context.connect(reader)
        except HardwareError:
            self._context.close()
            raise
        t0 = protocol == scard.SCARD_PROTOCOL_T0
        self._pci = scard.SCARD_PCI_T0 if t0 else scard.SCARD_PCI_T1
        self.connect_ns = monotonic_ns() - begin

    @property
    def atr(self) -> bytes:
        """What the card answered to the reset. Raises CardTransportError."""
        code, _, _, _, atr = scard.SCardStatus(self._card)
        _check(code, "card status")
        return bytes(atr)

    def transmit(self, apdu: bytes) -> bytes:
        """One exchange; see CardChannel. After the first failure there is no other."""
        self._lease.check()
        if self._failed is not None:
            raise self._failed("the connection has failed before")
        code, answer = scard.SCardTransmit(self._card, self._pci, list(apdu))
        try:
            _check(code, "exchange with the card")
            if not answer:  # how vpcd's driver tells that the card left while it computed
                raise CardTorn("exchange with the card: an empty answer")
        except HardwareError as error:
            self._failed = type(error)
            raise
        self._lease.check()
        return bytes(answer)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Reset and let go. A card that has left needs neither, so codes are not looked at."""
        with self._at_close:
            scard.SCardDisconnect(self._card, scard.SCARD_RESET_CARD)
            self._context.close()

    def at_close(self, call: Callable[[], None]) -> None:
        """Have ``call`` made once the card has been let go."""
        self._at_close.callback(call)


class PcscReaders:
    """The readers of this machine, by its pcscd; implements ``hardware.readers.Readers``."""

    def __init__(self, rules: ReaderRules, monotonic_ns: Callable[[], int]) -> None:
        """Classify readers by ``rules``; stamp events with ``monotonic_ns``."""
        self._rules = rules
        self._monotonic_ns = monotonic_ns
        self._workers = CardWorkers(self._take)
        self._watch: Watch | None = None

    @property
    def abandoned(self) -> int:
        """Threads stuck in a card that hangs, at this moment."""
        return self._workers.abandoned

    def start(self, sink: Callable[[ReaderEvent], None]) -> None:
        """Begin to watch; ``sink`` is called in the running event loop's thread."""
        loop = asyncio.get_running_loop()

        def deliver(event: ReaderEvent) -> None:
            if self._watch is watch:
                sink(event)

        def post(event: ReaderEvent) -> None:
            # A closed loop means that the process is on its way out: nobody is left to tell.
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(deliver, event)

        self.stop()
        self._watch = watch = Watch(self._rules, Context, self._monotonic_ns, post)
        watch.start()

    def stop(self) -> None:
        """Stop watching; from the loop's thread, and no event reaches the sink afterwards."""
        if self._watch is not None:
            self._watch.stop()
            self._watch = None

    def connect(self, reader: ReaderName) -> CardConnection:
        """Take the card in ``reader``. Blocking, without a deadline: for tools and tests."""
        turn = self._workers.turn(reader)
        turn.acquire()
        try:
            connection = self._take(reader, Lease())
        except BaseException:
            turn.release()
            raise
        connection.at_close(turn.release)
        return connection

    def with_card(
        self, reader: ReaderName, work: Callable[[CardConnection], T], deadline_s: float
    ) -> Awaitable[T]:
        """Await the result of ``work`` on the card in ``reader``; CardHung at the deadline."""
        return self._workers.run(reader, work, deadline_s)

    def _take(self, reader: ReaderName, lease: Lease) -> PcscConnection:
        return PcscConnection(reader, lease, self._monotonic_ns)
