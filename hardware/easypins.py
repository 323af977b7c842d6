"""PINs that are guessed first: no card is given one, at the desk or on the ward.

A card gives three tries, so what must be kept out is what people choose most: sequences, repeats,
shapes on the pad, dates of any kind, and what can be read on the holder's badge.
"""

from __future__ import annotations

from datetime import date
from itertools import pairwise
from typing import Final

from hardware.piv import Pin

_FEW_DIGITS: Final = 2
# Of the holder's own numbers, this many digits in a row are too telling.
_OWN_DIGITS: Final = 5
_PAD: Final = ("147258369", "369258147", "963852741", "741852963", "159357", "357159", "789456123")
_YEARS: Final = range(1900, 2100)


def why_easy(pin: Pin, badge: str = "") -> str | None:
    """Why it is guessed first, in words that do not repeat it; None when it is not.

    ``badge``: the holder's staff number, or whatever else of hers others can read.
    """
    digits = pin.padded().rstrip(b"\xff").decode("ascii")
    if len(set(digits)) <= _FEW_DIGITS:
        return "it has two different digits or fewer"
    if len({(int(b) - int(a)) % 10 for a, b in pairwise(digits)}) == 1:
        return "its digits are a sequence"
    if any(_is_run(digits, step) for step in (1, -1)):
        return "its digits only climb, or only fall, one by one"
    if any(digits == digits[:size] * (len(digits) // size) for size in (2, 3, 4)):
        return "it repeats itself"
    if digits == digits[::-1]:
        return "it reads the same backwards"
    if any(digits in shape for shape in _PAD):
        return "it is a shape on the pad"
    if _is_date(digits):
        return "it reads as a date"
    if _is_own(digits, badge):
        return "it is in the holder's own numbers"
    return None


def _is_run(digits: str, step: int) -> bool:
    """112233, 654433: each the same as the one before, or one further."""
    return all((int(b) - int(a)) in (0, step) for a, b in pairwise(digits))


def _is_date(digits: str) -> bool:
    """Day, month and year in any of the orders that people write them in."""
    pairs = [digits[at : at + 2] for at in range(0, 6, 2)]
    if len(digits) == len("DDMMYY"):
        a, b, c = (int(pair) for pair in pairs)
        orders = ((c, b, a), (c, a, b), (a, b, c))
        return any(_exists(2000 + year, month, day) for year, month, day in orders)
    if len(digits) == len("DDMMYYYY"):
        ends, starts = int(digits[4:]), int(digits[:4])
        first, second = int(digits[:2]), int(digits[2:4])
        third, fourth = int(digits[4:6]), int(digits[6:])
        orders = ((ends, second, first), (ends, first, second), (starts, third, fourth))
        return any(year in _YEARS and _exists(year, month, day) for year, month, day in orders)
    return False


def _exists(year: int, month: int, day: int) -> bool:
    try:
        date(year, month, day)
    except ValueError:
        return False
    return True


def _is_own(digits: str, badge: str) -> bool:
    """Whether digits of the badge are a part of it, or it a part of them."""
    own = "".join(c for c in badge if c.isascii() and c.isdigit())
    if digits in own:
        return True
    return any(own[at : at + _OWN_DIGITS] in digits for at in range(len(own) - _OWN_DIGITS + 1))
