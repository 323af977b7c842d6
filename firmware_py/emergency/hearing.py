"""What another terminal says of break-glass: believed of one of this ward, while it is of use.

It comes from that terminal itself, or from the gateway, which passes on the terminal's own
envelope; in either case it is judged by the register that is held here. What a terminal says of
itself and the gateway has not said yet is also written down here: the power may go there before
anything has taken it.
"""

from __future__ import annotations

import logging
from collections import OrderedDict
from dataclasses import dataclass
from typing import Final

from contract.directory import TerminalState
from contract.emergency import (
    MAX_EMERGENCY_BYTES,
    SHOWN_MS,
    BreakGlassHeard,
    Emergency,
    is_shown,
)
from contract.events import AlarmCode
from contract.ids import TerminalId
from contract.signing import Envelope, SignatureRefused, VerifyKey, sha256
from contract.wire import WireError, decode_base64
from firmware_py.parts import Parts
from firmware_py.site.link import EmergencyHeard
from firmware_py.trust.custody import Custody
from firmware_py.trust.store import DirectoryDamaged, DirectoryFailed

LOG: Final = logging.getLogger("tapover.emergency")
WRITTEN_MAX: Final = 16
"""Of one terminal in `SHOWN_MS`: its worst night. Who says more fills no journal but its own."""
MAX_PEERS: Final = 256
"""More terminals than a ward has; those heard of longest ago begin anew."""


@dataclass(frozen=True, slots=True)
class Told:
    """An emergency of this ward; what is to be written down of it here, where it is new."""

    emergency: Emergency
    since_ms: int
    """Monotonic: when it began, or was heard of where that time cannot be."""
    heard: BreakGlassHeard | None


def judge(item: EmergencyHeard, parts: Parts) -> Told | None:
    """The emergency, where it is one of this ward, and lately; an alarm where it is none at all."""
    custody = parts.custody
    try:
        opened = _opened(item, custody)
    except (WireError, SignatureRefused) as error:
        parts.sound(AlarmCode.PEER_REFUSED, sha256(item.data), str(error))
        return None
    except (DirectoryDamaged, DirectoryFailed) as error:
        LOG.warning("an emergency cannot be judged", extra={"why": str(error)})
        return None
    if opened is None:
        return None
    envelope, emergency = opened
    now_ms, monotonic_ms = custody.freshness().now_ms, custody.monotonic_ms()
    if is_shown(emergency, now_ms):
        age_ms = max(0, now_ms - emergency.opened.begins_ms)
    elif item.terminal is None:
        return None
    else:  # after a power cut clocks may be hours apart; it is said by that terminal, and now
        age_ms = 0
    heard = _heard(envelope, emergency) if item.terminal is not None else None
    return Told(emergency, monotonic_ms - age_ms, heard)


def _opened(item: EmergencyHeard, custody: Custody) -> tuple[Envelope, Emergency] | None:
    """Null: of another ward, or of a terminal that is not known here (yet; it is said again)."""
    if len(item.data) > MAX_EMERGENCY_BYTES:
        raise WireError(f"more than {MAX_EMERGENCY_BYTES} bytes")
    envelope = Envelope.from_bytes(item.data)
    said = Emergency.from_bytes(decode_base64(envelope.payload))
    if item.terminal not in (None, said.terminal):
        raise SignatureRefused("of another terminal than says it")
    place, peer = custody.place().terminal, custody.kept.directory.terminal(said.terminal)
    if place is None or peer is None or peer.state is not TerminalState.ACTIVE:
        return None
    if not place.ward == peer.ward == said.ward:
        return None
    emergency = Emergency.open(envelope, VerifyKey.from_base64(peer.batch_key))
    if emergency.site != custody.kept.keys.site:
        raise SignatureRefused("of another site")
    return envelope, emergency


def _heard(envelope: Envelope, emergency: Emergency) -> BreakGlassHeard:
    opened = emergency.opened
    return BreakGlassHeard(
        subject=envelope.digest,
        terminal=emergency.terminal,
        session=opened.session,
        holder=opened.holder,
        guid=opened.guid,
        reason=opened.reason,
        state=opened.state,
        begins_ms=opened.begins_ms,
        kept=opened.kept,
    )


class WrittenDown:
    """How much of each terminal's word is journalled here. Belongs to the consumer."""

    def __init__(self) -> None:
        self._at_ms: OrderedDict[TerminalId, list[int]] = OrderedDict()
        """When (monotonic), of each terminal."""

    def takes(self, terminal: TerminalId, now_ms: int) -> bool:
        """Whether another one of its words is."""
        lately = [at for at in self._at_ms.pop(terminal, []) if now_ms - at < SHOWN_MS]
        self._at_ms[terminal] = lately
        while len(self._at_ms) > MAX_PEERS:
            self._at_ms.popitem(last=False)
        if len(lately) >= WRITTEN_MAX:
            return False
        lately.append(now_ms)
        return True
