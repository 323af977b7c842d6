"""Tap here, closes there: real cards, readers, daemons and broker; with work, in splits, by PIN."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from benchmarks.ward.evidence import on_disk, wait_delivered, wait_held
from benchmarks.ward.people import STAFF, Member
from benchmarks.ward.site import Ward
from benchmarks.ward.terminals import WardTerminal, is_open_for
from contract.policy import GraceScope
from tests.e2e.asking import LONG_DAY, RECOVERY_S, Log, Mark, offline, online, shows, tap

pytestmark = pytest.mark.timeout(150)
NOTES = "bed 4: 500 ml over 8 h, started 21:40"


@pytest.fixture(scope="module")
def whole(module_tmp: Path) -> Iterator[Ward]:
    """Two terminals; Amal and Bronwen have given their PINs at both."""
    with Ward(module_tmp / "ward", staff=STAFF[:2], policy=LONG_DAY) as ward:
        for bay in ward.terminals.values():
            online(ward, bay)
            for holder in ("h-amal", "h-bronwen"):
                bay.sign_on_with_pin(ward.member(holder))
        yield ward


@pytest.fixture
def ward(whole: Ward) -> Ward:
    """Linked, and Bronwen's work is on the second glass."""
    if not whole.broker.process.alive:
        whole.broker.start()
    for bay in whole.terminals.values():
        online(whole, bay)
    return whole


def signed_on(ward: Ward, bay: WardTerminal, member: Member) -> None:
    """A tap that opens or resumes her session here, wherever she was."""
    shown = bay.glass.latest
    if shown is None or not is_open_for(shown.view, member):
        tap(ward, bay, member)


def write(bay: WardTerminal, text: str) -> None:
    """Somebody types into the work on the glass; once more where other work came meanwhile."""
    refused: str | None = ""
    while refused is not None:
        refused = written_under(bay, text, refused)


def written_under(bay: WardTerminal, text: str, before: str) -> str | None:
    """Types under another ticket than ``before``; the ticket, if the text was not taken."""
    panels = shows(bay, lambda view: ticket_in(view) not in (None, before)).view["panels"]
    ticket: str = panels["screen"]["ticket"]
    bay.glass.post("typed", ticket=ticket, text=text)

    def over(view: dict[str, Any]) -> bool:
        return notes_in(view) == text or ticket_in(view) not in (None, ticket)

    return None if notes_in(shows(bay, over).view) == text else ticket


def ticket_in(view: dict[str, Any]) -> str | None:
    screen = view["panels"].get("screen")
    return screen["ticket"] if screen else None


def notes_in(view: dict[str, Any]) -> str | None:
    screen = view["panels"].get("screen")
    return screen["text"] if screen else None


def locked(view: dict[str, Any]) -> bool:
    return view["screen"] == "locked" and view["covered"] and view["name"] is None


def moves(ward: Ward, bay: str) -> list[tuple[str, str]]:
    details = (event["detail"] for event in on_disk(ward, bay))
    return [(d["way"], d["state"]) for d in details if d["kind"] == "session.moved"]


def test_a_tap_here_closes_there_and_the_work_comes_along(ward: Ward, log: Log) -> None:
    amal, here, there = ward.member("h-amal"), ward["bay-1"], ward["bay-2"]
    signed_on(ward, here, amal)
    write(here, NOTES)
    at, mark = Mark.now(ward, here), here.glass.mark()

    tap(ward, there, amal)

    here.glass.wait(locked, mark)
    shows(there, lambda view: notes_in(view) == NOTES)
    changed = at.wait_for("session.changed", lambda one: one["change"] == "parked")
    assert (changed["holder"], changed["cause"]) == ("h-amal", "moved")
    assert moves(ward, "bay-1")[-1] == ("out", "sent")
    wait_delivered(ward)
    assert moves(ward, "bay-2")[-1] == ("in", "restored")
    log.verified()


def test_back_at_the_first_one_she_finds_what_she_left_at_the_second(ward: Ward) -> None:
    amal, here, there = ward.member("h-amal"), ward["bay-1"], ward["bay-2"]
    signed_on(ward, there, amal)
    write(there, NOTES + "; second bag at 05:40")
    mark = there.glass.mark()

    tap(ward, here, amal)

    there.glass.wait(locked, mark)
    shows(here, lambda view: notes_in(view) == NOTES + "; second bag at 05:40")


def test_her_work_is_seen_by_nobody_else_and_lies_on_no_disk(ward: Ward) -> None:
    amal, bronwen = ward.member("h-amal"), ward.member("h-bronwen")
    here, there = ward["bay-1"], ward["bay-2"]
    signed_on(ward, there, bronwen)
    signed_on(ward, here, amal)
    write(here, NOTES)
    mark = there.glass.mark()
    tap(ward, there, amal)
    tap(ward, there, bronwen)
    wait_delivered(ward)

    for seen in there.glass.since(mark):
        if notes_in(seen.view) == NOTES:
            assert seen.view["name"] == amal.shown
    kept = [path for path in ward.folder.rglob("*") if path.is_file()]
    assert [path for path in kept if b"500 ml over 8 h" in path.read_bytes()] == []


@pytest.mark.full
@pytest.mark.parametrize("first", ["bay-1", "bay-2"])
def test_after_a_split_the_later_tap_stands_wherever_it_was(
    ward: Ward, log: Log, first: str
) -> None:
    amal = ward.member("h-amal")
    second = "bay-2" if first == "bay-1" else "bay-1"
    tap(ward, ward[second], ward.member("h-bronwen"))
    signed_on(ward, ward[first], amal)
    ward.broker.kill()
    for bay in ward.terminals.values():
        offline(bay)
    threading.Event().wait(16.0)  # within that of the last heartbeat a tap counts as of it
    tap(ward, ward[second], amal)
    assert is_open_for(ward[first].glass.latest.view, amal)  # type: ignore[union-attr]
    at = Mark.now(ward, ward[first])

    ward.broker.start()

    shows(ward[first], locked, timeout_s=RECOVERY_S)
    for bay in ward.terminals.values():
        online(ward, bay)
    changed = at.wait_for("session.changed", lambda one: one["change"] == "parked")
    assert changed["cause"] == "moved"
    assert is_open_for(ward[second].glass.latest.view, amal)  # type: ignore[union-attr]
    log.verified()


def test_on_a_ward_that_shares_grace_one_pin_is_enough_for_both(short_tmp: Path) -> None:
    shared = {"grace_scope": GraceScope.WARD, "grace_approved_by": "h-elena"}
    with Ward(short_tmp / "ward", staff=STAFF[:2], policy=LONG_DAY | shared) as ward:
        here, there = ward["bay-1"], ward["bay-2"]
        for bay in (here, there):
            online(ward, bay)
        amal = ward.member("h-amal")
        at = Mark.now(ward, there)
        here.sign_on_with_pin(amal)
        heard = at.wait_for("pin.heard")
        assert (heard["terminal"], heard["holder"]) == ("bay-1", "h-amal")

        mark = here.glass.mark()
        tap(ward, there, amal)
        here.glass.wait(locked, mark)

        wait_held(ward, ward.set_policy(grace_scope=GraceScope.TERMINAL, grace_approved_by=None))
        tap(ward, here, amal)  # her own terminal still knows
        tap(ward, there, amal, lambda view: view["screen"] in ("pin", "notice"))
