"""The views by name: each state that the page can be asked to draw. The people are made up."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

from firmware_py.countersign import words as countersign
from firmware_py.emergency import words as emergency
from firmware_py.glass import words
from firmware_py.glass.view import (
    Choice,
    Enrolling,
    ParkedLine,
    Person,
    PinPad,
    Screen,
    Surroundings,
    View,
)
from firmware_py.glass.view import Step as EnrolmentStep
from firmware_py.help import screens
from firmware_py.help.errand import SAY, Step
from firmware_py.kiosk import info_words as rules
from firmware_py.pin import words as pin

ONLINE: Final = Surroundings(link="online", rights_age_s=0, clock="site")
OFFLINE: Final = Surroundings(link="offline", rights_age_s=2400, clock="rtc", waits_for=("broker",))
NIGHT: Final = replace(ONLINE, night=True, sound="soft")
AMAL: Final = Person("Amal Haddad", "Staff nurse", "AH")
LONG: Final = Person("Gwenllian Blodeuwedd Featherstonehaugh-Cholmondeley", "Consultant", "GF")
PARKED: Final = (
    ParkedLine("BP", "Doctor", 5400),
    ParkedLine("CO", "Healthcare assistant", 12_600),
    ParkedLine("DE", "Pharmacist", 660),
)
NOTES: Final = {
    "screen": {
        "ticket": "0123456789abcdef",
        "text": "Bed 4: analgesia given 14:05, reassess 14:35.\nBed 6: waiting for the porter.",
    }
}
REASONS: Final = [{"code": code, "words": said} for code, said in emergency.REASONS.items()][:6]
GLASS: Final[dict[str, Any]] = {
    "offered": True,
    "reasons": REASONS,
    "hold_ms": 1500,
    "active": None,
    "unidentified": False,
    "unrecorded": False,
    "unheard": None,
    "waits_for_colleague": False,
}
ACTIVE: Final = {"left_s": 4500, "reason": "Resuscitation"}
HOLD: Final[dict[str, Any]] = {"allowed": True, "left_s": None, "joined": [], "asks": None}
HELP: Final[dict[str, Any]] = {
    "kind": "spare",
    "step": "card",
    "words": SAY["spare", Step.CARD],
    "fields": [],
    "left_s": 170,
    "attempts": None,
    "minutes": 240,
    "whom": {"initials": None, "id": "h-chidi"},
}


def _open(panels: dict[str, Any] | None = None, **changes: Any) -> View:  # noqa: ANN401 - fields of a view
    drawn = View(Screen.OPEN, words.OPEN, person=AMAL, covered=False, around=ONLINE)
    return replace(drawn, panels={**NOTES, **(panels or {})}, **changes)


def _face(screen: Screen, said: str, panels: dict[str, Any] | None = None, **more: Any) -> View:  # noqa: ANN401
    return replace(View(screen, said, around=ONLINE, panels=panels or {}), **more)


LOCKED: Final = _face(Screen.LOCKED, words.TAP, {"breakglass": {**GLASS, "offered": False}})
ENROLLING: Final = Enrolling(
    terminal="bay-1",
    steps=(
        EnrolmentStep("file", "done"),
        EnrolmentStep("link", "done"),
        EnrolmentStep("address", "done"),
        EnrolmentStep("name", "done"),
        EnrolmentStep("gateway", "done"),
        EnrolmentStep("clock", "done"),
        EnrolmentStep("token", "waits", "The token has ended."),
        EnrolmentStep("certificate", "later"),
    ),
    code="KXTR WQZM",
    mac="02:00:5e:10:00:01",
    addresses=("192.0.2.17",),
)

VIEWS: Final[dict[str, View]] = {
    "starting": View(Screen.STARTING, words.STARTING),
    "enrolling": View(
        Screen.ENROLLING,
        "Ask an operator to let this terminal in.",
        around=Surroundings(enrolling=ENROLLING),
    ),
    "waiting": _face(
        Screen.WAITING, words.NOT_NOW, around=replace(OFFLINE, waits_for=("readers", "directory"))
    ),
    "locked": LOCKED,
    "locked-parked": replace(LOCKED, words=words.PARKED, parked=PARKED),
    "locked-offline": replace(LOCKED, around=OFFLINE),
    "locked-night": replace(LOCKED, around=NIGHT, parked=PARKED),
    "locked-moved": _face(
        Screen.NOTICE,
        "Your work is at Resus 2.",
        {"moved": {"where": "Resus 2", "until_s": 5400, "unsaved": True, "words": None}},
    ),
    "checking": _face(Screen.CHECKING, words.CHECKING),
    "pin": _face(Screen.PIN, words.PIN, pin=PinPad(3, words.PIN, pin.FIRST)),
    "pin-last": _face(
        Screen.PIN, words.LAST_TRY, pin=PinPad(1, words.LAST_TRY, pin.OFFLINE), around=OFFLINE
    ),
    "pin-night": _face(Screen.PIN, words.PIN, pin=PinPad(None, words.PIN, pin.CLOCK), around=NIGHT),
    "slot-once": _face(Screen.NOTICE, words.SLOT_ONCE),
    "choose": _face(
        Screen.CHOOSE,
        words.CHOOSE,
        positions=(
            Choice("nurse-ae", "Staff nurse"),
            Choice("lead-ae", "Nurse in charge"),
            Choice("bank-resus", "Bank nurse, resuscitation"),
        ),
    ),
    "open": _open({"positions": {"current": "nurse-ae", "choices": []}, "hold": HOLD}),
    "open-parked": _open({"hold": HOLD}, parked=PARKED),
    "open-offline": _open(around=OFFLINE),
    "open-night": _open({"hold": HOLD}, around=NIGHT, parked=PARKED[:1]),
    "open-long-name": _open({"hold": HOLD}, person=LONG),
    "open-still-you": _open(words=words.STILL_YOU),
    "open-refused": _open(
        screen=Screen.REFUSED, words="This card cannot be used here.", reference="7F3A-21"
    ),
    "open-left-card": _open({"left": {"initials": "AH", "interface": "contact"}}),
    "open-alerts": _open(
        {
            "alerts": {
                "list": [
                    {"terminal": "Resus 2", "initials": "BP", "reason": "Sepsis", "age_s": 70},
                    {"terminal": "Bay 4", "initials": "?", "reason": "Trauma", "age_s": 1500},
                ]
            }
        }
    ),
    "dimmed": _open(screen=Screen.DIMMED, words=words.DIMMED),
    "warning": _open(screen=Screen.WARNING, words=words.WARNING),
    "refused": _face(Screen.REFUSED, "This card cannot be used here.", reference="7F3A-21"),
    "offer": _face(
        Screen.OFFER, words.NOT_NOW, {"breakglass": GLASS}, reference="7F3A-22", around=OFFLINE
    ),
    "locked-glass": replace(LOCKED, panels={"breakglass": GLASS}),
    "colleague": _face(
        Screen.LOCKED,
        words.TAP,
        {
            "breakglass": {
                **GLASS,
                "offered": False,
                "waits_for_colleague": True,
                "words": emergency.COLLEAGUE,
            }
        },
    ),
    "breakglass": _open(
        {"breakglass": {**GLASS, "offered": False, "active": ACTIVE}},
        person=Person("Amal Haddad", emergency.ROLE, "AH"),
    ),
    "breakglass-unrecorded": _open(
        {
            "breakglass": {
                **GLASS,
                "offered": False,
                "active": ACTIVE,
                "unidentified": True,
                "unrecorded": True,
                "unheard": emergency.UNHEARD,
            }
        },
        person=Person(emergency.NOT_IDENTIFIED, emergency.ROLE, "?"),
        around=OFFLINE,
    ),
    "downtime-offered": _face(
        Screen.LOCKED,
        emergency.DOWNTIME_OFFERED,
        {"downtime": {"state": "offered", "by": [], "left_s": None}},
        around=OFFLINE,
    ),
    "downtime-declaring": _face(
        Screen.NOTICE,
        emergency.SECOND_CARD,
        {"downtime": {"state": "declaring", "by": ["AH"], "left_s": 80}},
        around=OFFLINE,
    ),
    "downtime-ending": _face(
        Screen.NOTICE,
        emergency.END_CARD,
        {"downtime": {"state": "declaring", "ends": True, "by": [], "left_s": 80}},
        around=OFFLINE,
    ),
    "downtime": _open(
        {"downtime": {"state": "on", "by": ["AH", "BP"], "left_s": 39_000}}, around=OFFLINE
    ),
    "hold": _open(
        {"hold": {**HOLD, "left_s": 1500, "joined": [{"initials": "BP", "role": "Doctor"}]}}
    ),
    "hold-asks": _face(
        Screen.NOTICE,
        "This screen is held open.",
        {"hold": {**HOLD, "left_s": 1500, "asks": {"initials": "BP", "role": "Doctor"}}},
        person=AMAL,
    ),
    "countersign": _open(
        {
            "countersign": {
                "title": "Morphine 5 mg IV",
                "text": "Bed 4. Given 14:05 by A. Haddad.\nAmpoule destroyed: 5 mg.",
                "step": "card",
                "left_s": 52,
                "words": countersign.READ_AND_TAP,
                "attempts": None,
                "by": None,
                "reference": None,
            }
        },
        covered=True,
    ),
    "pin-change": _open({"pin": {"step": "old", "why": pin.CHANGE, "attempts": 3, "left_s": 115}}),
    "help-offered": _face(
        Screen.REFUSED,
        words.COLLEAGUE_HELPS,
        {"help": {"kind": "puk", "step": "offered", "words": words.COLLEAGUE_HELPS, "fields": []}},
        reference="7F3A-23",
    ),
    "help-card": _face(Screen.NOTICE, SAY["spare", Step.CARD], {"help": HELP}),
    "help-person": _face(
        Screen.NOTICE,
        "Whom is the spare for?",
        {
            "help": {
                **HELP,
                "step": "person",
                "fields": [],
                "searching": False,
                "text": "ch",
                "found": [
                    {"holder": "h-chidi", "initials": "CO", "role": "Healthcare assistant"},
                    {"holder": "h-chen", "initials": "LC", "role": "Doctor"},
                ],
                "note": screens.TELL_MORE,
                "whom": None,
            }
        },
    ),
    "help-new-pin": _face(
        Screen.NOTICE,
        SAY["puk", Step.NEW_PIN],
        {
            "help": {
                **HELP,
                "kind": "puk",
                "step": "new-pin",
                "words": SAY["puk", Step.NEW_PIN],
                "fields": [{"name": "pin", "kind": "new-pin", "words": "New PIN", "twice": True}],
            }
        },
    ),
}
INFORMATION: Final[dict[str, object]] = {
    "terminal": "bay-1",
    "ward": "ae",
    "software": "tapover 0.1.0",
    "support": "Helpdesk 4400",
    # As many of its own as a ward can have.
    "policy": [
        rules.GRACE_WARD.format(time="4 h"),
        rules.GRACE_SHORTER.format(time="30 min"),
        rules.PIN_TAP,
        rules.ROLES_SOME.format(roles="R8000, R8001, R8003, R8008, R8010, R8013, R8015, ..."),
        rules.SHIFT.format(time="12 h 30 min"),
        rules.TAP_PARKS,
        rules.IDLE.format(dim="1 min 30 s", lock="5 min 30 s"),
        rules.WARNED.format(time="20 s"),
        rules.PARKED.format(n=12, time="4 h 30 min"),
        rules.LEFT.format(time="1 min", cap="1 min 30 s"),
        rules.HOLD.format(time="30 min"),
        rules.OFFLINE.format(time="4 h"),
        rules.BOOT_PIN.format(time="4 h"),
        rules.BREAK_GLASS.format(time="1 h 30 min"),
        rules.BREAK_GLASS_CARDLESS,
        rules.DOWNTIME.format(time="12 h"),
        rules.NAME_INITIALS,
        rules.NIGHT.format(begins="21:00", ends="06:30"),
        rules.SOUND_SOFT,
    ],
    "recorded": list(rules.RECORDED),
    "checkpoint": (
        "tapover.example/site/1\n123456\nq83vEjRWeJq83vEjRWeJq83vEjRWeJq83vEjRWeJq80=\n\n"
        "— tapover.example/site/1 Zm9vYmFyq83vEjRWeJq83vEjRWeJq83vEjRWeJq83vEjRWeJq83vEjRWeJq8"
        "3vEjRWeJq83vEjRWeJq83vEjRWeJq83vEjQ=\n"
    ),
}
