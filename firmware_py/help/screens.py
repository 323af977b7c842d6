"""What the page draws while somebody is helped: step, sentence, what can be entered, time left.

A panel names nobody: initials, role and staff id alone. Its fields say what to ask for and which
command takes it; the page knows nothing of the protocol behind.
"""

from __future__ import annotations

from typing import Final

from contract.directory import Entitlement
from contract.help import ASSIGNMENT_MS, Guest
from firmware_py.help.errand import Errand, Step
from firmware_py.inside import Panel
from firmware_py.signon.decision import allowed_here
from firmware_py.trust.here import Place

_COARSE_S: Final = 5
"""Time left is shown in steps: the glass need not change each second."""
_S: Final = 1_000_000_000
_MINUTES: Final = ASSIGNMENT_MS // 60_000

SEARCH: Final = "Initials, part of the name, or staff number"
CHOOSE: Final = "Who is it?"
LOST: Final = "Their own card is lost"
HOURS: Final = "For how long"
GUEST_NAME: Final = "A guest's name"
GUEST_NUMBER: Final = "Professional number"
PIN: Final = "PIN"
NEW_PIN: Final = "New PIN"
TELL_MORE: Final = "There are more. Type more of the name."
CUT_SHORT: Final = "Not everybody could be looked at in time. Search again."
NOBODY_YET: Final = "Nobody is found by that."

_PERSON: Final = (
    {"name": "text", "command": "find_person", "kind": "search", "words": SEARCH},
    {"name": "holder", "command": "spare", "kind": "found", "words": CHOOSE},
    {"name": "name", "command": "spare", "kind": "text", "words": GUEST_NAME},
    {"name": "number", "command": "spare", "kind": "text", "words": GUEST_NUMBER},
    {"name": "lost", "command": "spare", "kind": "flag", "words": LOST},
    {"name": "minutes", "command": "spare", "kind": "minutes", "words": HOURS, "most": _MINUTES},
)
_FIELDS: Final = {
    Step.PERSON: _PERSON,
    Step.PIN: ({"name": "pin", "command": "pin", "kind": "pin", "words": PIN},),
    Step.NEW_PIN: (
        {"name": "pin", "command": "pin", "kind": "new-pin", "words": NEW_PIN, "twice": True},
    ),
}
"""`twice`: the page has it typed again, and sends what was typed the same both times."""


def panel(errand: Errand, place: Place, now_ns: int, *, searching: bool) -> Panel:
    """The errand as it stands."""
    left_s = max(0, errand.until_ns - now_ns) / _S
    drawn: dict[str, object] = {
        "kind": errand.what,
        "step": errand.step.value,
        "words": errand.said,
        "fields": list(_FIELDS.get(errand.step, ())),
        "left_s": int(-(-left_s // _COARSE_S) * _COARSE_S),
        "attempts": errand.attempts,
        "minutes": errand.minutes or None,
        "whom": _whom(errand),
    }
    if errand.step is Step.PERSON:
        drawn |= _found(errand, place, searching=searching)
    return drawn


def _whom(errand: Errand) -> Panel | None:
    """The person that is helped, once that is settled."""
    if isinstance(errand.person, Guest):
        return {"initials": errand.person.name.initials, "id": errand.person.number}
    if errand.person is not None:
        return {"initials": None, "id": errand.person.holder}
    if errand.card is not None:
        return {"initials": errand.card.name.initials, "id": errand.card.holder}
    return None


def _found(errand: Errand, place: Place, *, searching: bool) -> dict[str, object]:
    found = errand.found
    people = [] if found is None else [_line(one, place) for one in found.people]
    note = None
    if found is not None:
        none = None if people else NOBODY_YET
        note = CUT_SHORT if found.cut else TELL_MORE if found.more else none
    return {"searching": searching, "text": errand.text, "found": people, "note": note}


def _line(one: Entitlement, place: Place) -> dict[str, str]:
    role = next((position.name for position in allowed_here(one, place)), "")
    return {"holder": one.holder, "initials": one.name.initials, "role": role}
