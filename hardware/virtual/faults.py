"""What can go wrong between a card and its reader, as values, and as words for a command line.

Faults of the exchange are counted from the card's insertion, beginning with 1. Faults of the
card's character (an ungated 9A, a PIN that survives a reset) are :class:`Quirks` of the applet.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Final

from hardware.apdu import HardwareError
from hardware.virtual.applet import Quirks


@dataclass(frozen=True, slots=True)
class Torn:
    """The card answers ``after`` exchanges and is gone while it works on the next."""

    after: int


@dataclass(frozen=True, slots=True)
class Hung:
    """The card never answers exchange ``at``, until it is taken away."""

    at: int


@dataclass(frozen=True, slots=True)
class WrongStatus:
    """The card does nothing and answers ``sw``: to every ``ins``, or at exchange ``at``."""

    sw: int
    ins: int | None = None
    at: int | None = None


@dataclass(frozen=True, slots=True)
class CutAnswer:
    """Data of an answer is cut to ``keep`` bytes; the status word follows, unless ``bare``.

    For every ``ins``, or at exchange ``at``. A bare answer is cut as a whole, to no less than
    two bytes: PC/SC's virtual reader hangs on an empty one.
    """

    keep: int
    ins: int | None = None
    at: int | None = None
    bare: bool = False


Fault = Torn | Hung | WrongStatus | CutAnswer


class FaultWordsError(HardwareError):
    """Words on a command line that name no fault."""


WORDS: Final[Mapping[str, str]] = {
    "torn:after=N": "gone after N answers, in the middle of the next command",
    "hung:at=N": "never answers exchange N",
    "status:sw=HEX[,ins=HEX][,at=N]": "answers HEX instead of doing what it was asked",
    "cut:keep=N[,ins=HEX][,at=N][,bare=1]": "answers with its data cut to N bytes",
    "ungated-9a": "9A signs without a PIN",
    "sticky-pin": "a verified PIN survives a reset",
    "any-pin": "VERIFY says 9000 to any PIN, and the card opens",
    "any-pin-in-words": "VERIFY says 9000 to any PIN, but 9A stays shut",
    "exact-le": "asks again (6Cxx) when more bytes were expected than there are",
}
"""Every fault by the words that call it, and what it does."""

_QUIRKS: Final[Mapping[str, Callable[[Quirks], Quirks]]] = {
    "ungated-9a": lambda quirks: replace(quirks, ungated_9a=True),
    "sticky-pin": lambda quirks: replace(quirks, pin_survives_reset=True),
    "any-pin": lambda quirks: replace(quirks, any_pin=True),
    "any-pin-in-words": lambda quirks: replace(quirks, any_pin_in_words_only=True),
    "exact-le": lambda quirks: replace(quirks, exact_le=True),
}
_FAULTS: Final[Mapping[str, Callable[..., Fault]]] = {
    "torn": Torn,
    "hung": Hung,
    "status": WrongStatus,
    "cut": lambda bare=0, **given: CutAnswer(**given, bare=bool(bare)),
}
_HEXADECIMAL: Final = {"sw", "ins"}


def parse_faults(words: Iterable[str]) -> tuple[tuple[Fault, ...], Quirks]:
    """Faults and quirks from words such as ``torn:after=2``. Raises FaultWordsError."""
    faults: list[Fault] = []
    quirks = Quirks()
    for word in words:
        name, _, options = word.partition(":")
        if name in _QUIRKS and not options:
            quirks = _QUIRKS[name](quirks)
        else:
            faults.append(_fault(word, name, options))
    return tuple(faults), quirks


def _fault(word: str, name: str, options: str) -> Fault:
    maker = _FAULTS.get(name)
    if maker is None:
        raise FaultWordsError(f"{word!r} is no fault; there are: {'; '.join(WORDS)}")
    try:
        return maker(**dict(_number(option) for option in options.split(",")))
    except (ValueError, TypeError) as error:
        raise FaultWordsError(f"{word!r} does not read as a fault: {error}") from error


def _number(option: str) -> tuple[str, int]:
    name, equals, value = option.partition("=")
    if not equals:
        raise ValueError(f"{option!r} is no name=value")
    return name, int(value, 16 if name in _HEXADECIMAL else 10)
