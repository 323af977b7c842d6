"""A PIN that came to nothing: what the journal says of it, and what the glass. Pure.

The rules:

* Another card was in the reader, or too few tries are left (one, and she had not been told): the
  card was given no PIN, so there is nothing to journal.
* A wrong PIN with tries left, a card torn away, a reader that takes none: she may go on.
* The last try was wrong, or the card is blocked: PIN_BLOCKED. Whatever else: its own reason.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from contract.directory import Entitlement
from contract.events import Reason
from firmware_py.card.tap import AnotherCard, FewTries, reason_of
from firmware_py.glass import words
from hardware.apdu import HardwareError
from hardware.piv import WrongPin


@dataclass(frozen=True, slots=True)
class NotGiven:
    """The card was given no PIN; `attempts` where it has said how many are left."""

    words: str
    attempts: int | None = None


@dataclass(frozen=True, slots=True)
class TryAgain:
    """It came to nothing, and may be tried again; `attempts` as in `NotGiven`."""

    reason: Reason
    words: str
    attempts: int | None = None


@dataclass(frozen=True, slots=True)
class Over:
    """This card proves no PIN here."""

    reason: Reason
    attempts: int | None = None


FailedTry = NotGiven | TryAgain | Over


def over_words(reason: Reason, owner: Entitlement) -> str:
    """What the glass says where a card proves no PIN here. A colleague's help is not for each."""
    if reason is Reason.PIN_BLOCKED and owner.by_pin_alone:
        return words.ISSUER_HELPS
    return words.refused(reason)


def judge_try(error: HardwareError) -> FailedTry:
    """What a visit came to that was to prove a PIN and has not."""
    match error:
        case AnotherCard():
            return NotGiven(words.CARD_BACK)
        case FewTries(left=left):
            return NotGiven(words.LAST_TRY if left == 1 else words.PROVE_FIRST, left)
        case WrongPin(attempts=0):
            return Over(Reason.PIN_BLOCKED, 0)
        case WrongPin(attempts=left):
            said = words.LAST_TRY if left == 1 else words.PIN_AGAIN
            return TryAgain(Reason.PIN_WRONG, said, left)
    reason = reason_of(error)
    return TryAgain(reason, _AGAIN[reason]) if reason in _AGAIN else Over(reason)


_AGAIN: Final = {Reason.CARD_TORN: words.CARD_BACK, Reason.PIN_NOT_HERE: words.SLOT_ONCE}
