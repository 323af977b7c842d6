"""How many words of each other terminal are taken in: who floods is heard no more than others."""

from __future__ import annotations

from typing import Final

from contract.ids import TerminalId

# A tap a second at its busiest, and what is said around it; after a link heals, all at once.
BURST: Final = 60.0
A_SECOND: Final = 20.0
# More terminals than a hospital has; those heard of longest ago begin anew.
MAX_PEERS: Final = 4096
_S: Final = 1_000_000_000


class PeerRate:
    """A bucket a terminal."""

    def __init__(self) -> None:
        self._left: dict[TerminalId, tuple[float, int]] = {}
        """Words that each may still say, and when that was counted."""

    def takes(self, terminal: TerminalId, now_ns: int) -> bool:
        """Whether another of its words is taken in now (monotonic)."""
        left, at_ns = self._left.pop(terminal, (BURST, now_ns))
        left = min(BURST, left + A_SECOND * (now_ns - at_ns) / _S)
        taken = left >= 1
        self._left[terminal] = (left - 1 if taken else left, now_ns)
        if len(self._left) > MAX_PEERS:
            del self._left[next(iter(self._left))]
        return taken
