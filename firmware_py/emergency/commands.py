"""What a person can do at the screen in an emergency; the page has waited for a long press."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

_REASON: Final = re.compile(r"[A-Z0-9][A-Z0-9:_-]{0,31}")


@dataclass(frozen=True, slots=True)
class BreakGlass:
    """Held for 1.5 s, and one of the ward's reasons touched."""

    reason: str


@dataclass(frozen=True, slots=True)
class BreakGlassColleague:
    """A colleague is on her way: wait on for her card."""


@dataclass(frozen=True, slots=True)
class BreakGlassAlone:
    """Nobody is: to read is enough."""


@dataclass(frozen=True, slots=True)
class DowntimeWanted:
    """Two people are about to declare it, or to renew it."""


@dataclass(frozen=True, slots=True)
class DowntimeOver:
    """Somebody is about to declare that it is over."""


EmergencyCommand = (
    BreakGlass | BreakGlassColleague | BreakGlassAlone | DowntimeWanted | DowntimeOver
)


def _break_glass(fields: dict[str, object]) -> BreakGlass:
    reason = fields.pop("reason", None)
    if not isinstance(reason, str) or not _REASON.fullmatch(reason):
        raise ValueError("reason is a reason's code")
    return BreakGlass(reason)


READERS: Final[dict[str, Callable[[dict[str, object]], EmergencyCommand]]] = {
    "breakglass": _break_glass,
    "breakglass_colleague": lambda _: BreakGlassColleague(),
    "breakglass_alone": lambda _: BreakGlassAlone(),
    "downtime": lambda _: DowntimeWanted(),
    "downtime_end": lambda _: DowntimeOver(),
}
