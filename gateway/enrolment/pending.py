"""Devices that wait for an operator's word: in memory, few, and soon forgotten.

A device that goes on asking is remembered; after a restart of the gateway it asks again with the
same keys, and so under the same eight letters. Nothing here is believed: an entry is what a
stranger said, shown to an operator beside the address it came from.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, replace
from typing import Final

from contract.enrolment import CheckedOrder, EnrolmentRefused, Refusal

# More than a site's terminals that lapsed in one cupboard; a stranger cannot fill more memory.
MOST_PENDING: Final = 256
# Devices that say they are one and the same terminal: the right one finds room beside a few others.
MOST_OF_ONE_NAME: Final = 4
KEPT_MS: Final = 30 * 60 * 1000
RETRY_S: Final = 10


@dataclass(frozen=True, slots=True)
class Waiting:
    """One device, as it said."""

    order: CheckedOrder
    code: str
    address: str
    first_ms: int
    last_ms: int
    is_refused: bool = False


class PendingOrders:
    """By their code. For any thread."""

    def __init__(self) -> None:
        self._waiting: dict[str, Waiting] = {}
        self._turn = threading.Lock()

    def put(self, order: CheckedOrder, address: str, now_ms: int) -> Waiting:
        """Remembers a device, again or anew. Raises EnrolmentRefused when there are too many.

        The letters are dear to compute: only for a device that has room.
        """
        with self._turn:
            self._forget(now_ms)
            known = next(
                (w for w in self._waiting.values() if _keys(w.order) == _keys(order)), None
            )
            if known is None:
                self._require_room(order)
        known = known or Waiting(order, order.code, address, now_ms, now_ms)
        if known.is_refused:
            raise EnrolmentRefused(Refusal.TERMINAL_UNKNOWN, "an operator refused this device")
        with self._turn:
            other = self._waiting.get(known.code)
            if other is None:
                self._require_room(order)
            elif _keys(other.order) != _keys(order):
                words = "another device waits under these letters: make new keys"
                raise EnrolmentRefused(Refusal.TOO_MANY, words)
            self._waiting[known.code] = replace(known, last_ms=now_ms, address=address)
            return self._waiting[known.code]

    def find(self, code: str, now_ms: int) -> Waiting | None:
        with self._turn:
            self._forget(now_ms)
            found = self._waiting.get(code)
            return None if found is None or found.is_refused else found

    def all(self, now_ms: int) -> list[Waiting]:
        """Those that an operator may decide on, the oldest first."""
        with self._turn:
            self._forget(now_ms)
            open_ones = [each for each in self._waiting.values() if not each.is_refused]
        return sorted(open_ones, key=lambda each: each.first_ms)

    def refuse(self, code: str) -> None:
        """It hears so until it has been quiet for half an hour."""
        with self._turn:
            self._waiting[code] = replace(self._waiting[code], is_refused=True)

    def done(self, code: str) -> None:
        with self._turn:
            self._waiting.pop(code, None)

    def _require_room(self, order: CheckedOrder) -> None:
        same = sum(
            each.order.request.terminal == order.request.terminal and not each.is_refused
            for each in self._waiting.values()
        )
        if same >= MOST_OF_ONE_NAME or len(self._waiting) >= MOST_PENDING:
            raise EnrolmentRefused(Refusal.TOO_MANY, "too many devices wait for an operator")

    def _forget(self, now_ms: int) -> None:
        # Also what seems to lie in the future: this machine's clock was set back.
        gone = [
            code
            for code, each in self._waiting.items()
            if not each.last_ms - KEPT_MS < now_ms < each.last_ms + KEPT_MS
        ]
        for code in gone:
            del self._waiting[code]


def _keys(order: CheckedOrder) -> tuple[str, bytes, bytes]:
    return order.request.terminal, order.key, order.batch_key
