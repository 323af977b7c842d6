"""Prints the session machine's table: `python -m tests.firmware.sessions_page`."""

from __future__ import annotations

from pathlib import Path

from firmware_py.sessions.happenings import (
    Activity,
    Away,
    Back,
    Cancelled,
    Declined,
    EndAll,
    Extended,
    Faulted,
    Granted,
    HoldEnded,
    HoldPressed,
    Joined,
    Joining,
    LeftLimit,
    LockPressed,
    Lost,
    MovedAway,
    Owing,
    OwnTap,
    Passed,
    Repositioned,
    ShuttingDown,
    TakenOver,
    Unsaved,
)
from firmware_py.sessions.machine import TABLE, Mode
from tests.firmware.mistakes import MISTAKES

PAGE = Path(__file__).resolve().parents[2] / "docs" / "sessions.md"

EVENTS: dict[type, str] = {
    Granted: "a tap is granted",
    OwnTap: "its own card taps",
    Owing: "a newcomer owes a PIN or a choice",
    Repositioned: "its holder changes position",
    Cancelled: "the pad is cancelled",
    Activity: "input",
    LockPressed: "lock button",
    HoldPressed: "hold button",
    HoldEnded: "hold is ended",
    Joining: "another's good card, while held",
    Joined: "she joins",
    TakenOver: "she takes over",
    Declined: "she does neither",
    MovedAway: "its holder taps elsewhere",
    LeftLimit: "a left card's cap",
    Lost: "a card is lost",
    EndAll: "a ground is gone (downtime over)",
    Faulted: "a fault",
    Unsaved: "an application: (un)saved",
    Extended: "an application: in use",
    Away: "sensor: nobody there",
    Back: "sensor: somebody there, or blind",
    Passed: "time passes",
    ShuttingDown: "shutting down",
}

_STATES = {
    Mode.WAITING: "nobody's session is present; some may be parked",
    Mode.OPEN: "somebody's work is on the glass",
    Mode.DIMMED: "the same, idle; any input or its owner's tap wakes it",
    Mode.WARNING: "the same, about to lock; quiet, cancelled likewise",
    Mode.LOCKED: "somebody's session is present and hidden; its owner's granted tap unlocks it",
    Mode.ASKING: "a newcomer owes a PIN or a choice; nobody's session is present",
}

_HEAD = """\
# Sessions

What a terminal does with its one screen and several people. This page is printed from the table
in `firmware_py/sessions/machine.py` by `python -m tests.firmware.sessions_page`; a test fails when
they differ.

A session is a cardholder in one position at this terminal. At most one is present; every other one
is parked. Present and parked together are never more than the ward's `parked_max` + 1; the one
parked longest gives way, what is unsaved last, and only to a session that really opens. Nobody
resumes another person's session, and a closed one stays closed. Every change of a session is
durable in the journal before it is carried out; covering the glass waits for nothing.

A session in the ward's emergency position has a limit in time, and is closed then, present or
parked; one in nobody's name is closed when it loses the glass, because nobody could come back to
it. A holder's own work is locked and kept when the ground for it is gone (a downtime is over). A
**hold** keeps the present screen open by agreement: no dim, no lock by idleness, no move elsewhere;
whoever else taps is offered to join or to take over, and every event inside says `shared`. A left
card, a lost card, the lock button, a fault and its own limit end it. One touch begins it, once
for a tap: after its end another is begun only when its holder, or somebody who has joined since,
has tapped. An emergency screen in nobody's name is held no longer than its own limit, and one that
is to read only is not held at all.

| state | what is true in it |
|---|---|
"""

_MIDDLE = """
What is not in this table is illegal: it raises and changes nothing.

| state | event | becomes | what happens |
|---|---|---|---|
"""


_TAPS = """
## Tap mistakes

What a hurried hand does, and what comes of it. The list is `tests/firmware/mistakes.py`; each line
names its test, which a test finds.

| what happens | what the screen does | test |
|---|---|---|
"""


def render() -> str:
    """The whole page."""
    states = "".join(f"| {mode} | {words} |\n" for mode, words in _STATES.items())
    rows = ""
    for mode in Mode:
        for event, words in EVENTS.items():
            row = TABLE.get((mode, event))
            if row is not None:
                becomes = ", ".join(to for to in Mode if to in row.to)
                rows += f"| {mode} | {words} | {becomes} | {row.words} |\n"
    taps = "".join(f"| {one.what} | {one.comes} | {one.test} |\n" for one in MISTAKES)
    return _HEAD + states + _MIDDLE + rows + _TAPS + taps


if __name__ == "__main__":
    PAGE.write_text(render(), encoding="utf-8")
