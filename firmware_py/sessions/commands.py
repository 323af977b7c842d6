"""What the page asks of a session that is open: another position, to hold the screen, to join."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from contract.ids import PositionId, is_name


@dataclass(frozen=True, slots=True)
class PositionWanted:
    """Whoever is signed on goes on in another position."""

    position: PositionId


@dataclass(frozen=True, slots=True)
class HoldWanted:
    """The screen is to stay open for the people before it."""


@dataclass(frozen=True, slots=True)
class HoldOver:
    """They are done."""


@dataclass(frozen=True, slots=True)
class JoinWanted:
    """Who tapped at a held screen stands there too."""


@dataclass(frozen=True, slots=True)
class TakeOverWanted:
    """Who tapped at a held screen wants it for herself."""


Command = PositionWanted | HoldWanted | HoldOver | JoinWanted | TakeOverWanted


def _position(fields: dict[str, object]) -> PositionWanted:
    position = fields.pop("id", None)
    if not isinstance(position, str) or not is_name(position):
        raise ValueError("id is a position's id")
    return PositionWanted(PositionId(position))


READERS: Final[dict[str, Callable[[dict[str, object]], Command]]] = {
    "change_position": _position,
    "hold": lambda _: HoldWanted(),
    "unhold": lambda _: HoldOver(),
    "join": lambda _: JoinWanted(),
    "takeover": lambda _: TakeOverWanted(),
}
