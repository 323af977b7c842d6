"""PC/SC as any client uses it: independent of the product's own adapter."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from smartcard import scard

PRESENT = scard.SCARD_STATE_PRESENT
EMPTY = scard.SCARD_STATE_EMPTY


class PcscError(Exception):
    def __init__(self, code: int) -> None:
        super().__init__(f"{code & 0xFFFFFFFF:08X}")
        self.code = code & 0xFFFFFFFF


def _ok(answer: tuple[int, ...]) -> tuple[int, ...]:
    if answer[0] != scard.SCARD_S_SUCCESS:
        raise PcscError(answer[0])
    return answer[1:]


@contextmanager
def context() -> Iterator[int]:
    (handle,) = _ok(scard.SCardEstablishContext(scard.SCARD_SCOPE_SYSTEM))
    try:
        yield handle
    finally:
        scard.SCardReleaseContext(handle)


def await_state(reader: str, wanted: int, timeout_s: float = 5.0) -> tuple[int, bytes]:
    """Event count and ATR once the reader's state has the ``wanted`` bit."""
    deadline = time.monotonic() + timeout_s
    state = scard.SCARD_STATE_UNAWARE
    with context() as handle:
        while (left := deadline - time.monotonic()) > 0:
            _, changed = scard.SCardGetStatusChange(handle, int(left * 1000), [(reader, state)])
            _, state, atr = changed[0]
            if state & wanted:
                return state >> 16, bytes(atr)
    raise TimeoutError(f"{reader} has state {state:08X}")


class Connection:
    """A CardChannel over PC/SC."""

    def __init__(self, handle: int, protocol: int) -> None:
        self._handle = handle
        self._protocol = protocol

    def transmit(self, apdu: bytes) -> bytes:
        (answer,) = _ok(scard.SCardTransmit(self._handle, self._protocol, list(apdu)))
        if not answer:  # how vpcd reports a card that left in the middle of a command
            raise PcscError(scard.SCARD_E_NOT_TRANSACTED)
        return bytes(answer)

    def reset(self) -> None:
        (self._protocol,) = _ok(
            scard.SCardReconnect(
                self._handle,
                scard.SCARD_SHARE_SHARED,
                scard.SCARD_PROTOCOL_ANY,
                scard.SCARD_RESET_CARD,
            )
        )


@contextmanager
def connect(reader: str) -> Iterator[Connection]:
    with context() as handle:
        card, protocol = _ok(
            scard.SCardConnect(handle, reader, scard.SCARD_SHARE_SHARED, scard.SCARD_PROTOCOL_ANY)
        )
        try:
            yield Connection(card, protocol)
        finally:
            scard.SCardDisconnect(card, scard.SCARD_RESET_CARD)
