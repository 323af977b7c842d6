"""Batches that come again: what waits to be judged is dropped, what was just judged is told again.

A terminal sends again what has no receipt, and at a loaded site receipts are late. To verify each
repeat would make the site later still, until it verifies nothing else. A message is known again by
the terminal on whose topic it came and the digest of all its bytes: so nothing is believed here
that was not verified before.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

from contract.ids import Digest, TerminalId
from contract.signing import Envelope

# A thousand terminals with their windows of four; a receipt is some 600 bytes, all of them 3 MB.
MAX_TOLD: Final = 4096

Key = tuple[TerminalId, Digest]


class Repeats:
    """Lives in the event loop. The receipts longest unasked for are forgotten first."""

    def __init__(self) -> None:
        self._waiting: set[Key] = set()
        self._told: OrderedDict[Key, Envelope] = OrderedDict()

    def waits(self, key: Key) -> bool:
        """Whether it is under way already; from now on it is. Bounded by the queue it is in."""
        if key in self._waiting:
            return True
        self._waiting.add(key)
        return False

    def over(self, key: Key) -> None:
        """It was judged, refused or lost: the next like it is looked at."""
        self._waiting.discard(key)

    def tell(self, key: Key, receipt: Envelope) -> None:
        """Keep what was answered. For a place in the log alone: a gap's answer changes."""
        self._told[key] = receipt
        self._told.move_to_end(key)
        if len(self._told) > MAX_TOLD:
            self._told.popitem(last=False)

    def told(self, key: Key) -> Envelope | None:
        """What was answered before."""
        if (receipt := self._told.get(key)) is not None:
            self._told.move_to_end(key)
        return receipt
