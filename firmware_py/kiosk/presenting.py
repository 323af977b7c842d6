"""From the terminal's state to the one view on its glass. Pure.

In this order: starting; a card is being looked at; a passing notice; the pad; an offer at a held
screen; somebody's open work; work on its way to the glass; nobody's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from contract.directory import Entitlement
from contract.ids import PositionId
from contract.policy import NameForm
from firmware_py.glass import words
from firmware_py.glass.notice import Notice
from firmware_py.glass.view import (
    NAMELESS,
    Choice,
    ParkedLine,
    Person,
    PinPad,
    Screen,
    Surroundings,
    View,
)
from firmware_py.pin.words import WHY_ASKED
from firmware_py.sessions.machine import SHOWN, Mode
from firmware_py.signon.decision import ChoosePosition, NeedsPin
from firmware_py.signon.pad import Pad


@dataclass(frozen=True, slots=True)
class Scene:
    """Everything that a view is made from."""

    started: bool
    mode: Mode
    around: Surroundings = field(default_factory=Surroundings)
    can_sign_on: bool = True
    """Readers and a directory are there."""
    checking: str | None = None
    """What to say while a card is looked at; null when none is."""
    pad: Pad | None = None
    notice: Notice | None = None
    visible: Person | None = None
    """Whose work is on the glass and takes input."""
    aside: bool = False
    """... but for now: something else is asked of whoever stands there."""
    held: Person | None = None
    """Whose screen is held, while a newcomer is offered to join or to take over."""
    greeting: str = words.OPEN
    returning: bool = False
    parked: tuple[ParkedLine, ...] = ()
    seen_ns: int | None = None
    panels: Mapping[str, Mapping[str, object]] = field(default_factory=dict)
    """What desks add (`firmware_py.inside`)."""


_FACES: Final = {
    Mode.DIMMED: (Screen.DIMMED, words.DIMMED),
    Mode.WARNING: (Screen.WARNING, words.WARNING),
}


_WORK: Final = frozenset({"screen"})
"""Panels that are somebody's work: never on a covered glass."""
_SOMEBODYS: Final = frozenset({"countersign"})
"""Panels that say what somebody works on: never where nobody is named."""


def compose(scene: Scene) -> View:
    """The view of a scene."""
    face = _face(scene)
    hidden = (_WORK if face.covered else frozenset()) | (
        _SOMEBODYS if face.screen in NAMELESS else frozenset()
    )
    shown = {name: panel for name, panel in scene.panels.items() if name not in hidden}
    return replace(face, panels=shown)


def _face(scene: Scene) -> View:
    around, seen_ns, parked = scene.around, scene.seen_ns, scene.parked
    if not scene.started:
        return View(Screen.STARTING, words.STARTING, around=around)
    if scene.checking is not None:
        return View(Screen.CHECKING, scene.checking, around=around, seen_ns=seen_ns)
    if (notice := scene.notice) is not None:
        return View(
            notice.screen,
            notice.words,
            person=scene.visible if notice.screen is not Screen.OFFER else None,
            reference=notice.reference,
            parked=parked,
            seen_ns=seen_ns,
            covered=scene.visible is None or scene.aside,
            around=around,
        )
    if scene.pad is not None:
        return _pad(scene.pad, scene)
    if scene.held is not None:
        line = words.JOIN_OR_TAKE
        return View(Screen.NOTICE, line, person=scene.held, seen_ns=seen_ns, around=around)
    if scene.visible is not None:
        screen, line = _FACES.get(scene.mode, (Screen.OPEN, scene.greeting))
        return View(
            screen,
            line,
            person=scene.visible,
            parked=parked,
            seen_ns=seen_ns,
            covered=scene.aside,
            around=around,
        )
    if scene.mode in SHOWN:
        return View(Screen.CHECKING, words.CHECKING, around=around, seen_ns=seen_ns)
    if not scene.can_sign_on:
        return View(Screen.WAITING, words.NOT_NOW, around=around, parked=parked)
    line = words.PARKED if scene.returning else words.TAP
    return View(Screen.LOCKED, line, around=around, parked=parked, seen_ns=seen_ns)


def _pad(pad: Pad, scene: Scene) -> View:
    if isinstance(pad.asks, ChoosePosition):
        choices = tuple(Choice(p.id, p.name) for p in pad.asks.positions)
        return View(
            Screen.CHOOSE,
            words.CHOOSE,
            positions=choices,
            seen_ns=scene.seen_ns,
            around=scene.around,
        )
    if not pad.takes_pin or not isinstance(pad.asks, NeedsPin):
        return View(Screen.NOTICE, pad.why, seen_ns=scene.seen_ns, around=scene.around)
    return View(
        Screen.PIN,
        pad.why,
        pin=PinPad(pad.attempts, pad.why, WHY_ASKED[pad.asks.because]),
        seen_ns=scene.seen_ns,
        around=scene.around,
    )


def person(entitlement: Entitlement, position: PositionId, form: NameForm) -> Person:
    """The holder as the ward lets the glass name her."""
    name = entitlement.name
    shown = {
        NameForm.FULL: name.full,
        NameForm.SHORT: name.short,
        NameForm.INITIALS: name.initials,
    }[form]
    role = next((p.name for p in entitlement.positions if p.id == position), position)
    return Person(shown, role, name.initials)
