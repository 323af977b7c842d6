"""What another terminal says of break-glass: believed of one of this ward, while it is of use.

The gateway passes on what it judged, the terminal's own envelope; this terminal judges it anew by
the register that it holds itself.
"""

from __future__ import annotations

import logging
from typing import Final

from contract.directory import TerminalState
from contract.emergency import MAX_EMERGENCY_BYTES, SHOWN_MS, Emergency
from contract.events import AlarmCode
from contract.signing import Envelope, SignatureRefused, VerifyKey, sha256
from contract.wire import WireError, decode_base64
from firmware_py.parts import Parts
from firmware_py.trust.custody import Custody
from firmware_py.trust.store import DirectoryDamaged, DirectoryFailed

LOG: Final = logging.getLogger("tapover.emergency")
AHEAD_MS: Final = 5 * 60 * 1000
"""Clocks of a site differ by less; offline a terminal says what it knows."""


def judge(data: bytes, parts: Parts) -> Emergency | None:
    """The emergency, where it is one of this ward, and lately; an alarm where it is none at all."""
    custody = parts.custody
    try:
        emergency = _opened(data, custody)
    except (WireError, SignatureRefused) as error:
        parts.sound(AlarmCode.PEER_REFUSED, sha256(data), str(error))
        return None
    except (DirectoryDamaged, DirectoryFailed) as error:
        LOG.warning("an emergency cannot be judged", extra={"why": str(error)})
        return None
    shown = emergency is not None and is_shown(emergency, custody.freshness().now_ms)
    return emergency if shown else None


def _opened(data: bytes, custody: Custody) -> Emergency | None:
    """Null: of another ward, or of a terminal that is not known here (yet; it is said again)."""
    if len(data) > MAX_EMERGENCY_BYTES:
        raise WireError(f"more than {MAX_EMERGENCY_BYTES} bytes")
    envelope = Envelope.from_bytes(data)
    said = Emergency.from_bytes(decode_base64(envelope.payload))
    place, peer = custody.place().terminal, custody.kept.directory.terminal(said.terminal)
    if place is None or peer is None or peer.state is not TerminalState.ACTIVE:
        return None
    if not place.ward == peer.ward == said.ward:
        return None
    emergency = Emergency.open(envelope, VerifyKey.from_base64(peer.batch_key))
    if emergency.site != custody.kept.keys.site:
        raise SignatureRefused("of another site")
    return emergency


def is_shown(emergency: Emergency, now_ms: int) -> bool:
    """Whether it is of use to anybody now."""
    age_ms = now_ms - emergency.opened.begins_ms
    return -AHEAD_MS <= age_ms < SHOWN_MS
