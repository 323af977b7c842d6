"""What a tap of Alice's card shows, for the tests of the sign-on decision."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from contract.directory import Slot
from contract.events import ClockTrust
from contract.ids import BootId, PositionId
from contract.policy import BreakGlass
from firmware_py.signon.decision import (
    Proof,
)
from firmware_py.signon.grace import ProvenPin
from firmware_py.trust.sitetime import Freshness, Moment
from hardware.readers import Interface
from tests.firmware.rights import (
    GUID,
    NOW_MS,
    TERMINAL,
    card_key,
)

BOOT = BootId("b0" * 16)
NOW = Moment(BOOT, 100_000_000)
HOUR_S = 3600
HOUR_MS = HOUR_S * 1000

NINE_E, NINE_A = Slot.CARD_AUTHENTICATION, Slot.PIV_AUTHENTICATION
TAP = Proof(GUID, Interface.CONTACTLESS, NINE_E, card_key(NINE_E))
PIN = Proof(GUID, Interface.CONTACT, NINE_A, card_key(NINE_A), pin_verified=True)
ONLINE = Freshness(ClockTrust.SITE, NOW_MS, 500, 0)
UNCONFIRMED = Freshness(ClockTrust.UNCONFIRMED, NOW_MS, None, 60_000)
BREAK_GLASS = BreakGlass(
    allowed=True, position=PositionId("emergency"), reasons=("ARREST",), limit_s=600
)


def proved(minutes_ago: float = 10, **changes: Any) -> ProvenPin:  # noqa: ANN401 - by field
    at = Moment(BOOT, NOW.monotonic_ms - int(minutes_ago * 60_000))
    fact = ProvenPin(GUID, card_key(NINE_A), TERMINAL, at, 7)
    return replace(fact, **changes)
