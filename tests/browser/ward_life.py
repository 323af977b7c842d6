"""Who works in these tests' ward, and how they sign on at its glass: by card, touch and key."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, Final

from benchmarks.ward.chromium import REFERENCE, Chromium
from benchmarks.ward.evidence import wait_held
from benchmarks.ward.people import NURSE, STAFF, Member, person
from benchmarks.ward.screen import Screen
from benchmarks.ward.site import Ward
from benchmarks.ward.terminals import WardTerminal, is_open_for
from contract.directory import Position
from hardware.virtual.control import BoxError
from hardware.virtual.names import Access
from tests.e2e.asking import LONG_DAY

CREW: Final = STAFF
ORDINARY: Final[dict[str, object]] = {**LONG_DAY, "hold_s": 1800}
"""The ward's policy where a test says nothing else."""
HAND_MS: Final = 90
"""Between two keys: what comes quicker is taken for a scanner's."""
HELD_MS: Final = 1700
"""The glass breaks after a second and a half."""


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
) -> Iterator[Screen]:
    """A screen that shows this terminal's page, in a browser context of its own."""
    with chromium.context(size, touch=touch, night=night) as context:
        screen = Screen(context, bay, names(ward))
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


def press_digits(screen: Screen, digits: str, *, touch: bool = True) -> None:
    """The PIN at the pad, and Enter."""
    if not touch:
        screen.page.keyboard.type(digits, delay=HAND_MS)
        screen.page.keyboard.press("Enter")
        return
    for digit in digits:
        screen.page.get_by_role("button", name=digit, exact=True).tap()
    screen.page.get_by_role("button", name="Enter", exact=True).tap()


def press(screen: Screen, label: str) -> None:
    """One touch of a button that says so."""
    screen.page.get_by_role("button", name=label, exact=True).tap()


def break_glass(screen: Screen, reason: str) -> None:
    """The finger stays on the button; then one reason by one touch."""
    button = screen.page.locator("[data-hold]").first
    button.hover()
    screen.page.mouse.down()
    screen.page.wait_for_timeout(HELD_MS)
    screen.page.mouse.up()
    press(screen, reason)


def sign_on(ward: Ward, bay: WardTerminal, screen: Screen, member: Member) -> None:
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
    screen: Screen,
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


def nobody(bay: WardTerminal, screen: Screen) -> None:
    """Whoever was there has gone: a locked screen."""
    mark = max(0, bay.glass.mark() - 1)
    bay.glass.post("cancel")
    bay.glass.post("lock")
    bay.glass.wait(lambda view: view["screen"] in {"locked", "waiting"}, mark)
    screen.wait("locked", "waiting")


def there(ward: Ward, bay: WardTerminal, screen: Screen, member: Member) -> None:
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
