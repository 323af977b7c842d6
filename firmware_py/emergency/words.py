"""The sentences of break-glass and downtime on the glass: calm, and of use in the next second."""

from __future__ import annotations

from typing import Final

ONE_MOMENT: Final = "One moment."
EMERGENCY: Final = "Emergency access."
NOT_IDENTIFIED: Final = "Not identified"
"""Where a name would stand."""
ROLE: Final = "Emergency access"
READ_ONLY: Final = "Emergency, to read only"
NOT_OFFERED: Final = "Emergency access cannot be given for this card."
COLLEAGUE: Final = "A colleague taps a card, or go on alone and read."
UNRECORDED: Final = "This access is not recorded yet. It will be."
UNHEARD: Final = "No other screen can be told of this now. Call for help."

OTHER_REASON: Final = "Other"
REASONS: Final = {
    "RESUS": "Resuscitation",
    "ARREST": "Cardiac arrest",
    "TRAUMA": "Trauma",
    "STROKE": "Stroke",
    "SEPSIS": "Sepsis",
    "BLEED": "Major bleeding",
    "BIRTH": "Birth",
    "MEDS": "Urgent medicine",
    "SAFEGUARD": "Safeguarding",
    "SYSTEM": "The system does not let me in",
    "OTHER": OTHER_REASON,
}
"""Of a ward's reason codes; any other stands on the glass as it is."""

DOWNTIME_OFFERED: Final = (
    "The gateway has been away too long to judge rights. Downtime can be declared."
)
FIRST_CARD: Final = "Downtime, first of two: card in the slot."
SECOND_CARD: Final = "Downtime, second of two: another person's card in the slot."
END_CARD: Final = "Downtime over: card in the slot."
DECLARER_PIN: Final = "Your PIN, for this: {text}"
DOWNTIME_ON: Final = "Downtime."
DOWNTIME_OVER: Final = "Downtime is over. Tap your card."
NOT_DECLARED: Final = "Downtime was not declared."
NOT_YOU: Final = "This card cannot declare it."
ANOTHER_PERSON: Final = "The second card must be another person's."


def reason(code: str) -> str:
    """What stands on a reason's button."""
    return REASONS.get(code, code)
