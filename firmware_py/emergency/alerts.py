"""Break-glass on the ward, for the nurse in charge: at once, and at her own screen (DESIGN §5).

What a terminal of this ward signed is kept for some hours and shown where a lead of the ward is
signed on: which screen, whose initials, why, how long ago. Nobody else is told anything. It is for
help, not for proof: what is proven stands in the log.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Final

from contract.emergency import crowded_out
from contract.ids import SessionId, TerminalId
from firmware_py.emergency import words
from firmware_py.inside import Inside, Panel
from firmware_py.items import Item
from firmware_py.site.link import EmergencyHeard

if TYPE_CHECKING:
    from contract.emergency import Emergency

MOST_SHOWN: Final = 16
"""A screenful; who sees so many calls for help, and does not read on."""
_STEP_S: Final = 10


class AlertsLine:
    """Belongs to the consumer."""

    name = "alerts"

    def __init__(self, inside: Inside) -> None:
        self._inside = inside
        self._known: OrderedDict[tuple[TerminalId, SessionId], Emergency] = OrderedDict()

    def takes(self, item: Item) -> bool:
        """Whether the item was for us; then it is dealt with."""
        if not isinstance(item, EmergencyHeard):
            return False
        from firmware_py.emergency.hearing import judge  # noqa: PLC0415 - when there is one

        if (emergency := judge(item.data, self._inside.parts)) is not None:
            self.add(emergency)
        return True

    def add(self, emergency: Emergency) -> None:
        """One of this ward; the same one again changes nothing."""
        self._known.setdefault((emergency.terminal, emergency.opened.session), emergency)
        while len(self._known) > MOST_SHOWN:
            said = list(self._known)
            del self._known[said[crowded_out([terminal for terminal, _ in said])]]

    def panel(self) -> Panel | None:
        """What the lead sees; null for everybody else."""
        if not self._known or not self._lead_is_here():
            return None
        now_ms = self._inside.parts.custody.freshness().now_ms
        return {"list": [self._line(one, now_ms) for one in reversed(self._known.values())]}

    def _line(self, emergency: Emergency, now_ms: int) -> dict[str, object]:
        opened = emergency.opened
        card = None
        if opened.holder is not None and opened.guid is not None:
            card = self._inside.parts.custody.entitlement(opened.guid)
        age_s = max(0, now_ms - opened.begins_ms) // 1000
        return {
            "terminal": emergency.terminal,
            "initials": card.name.initials if card else "?",
            "reason": words.reason(opened.reason),
            "age_s": age_s // _STEP_S * _STEP_S,
        }

    def _lead_is_here(self) -> bool:
        from contract.administration import led_by  # noqa: PLC0415 - when there is an alert
        from firmware_py.emergency.hearing import is_shown  # noqa: PLC0415 - as above

        custody, visible = self._inside.parts.custody, self._inside.stage.visible
        now_ms = custody.freshness().now_ms
        over = [key for key, one in self._known.items() if not is_shown(one, now_ms)]
        for key in over:
            del self._known[key]
        if visible is None or visible.guid is None:
            return False
        card, ward = custody.entitlement(visible.guid), self._inside.policy().ward
        positions = card.positions if card and card.holder == visible.holder else ()
        held = [position for position in positions if position.id == visible.position]
        return any(ward in led_by(position) for position in held)
