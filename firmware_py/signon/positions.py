"""In which of her positions somebody works: picked by the ward, or chosen once a shift.

The rules:

* The ward may pick: who holds one of the roles in `pick` is not asked, and the first of them that
  she holds here is taken.
* Else she chooses by one touch, at the first tap of the shift, and is not asked again for
  `shift_s` at this terminal. Zero: nothing is remembered.
* What is remembered serves only while the directory and the ward still allow it: the decision is
  made anew at each tap (`decision`), and for the position that it comes to.
* Work parked in another position stays parked: it is another session.

What is remembered stands in memory; after a restart it is read again from the journal.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from contract.directory import Position
from contract.events import Event, SessionChange, SessionChanged
from contract.ids import HolderId, PositionId
from contract.policy import SHIFT_CEILING_S, Policy
from firmware_py.sessions.values import UNIDENTIFIED
from firmware_py.trust.sitetime import Moment

# One a holder; a shared terminal sees some dozens a shift. Beyond this the oldest is asked again.
MAX_REMEMBERED: Final = 512
_MS: Final = 1000


def picked(positions: tuple[Position, ...], policy: Policy) -> Position | None:
    """What the ward picks of several; null where it leaves the choice."""
    for role in policy.pick:
        if (first := next((p for p in positions if p.role == role), None)) is not None:
            return first
    return None


@dataclass(frozen=True, slots=True)
class _Chosen:
    position: PositionId
    at_ms: int


@dataclass(slots=True)
class Shifts:
    """Who works in which position since when (monotonic ms of this boot)."""

    _chosen: dict[HolderId, _Chosen] = field(default_factory=dict)

    def chose(self, holder: HolderId, position: PositionId, now_ms: int) -> None:
        """By her own touch: the shift begins, or begins anew."""
        self._chosen.pop(holder, None)
        self._chosen[holder] = _Chosen(position, now_ms)
        while len(self._chosen) > MAX_REMEMBERED:
            self._chosen.pop(next(iter(self._chosen)))

    def of(self, holder: HolderId, policy: Policy, now_ms: int) -> PositionId | None:
        """What she chose in this shift."""
        chosen = self._chosen.get(holder)
        if chosen is None or now_ms - chosen.at_ms >= policy.shift_s * _MS:
            return None
        return chosen.position


def rebuild(events: Iterable[Event], now: Moment) -> Shifts:
    """From the terminal's own journal: since when each one worked in the position she was last in.

    Events of another boot say nothing: their monotonic times are not ours.
    """
    shifts = Shifts()
    since: dict[HolderId, _Chosen] = {}
    for event in events:
        changed = event.detail
        if event.boot != now.boot or not isinstance(changed, SessionChanged):
            continue
        came = changed.change in (SessionChange.OPENED, SessionChange.RESUMED)
        if not came or changed.holder == UNIDENTIFIED:
            continue
        known = since.get(changed.holder)
        fresh = known is None or event.monotonic_ms - known.at_ms >= SHIFT_CEILING_S * _MS
        if known is None or fresh or known.position != changed.position:
            since[changed.holder] = _Chosen(changed.position, event.monotonic_ms)
    for holder, chosen in sorted(since.items(), key=lambda item: item[1].at_ms):
        shifts.chose(holder, chosen.position, chosen.at_ms)
    return shifts
