"""Who works in these tests' ward, and how they sign on at its glass: by card, touch and key."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, Final

import httpx

from benchmarks.ward.chromium import REFERENCE, Chromium
from benchmarks.ward.evidence import wait_held
from benchmarks.ward.people import DOCTOR, LEAD, NURSE, STAFF, Member, person
from benchmarks.ward.site import Ward
from benchmarks.ward.terminals import WardTerminal, is_open_for
from contract.directory import Position
from contract.ids import PositionId, TerminalId
from contract.policy import BreakGlass, BreakGlassState, Downtime
from hardware.virtual.control import BoxError
from hardware.virtual.names import Access
from tests.browser.eyes import Watched
from tests.e2e.asking import LONG_DAY

CREW: Final = STAFF
ORDINARY: Final[dict[str, object]] = {**LONG_DAY, "hold_s": 1800}
"""The ward's policy where a test says nothing else."""
EMERGENCY: Final[dict[str, object]] = {
    "break_glass": BreakGlass(
        allowed=True,
        position=PositionId("ed-emergency"),
        reasons=("RESUS", "STROKE", "OTHER"),
        limit_s=600,
        states=(
            BreakGlassState.PIN_OWED,
            BreakGlassState.DIRECTORY_STALE,
            BreakGlassState.CARD_UNKNOWN,
            BreakGlassState.NO_CARD,
        ),
        without_card=(TerminalId("bay-2"),),
    ),
    "downtime": Downtime(roles=(LEAD.role, DOCTOR.role)),
}
"""A policy with break-glass and downtime; Elena and Chidi may declare it."""
PAST_ITS_LIMIT_S: Final = 3
"""An offline limit that nobody has to wait for."""
HAND_MS: Final = 60
"""Between two keys: what comes quicker is taken for a scanner's."""
HELD_MS: Final = 1700
"""The glass breaks after a second and a half."""


_RESTING: Final = ("locked", "waiting", "notice", "refused")
_NEWCOMERS: Final = (
    *("Ceri Bowen", "Gethin Cole", "Heledd Davies", "Ianto Evans", "Lowri Griffiths"),
    *("Megan Hughes", "Nia Jenkins", "Owain Lewis", "Rhys Morgan", "Seren Nash", "Tomos Price"),
    *("Wyn Roberts", "Yvonne Stone", "Zoe Thomas"),
)


def fresh(ward: Ward, *positions: Position) -> Member:
    """Somebody whom no terminal has seen yet: she owes her PIN."""
    number = len(ward.members) - len(CREW)
    full = _NEWCOMERS[number % len(_NEWCOMERS)]
    somebody = person(f"h-new-{number}", full, "274913", *(positions or (NURSE,)))
    member = ward.hire(somebody)
    wait_held(ward, ward.publish(member.entitlement))
    return member


def names(ward: Ward) -> list[str]:
    """Every way to name anybody of the ward but by initials."""
    known = (member.entitlement.name for member in ward.members.values())
    return sorted({form for name in known for form in (name.full, name.short)})


@contextmanager
def watching(
    ward: Ward,
    chromium: Chromium,
    bay: WardTerminal,
    size: tuple[int, int] = REFERENCE,
    *,
    touch: bool = True,
    night: bool = False,
) -> Iterator[Watched]:
    """A screen that shows this terminal's page, in a browser context of its own."""
    with chromium.context(size, touch=touch, night=night) as context:
        screen = Watched(context, bay, names(ward))
        screen.open()
        yield screen


@contextmanager
def held(
    ward: Ward,
    bay: WardTerminal,
    member: Member,
    *,
    slot: bool = False,
    profile: str = "instant",
    faults: Sequence[str] = (),
) -> Iterator[int]:
    """The card in a slot, or at a contactless reader, inside the block; gives when it came."""
    reader = bay.next_contact() if slot else bay.next_contactless()
    access = Access.CONTACT if slot else Access.CONTACTLESS_STRICT
    told = ward.box.insert(
        reader.port, member.card, profile=profile, access=access, faults=tuple(faults)
    )
    try:
        yield int(told["inserted_ns"])
    finally:
        with suppress(BoxError):  # a torn card has left by itself
            ward.box.remove(reader.port)


def press_digits(screen: Watched, digits: str, *, touch: bool = True) -> None:
    """The PIN at the pad, and Enter."""
    if not touch:
        screen.page.keyboard.type(digits, delay=HAND_MS)
        screen.page.keyboard.press("Enter")
        return
    for digit in digits:
        screen.page.get_by_role("button", name=digit, exact=True).tap()
    screen.page.get_by_role("button", name="Enter", exact=True).tap()


def press(screen: Watched, label: str) -> None:
    """One touch of a button that says so."""
    screen.page.get_by_role("button", name=label, exact=True).tap()


def break_glass(screen: Watched, reason: str) -> None:
    """The finger stays on the button; then one reason by one touch."""
    button = screen.page.locator("[data-hold]").first
    button.hover()
    screen.page.mouse.down()
    screen.page.wait_for_timeout(HELD_MS)
    screen.page.mouse.up()
    press(screen, reason)


def sign_on(ward: Ward, bay: WardTerminal, screen: Watched, member: Member) -> None:
    """With card and PIN, until her own screen is there."""
    mark = bay.glass.mark()
    with held(ward, bay, member, slot=True):
        screen.wait("pin", "choose", "open")
        if screen.face == "pin":
            press_digits(screen, member.pin, touch=False)
        bay.glass.wait(lambda view: is_open_for(view, member), mark)
        screen.wait_name(member.shown)


def tap(
    ward: Ward,
    bay: WardTerminal,
    screen: Watched,
    member: Member,
    *faces: str,
    faults: Sequence[str] = (),
) -> str:
    """A contactless tap that is answered by one of these faces (her open screen); returns it."""
    mark = bay.glass.mark()
    with held(ward, bay, member, faults=faults) as inserted_ns:
        wanted = faces or ("open",)

        def answered(view: dict[str, Any]) -> bool:
            mine = (view["seen_ns"] or 0) >= inserted_ns and view["screen"] in wanted
            return mine and (bool(faces) or is_open_for(view, member))

        seen = bay.glass.wait(answered, mark)
        screen.wait(seen.screen)
        if not faces:
            screen.wait_name(member.shown)
        return seen.screen


def nobody(bay: WardTerminal, screen: Watched) -> None:
    """Whoever was there has gone: a locked screen, or on it still what was said last."""
    mark = max(0, bay.glass.mark() - 1)
    bay.glass.post("cancel")
    bay.glass.post("lock")
    bay.glass.wait(_is_at_rest, mark)
    screen.wait(*_RESTING)


def _is_at_rest(view: dict[str, Any]) -> bool:
    asked = view["panels"].get("help") or view["panels"].get("pin")
    return view["screen"] in _RESTING and view["name"] is None and not asked


def there(ward: Ward, bay: WardTerminal, screen: Watched, member: Member) -> None:
    """Her own work is on the glass, whatever was there before; by PIN where it is owed."""
    latest = bay.glass.latest
    if latest is not None and is_open_for(latest.view, member):
        screen.wait_name(member.shown)
        return
    nobody(bay, screen)
    face = tap(ward, bay, screen, member, "open", "notice", "pin", "choose")
    if face == "open":
        screen.wait_name(member.shown)
        return
    nobody(bay, screen)
    sign_on(ward, bay, screen, member)


@contextmanager
def gateway_silent(ward: Ward) -> Iterator[None]:
    """The gateway hangs inside the block: nothing is heard of it, and it loses nothing."""
    os.kill(ward.gateway.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(ward.gateway.pid, signal.SIGCONT)


@contextmanager
def application(bay: WardTerminal) -> Iterator[httpx.Client]:
    """A program on that terminal, at its Unix socket."""
    socket = httpx.HTTPTransport(uds=str(bay.state / "run" / "local.sock"))
    with httpx.Client(transport=socket, base_url="http://localhost", timeout=60) as client:
        yield client
