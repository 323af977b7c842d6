"""A card that may not open: refused for its own reason, in neutral words, beside somebody's work.

Each is a real tap. Why it was refused is read from the exported log, by the reference on the glass.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from benchmarks.ward.evidence import wait_held
from benchmarks.ward.people import STAFF, Member
from benchmarks.ward.site import Ward
from benchmarks.ward.taps import WrongRefusal
from benchmarks.ward.terminals import WardTerminal, is_open_for
from contract.directory import Status
from contract.events import Reason
from hardware.virtual.card import Card
from hardware.virtual.names import Access
from hardware.virtual.sample import personalised
from runtime.clock import SystemClock
from tests.e2e.asking import (
    LONG_DAY,
    NOT_HERE,
    Log,
    Mark,
    assert_neutral,
    at_work,
    newcomer,
    tap,
    turned_away,
    with_card,
)

HOUR_MS = 3_600_000
NOW_MS = SystemClock().wall_ms()


@pytest.fixture(scope="module")
def ward(module_tmp: Path) -> Iterator[Ward]:
    """One terminal; hung cards are given up after two seconds."""
    folder = module_tmp / "ward"
    with Ward(folder, ("bay-1",), STAFF[:3], LONG_DAY, settings={"card_deadline_s": 2.0}) as ward:
        yield ward


@pytest.fixture
def bay(ward: Ward) -> WardTerminal:
    """The terminal, with Amal's work on its glass."""
    at_work(ward, ward["bay-1"], ward.member("h-amal"))
    return ward["bay-1"]


def hired(**changes: Any) -> Callable[[Ward, Path], Member]:  # noqa: ANN401 - by field
    def hand(ward: Ward, _: Path) -> Member:
        number = len(ward.members)
        member = ward.hire(newcomer(f"h-{number}", f"Nurse Number{number}"), **changes)
        wait_held(ward, ward.publish(member.entitlement))
        return member

    return hand


def cloned(ward: Ward, _: Path) -> Member:
    return ward.clone(ward.member("h-bronwen"))


def stranger(ward: Ward, folder: Path) -> Member:
    path = folder / "stranger.json"
    personalised(path=path)
    return with_card(ward.member("h-bronwen"), path)


def blank(ward: Ward, folder: Path) -> Member:
    path = folder / "blank.json"
    Card.create(path)
    return with_card(ward.member("h-bronwen"), path)


def bronwens(ward: Ward, _: Path) -> Member:
    return ward.member("h-bronwen")


NO_PIV = ("status:sw=6A82,ins=A4",)
TORN = ("torn:after=2",)
NOT_YET = {"not_before_ms": NOW_MS + HOUR_MS, "not_after_ms": NOW_MS + 2 * HOUR_MS}
PAST = {"not_before_ms": NOW_MS - 2 * HOUR_MS, "not_after_ms": NOW_MS - HOUR_MS}

CASES = {
    "a copied GUID with another key": (cloned, (), Reason.CARD_KEY_WRONG),
    "expired": (hired(**PAST), (), Reason.EXPIRED),
    "not yet valid": (hired(**NOT_YET), (), Reason.NOT_YET_VALID),
    "suspended": (hired(status=Status.SUSPENDED), (), Reason.SUSPENDED),
    "revoked": (hired(status=Status.REVOKED), (), Reason.REVOKED),
    "lost": (hired(status=Status.LOST), (), Reason.LOST),
    "of another site": (stranger, (), Reason.CARD_UNKNOWN),
    "no PIV card": (bronwens, NO_PIV, Reason.CARD_FOREIGN),
    "a blank card": (blank, (), Reason.CARD_FOREIGN),
    "no position here": (hired(positions=()), (), Reason.ROLE_NOT_ALLOWED),
}


@pytest.mark.parametrize(("hand", "faults", "reason"), CASES.values(), ids=CASES)
def test_a_card_that_may_not_open_is_refused_for_its_own_reason(
    ward: Ward,
    bay: WardTerminal,
    log: Log,
    tmp_path: Path,
    hand: Callable[[Ward, Path], Member],
    faults: tuple[str, ...],
    reason: Reason,
) -> None:
    amal, card = ward.member("h-amal"), hand(ward, tmp_path)
    mark = Mark.now(ward, bay)

    refused = turned_away(ward, bay, card, faults=faults)

    assert (refused.screen, refused.words) == ("refused", NOT_HERE)
    assert_neutral(refused.view)
    assert_untouched(bay, amal, refused.view, mark)
    outcome = log.outcome(refused)
    assert (outcome["result"], outcome["reason"]) == ("refused", reason)
    assert outcome["session"] is None


def test_a_card_that_leaves_too_early_is_asked_to_be_held_still(
    ward: Ward, bay: WardTerminal, log: Log
) -> None:
    amal, bronwen = ward.member("h-amal"), ward.member("h-bronwen")
    mark = Mark.now(ward, bay)

    torn = turned_away(ward, bay, bronwen, faults=TORN)

    assert "still" in torn.words  # she can mend that herself, so she is told
    assert_neutral(torn.view)
    assert_untouched(bay, amal, torn.view, mark)
    assert log.outcome(torn)["reason"] == Reason.CARD_TORN


def test_a_card_that_never_answers_is_given_up_while_the_other_reader_works(
    ward: Ward, bay: WardTerminal, log: Log
) -> None:
    bronwen, chidi = ward.member("h-bronwen"), ward.member("h-chidi")
    at_work(ward, bay, bronwen)
    at_work(ward, bay, ward.member("h-amal"))
    stuck, other = bay.contactless[0], bay.contactless[2]
    mark, at = bay.glass.mark(), Mark.now(ward, bay)
    access = Access.CONTACTLESS_STRICT
    ward.box.insert(stuck.port, chidi.card, access=access, faults=("hung:at=3",))
    try:
        bay.glass.wait_screen("checking", mark=mark)
        tap(ward, bay, bronwen, reader=other)
        before = at.outcomes()
        at.wait_for("card.outcome", lambda one: one["reason"] == Reason.CARD_HUNG)
    finally:
        ward.box.remove(stuck.port)

    assert ("refused", Reason.CARD_HUNG) not in before  # Bronwen did not wait for it
    shown = bay.glass.since(mark)
    assert "refused" not in {seen.screen for seen in shown}  # nor was it said to her
    assert is_open_for(shown[-1].view, bronwen)
    assert "card-hung" in {e["detail"].get("code") for e in log.events()}
    refused = turned_away(ward, bay, ward.clone(bronwen), reader=stuck)
    assert refused.words == NOT_HERE  # that reader works again, too


def test_a_wrong_refusal_is_a_broken_promise_to_who_measures_taps(
    ward: Ward, bay: WardTerminal
) -> None:
    with pytest.raises(WrongRefusal, match=NOT_HERE):
        tap(ward, bay, ward.clone(ward.member("h-bronwen")))
    at_work(ward, bay, ward.member("h-amal"))


def test_a_lost_card_locks_the_session_that_it_opened(
    ward: Ward, bay: WardTerminal, log: Log
) -> None:
    loser = ward.hire(newcomer("h-loser", "Lowri Prys"))
    wait_held(ward, ward.publish(loser.entitlement))
    bay.sign_on_with_pin(loser)
    mark = bay.glass.mark()

    ward.set_status(loser, Status.LOST)

    locked = bay.glass.wait_screen("locked", mark=mark)
    assert locked.view["name"] is None
    assert locked.view["covered"]
    refused = turned_away(ward, bay, loser)
    assert_neutral(refused.view)
    assert log.outcome(refused)["reason"] == Reason.LOST
    moved = [
        (e["detail"]["change"], e["detail"]["cause"])
        for e in log.events()
        if e["detail"]["kind"] == "session.changed" and e["detail"]["holder"] == "h-loser"
    ]
    assert moved == [("opened", "tap"), ("locked", "revoked")]


def test_all_of_it_is_proven_in_the_end(ward: Ward, bay: WardTerminal, log: Log) -> None:
    log.verified()


def assert_untouched(bay: WardTerminal, holder: Member, view: dict[str, object], at: Mark) -> None:
    """The holder's work stayed on the glass, and takes input again at a touch."""
    assert (view["name"], view["covered"]) == (holder.shown, False)
    mark = bay.glass.mark()
    bay.glass.post("activity")
    bay.glass.wait(lambda view: is_open_for(view, holder), mark)
    assert at.since("session.changed") == []
