"""What is on the glass: one immutable view, and its one JSON form.

The page draws a view and nothing else; what is not in it cannot be seen. So the rules are kept
here: a locked or checking screen names nobody, and no view carries the reason of a refusal.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Final, Literal


class Screen(StrEnum):
    """Which of the page's faces is shown."""

    STARTING = "starting"
    ENROLLING = "enrolling"
    WAITING = "waiting"
    LOCKED = "locked"
    CHECKING = "checking"
    PIN = "pin"
    CHOOSE = "choose"
    OPEN = "open"
    DIMMED = "dimmed"
    WARNING = "warning"
    REFUSED = "refused"
    OFFER = "offer"
    NOTICE = "notice"


NAMELESS: Final = frozenset(
    {
        Screen.STARTING,
        Screen.ENROLLING,
        Screen.WAITING,
        Screen.LOCKED,
        Screen.CHECKING,
        Screen.OFFER,
    }
)
"""Screens that show no person: nobody is signed on, or nothing is verified yet."""


@dataclass(frozen=True, slots=True)
class Person:
    """A cardholder as the ward's policy lets the glass name him."""

    name: str
    role: str
    initials: str


@dataclass(frozen=True, slots=True)
class PinPad:
    """A pad that waits for digits. ``attempts`` is null until the card has said."""

    attempts: int | None
    why: str
    why_asked: str = ""


@dataclass(frozen=True, slots=True)
class Choice:
    """A position that the newcomer may take."""

    id: str
    name: str


@dataclass(frozen=True, slots=True)
class ParkedLine:
    """Whose work is suspended here, and for how long it is kept."""

    initials: str
    role: str
    until_s: int


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that enrolment needs. ``words`` say how it is, or what to do."""

    name: str
    state: Literal["done", "waits", "later"]
    words: str = ""


@dataclass(frozen=True, slots=True)
class Enrolling:
    """What a terminal without a certificate that serves shows to whoever unpacks it."""

    terminal: str | None
    steps: tuple[Step, ...] = ()
    code: str | None = None
    """The eight letters that an operator approves, ``ABCD EFGH``."""
    mac: str | None = None
    addresses: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What every view tells besides: connection, age of the rights, clock, and what is missing."""

    link: Literal["online", "offline"] = "offline"
    rights_age_s: int | None = None
    clock: Literal["site", "rtc", "unconfirmed"] = "unconfirmed"
    waits_for: tuple[str, ...] = ()
    enrolling: Enrolling | None = None
    night: bool = False
    """By the ward's hours: dim and silent."""
    sound: Literal["off", "soft"] = "off"


@dataclass(frozen=True, slots=True)
class View:
    """One state of the glass. ``covered``: no input reaches a workspace while it is shown."""

    screen: Screen
    words: str
    person: Person | None = None
    reference: str | None = None
    pin: PinPad | None = None
    positions: tuple[Choice, ...] = ()
    parked: tuple[ParkedLine, ...] = ()
    seen_ns: int | None = None
    """Monotonic nanoseconds of the card's arrival that led here."""
    covered: bool = True
    around: Surroundings = field(default_factory=Surroundings)
    panels: Mapping[str, Mapping[str, object]] = field(default_factory=dict)
    """What the desks beside sign-on have to show; each keeps the rule of `NAMELESS` itself."""

    def __post_init__(self) -> None:
        """Refuse a view that would name somebody where nobody may be named: our own bug."""
        if self.person is not None and self.screen in NAMELESS:
            raise ValueError(f"a {self.screen} screen names nobody")

    def to_json(self, seq: int) -> bytes:
        """The state message of the page, as number ``seq`` of this daemon's run."""
        person = self.person
        return json.dumps(
            {
                "seq": seq,
                "screen": self.screen,
                "name": person and person.name,
                "role": person and person.role,
                "initials": person and person.initials,
                "words": self.words,
                "reason": None,
                "reference": self.reference,
                "pin": self.pin and asdict(self.pin),
                "positions": [{"id": c.id, "name": c.name} for c in self.positions],
                "parked": [
                    {"initials": p.initials, "role": p.role, "until_s": p.until_s}
                    for p in self.parked
                ],
                "link": self.around.link,
                "rights_age_s": self.around.rights_age_s,
                "clock": self.around.clock,
                "waits_for": list(self.around.waits_for),
                "night": self.around.night,
                "sound": self.around.sound,
                "seen_ns": self.seen_ns,
                "covered": self.covered,
                "panels": self.panels,
                "enrolling": self.around.enrolling and asdict(self.around.enrolling),
            },
            ensure_ascii=False,
            separators=(",", ":"),
        ).encode()
