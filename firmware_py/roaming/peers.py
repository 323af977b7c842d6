"""What is said where another terminal is not believed: journal, alarm, at a bounded rate."""

from __future__ import annotations

import logging
from typing import Final, Literal

from contract.events import AlarmCode
from contract.ids import TerminalId
from contract.moving import MoveReason, MoveRefused
from contract.signing import sha256
from firmware_py.inside import Inside
from firmware_py.roaming.heard import Refused

LOG: Final = logging.getLogger("tapover.roaming")

QUIET_MS: Final = 60_000
"""Refusals of one reason are journalled once in so long, whoever caused them."""


class Peers:
    """Belongs to the consumer."""

    def __init__(self, inside: Inside) -> None:
        self._inside = inside
        self._said_ms: dict[MoveReason, int] = {}

    def refused(
        self,
        terminal: TerminalId,
        what: Literal["request", "handover", "taken", "pin", "downtime"],
        why: Refused,
        data: bytes,
    ) -> None:
        """Raises JournalFailed."""
        subject, now_ms = sha256(data), self._inside.parts.custody.monotonic_ms()
        last_ms = self._said_ms.get(why.reason)
        if last_ms is None or now_ms - last_ms >= QUIET_MS:
            self._said_ms[why.reason] = now_ms
            LOG.warning("a terminal is not believed", extra={"peer": terminal, "why": str(why)})
            refused = MoveRefused(terminal=terminal, what=what, reason=why.reason, subject=subject)
            self._inside.outage.note(refused)
        self._inside.parts.sound(AlarmCode.PEER_REFUSED, subject, f"{terminal}: {what}: {why}")
