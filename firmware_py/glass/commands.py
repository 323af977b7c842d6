"""What every desk may hear from the page: digits, a choice, activity, leaving, turning down."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from contract.ids import PositionId, is_name
from hardware.piv import Pin


@dataclass(frozen=True, slots=True)
class PinEntered:
    """Digits from the pad, on their way to the card."""

    pin: Pin


@dataclass(frozen=True, slots=True)
class PositionChosen:
    """One of the positions that were offered."""

    position: PositionId


@dataclass(frozen=True, slots=True)
class Activity:
    """A key, touch or movement in the workspace."""


@dataclass(frozen=True, slots=True)
class LockPressed:
    """The holder leaves, without a card at hand."""


@dataclass(frozen=True, slots=True)
class Cancelled:
    """The pad, choice or offer was turned down."""


@dataclass(frozen=True, slots=True)
class Received:
    """The page has drawn view ``seq``."""

    seq: int


@dataclass(frozen=True, slots=True)
class PinChangeWanted:
    """Whoever is signed on wants another PIN."""


class Language(StrEnum):
    """What the page has a catalogue for."""

    EN = "en"
    CY = "cy"


@dataclass(frozen=True, slots=True)
class LanguageChosen:
    """Whoever is signed on wants the glass in this language."""

    language: Language


Command = (
    PinEntered
    | PositionChosen
    | Activity
    | LockPressed
    | Cancelled
    | Received
    | LanguageChosen
    | PinChangeWanted
)


def _pin(fields: dict[str, object]) -> Command:
    digits = fields.pop("pin", None)
    if not isinstance(digits, str) or not digits:
        raise ValueError("pin is text")
    try:
        return PinEntered(Pin(digits))
    except ValueError as error:
        raise ValueError("a PIN has 6 to 8 digits") from error


def _position(fields: dict[str, object]) -> Command:
    position = fields.pop("id", None)
    if not isinstance(position, str) or not is_name(position):
        raise ValueError("id is a position's id")
    return PositionChosen(PositionId(position))


def _received(fields: dict[str, object]) -> Command:
    seq = fields.pop("seq", None)
    if not isinstance(seq, int) or isinstance(seq, bool) or seq < 1:
        raise ValueError("seq is a view's number")
    return Received(seq)


def _language(fields: dict[str, object]) -> Command:
    code = fields.pop("code", None)
    try:
        return LanguageChosen(Language(str(code)))
    except ValueError as error:
        raise ValueError("code is a language of the page") from error


READERS: Final[dict[str, Callable[[dict[str, object]], Command]]] = {
    "pin": _pin,
    "position": _position,
    "activity": lambda _: Activity(),
    "lock": lambda _: LockPressed(),
    "cancel": lambda _: Cancelled(),
    "received": _received,
    "language": _language,
    "pin_change": lambda _: PinChangeWanted(),
}
