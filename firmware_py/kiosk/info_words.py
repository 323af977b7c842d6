"""The sentences of the information page: the ward's rules, and what is recorded, in plain words.

The English sentence is the catalogue's key; `{places}` hold what is the same in every language:
numbers with the symbols s, min and h, times of the day, codes.
"""

from __future__ import annotations

from typing import Final

UNREAD: Final = "This ward's own rules cannot be read here. The usual ones apply."
NO_RULES: Final = "This screen does not know its ward's rules yet."

GRACE_HERE: Final = "After your PIN, a tap alone is enough at this screen for {time}."
GRACE_WARD: Final = "After your PIN, a tap alone is enough on the whole ward for {time}."
GRACE_SHORTER: Final = "For some roles and positions that time is shorter, down to {time}."
GRACE_NONE: Final = "Each tap needs your PIN."
PIN_SLOT: Final = "Your PIN is taken with the card in the slot."
PIN_TAP: Final = "Your PIN is also taken without the slot; that is recorded."

ROLES_ALL: Final = "Every role may sign on here."
ROLES_SOME: Final = "Only these roles may sign on here: {roles}."
SHIFT: Final = "The position that you choose is remembered for {time}."
SHIFT_NONE: Final = "Whoever has several positions is asked each time."

TAP_PARKS: Final = "A second tap of your card keeps your work and locks the screen."
TAP_CLOSES: Final = "A second tap of your card ends your work here."
IDLE: Final = "Without a touch, the screen dims after {dim} and locks after {lock}."
WARNED: Final = "Before it locks it warns you for {time}."
PARKED: Final = "The work of up to {n} people is kept here, each for {time}."
PARKED_NONE: Final = "Nobody's work is kept here."
LEFT: Final = "A card left in a reader is announced after {time}; {cap} later its session locks."
HOLD: Final = "A shared screen can be held open for {time}; what is done is recorded as shared."

OFFLINE: Final = "Without the network, your card works the same for {time}."
OFFLINE_NONE: Final = "Without the network, nobody can sign on here."
BOOT_PIN: Final = "After a start without network and clock, each tap needs your PIN, for {time}."
BOOT_REFUSED: Final = "After a start without network and clock, nobody can sign on here."
BREAK_GLASS: Final = "In an emergency, break-glass opens the ward's own position for {time}."
BREAK_GLASS_CARDLESS: Final = "At this screen break-glass can begin without a card."
BREAK_GLASS_NONE: Final = "There is no break-glass on this ward."
DOWNTIME: Final = "When the network stays away, two people can declare downtime, for {time}."

NAME_FULL: Final = "The screen shows your full name."
NAME_SHORT: Final = "The screen shows a short form of your name."
NAME_INITIALS: Final = "The screen shows your initials alone."
NIGHT: Final = "From {begins} to {ends} the screen is dim and silent."
SOUND_SOFT: Final = "Taps are heard as a soft click."
SOUND_OFF: Final = "Taps make no sound."

RECORDED_TAPS: Final = "Each tap: when, where, the card's number, and what came of it."
RECORDED_PIN: Final = "Each check of a PIN and whether it was right; never the PIN itself."
RECORDED_SESSIONS: Final = "When work is opened, kept, locked and ended, and in which position."
RECORDED_HELP: Final = "Break-glass, downtime, spare cards, and who countersigned."
RECORDED_SURROUNDINGS: Final = "Cards left behind; readers and network, when they come and go."
NOT_RECORDED: Final = "No names, and nothing of what you type or look at."
SIGNED: Final = "Your card signs its taps, and the record cannot be changed unnoticed."

RECORDED: Final = (
    RECORDED_TAPS,
    RECORDED_PIN,
    RECORDED_SESSIONS,
    RECORDED_HELP,
    RECORDED_SURROUNDINGS,
    NOT_RECORDED,
    SIGNED,
)
