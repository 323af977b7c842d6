"""The sentences about PINs, in the manner of `firmware_py.glass.words`."""

from __future__ import annotations

from typing import Final

from firmware_py.signon.because import Because

FIRST: Final = "Asked once here; then your tap is enough."
GRACE_OVER: Final = "It is a while since you entered it here."
SHORT_GRACE: Final = "Your role is asked for it more often."
OFFLINE: Final = "This screen is offline, and cannot tell whether you entered it elsewhere."
CLOCK: Final = "This screen has no confirmed clock, so it asks at each tap."
RESTORED: Final = "Your card was put back into use."
BY_PIN: Final = "Your card has no key for taps: it signs on with its PIN, each time."

WHY_ASKED: Final = {
    Because.FIRST: FIRST,
    Because.GRACE_OVER: GRACE_OVER,
    Because.SHORT_GRACE: SHORT_GRACE,
    Because.OFFLINE: OFFLINE,
    Because.CLOCK: CLOCK,
    Because.RESTORED: RESTORED,
    Because.BY_PIN: BY_PIN,
}

CHANGE: Final = "Change your PIN: first the present one, then a new one twice."
CHANGE_SLOT: Final = "Put your card in the slot to change its PIN."
NOT_NEW: Final = "That is the PIN that you have. Choose another."
CHANGED: Final = "Your PIN is changed."
NOT_HERE: Final = "The PIN of this card cannot be changed here."
NOT_CHANGED: Final = "Your PIN was not changed."
UNCERTAIN: Final = (
    "Your card was taken away too soon. Try the new PIN first; if it is not right, the one before."
)
