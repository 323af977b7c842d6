"""What a person can do at the screen: the bodies of the page's POSTs, read exactly or refused."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from contract.ids import HolderId, PositionId, is_name
from contract.wire import WireError, check_i_json
from firmware_py.emergency import commands as emergency
from firmware_py.help import commands as help_
from firmware_py.pin import commands as pin
from firmware_py.sessions import commands as sessions
from firmware_py.workspace import commands as workspace
from hardware.piv import Pin

# The longest body names a guest: eighty letters of four bytes, a number, and some room.
MAX_BODY_BYTES: Final = 512


class CommandRefused(ValueError):
    """A body that is none of ours. Never quotes it: it may hold a PIN."""


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
class SpareWanted:
    """A spare for somebody of the directory (`holder`), or a guest (`name` and `number`)."""

    holder: HolderId | None
    name: str
    number: str
    lost: bool
    minutes: int


@dataclass(frozen=True, slots=True)
class NewPinWanted:
    """Somebody's PIN is blocked."""


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
    | SpareWanted
    | NewPinWanted
    | LanguageChosen
    | workspace.Typed
    | emergency.EmergencyCommand
    | pin.Command
    | sessions.Command
    | help_.FindPerson
)


def _pin(fields: dict[str, object]) -> Command:
    digits = fields.pop("pin", None)
    if not isinstance(digits, str):
        raise CommandRefused("pin is text")
    try:
        return PinEntered(Pin(digits))
    except ValueError as error:
        raise CommandRefused("a PIN has 6 to 8 digits") from error


def _position(fields: dict[str, object]) -> Command:
    position = fields.pop("id", None)
    if not isinstance(position, str) or not is_name(position):
        raise CommandRefused("id is a position's id")
    return PositionChosen(PositionId(position))


def _received(fields: dict[str, object]) -> Command:
    seq = fields.pop("seq", None)
    if not isinstance(seq, int) or isinstance(seq, bool) or seq < 1:
        raise CommandRefused("seq is a view's number")
    return Received(seq)


def _language(fields: dict[str, object]) -> Command:
    code = fields.pop("code", None)
    try:
        return LanguageChosen(Language(str(code)))
    except ValueError as error:
        raise CommandRefused("code is a language of the page") from error


def _spare(fields: dict[str, object]) -> Command:
    holder, name = fields.pop("holder", ""), fields.pop("name", "")
    number, lost = fields.pop("number", ""), fields.pop("lost", False)
    minutes = fields.pop("minutes", 12 * 60)
    if not isinstance(lost, bool) or type(minutes) is not int or not 1 <= minutes <= 12 * 60:
        raise CommandRefused("lost is true or false, minutes are twelve hours' at most")
    if not all(isinstance(each, str) for each in (holder, name, number)):
        raise CommandRefused("holder, name and number are text")
    named = is_name(str(holder)) and not name and not number
    if not named and (holder or not name or not number):
        raise CommandRefused("say holder, or name and number")
    if name:
        from firmware_py.readable import readable  # noqa: PLC0415 - a lead signs it: when needed

        readable(str(name))
    return SpareWanted(
        HolderId(str(holder)) if named else None, str(name), str(number), lost, minutes
    )


_READERS: Final[dict[str, Callable[[dict[str, object]], Command]]] = {
    "pin": _pin,
    "position": _position,
    "activity": lambda _: Activity(),
    "lock": lambda _: LockPressed(),
    "cancel": lambda _: Cancelled(),
    "received": _received,
    "spare": _spare,
    "newpin": lambda _: NewPinWanted(),
    "language": _language,
    **workspace.READERS,
    **emergency.READERS,
    **pin.READERS,
    **sessions.READERS,
    **help_.READERS,
}
_CAPS: Final = {"typed": workspace.MAX_TYPED_BYTES}

NAMES: Final = tuple(_READERS)
"""The commands, each under ``/<name>``."""


def body_cap(name: str) -> int:
    """Bytes that the body of ``POST /<name>`` may have."""
    return _CAPS.get(name, MAX_BODY_BYTES)


def read_command(name: str, body: bytes) -> Command:
    """The command in the body of ``POST /<name>``. Raises CommandRefused."""
    try:
        fields = check_i_json(body, body_cap(name))
    except WireError as error:
        raise CommandRefused(str(error)) from None
    if not isinstance(fields, dict):
        raise CommandRefused("not an object")
    try:
        command = _READERS[name](fields)
    except CommandRefused:
        raise
    except ValueError as error:
        raise CommandRefused(str(error)) from None
    if fields:
        raise CommandRefused("a field that is not ours")
    return command
