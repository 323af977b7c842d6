"""How a card behaves when it is held to a reader: interface, timing, faults.

Timing profiles are simulated and must be named wherever their figures are shown. Their numbers
come from public measurements of cards (JCAlgTest: P-256 signature median 58 ms, 12.7 to 146;
RSA-2048 median 185 ms, 60 to 676; 11.8 kB/s at 106 kbit/s).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from hardware.readers import Interface
from hardware.virtual.applet import AS_THE_STANDARD_SAYS, Quirks
from hardware.virtual.faults import Fault
from hardware.virtual.names import Access, Work

ATR: Final = bytes.fromhex("3B8A80017461706F7665722D31760A")
"""T=1, historical bytes "tapover-1v"; the same for every card, as in a hospital's one batch."""


@dataclass(frozen=True, slots=True)
class Profile:
    """Duration of an exchange, in seconds: a share each, one a byte both ways, one a signature."""

    name: str
    exchange_s: float = 0.0
    byte_s: float = 0.0
    ec_s: float = 0.0
    rsa_s: float = 0.0

    def duration_s(self, bytes_moved: int, work: Work) -> float:
        """How long the card takes for an exchange of ``bytes_moved`` that computed ``work``."""
        computing = {Work.NONE: 0.0, Work.EC: self.ec_s, Work.RSA: self.rsa_s}[work]
        return self.exchange_s + self.byte_s * bytes_moved + computing


_CONTACTLESS_BYTE_S: Final = 1 / 11_800

INSTANT: Final = Profile("instant")
FAST: Final = Profile("fast", 0.007, 0.0, 0.035, 0.060)
TYPICAL: Final = Profile("typical", 0.020, _CONTACTLESS_BYTE_S, 0.060, 0.185)
SLOW: Final = Profile("slow", 0.030, _CONTACTLESS_BYTE_S, 0.150, 0.450)

PROFILES: Final = {one.name: one for one in (INSTANT, FAST, TYPICAL, SLOW)}
"""By name. ``fast`` is a contact card; ``typical`` and ``slow`` are contactless ones."""


@dataclass(frozen=True, slots=True)
class Behaviour:
    """One card's way in one reader. The default: contact, instant, as the standard says."""

    access: Access = Access.CONTACT
    profile: Profile = INSTANT
    quirks: Quirks = AS_THE_STANDARD_SAYS
    faults: tuple[Fault, ...] = ()
    atr: bytes = ATR

    @property
    def interface(self) -> Interface:
        """How the card touches the reader."""
        return Interface.CONTACT if self.access is Access.CONTACT else Interface.CONTACTLESS
