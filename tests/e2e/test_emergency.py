"""Break-glass and downtime by real taps: whatever is gone, the ward goes on, and the log tells it.

One ward for all of it: two bays, two nurses, a doctor, and Elena, who is in charge. `bay-2` stands
where only staff come.
"""

from __future__ import annotations

import resource
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from benchmarks.ward.evidence import wait_held
from benchmarks.ward.people import LEAD, NURSE, STAFF, Member, person
from benchmarks.ward.site import Ward
from benchmarks.ward.taps import View, WrongRefusal
from benchmarks.ward.terminals import WardTerminal
from contract.directory import Status
from contract.ids import PositionId, TerminalId
from contract.policy import BreakGlass, BreakGlassState, Downtime
from firmware_py.emergency import words
from tests.e2e.asking import (
    LONG_DAY,
    Log,
    Mark,
    at_work,
    mend,
    newcomer,
    offline,
    shows,
    tap,
    turned_away,
)

pytestmark = pytest.mark.timeout(150)  # links that fell wait before they try again
LIMIT_S = 2
GLASS = BreakGlass(
    allowed=True,
    position=PositionId("ed-emergency"),
    reasons=("RESUS", "SYSTEM"),
    limit_s=600,
    states=tuple(BreakGlassState),
    without_card=(TerminalId("bay-2"),),
)
FFION = person("h-ffion", "Ffion Ellis", "735190", LEAD)
POLICY: dict[str, object] = {
    **LONG_DAY,
    "break_glass": GLASS,
    "downtime": Downtime(roles=(LEAD.role,), renew_s=3600),
}


@pytest.fixture(scope="module")
def whole(module_tmp: Path) -> Iterator[Ward]:
    """Amal, Bronwen, Elena and Ffion; the ward has break-glass from every state, and downtime."""
    staff = (*STAFF[:2], STAFF[4], FFION)
    with Ward(module_tmp / "ward", staff=staff, policy=POLICY) as ward:
        yield ward


@pytest.fixture
def ward(whole: Ward) -> Iterator[Ward]:
    """Broker and gateway work when a test begins, and are made to work when it ends."""
    yield whole
    an_ordinary_day(whole)


def an_ordinary_day(ward: Ward) -> None:
    """Broker and gateway work, nobody's work is on a screen, the policy is the ordinary one."""
    mend(ward)
    for terminal in ward.terminals.values():
        terminal.glass.post("cancel")
        terminal.glass.post("lock")
    wait_held(ward, ward.set_policy())


def cut_off(ward: Ward, bay: WardTerminal) -> None:
    """Past the ward's offline limit, at this screen."""
    wait_held(ward, ward.set_policy(offline_limit_s=LIMIT_S))
    ward.gateway.kill()
    offline(bay)  # said after a longer silence than the limit


def panel(view: View, name: str = "breakglass") -> dict[str, Any]:
    found: dict[str, Any] = view["panels"].get(name, {})
    return found


def offered(view: View) -> bool:
    return bool(panel(view).get("offered"))


def in_emergency(view: View) -> bool:
    return view["screen"] == "open" and bool(panel(view).get("active"))


def in_fleet(ward: Ward, wanted: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    """The newest emergency of the site, when it is that one: her screen may know it sooner."""
    deadline = time.monotonic() + 20.0
    while not ((found := ward.ask("/v1/fleet")["emergencies"]) and wanted(found[0])):
        assert time.monotonic() < deadline, f"the site does not hear of it: {found}"
        time.sleep(0.05)
    newest: dict[str, Any] = found[0]
    return newest


def hold(bay: WardTerminal, reason: str = "RESUS") -> View:
    """The button held for 1.5 s and a reason touched, as the page then says it."""
    mark = bay.glass.mark()
    bay.glass.post("breakglass", reason=reason)
    return bay.glass.wait(in_emergency, mark).view


@contextmanager
def full_disk(bay: WardTerminal) -> Iterator[None]:
    """No file of the daemon's may grow by a page; what it took before is its own."""
    pid = bay.process.pid
    _, hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (4096, hard))
    try:
        yield
    finally:
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (hard, hard))


def card_and_pin(ward: Ward, bay: WardTerminal, member: Member) -> None:
    """For a declaration: in the slot, with its PIN, and out again."""
    mark, port = bay.glass.mark(), bay.next_contact().port
    ward.box.insert(port, member.card, profile="instant")
    try:
        bay.glass.wait(lambda view: panel(view, "downtime").get("step") == "pin", mark)
        mark = bay.glass.mark()
        bay.glass.post("pin", pin=member.pin)
        bay.glass.wait(lambda view: panel(view, "downtime").get("step") != "pin", mark)
    finally:
        ward.box.remove(port)


def test_past_the_offline_limit_it_opens_in_her_own_name_and_the_log_tells_it(
    ward: Ward, log: Log
) -> None:
    bay, leads, amal = ward["bay-1"], ward["bay-2"], ward.member("h-amal")
    at_work(ward, leads, ward.member("h-elena"))
    cut_off(ward, bay)
    stale = turned_away(ward, bay, amal)
    assert (stale.screen, offered(stale.view)) == ("offer", True)
    view = hold(bay)
    assert (view["name"], view["role"]) == (amal.shown, words.ROLE)
    # Without the gateway the lead's screen hears it from the other one, and writes it down too.
    told = shows(leads, lambda view: bool(panel(view, "alerts").get("list"))).view
    (alert,) = panel(told, "alerts")["list"]
    assert (alert["terminal"], alert["initials"], alert["age_s"]) == ("bay-1", "AH", 0)
    assert not panel(bay.glass.latest.view)["unheard"]  # type: ignore[union-attr]
    an_ordinary_day(ward)
    heard = Mark(ward, leads.name, 0).wait_for("break-glass.heard")
    assert (heard["terminal"], heard["holder"], heard["kept"]) == ("bay-1", "h-amal", "journal")
    events = log.events()
    (opened,) = [e["detail"] for e in events if e["detail"]["kind"] == "break-glass.opened"]
    assert (opened["holder"], opened["state"], opened["reason"]) == (
        "h-amal",
        "directory-stale",
        "RESUS",
    )
    assert (opened["position"], opened["kept"]) == ("ed-emergency", "journal")
    assert log.outcome(stale)["reason"] == "directory-stale"
    log.verified()


def test_after_a_blocked_pin_her_card_still_opens_the_emergency(ward: Ward, log: Log) -> None:
    bay = ward["bay-1"]
    wait_held(ward, ward.set_policy())
    gwen = ward.hire(newcomer("h-gwen", "Gwen Price"))
    port, mark = bay.next_contact().port, bay.glass.mark()
    ward.box.insert(port, gwen.card, profile="instant")
    bay.glass.wait_screen("pin", mark=mark)
    for left in (2, 1, 0):
        mark = bay.glass.mark()
        bay.glass.post("pin", pin="000000")
        if left:
            bay.glass.wait(partial(_has_left, left), mark)
        else:
            bay.glass.wait_screen("refused", mark=mark)
    view = hold(bay, "SYSTEM")
    ward.box.remove(port)
    assert view["name"] == gwen.shown
    opened = Mark(ward, bay.name, 0).wait_for(
        "break-glass.opened", lambda one: one["holder"] == "h-gwen"
    )
    assert opened["state"] == "pin-owed"
    log.verified()


def _has_left(tries: int, view: View) -> bool:
    return bool(view["pin"] and view["pin"]["attempts"] == tries)


def taps_until_offered(ward: Ward, bay: WardTerminal, member: Member) -> View:
    """The journal's failure may be known only by the first of them."""
    known = {"refused", "offer"}
    for _ in range(3):
        try:
            answer = tap(ward, bay, member, lambda view: view["screen"] in known)
        except WrongRefusal:
            continue  # under the card: what is refused then is not about it
        if offered(answer.view):
            return answer.view
    raise AssertionError(f"nothing was offered to {member.shown}")


def test_a_full_disk_blocks_nobody_and_what_was_done_is_journalled_when_there_is_room(
    ward: Ward, log: Log
) -> None:
    bay, amal = ward["bay-1"], ward.member("h-amal")
    at_work(ward, bay, ward.member("h-bronwen"))
    with full_disk(bay):
        assert taps_until_offered(ward, bay, amal)["name"] is None
        view = hold(bay)
        assert (view["name"], view["role"]) == (amal.shown, words.ROLE)
        assert panel(view)["unrecorded"] is False
    opened = Mark(ward, bay.name, 0).wait_for(
        "break-glass.opened", lambda one: one["state"] == "journal-failed"
    )
    assert (opened["holder"], opened["kept"], opened["record"]) == ("h-amal", "reserve", None)
    assert opened["proof"] is not None
    assert in_emergency(bay.glass.latest.view)  # type: ignore[union-attr]
    log.verified()


def test_with_neither_room_nor_reserve_the_gateway_keeps_it(ward: Ward, log: Log) -> None:
    bay, amal = ward["bay-1"], ward.member("h-amal")
    (bay.state / "journal.reserve").unlink()
    with full_disk(bay):
        taps_until_offered(ward, bay, amal)
        view = hold(bay)
        assert panel(view)["unrecorded"] is False
        emergencies = ward.ask("/v1/fleet")["emergencies"]
        assert (emergencies[0]["holder"], emergencies[0]["kept"]) == ("h-amal", "gateway")
    Mark(ward, bay.name, 0).wait_for("break-glass.opened", lambda one: one["kept"] == "gateway")
    log.verified()


def test_with_nothing_to_take_it_the_glass_says_so_until_something_does(
    ward: Ward, log: Log
) -> None:
    bay, amal = ward["bay-1"], ward.member("h-amal")
    (bay.state / "journal.reserve").unlink(missing_ok=True)
    ward.broker.kill()
    ward.gateway.kill()
    offline(bay)
    with full_disk(bay):
        taps_until_offered(ward, bay, amal)
        view = hold(bay)
        assert panel(view)["unrecorded"] is True
        assert panel(view)["words"] == words.UNRECORDED
        shows(bay, lambda view: in_emergency(view) and panel(view)["unheard"] == words.UNHEARD)
    shows(bay, lambda view: in_emergency(view) and not panel(view)["unrecorded"])
    mend(ward)
    shows(bay, lambda view: in_emergency(view) and not panel(view)["unheard"])
    an_ordinary_day(ward)
    counts = [one["status"]["counts"] for one in ward.ask("/v1/fleet")["terminals"]]
    assert any(count.get("break_glass", 0) for count in counts)
    log.verified()


def test_a_lost_card_is_offered_nothing(ward: Ward, log: Log) -> None:
    bay = ward["bay-1"]
    hywel = ward.hire(newcomer("h-hywel", "Hywel Parry"))
    wait_held(ward, ward.set_status(hywel, Status.LOST))
    cut_off(ward, bay)
    refused = turned_away(ward, bay, hywel)
    assert refused.screen == "refused"
    assert not offered(refused.view)
    mark = bay.glass.mark()
    bay.glass.post("breakglass", reason="RESUS")
    at_rest = tap(ward, bay, hywel, lambda view: view["screen"] == "refused")
    assert not any(in_emergency(seen.view) for seen in bay.glass.since(mark))
    an_ordinary_day(ward)
    assert log.outcome(at_rest)["reason"] == "lost"


def test_without_a_card_a_colleague_confirms_it_where_only_staff_come(ward: Ward, log: Log) -> None:
    bay, other = ward["bay-2"], ward["bay-1"]
    shows(bay, offered)
    bay.glass.post("breakglass", reason="RESUS")
    shows(bay, lambda view: bool(panel(view).get("waits_for_colleague")))
    confirmed = tap(ward, bay, ward.member("h-bronwen"), in_emergency)
    assert confirmed.view["name"] == words.NOT_IDENTIFIED
    assert panel(confirmed.view)["unidentified"] is True
    opened = Mark(ward, bay.name, 0).wait_for("break-glass.opened")
    assert (opened["holder"], opened["guid"], opened["colleague"]) == (None, None, "h-bronwen")
    assert not offered(other.glass.latest.view)  # type: ignore[union-attr]
    log.verified()


def test_the_nurse_in_charge_hears_of_it_at_her_own_screen_and_the_site_too(
    ward: Ward,
) -> None:
    bay, hers, elena = ward["bay-2"], ward["bay-1"], ward.member("h-elena")
    at_work(ward, hers, elena)
    known = len(panel(hers.glass.latest.view, "alerts").get("list", []))  # type: ignore[union-attr]
    shows(bay, offered)
    bay.glass.post("breakglass", reason="SYSTEM")
    shows(bay, lambda view: bool(panel(view).get("waits_for_colleague")))
    mark = bay.glass.mark()
    bay.glass.post("breakglass_alone")
    alone = bay.glass.wait(in_emergency, mark).view
    assert alone["role"] == words.READ_ONLY

    def told(view: View) -> bool:
        return len(panel(view, "alerts").get("list", [])) > known

    view = hers.glass.wait(told, max(0, hers.glass.mark() - 1)).view
    newest = panel(view, "alerts")["list"][0]
    assert (newest["terminal"], newest["initials"]) == ("bay-2", "?")
    newest = in_fleet(ward, lambda one: one["reason"] == "SYSTEM")
    assert (newest["terminal"], newest["holder"], newest["read_only"]) == ("bay-2", None, True)


def in_downtime(view: View) -> bool:
    return panel(view, "downtime").get("state") == "on"


def declare(ward: Ward, bay: WardTerminal) -> None:
    shows(bay, lambda view: panel(view, "downtime").get("state") == "offered")
    bay.glass.post("downtime")
    card_and_pin(ward, bay, ward.member("h-elena"))
    card_and_pin(ward, bay, ward.member("h-ffion"))


def test_two_named_cards_with_their_pins_declare_downtime_and_the_ward_goes_on(
    ward: Ward, log: Log
) -> None:
    bay, next_bay, amal = ward["bay-1"], ward["bay-2"], ward.member("h-amal")
    cut_off(ward, bay)
    turned_away(ward, bay, amal)
    bay.glass.post("cancel")
    declare(ward, bay)
    for screen in (bay, next_bay):  # the broker lives: the other screen hears of it
        view = shows(screen, in_downtime).view
        assert panel(view, "downtime")["by"] == ["EM", "FE"]

    next_bay.glass.post("downtime_end")
    shows(next_bay, lambda view: panel(view, "downtime").get("step") == "card")
    card_and_pin(ward, next_bay, ward.member("h-elena"))
    for screen in (next_bay, bay):
        shows(screen, lambda view: panel(view, "downtime").get("state") == "offered")

    declare(ward, next_bay)
    shows(bay, in_downtime)
    bay.sign_on_with_pin(amal)  # the same gesture, where nobody has declared anything
    changed = Mark(ward, bay.name, 0).wait_for(
        "session.changed", lambda one: one.get("ground") == "downtime"
    )
    assert changed["holder"] == "h-amal"

    an_ordinary_day(ward)
    for screen, why in ((bay, "elsewhere"), (next_bay, "declared")):
        shows(screen, lambda view: "downtime" not in view["panels"])
        heard = Mark(ward, screen.name, 0).wait_for("downtime.heard")
        assert {one["holder"] for one in heard["by"]} <= {"h-elena", "h-ffion"}
        for each in (why, "gateway"):
            Mark(ward, screen.name, 0).wait_for("downtime.ended", _ended(each))
    log.verified()


def _ended(why: str) -> Callable[[dict[str, Any]], bool]:
    return lambda one: one["why"] == why


def test_a_nurse_is_not_of_those_who_declare_it(ward: Ward) -> None:
    bay = ward["bay-1"]
    assert NURSE.role not in Downtime.model_validate(POLICY["downtime"]).roles
    cut_off(ward, bay)
    shows(bay, lambda view: panel(view, "downtime").get("state") == "offered")
    bay.glass.post("downtime")
    shows(bay, lambda view: panel(view, "downtime").get("step") == "card")
    refused = tap(ward, bay, ward.member("h-amal"), lambda view: view["words"] == words.NOT_YOU)
    assert panel(refused.view, "downtime")["step"] == "card"
