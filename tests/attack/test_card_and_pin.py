"""Cards that answer nonsense, and where a PIN leaves traces: on a real terminal."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.ward.evidence import wait_held
from benchmarks.ward.people import STAFF
from benchmarks.ward.site import Ward
from benchmarks.ward.terminals import WardTerminal
from tests.e2e.asking import LONG_DAY, Log, assert_neutral, at_work, newcomer, turned_away

PIN, WRONG_PIN = "83920174", "71948205"
"""Eight digits, so that no digest shows them by chance."""

NONSENSE = {
    "more to come, for ever": "status:sw=6100",
    "half a CHUID": "cut:keep=20,ins=CB",
    "two bytes": "cut:keep=0,ins=CB,bare=1",
    "a CHUID of nothing": "status:sw=9000,ins=CB",
    "half a signature": "cut:keep=40,ins=87",
    "a signature of nothing": "status:sw=9000,ins=87",
    "an unknown word": "status:sw=1234,ins=87",
}


@pytest.fixture(scope="module")
def ward(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ward]:
    folder = tmp_path_factory.mktemp("cards")
    settings: dict[str, int | float | str] = {"card_deadline_s": 3.0, "log_level": "debug"}
    with Ward(folder / "ward", ("bay-1",), STAFF[:2], LONG_DAY, settings=settings) as ward:
        ward.wait_linked(timeout_s=20.0)
        yield ward


@pytest.fixture
def bay(ward: Ward) -> WardTerminal:
    return ward["bay-1"]


@pytest.mark.parametrize("fault", NONSENSE.values(), ids=NONSENSE)
def test_a_card_that_answers_nonsense_is_turned_away_beside_the_present_work(
    ward: Ward, bay: WardTerminal, fault: str
) -> None:
    first, second = ward.members["h-amal"], ward.members["h-bronwen"]
    at_work(ward, bay, first)
    answer = turned_away(ward, bay, second, faults=(fault,))
    assert_neutral(answer.view)
    assert answer.view["name"] in {None, first.shown}
    at_work(ward, bay, first)


def files_with(folder: Path, words: tuple[str, ...]) -> list[str]:
    """The files below that hold one of these, as digits or as a card is sent them in hex."""
    forms = [form for word in words for form in (word.encode(), word.encode().hex().encode())]
    return [
        str(path.relative_to(folder))
        for path in folder.rglob("*")
        if path.is_file() and any(form in path.read_bytes().lower() for form in forms)
    ]


def test_a_pin_leaves_no_trace(ward: Ward, bay: WardTerminal, tmp_path: Path) -> None:
    member = ward.hire(newcomer("h-quiet", "Quentin Still", PIN))
    wait_held(ward, ward.publish(member.entitlement))
    mark = bay.glass.mark()
    port = bay.next_contact().port
    ward.box.insert(port, member.card, profile="fast")
    try:
        bay.glass.wait_screen("pin", mark=mark)
        bay.glass.post("pin", pin=WRONG_PIN)
        bay.glass.wait(lambda view: (view["pin"] or {}).get("attempts") is not None, mark)
    finally:
        ward.box.remove(port)
    bay.glass.post("cancel")
    bay.sign_on_with_pin(member)
    export = Log(ward, tmp_path / "log").export()

    written = files_with(bay.folder, (PIN, WRONG_PIN)) + files_with(export, (PIN, WRONG_PIN))
    written += files_with(ward.folder / "gateway-state", (PIN, WRONG_PIN))
    assert written == []
    assert files_with(ward.folder / "cards", (PIN,)), "the search finds it where it is: on the card"
    process = Path(f"/proc/{bay.process.pid}")
    secret = bay.url.partition("boot=")[2].encode()
    for told in ("cmdline", "environ"):
        assert secret not in (process / told).read_bytes()
        assert PIN.encode() not in (process / told).read_bytes()
    assert secret not in (bay.folder / "terminal.log").read_bytes()
    (limit,) = (line for line in (process / "limits").read_text().splitlines() if "core" in line)
    assert limit.split()[4:6] == ["0", "0"], "no core file shows the memory"


def test_what_a_daemon_keeps_is_its_users_alone(ward: Ward, bay: WardTerminal) -> None:
    for folder in (bay.state, ward.folder / "gateway-state"):
        for path in (folder, *folder.rglob("*")):
            mode = stat.S_IMODE(path.stat().st_mode)
            assert mode & 0o077 == 0, f"{path} has mode {mode:o}"


def test_a_copied_guid_that_takes_the_cards_place_at_the_pad_opens_nothing(
    ward: Ward, bay: WardTerminal
) -> None:
    member = ward.hire(newcomer("h-owing", "Olwen Debt", PIN))
    wait_held(ward, ward.publish(member.entitlement))
    clone = ward.clone(member)
    port = bay.next_contact().port
    mark = bay.glass.mark()
    ward.box.insert(port, member.card, profile="fast")
    bay.glass.wait_screen("pin", mark=mark)
    ward.box.remove(port)
    ward.box.insert(port, clone.card, profile="fast")
    try:
        bay.glass.post("pin", pin=PIN)
        bay.glass.wait(lambda view: view["screen"] in {"refused", "locked", "waiting"}, mark)
    finally:
        ward.box.remove(port)
    assert not [seen for seen in bay.glass.since(mark) if seen.view["name"] == member.shown]
