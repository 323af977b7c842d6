"""Vectors of PINs in the journal: one over the air, one changed, one that nobody is sure of."""

from __future__ import annotations

from collections.abc import Callable

from contract import events
from contract.ids import Guid, HolderId
from contract.pinning import PinChanged, PinContactless

_CARD, _HOLDER = Guid("6a" * 16), HolderId("h-amal")


def vectors(event: Callable[[int, events.Detail], bytes]) -> dict[str, bytes]:
    """Records by name, as their exact bytes."""
    return {
        "event-pin-contactless": event(20, PinContactless(record=19, guid=_CARD)),
        "event-pin-changed": event(
            21,
            PinChanged(
                record=19, guid=_CARD, holder=_HOLDER, interface="contact", result="changed"
            ),
        ),
        "event-pin-uncertain": event(
            22,
            PinChanged(
                record=None, guid=_CARD, holder=_HOLDER, interface="contactless", result="uncertain"
            ),
        ),
    }
