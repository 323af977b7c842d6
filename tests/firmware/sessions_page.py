"""Prints the session machine's table: `python -m tests.firmware.sessions_page`."""

from __future__ import annotations

from pathlib import Path

from firmware_py.sessions.machine import (
    TABLE,
    Activity,
    Cancelled,
    Faulted,
    Granted,
    LockPressed,
    Lost,
    Mode,
    Owing,
    OwnTap,
    Passed,
    ShuttingDown,
)

PAGE = Path(__file__).resolve().parents[2] / "docs" / "sessions.md"

_EVENTS: dict[type, str] = {
    Granted: "a tap is granted",
    OwnTap: "its own card taps",
    Owing: "a newcomer owes a PIN or a choice",
    Cancelled: "the pad is cancelled",
    Activity: "input",
    LockPressed: "lock button",
    Lost: "a card is lost",
    Faulted: "a fault",
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
parked longest gives way, and only to a session that really opens. Nobody resumes another person's
session, and a closed one stays closed. Every change of a session is durable in the journal before
it is carried out; covering the glass waits for nothing.

| state | what is true in it |
|---|---|
"""

_MIDDLE = """
What is not in this table is illegal: it raises and changes nothing.

| state | event | becomes | what happens |
|---|---|---|---|
"""


def render() -> str:
    """The whole page."""
    states = "".join(f"| {mode} | {words} |\n" for mode, words in _STATES.items())
    rows = ""
    for mode in Mode:
        for event, words in _EVENTS.items():
            row = TABLE.get((mode, event))
            if row is not None:
                becomes = ", ".join(to for to in Mode if to in row.to)
                rows += f"| {mode} | {words} | {becomes} | {row.words} |\n"
    return _HEAD + states + _MIDDLE + rows


if __name__ == "__main__":
    PAGE.write_text(render(), encoding="utf-8")
