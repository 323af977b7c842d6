"""First and new PINs at the desk: chosen, or drawn for a letter; none that is guessed first."""

from __future__ import annotations

import secrets

from contract.ids import HolderId
from hardware.easypins import why_easy
from hardware.piv import PIN_MAX_DIGITS, PIN_MIN_DIGITS, Pin
from provisioning.errors import BadInput, TrivialPin


def choose(digits: str, holder: HolderId | None = None) -> Pin:
    """The PIN of these digits. Raises BadInput or TrivialPin, neither of which repeats them."""
    try:
        pin = Pin(digits)
    except ValueError:
        raise BadInput(f"a PIN is {PIN_MIN_DIGITS} to {PIN_MAX_DIGITS} digits") from None
    why = why_easy(pin, holder or "")
    if why is not None:
        raise TrivialPin(f"this PIN is guessed too easily: {why}")
    return pin


def draw(holder: HolderId | None = None, length: int = PIN_MIN_DIGITS) -> str:
    """Random digits that `choose` takes: for a letter to the holder."""
    while True:
        digits = f"{secrets.randbelow(10**length):0{length}d}"
        if why_easy(Pin(digits), holder or "") is None:
            return digits
