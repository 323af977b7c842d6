"""What the page asks of the help desk."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from contract.ids import HolderId, is_name

# As long as the longest name that the directory has.
MAX_TEXT: Final = 80


@dataclass(frozen=True, slots=True)
class FindPerson:
    """Who is to have a spare: initials, a part of the name, or the staff number.

    Empty: somebody is about to say, and the form is wanted.
    """

    text: str


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


Command = SpareWanted | NewPinWanted | FindPerson


def _spare(fields: dict[str, object]) -> Command:
    holder, name = fields.pop("holder", ""), fields.pop("name", "")
    number, lost = fields.pop("number", ""), fields.pop("lost", False)
    minutes = fields.pop("minutes", 12 * 60)
    if not isinstance(lost, bool) or type(minutes) is not int or not 1 <= minutes <= 12 * 60:
        raise ValueError("lost is true or false, minutes are twelve hours' at most")
    if not all(isinstance(each, str) for each in (holder, name, number)):
        raise ValueError("holder, name and number are text")
    named = is_name(str(holder)) and not name and not number
    if not named and (holder or not name or not number):
        raise ValueError("say holder, or name and number")
    if name:
        from firmware_py.readable import readable  # noqa: PLC0415 - a lead signs it: when needed

        readable(str(name))
    return SpareWanted(
        HolderId(str(holder)) if named else None, str(name), str(number), lost, minutes
    )


def _find_person(fields: dict[str, object]) -> FindPerson:
    text = fields.pop("text", None)
    if not isinstance(text, str) or len(text) > MAX_TEXT or not text.isprintable():
        raise ValueError(f"text is text of at most {MAX_TEXT} letters")
    return FindPerson(" ".join(text.split()))


READERS: Final[dict[str, Callable[[dict[str, object]], Command]]] = {
    "spare": _spare,
    "newpin": lambda _: NewPinWanted(),
    "find_person": _find_person,
}
