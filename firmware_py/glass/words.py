"""The sentences on the glass: plain, neutral, and few.

A refusal says the same whatever is behind it (unknown, revoked, expired, copied …): who stands
beside learns nothing, and the reference finds the reason in the log. Only what the holder can mend
there and then is said as it is: hold the card still, put it in the slot, try the PIN again, let a
colleague help.
"""

from __future__ import annotations

from typing import Final

from contract.events import Reason
from contract.ids import JournalId

STARTING: Final = "This screen is starting."
TAP: Final = "Tap your card."
CHECKING: Final = "Checking your card."
OPEN: Final = "Signed on."
STILL_YOU: Final = "Still you."
DIMMED: Final = "Touch the screen or tap your card to go on."
WARNING: Final = "This screen locks soon. Touch it to go on."
PARKED: Final = "Your work is kept. Tap to return."
PIN: Final = "Enter your PIN."
PIN_AGAIN: Final = "That PIN was not right. Try again."
PROVE_FIRST: Final = "To go on, tap your card and enter its PIN."
WRONG_HERE: Final = "That PIN was not right. To go on, tap your card and enter its PIN."
LAST_TRY: Final = (
    "One try is left. Take your time: after another wrong PIN a colleague must help you."
)
PIN_CHECKING: Final = "Checking your PIN."
CARD_BACK: Final = "Put your card back, then enter your PIN."
SLOT_ONCE: Final = "Put your card in the slot once, then tap for the rest of the shift."
SLOT: Final = "Put your card in the slot and enter your PIN."
CHOOSE: Final = "Which role now?"
JOIN_OR_TAKE: Final = "This screen is shared. Join, or take over?"
TAP_TO_HOLD: Final = "Tap out and in again to hold this screen once more."
TAKE_CARD: Final = "Take your card with you."

UNSAVED_HERE: Final = (
    "You have unsaved work here as {role}. It is kept for another {minutes} minutes."
)
UNSAVED_GONE: Final = (
    "Unsaved work of yours as {role} was closed here {minutes} minutes ago: there was no more room"
    " or time for it."
)
COLLEAGUE_HELPS: Final = "A colleague can help you here, with a card of her own."
ISSUER_HELPS: Final = "The PIN of this card is blocked. Its issuer unblocks it: ask the helpdesk."

_REFUSED: Final = "This card cannot be used here."
_KEEP_STILL: Final = "Keep your card still for a moment, then tap again."
NOT_NOW: Final = "Nobody can sign on at this screen just now."

TOO_EASY: Final = (
    "That PIN is guessed too easily. Take no date, no sequence, no shape on the pad, "
    "and nothing that stands on your badge."
)

_WORDS: Final = {
    Reason.CARD_TORN: _KEEP_STILL,
    Reason.CARD_HUNG: _KEEP_STILL,
    Reason.CARD_LEFT: TAKE_CARD,
    Reason.PIN_ABANDONED: TAP,
    Reason.PIN_NOT_HERE: SLOT_ONCE,
    Reason.PIN_BLOCKED: COLLEAGUE_HELPS,
    Reason.NO_DIRECTORY: NOT_NOW,
    Reason.DIRECTORY_STALE: NOT_NOW,
    Reason.CLOCK_UNCONFIRMED: NOT_NOW,
    Reason.TERMINAL_UNKNOWN: NOT_NOW,
    Reason.TERMINAL_RETIRED: NOT_NOW,
    Reason.JOURNAL_FAILED: NOT_NOW,
}


def refused(reason: Reason) -> str:
    """What the glass says when a card opens nothing."""
    return _WORDS.get(reason, _REFUSED)


def unwritten_reference(journal: JournalId, number: int) -> str:
    """... of what no journal could take: it is in the terminal's own log. ``7F3A-L2``."""
    return f"{journal[:4].upper()}-L{number}"


def reference(journal: JournalId, sequence: int) -> str:
    """By which a person names an event to somebody who can read the log: ``7F3A-21``."""
    return f"{journal[:4].upper()}-{sequence}"
