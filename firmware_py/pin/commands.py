"""What the page asks about one's own PIN. Nothing of it is ever written down."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from hardware.piv import Pin


@dataclass(frozen=True, slots=True)
class NewPinEntered:
    """The present PIN and the one that is to take its place, both on their way to the card."""

    old: Pin
    new: Pin


def _new_pin(fields: dict[str, object]) -> NewPinEntered:
    digits = fields.pop("old", None), fields.pop("new", None)
    old, new = (_pin(one) for one in digits)
    return NewPinEntered(old, new)


def _pin(digits: object) -> Pin:
    if not isinstance(digits, str):
        raise ValueError("old and new are text")  # noqa: TRY004 - a sender's fault
    try:
        return Pin(digits)
    except ValueError:
        raise ValueError("a PIN has 6 to 8 digits") from None


READERS: Final[dict[str, Callable[[dict[str, object]], NewPinEntered]]] = {
    "new_pin": _new_pin,
}
