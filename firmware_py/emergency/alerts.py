"""Break-glass on the ward, for the nurse in charge: at once, and at her own screen (DESIGN §5).

What a terminal of this ward signed, whether it says so itself or the gateway passes it on, is kept
for some hours and shown where a lead of the ward is signed on: which screen, whose initials, why,
how long ago. Nobody else is told anything. It is for help, not for proof: what is proven stands in
the log.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Final

from contract.emergency import SHOWN_MS, Emergency, crowded_out
from contract.events import AlarmCode
from contract.ids import SessionId, TerminalId
from firmware_py.emergency import words
from firmware_py.inside import Inside, Panel
from firmware_py.items import Item
from firmware_py.site.link import EmergencyHeard

if TYPE_CHECKING:
    from firmware_py.emergency.hearing import Told, WrittenDown

MOST_SHOWN: Final = 16
"""A screenful; who sees so many calls for help, and does not read on."""
_STEP_S: Final = 10


class AlertsLine:
    """Belongs to the consumer."""

    name = "alerts"

    def __init__(self, inside: Inside) -> None:
        self._inside = inside
        self._known: OrderedDict[tuple[TerminalId, SessionId], tuple[Emergency, int]] = (
            OrderedDict()
        )
        """Each with when it began (monotonic ms)."""
        self._written: WrittenDown | None = None

    def takes(self, item: Item) -> bool:
        """Whether the item was for us; then it is dealt with. Raises JournalFailed."""
        if not isinstance(item, EmergencyHeard):
            return False
        from firmware_py.emergency.hearing import judge  # noqa: PLC0415 - when there is one

        told = judge(item, self._inside.parts)
        if told is not None and self._is_news(told.emergency):
            self._keep(told.emergency, told.since_ms)
            self._write_down(told)
        return True

    def add(self, emergency: Emergency) -> None:
        """One of this terminal's own."""
        if self._is_news(emergency):
            self._keep(emergency, self._inside.parts.custody.monotonic_ms())

    def _is_news(self, emergency: Emergency) -> bool:
        """The same one again changes nothing, whoever says it."""
        return (emergency.terminal, emergency.opened.session) not in self._known

    def _keep(self, emergency: Emergency, since_ms: int) -> None:
        self._known[emergency.terminal, emergency.opened.session] = (emergency, since_ms)
        while len(self._known) > MOST_SHOWN:
            said = list(self._known)
            del self._known[said[crowded_out([terminal for terminal, _ in said])]]

    def _write_down(self, told: Told) -> None:
        from firmware_py.emergency.hearing import WrittenDown  # noqa: PLC0415 - as above

        if (heard := told.heard) is None:
            return
        self._written = self._written or WrittenDown()
        now_ms = self._inside.parts.custody.monotonic_ms()
        if self._written.takes(heard.terminal, now_ms):
            self._inside.outage.note(heard)
        else:
            why = f"{heard.terminal} breaks the glass more often than a ward does"
            self._inside.parts.sound(AlarmCode.PEER_REFUSED, heard.subject, why)

    def panel(self) -> Panel | None:
        """What the lead sees; null for everybody else."""
        if not self._known or not self._lead_is_here():
            return None
        now_ms = self._inside.parts.custody.monotonic_ms()
        shown = reversed(self._known.values())
        return {"list": [self._line(one, now_ms - since_ms) for one, since_ms in shown]}

    def _line(self, emergency: Emergency, age_ms: int) -> dict[str, object]:
        opened = emergency.opened
        card = None
        if opened.holder is not None and opened.guid is not None:
            card = self._inside.parts.custody.entitlement(opened.guid)
        return {
            "terminal": emergency.terminal,
            "initials": card.name.initials if card else "?",
            "reason": words.reason(opened.reason),
            "age_s": max(0, age_ms) // 1000 // _STEP_S * _STEP_S,
        }

    def _lead_is_here(self) -> bool:
        from contract.administration import led_by  # noqa: PLC0415 - when there is an alert

        custody, visible = self._inside.parts.custody, self._inside.stage.visible
        now_ms = custody.monotonic_ms()
        over = [key for key, (_, since_ms) in self._known.items() if now_ms - since_ms >= SHOWN_MS]
        for key in over:
            del self._known[key]
        if visible is None or visible.guid is None:
            return False
        card, ward = custody.entitlement(visible.guid), self._inside.policy().ward
        positions = card.positions if card and card.holder == visible.holder else ()
        held = [position for position in positions if position.id == visible.position]
        return any(ward in led_by(position) for position in held)
